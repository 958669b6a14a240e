# SPDX-License-Identifier: GPL-3.0-or-later
"""A webcam as a live source: the server's command finds a face in its pictures, and tells the points."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from portrait_shared.camera_lines import CameraEnded, CameraOpened, CameraSeen, read_line

from ..connection import server
from .command_source import CommandSource
from .source import Sample

_MOST_SAMPLES: Final = 600
"""Kept where nobody takes them: some 20 seconds."""
_RECENT: Final = 30
_SILENT_SECONDS: Final = 2.0


class Webcam(CommandSource):
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
        super().__init__(launch, ["camera", "--face", str(face), "--", camera], read_line)
        self.name = ""
        self._samples: deque[Sample] = deque(maxlen=_MOST_SAMPLES)
        self._looked_at: deque[float] = deque(maxlen=_RECENT)
        self._sees_face = False
        self._said: CameraEnded | None = None

    def take(self) -> list[Sample]:
        with self.lock:
            samples = list(self._samples)
            self._samples.clear()
        return samples

    @property
    def line(self) -> str:
        if self.ended:
            return "Ended"
        with self.lock:
            times, sees_face = list(self._looked_at), self._sees_face
        if not times:
            return "Starting the camera …"
        if time.monotonic() - times[-1] > _SILENT_SECONDS:
            return f"“{self.name}” gives no pictures now"
        if not sees_face:
            return f"“{self.name}” sees no face"
        rate = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 0.0
        return f"“{self.name}” sees a face, {rate:.0f} times a second"

    def told_problem(self) -> str:
        with self.lock:
            said = self._said
        return f"{said.message} {said.remedy}".strip() if said is not None and said.code else ""

    def hear(self, said: CameraOpened | CameraSeen | CameraEnded) -> None:
        if isinstance(said, CameraOpened):
            self.name = said.camera
        elif isinstance(said, CameraEnded):
            self._said = said
        else:
            now = time.monotonic()
            self._looked_at.append(now)
            self._sees_face = said.points is not None
            if said.points is not None:
                self._samples.append(Sample(now, said.seconds, points=said.points))
