# SPDX-License-Identifier: GPL-3.0-or-later
"""One person followed from frame to frame, among the faces that a detector finds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.cuts import ShotCuts
from portrait_server.detectors.selection import same_person, select_face


class Seen(NamedTuple):
    """What a frame shows.

    Attributes:
        face: the person's; None where they are not seen.
        faces: how many there are.
        cut: whether a new shot begins.
    """

    face: DetectedFace | None
    faces: int
    cut: bool


class FollowedFace:
    """Sees the frames of a video, or of a camera, in order.

    Attributes:
        shots: where it cuts.
        found: whether the person was ever seen.
    """

    def __init__(self, detector: Detector, face: int | None, forget_after: int | None = None) -> None:
        """
        Args:
            face: which of several in the first frame with faces, as `select_face` takes it.
            forget_after: after so many frames without the person the face is chosen anew, as who left a camera may not
                be who comes back; never where None.
        """
        self.shots = ShotCuts()
        self.found = False
        self._detector, self._face, self._forget_after = detector, face, forget_after
        self._last: DetectedFace | None = None
        self._lost_frames = 0

    def see(self, image: np.ndarray, where: str) -> Seen:
        """Looks at the next frame, (H, W, 3) uint8 RGB.

        Args:
            where: what a message calls a frame in which the face is chosen.

        Raises:
            PortraitError: NO_SUCH_FACE.
        """
        cut = self.shots.begins(image)
        faces = self._detector.detect_next(image)
        if self._last is not None:
            seen = same_person(self._last, faces, self._lost_frames)
            if seen is None and faces and self.shots.since(self._lost_frames):
                seen = select_face(faces)  # after a cut the same person may be anywhere
        else:
            seen = select_face(faces, self._face, where) if faces else None
        self._lost_frames = 0 if seen else self._lost_frames + 1
        self._last = seen or self._last
        self.found = self.found or seen is not None
        if self._forget_after is not None and self._lost_frames > self._forget_after:
            self._last = None
        return Seen(seen, len(faces), cut)
