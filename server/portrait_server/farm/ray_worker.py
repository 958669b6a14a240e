# SPDX-License-Identifier: GPL-3.0-or-later
"""What draws chunks of a job on a machine of a Ray cluster: an actor, with its engine and portrait kept warm.

What it is told and what it answers are plain values: the other end may be of another release, and must be able to say so.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.errors import PortraitError

from portrait_server.farm.own_cores import take_cores
from portrait_server.farm.ray_gpus import gpus_here

READY: Final = "ready"
NO_JOB: Final = "no job"
"""The job's folder is not seen here: its files are to be sent."""
FULL: Final = "full"
"""The GPU that Ray gave has too little memory free."""


class RayWorker:
    """Driven by `ray_crew`, one call at a time."""

    def __init__(self, cores: int, bound: bool) -> None:
        """
        Args:
            cores: how many threads draw here at most. Set before anything is loaded that starts threads; the server
                that draws photos takes it over.
            bound: whether it shall keep to so many cores altogether, what it writes and sends included.
        """
        if bound:
            take_cores(cores)
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENCV_FOR_THREADS_NUM"] = str(cores)
        self._stack = ExitStack()

    def greet(self) -> dict[str, str]:
        """Who this is: `release`, `host` and `process`."""
        return {"release": __version__, "host": socket.gethostname(), "process": str(os.getpid())}

    def begin(self, order: dict[str, Any], files: dict[str, bytes] | None = None) -> dict[str, Any]:
        """Makes ready to draw.

        Args:
            order: `job`, the path of its folder; `digest`, the job's; `output`, the folder of the frames; `probe`, the
                name of a file in it that holds `token`; `device`; `needs`,
                bytes that must be free on the GPU, 0 for the processor.
            files: the job's files by their names, where its folder is not seen here.

        Returns:
            `state`: `READY`, `NO_JOB` or `FULL`, of which `seen` tells more; `sends`: whether frames are sent back; or
            `error`.
        """
        # Only now: what is imported here loads OpenCV.
        from portrait_server.farm.farm_job import JOB_FILE, FarmJob
        from portrait_server.farm.worker import JobWorker

        if (seen := self._full_gpu(order["device"], order["needs"])) is not None:
            return {"state": FULL, "seen": seen}
        folder, output = Path(order["job"]), Path(order["output"])
        try:
            if files is not None:
                folder = self._unpacked(files)
            if not os.access(folder / JOB_FILE, os.R_OK) or (job := FarmJob.load(folder)).digest != order["digest"]:
                return {"state": NO_JOB}
            self._sends = not _shares(output, order["probe"], order["token"])
            worker = JobWorker(job, device=order["device"], output=None if self._sends else output)
            self._worker = self._stack.enter_context(worker)
        except PortraitError as error:
            return {"error": told(error)}
        return {"state": READY, "sends": self._sends}

    def draw(self, frames: list[int], again: bool) -> dict[str, Any]:
        """Draws a chunk.

        Returns:
            `stored`: numbers, whether each was drawn now, its file's SHA-256; `frames`: numbers and contents of files, where they are sent
            back; `error`: what ended it early, None where nothing did.
        """
        stored: list[tuple[int, bool, str]] = []
        sent: list[tuple[int, bytes]] = []
        try:
            if self._sends:
                for number, data in self._worker.render_bytes(frames):
                    sent.append((number, data))
            else:
                for frame in self._worker.render(frames, again):
                    stored.append((frame.number, frame.drawn, frame.sha256))
        except PortraitError as error:
            return {"stored": stored, "frames": sent, "error": told(error)}
        return {"stored": stored, "frames": sent, "error": None}

    def end(self) -> None:
        """Ends its server and lets go of all it holds."""
        self._stack.close()

    def _full_gpu(self, device: str, needs: int) -> str | None:
        """What the GPU that Ray gave has, where that is too little."""
        if not needs or not (gpus := gpus_here(device)):
            return None
        host, seen, _, free_bytes = gpus[0]
        return f"the GPU of {host} has less than {needs / 2**30:.1f} GiB free: {seen}" if free_bytes < needs else None

    def _unpacked(self, files: dict[str, bytes]) -> Path:
        """A private folder with a job's files."""
        from portrait_shared.files.private_folders import PrivateFolder

        from portrait_server.farm.farm_job import JOB_FILE
        from portrait_server.farm.inputs import checked_name

        folder = self._stack.enter_context(PrivateFolder())
        for name, content in files.items():
            path = folder / (name if name == JOB_FILE else checked_name(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


def told(error: PortraitError) -> list[str]:
    """An error as plain values: code, message and remedy."""
    return [error.code.value, error.message, error.remedy]


def _shares(output: Path, probe: str, token: str) -> bool:
    """Whether the folder of the frames is the one that the other end means, and can be written to from here."""
    try:
        return (output / probe).read_text("ascii") == token and os.access(output, os.W_OK)
    except (OSError, ValueError):
        return False
