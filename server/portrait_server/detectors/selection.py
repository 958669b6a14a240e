# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a picture's faces is meant, and which is the same person in the next frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.detectors.base import DetectedFace

# A person moves at most about this many face sizes between two frames of a video.
_REACH = 0.75
_REACH_PER_LOST_FRAME = 0.1
_MAX_SIZE_RATIO = 2.0


def select_face(faces: Sequence[DetectedFace], face: int | None = None, where: str = "the picture") -> DetectedFace:
    """The largest face (0 or None), or the one with the given number: 1 is the face furthest to the picture's left.

    Raises:
        PortraitError: NO_FACE, NO_SUCH_FACE; the latter says where each face is.
    """
    if not faces:
        raise no_face(where)
    if not face:
        return max(faces, key=lambda candidate: candidate.area)
    from_left = sorted(faces, key=lambda candidate: _centre(candidate)[0])
    if not 1 <= face <= len(from_left):
        places = "; ".join(f"{n} at ({x:.0f}, {y:.0f})" for n, (x, y) in enumerate(map(_centre, from_left), 1))
        raise PortraitError(
            ErrorCode.NO_SUCH_FACE,
            f"There is no face {face} in {where}; {len(faces)} found, counted from the left: {places}.",
            f"Choose a number from 1 to {len(faces)}, or 0 for the largest face.",
        )
    return from_left[face - 1]


def no_face(where: str) -> PortraitError:
    return PortraitError(
        ErrorCode.NO_FACE,
        f"No face was found in {where}.",
        "Use one with a well lit face, seen from the front and at least 64 pixels wide, or give the landmarks yourself.",
    )


def same_person(last: DetectedFace, faces: Sequence[DetectedFace], lost_frames: int = 0) -> DetectedFace | None:
    """The face nearest to where the person last was, or None where none is near enough in place and size.

    Args:
        last: the person in the last frame in which they were seen.
        faces: those of this frame.
        lost_frames: how many frames lie between.
    """
    size = np.sqrt(last.area)
    reach = size * (_REACH + _REACH_PER_LOST_FRAME * lost_frames)
    near = []
    for face in faces:
        distance = float(np.linalg.norm(_centre(face) - _centre(last)))
        ratio = np.sqrt(face.area) / size
        if distance <= reach and 1 / _MAX_SIZE_RATIO <= ratio <= _MAX_SIZE_RATIO:
            near.append((distance, face))
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _centre(face: DetectedFace) -> np.ndarray:
    """(2,) the middle of the landmarks, pixels."""
    return np.asarray(face.points[:68, :2].mean(0))
