# SPDX-License-Identifier: GPL-3.0-or-later
"""A webcam as a live source: the server's command finds a face in its pictures, and tells the points."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from portrait_shared.camera_lines import CameraEnded, CameraOpened, CameraSeen, read_line
from portrait_shared.errors import PortraitError

from ..connection import server
from ..connection.command_stream import CommandStream
from .source import Sample

_MOST_SAMPLES: Final = 600
"""Kept where nobody takes them: some 20 seconds."""
_RECENT: Final = 30
_SILENT_SECONDS: Final = 2.0


class Webcam:
    """See `LiveSource`. Its samples have points, of the frames in which there is a face.

    Attributes:
        title: as `LiveSource`.
        name: the camera's, once it is open.
    """

    title = "Webcam"

    def __init__(self, camera: str, launch: server.Launch, face: int = 0) -> None:
        """
        Args:
            camera: its number or a part of its name, the first where empty; or a video file, which is played.
            face: which of several, counted from the picture's left, 1 first; 0 for the largest.
        """
        self.name = ""
        self._launch = launch
        self._words = ["camera", "--face", str(face), "--", camera]
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=_MOST_SAMPLES)
        self._looked_at: deque[float] = deque(maxlen=_RECENT)
        self._sees_face = False
        self._said: CameraEnded | None = None
        self._failed = ""
        self._stream: CommandStream | None = None

    def start(self) -> None:
        """Starts the command; the camera is opened by it a moment later, and `problem` says where it cannot be.

        Raises:
            PortraitError: SERVER_UNAVAILABLE where there is no such command.
        """
        self._launch.check_command()
        stream = CommandStream([*self._launch.command, *self._words], self._take_line)
        stream.start()
        self._stream = stream

    def take(self) -> list[Sample]:
        with self._lock:
            samples = list(self._samples)
            self._samples.clear()
        return samples

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.end()

    @property
    def line(self) -> str:
        if self.ended:
            return "Ended"
        with self._lock:
            times, sees_face = list(self._looked_at), self._sees_face
        if not times:
            return "Starting the camera …"
        if time.monotonic() - times[-1] > _SILENT_SECONDS:
            return f"“{self.name}” gives no pictures now"
        if not sees_face:
            return f"“{self.name}” sees no face"
        rate = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 0.0
        return f"“{self.name}” sees a face, {rate:.0f} times a second"

    @property
    def problem(self) -> str:
        if self._failed:
            return self._failed
        if self._stream is None or self._stream.asked_to_end:
            return ""
        if self._said is not None and self._said.code:
            return f"{self._said.message} {self._said.remedy}".strip()
        return str(self._stream.error) if self._stream.error is not None else ""

    @property
    def ended(self) -> bool:
        return self._stream is not None and self._stream.ended

    def _take_line(self, line: str) -> None:
        if self._failed:
            return
        try:
            said = read_line(line)
        except PortraitError as error:
            self._failed = str(error)
            self.stop()
            return
        if isinstance(said, CameraOpened):
            self.name = said.camera
        elif isinstance(said, CameraEnded):
            self._said = said
        else:
            self._take(said)

    def _take(self, seen: CameraSeen) -> None:
        now = time.monotonic()
        with self._lock:
            self._looked_at.append(now)
            self._sees_face = seen.points is not None
            if seen.points is not None:
                self._samples.append(Sample(now, seen.seconds, points=seen.points))
