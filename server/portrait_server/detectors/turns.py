# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces that lie or stand on their heads: found in the picture's quarter turns, and never read the wrong way up.

A landmark network finds an upright face even in a head that is upside down, with nothing to tell that it is wrong.
BlazeFace is surest of a face that it sees upright, so the turn of the picture at which it is surest tells which way up
the face is. A reading that says otherwise is dropped, whatever detector it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.detectors.base import DetectedFace
from portrait_server.detectors.crops import crop_square
from portrait_server.detectors.installed_mediapipe import installed_networks
from portrait_server.detectors.mediapipe_networks import Networks
from portrait_server.detectors.native_log import without_harmless_lines

# BlazeFace's scores: .85 to .98 for a face tilted by less than 30 degrees, up to .87 for one that lies on its side, up
# to .8 for one upside down.
_NONE_BETTER = 0.9
_SURE = 0.8
_LOWEST_SCORE = 0.3
_GLANCE = 0.5  # at a whole picture, where faces are smaller than in a crop
_SAME_PLACE = 0.6  # of the mean distance of eyes and mouth from their middle; a turn by 35 degrees moves them so far
_OTHER_TURNS = (45, 90, 135, 180, 225, 270, 315)
_CROP_PER_FACE = 2.0
_CROP_PIXELS = 256  # the network sees 128
_NEAR_MIDDLE = 0.3  # of the crop's side: an invented reading lies beside the face, another face further away
UPRIGHT_DEGREES = 65.0  # a mesh is read off well up to this tilt


@dataclass(frozen=True)
class _Look:
    """A face that BlazeFace sees in a crop.

    Attributes:
        score: how sure it is.
        points: (3, 2) the right eye, the left eye, the mouth, in parts of the crop's side.
    """

    score: float
    points: np.ndarray

    def agrees(self, points: np.ndarray) -> bool:
        """Whether the same points (3, 2) of a reading are about here: the same way up, size and place."""
        size = np.linalg.norm(self.points - self.points.mean(0), axis=1).mean()
        return bool(np.linalg.norm(points - self.points, axis=1).mean() < _SAME_PLACE * size)


@dataclass(frozen=True)
class _Reading:
    face: DetectedFace
    score: float


class UprightCheck:
    """Tells readings that stand the right way up from invented ones."""

    def __init__(self, networks: Networks | None = None) -> None:
        """
        Args:
            networks: MediaPipe's; those of the package that is installed where None.
        """
        networks = networks or installed_networks()
        with without_harmless_lines():
            self._model = networks.near_faces(_LOWEST_SCORE)
            # MediaPipe opens its graph in a thread that has said all its lines by the end of the first call.
            self._model.find(np.zeros((64, 64, 3), np.uint8))

    def close(self) -> None:
        self._model.close()

    def find(self, image: np.ndarray, find_upright: Callable[[np.ndarray], list[DetectedFace]]) -> list[DetectedFace]:
        """Faces at any angle, their points in the picture's own pixels.

        A picture whose faces are all upright is looked through once.

        Args:
            image: (H, W, 3) uint8 RGB.
            find_upright: finds the faces of a picture that are about upright.
        """
        found = find_upright(image)
        readings = [reading for face in found if (reading := self._reading(image, face)) is not None]
        if len(readings) == len(found) and any(reading.score >= _SURE for reading in readings):
            faces = [reading.face for reading in readings]
            if not any(self._sees_another(image, quarters, faces) for quarters in range(4)):
                return faces
        turned: list[DetectedFace] = []
        for quarters in (1, 2, 3):
            picture = np.ascontiguousarray(np.rot90(image, quarters))
            for face in find_upright(picture):
                reading = self._reading(picture, face)
                if reading is not None and reading.score >= _SURE:
                    turned.append(turned_back(face, quarters, image.shape))
        if turned:  # a face surely lies here, so unsure upright readings are taken for invented ones
            readings = [reading for reading in readings if reading.score >= _SURE]
        faces = [reading.face for reading in readings]
        for face in sorted(turned, key=lambda face: -face.score):
            if not any(_same_place(face, other) for other in faces):
                faces.append(face)
        return sorted(faces, key=lambda face: -face.area)

    def _sees_another(self, image: np.ndarray, quarters: int, faces: list[DetectedFace]) -> bool:
        """Whether a face may stand elsewhere than the known ones in the picture, turned so: a glance, not a reading."""
        picture = np.ascontiguousarray(np.rot90(image, quarters))
        for seen in self._model.find(picture):
            x, y = seen.middle
            middle = points_turned_back(
                np.array([[x * picture.shape[1], y * picture.shape[0]]]), quarters, image.shape
            )[0]
            if seen.score >= _GLANCE and not any(_covers(face, middle) for face in faces):
                return True
        return False

    def holds(self, image: np.ndarray, face: DetectedFace) -> bool:
        """Whether a face's points, whatever way up they say that it is, are its real ones."""
        quarters = quarter_turns(face.points)
        if quarters:
            image = np.ascontiguousarray(np.rot90(image, quarters))
            face = turned_back(face, -quarters, image.shape)
        return self._reading(image, face) is not None

    def _reading(self, image: np.ndarray, face: DetectedFace) -> _Reading | None:
        """How sure an upright reading is; None where the face lies, or is another way up than that."""
        low, high = face.points[:, :2].min(0), face.points[:, :2].max(0)
        x, y = (low + high) / 2
        side = float((high - low).max()) * _CROP_PER_FACE
        crop, corner, scale = crop_square(image, (float(x), float(y), side), _CROP_PIXELS)
        middles = (np.stack(_eyes_and_mouth(face.points)) - corner) / (scale * len(crop))
        looks = self._looks(crop, 0)
        alike = max((look.score for look in looks if look.agrees(middles)), default=0.0)
        if alike < _NONE_BETTER:
            looks += [look for degrees in _OTHER_TURNS for look in self._looks(crop, degrees)]
            alike = max((look.score for look in looks if look.agrees(middles)), default=0.0)
        unlike = max((look.score for look in looks if not look.agrees(middles)), default=0.0)
        if (alike < _NONE_BETTER and alike < unlike) or abs(in_plane_degrees(face.points)) > UPRIGHT_DEGREES:
            return None
        return _Reading(face, alike)

    def _looks(self, crop: np.ndarray, degrees: float) -> list[_Look]:
        """The faces near the middle of a crop that is turned against the clock."""
        side = len(crop)
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)
        if degrees:
            crop = cv2.warpAffine(crop, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
        looks = []
        for seen in self._model.find(crop):
            if np.hypot(seen.middle[0] - 0.5, seen.middle[1] - 0.5) < _NEAR_MIDDLE:
                right_eye, left_eye, _, mouth = seen.marks
                points = np.array([right_eye, left_eye, mouth])
                looks.append(_Look(seen.score, (points - 0.5) @ turn[:, :2] + 0.5))
        return looks


def quarter_turns(points: np.ndarray) -> int:
    """How often a picture is turned by 90 degrees, against the clock, for a face to stand about upright in it.

    Args:
        points: (70, 2 or 3) pixels.

    Returns:
        0 to 3; 0 for tilts up to 65 degrees.
    """
    degrees = in_plane_degrees(points)
    return 0 if abs(degrees) <= UPRIGHT_DEGREES else round(degrees / 90) % 4


def in_plane_degrees(points: np.ndarray) -> float:
    """How far a face is turned with the clock, -180 to 180.

    Args:
        points: (70, 2 or 3) pixels.
    """
    right_eye, left_eye, mouth = _eyes_and_mouth(points)
    # In a profile the line of the eyes is short, in a bowed head the one to the mouth.
    across, down = left_eye - right_eye, mouth - (left_eye + right_eye) / 2
    return float(np.degrees(np.arctan2(across[1] - down[0], across[0] + down[1])))


def _eyes_and_mouth(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middles of the right eye, the left eye and the mouth, (2,) pixels each."""
    return points[36:42, :2].mean(0), points[42:48, :2].mean(0), points[48:68, :2].mean(0)


def degrees_apart(a: float, b: float) -> float:
    """Degrees between two directions, 0 to 180."""
    return abs((a - b + 180) % 360 - 180)


def turned_back(face: DetectedFace, quarters: int, shape: tuple[int, ...]) -> DetectedFace:
    """A face of `np.rot90(image, quarters)` in the image's own pixels.

    Args:
        shape: the image's, (H, W, …).
    """
    mesh = None if face.mesh478 is None else points_turned_back(face.mesh478, quarters, shape)
    return replace(face, points=points_turned_back(face.points, quarters, shape), mesh478=mesh)


def points_turned_back(points: np.ndarray, quarters: int, shape: tuple[int, ...]) -> np.ndarray:
    """Points (P, 2 or 3) of `np.rot90(image, quarters)` in the image's own pixels; depth stays.

    Args:
        shape: the image's, (H, W, …).
    """
    height, width = shape[:2]
    x, y = points[:, 0], points[:, 1]
    back = points.copy()
    if quarters % 4 == 1:
        back[:, 0], back[:, 1] = width - y, x
    elif quarters % 4 == 2:
        back[:, 0], back[:, 1] = width - x, height - y
    elif quarters % 4 == 3:
        back[:, 0], back[:, 1] = y, height - x
    return back


def _covers(face: DetectedFace, place: np.ndarray) -> bool:
    """Whether a place (2,) is within a face or next to it."""
    return bool(np.linalg.norm(face.points[:68, :2].mean(0) - place) < np.sqrt(face.area))


def _same_place(a: DetectedFace, b: DetectedFace) -> bool:
    apart = float(np.linalg.norm(a.points[:68, :2].mean(0) - b.points[:68, :2].mean(0)))
    return apart < 0.5 * np.sqrt(min(a.area, b.area))
