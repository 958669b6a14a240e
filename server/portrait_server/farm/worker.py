# SPDX-License-Identifier: GPL-3.0-or-later
"""What draws chunks of a job on one machine, with its server or engine kept warm from one chunk to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES
from portrait_shared.frames.frame_numbers import ranges_of

from portrait_server.farm.drawn_frames import DrawnFrames, drawn_frames
from portrait_server.farm.farm_job import FarmJob


class JobWorker:
    """A context manager: within it frames are drawn, and as many chunks as one likes."""

    def __init__(
        self, job: FarmJob, *, device: str = "auto", connect: Path | None = None, output: Path | None = None
    ) -> None:
        """
        Args:
            device: what draws, as `portrait_shared.devices.device_names` takes it.
            connect: connection file of the server that draws photos; one of its own where None.
            output: folder of the frames; the job's own where None.
        """
        self._job, self._device, self._connect = job, device, connect
        self._output = job.default_output if output is None else output
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Makes ready to draw.

        Raises:
            PortraitError: as `drawn_frames` and what that gives; VERSION_MISMATCH where other frames would be drawn here
                than the job says.
        """
        with ExitStack() as stack:
            request = self._job.located
            self._drawn = stack.enter_context(drawn_frames(request, self._device, self._connect, "portrait job render"))
            _check_same(self._job, self._drawn)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def render(self, frames: Sequence[int], again: bool = False) -> Iterator[StoredFrame]:
        """Brings frames up to date in the output folder, which may be another machine's too.

        Args:
            frames: a chunk of the job's.
            again: draws also those that are there and valid.

        Yields:
            Every frame, once its file is there: first those that are valid.

        Raises:
            PortraitError: BAD_TRACK for a frame that the job has not; OUTPUT_NOT_WRITABLE, DISK_FULL; what drawing raises.
        """
        check_chunk(self._job, frames)
        yield from self._drawn.store(self._output, only=frames, again=again)

    def render_bytes(self, frames: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Draws frames for another machine, with which no folder is shared: numbers, and contents of files.

        Raises:
            PortraitError: as `render`.
        """
        check_chunk(self._job, frames)
        with PrivateFolder() as folder:
            for frame in self._drawn.store(folder, only=frames):
                yield frame.number, read_bounded(frame.path, MAX_FRAME_BYTES)
                frame.path.unlink()


def check_chunk(job: FarmJob, frames: Sequence[int]) -> None:
    """Raises: PortraitError: BAD_TRACK for frames that a job has not."""
    if beyond := sorted(set(frames) - job.digests.keys()):
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"The job has the frames {ranges_of(job.frames)}; {ranges_of(beyond)} are not among them.",
            "Ask for frames of the job, or write the job again with more.",
        )  # fmt: skip


def _check_same(job: FarmJob, drawn: DrawnFrames) -> None:
    """Whether the same frames are drawn here as where the job was written."""
    engine, fingerprint = drawn.engine
    if (engine, fingerprint) != (job.engine, job.fingerprint):
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH,
            f"The job was written for the engine {job.engine} ({job.fingerprint}); here {engine} is {fingerprint}.",
            "Install the same release with the same weights on every machine of the farm, or write the job again.",
        )
    if drawn.digests != job.digests:
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH, "Here other frames would be drawn than the job says, by their hashes.",
            "Its files were changed while it was written, or libraries read pictures otherwise here: write the job "
            "again, or install the same release on every machine of the farm.",
        )  # fmt: skip
