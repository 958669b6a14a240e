# SPDX-License-Identifier: GPL-3.0-or-later
"""One live output: the newest picture of a preview goes to the server's command, which sends it at a steady rate."""

from __future__ import annotations

import json
import threading
from typing import IO, Final

import numpy as np
from portrait_shared.errors import PortraitError
from portrait_shared.raw_frames import header_of

from ..connection import server
from ..connection.command_stream import CommandStream

_LOOK_SECONDS: Final = 1.0
_LEAST_SIDE: Final = 16
_RATES: Final = (10.0, 60.0)


class Air:
    """On air from `start` until `stop`, or until its output is gone.

    Attributes:
        to: what the pictures are sent to, as `portrait air --to` calls it.
    """

    def __init__(self, to: str, size: tuple[int, int], fps: float, name: str, launch: server.Launch) -> None:
        """
        Args:
            size: (width, height) of what viewers see, pixels; even numbers are made of it.
            fps: pictures a second that viewers see, kept to what outputs can do.
            name: what an NDI source is called, besides that it is AI-modified.
        """
        self.to = to
        width, height = (max(_LEAST_SIDE, side // 2 * 2) for side in size)
        words = [
            "air",
            "--to",
            to,
            "--size",
            f"{width}x{height}",
            "--fps",
            f"{min(max(fps, _RATES[0]), _RATES[1]):.6g}",
        ]
        self._launch, self._words = launch, [*words, f"--name={name}"]
        self._where = ""
        self._failed = ""
        self._newest: np.ndarray | None = None
        self._change = threading.Condition()
        self._stream: CommandStream | None = None

    def start(self) -> None:
        """Raises: PortraitError: SERVER_UNAVAILABLE where there is no such command."""
        self._launch.check_command()
        stream = CommandStream([*self._launch.command, *self._words], self._take_line, self._feed)
        self._stream = stream
        stream.start()

    def offer(self, pixels: np.ndarray) -> None:
        """Takes a picture, (H, W, 3 or 4) uint8, the highest row first, that nobody changes any more. From any thread."""
        with self._change:
            self._newest = pixels
            self._change.notify_all()

    def stop(self) -> None:
        """Takes it off the air soon. May be called again."""
        if self._stream is not None:
            self._stream.end()
        with self._change:
            self._change.notify_all()

    @property
    def ended(self) -> bool:
        """Whether it is off the air."""
        return self._stream is None or self._stream.ended or self._stream.asked_to_end

    @property
    def problem(self) -> str:
        """Why it went off the air by itself; empty where it did not."""
        error = self._stream.error if self._stream is not None else None
        return self._failed or (str(error) if error is not None else "")

    @property
    def line(self) -> str:
        """How it is doing, for the panel."""
        if self.problem:
            return self.problem
        return f"On air: “{self._where}”" if self._where else "Going on air …"

    def _take_line(self, line: str) -> None:
        try:
            said = json.loads(line)
            if "on" in said:
                self._where = str(said["on"])
        except (ValueError, TypeError):
            self._failed = "`portrait air` says what cannot be read. The server must be of the extension's release."
            self.stop()

    def _feed(self, pipe: IO[bytes]) -> None:
        while self._stream is not None and not self._stream.asked_to_end:
            with self._change:
                if self._newest is None:
                    self._change.wait(_LOOK_SECONDS)
                pixels, self._newest = self._newest, None
            if pixels is None:
                continue
            try:
                header = header_of(pixels)
            except PortraitError as error:
                self._failed = str(error)
                self.stop()
                return
            pipe.write(header)
            rest = memoryview(np.ascontiguousarray(pixels)).cast("B")
            while rest:
                rest = rest[pipe.write(rest) :]
