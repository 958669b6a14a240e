# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's face mesh, looked for at several scales and read off at one: the 70 points, with depth.

The mesh is always taken from a square crop in which the face fills half the side. That finds faces
of any size, keeps MediaPipe's projection exact (it assumes a square region), and shakes less than
half as much as a mesh taken from the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from portrait_shared.landmarks import MESH_VERTICES

from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.crops import crop_square
from portrait_server.detectors.cuts import ShotCuts
from portrait_server.detectors.installed_mediapipe import installed_networks
from portrait_server.detectors.mediapipe_networks import FaceSearch, Networks
from portrait_server.detectors.native_log import without_harmless_lines
from portrait_server.detectors.turns import (
    UprightCheck,
    degrees_apart,
    in_plane_degrees,
    points_turned_back,
    quarter_turns,
)

MAX_FACES = 8
_CROP_PER_FACE = 2.0  # side of the crop in face sizes
_CROP_MAX_PIXELS = 512  # the mesh network sees 192; more only adds aliasing
_SEARCH_MAX_PIXELS = 1024
_SAME_FACE_IOU = 0.3
_SURE_SCORE = 0.65  # things that are no face reach 0.62; faces in 147 portraits had 0.87 and more
_PARTLY_SEEN_SCORE = 0.5
_ROLL_DEGREES = 25.0  # a face that rolls further from one frame to the next may be misread, and is checked again
_MAX_SQUARES = 9  # along a side: bounds the search of pictures many times as long as they are wide


@dataclass(frozen=True)
class _Box:
    """A square around a face: its centre and side, pixels."""

    x: float
    y: float
    side: float
    score: float = 1.0

    def overlap(self, other: _Box) -> float:
        """Intersection over union."""
        half = (self.side + other.side) / 2
        smaller = min(self.side, other.side)
        wide = max(0.0, min(half - abs(self.x - other.x), smaller))
        high = max(0.0, min(half - abs(self.y - other.y), smaller))
        return wide * high / (self.side**2 + other.side**2 - wide * high)


class MediaPipeDetector(Detector):
    """Deterministic: each result follows from the picture, and in a video from where the faces last were."""

    name = "mediapipe"

    def __init__(self, networks: Networks | None = None) -> None:
        """
        Args:
            networks: MediaPipe's; those of the package that is installed where None.

        Raises:
            PortraitError: BAD_WEIGHTS where a file of theirs is damaged; WEIGHTS_MISSING where it cannot be downloaded.
        """
        networks = networks or installed_networks()
        with without_harmless_lines():
            self._mesh = networks.meshes()
            self._near = networks.near_faces(_PARTLY_SEEN_SCORE)
            self._far = networks.far_faces(_SURE_SCORE)
            # MediaPipe opens its graphs in threads that have said all their lines by the end of the first call.
            for model in (self._mesh, self._near, self._far):
                model.find(np.zeros((64, 64, 3), np.uint8))
        self._check = UprightCheck(networks)
        self._mesh_has_run = False
        self._last: list[DetectedFace] = []
        self._shots = ShotCuts()

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return self._check.find(image, self._find_upright)

    def _find_upright(self, image: np.ndarray) -> list[DetectedFace]:
        faces = []
        for box in self._search(image):
            rough = self._mesh_in(image, box)
            if rough is not None:
                faces.append(self._mesh_in(image, _box_of(rough)) or rough)
        return _largest_first(faces)

    def detect_next(self, image: np.ndarray) -> list[DetectedFace]:
        if self._shots.begins(image):
            self._last = []  # followed into a new shot, a mesh would be fitted to whatever is there now
        followed = [self._follow(image, face) for face in self._last]
        faces = _largest_first([face for face in followed if face is not None])
        if not faces or len(faces) < len(self._last):
            faces = self.detect(image)
        self._last = faces
        return faces

    def _follow(self, image: np.ndarray, last: DetectedFace) -> DetectedFace | None:
        face = self._mesh_in(image, _box_of(last), quarter_turns(last.points))
        if face is None:
            return None
        rolled = degrees_apart(in_plane_degrees(face.points), in_plane_degrees(last.points))
        return face if rolled <= _ROLL_DEGREES or self._check.holds(image, face) else None

    def detect_at(self, image: np.ndarray, points: np.ndarray) -> DetectedFace | None:
        """The face of a picture that points (70, 2 or 3) mark roughly, without a search; None where there is none."""
        quarters = quarter_turns(points)
        rough = self._mesh_in(image, _box_of(DetectedFace(points, points[:68])), quarters)
        if rough is None:
            return None
        face = self._mesh_in(image, _box_of(rough), quarters) or rough
        return face if self._check.holds(image, face) else None

    def close(self) -> None:
        for model in (self._mesh, self._near, self._far, self._check):
            model.close()

    def _search(self, image: np.ndarray) -> list[_Box]:
        """Where faces may be, the surest first."""
        boxes = _boxes(self._near, image) + self._in_squares(image, min(image.shape[:2]))
        if not boxes:
            boxes = self._search_harder(image)
        distinct: list[_Box] = []
        for box in sorted(boxes, key=lambda box: -box.score):
            if all(box.overlap(other) < _SAME_FACE_IOU for other in distinct):
                distinct.append(box)
        return distinct[:MAX_FACES]

    def _search_harder(self, image: np.ndarray) -> list[_Box]:
        """A face that more than fills the picture, seen with room around it; then small ones, in tiles."""
        height, width = image.shape[:2]
        longest = max(height, width)
        around = (width / 2, height / 2, 1.8 * longest)
        boxes = [box for box in _boxes(self._near, image, around, _PARTLY_SEEN_SCORE) if box.side > 0.5 * longest]
        side = 0.5 * min(height, width)
        return boxes if boxes or side < 64 else self._in_squares(image, side)

    def _in_squares(self, image: np.ndarray, side: float) -> list[_Box]:
        """Smaller faces, in squares that cover the picture and overlap by about half."""
        height, width = image.shape[:2]
        columns, rows = (min(_MAX_SQUARES, round(2 * length / side) - 1) for length in (width, height))
        boxes = []
        for y in np.linspace(side / 2, height - side / 2, rows) if rows > 1 else (height / 2,):
            for x in np.linspace(side / 2, width - side / 2, columns) if columns > 1 else (width / 2,):
                boxes += _boxes(self._far, image, (x, y, side))
        return boxes

    def _mesh_in(self, image: np.ndarray, box: _Box, quarters: int = 0) -> DetectedFace | None:
        """The face nearest the middle of the crop around the box, seen turned by quarters against the clock."""
        crop, origin, scale = crop_square(image, (box.x, box.y, box.side * _CROP_PER_FACE), _CROP_MAX_PIXELS)
        seen = np.ascontiguousarray(np.rot90(crop, quarters)) if quarters else crop
        if self._mesh_has_run:
            found = self._mesh.find(seen)
        else:
            with without_harmless_lines():
                found = self._mesh.find(seen)
        meshes = []
        for mesh in found:
            self._mesh_has_run = True
            mesh = points_turned_back(mesh, quarters, (1, 1))
            mesh *= crop.shape[0] * scale
            mesh[:, :2] += origin
            meshes.append(mesh)
        faces = [DetectedFace(mesh[list(MESH_VERTICES)], mesh, box.score) for mesh in meshes if np.isfinite(mesh).all()]
        faces = [face for face in faces if _distance(_box_of(face), box) < 0.5 * box.side]
        return min(faces, key=lambda face: _distance(_box_of(face), box), default=None)


def _box_of(face: DetectedFace) -> _Box:
    assert face.mesh478 is not None
    low, high = face.mesh478[:, :2].min(0), face.mesh478[:, :2].max(0)
    x, y = (low + high) / 2
    return _Box(float(x), float(y), float((high - low).max()), face.score)


def _distance(a: _Box, b: _Box) -> float:
    return float(np.hypot(a.x - b.x, a.y - b.y))


def _largest_first(faces: Sequence[DetectedFace]) -> list[DetectedFace]:
    distinct: list[DetectedFace] = []
    for face in sorted(faces, key=lambda face: -face.area):
        if all(_box_of(face).overlap(_box_of(other)) < _SAME_FACE_IOU for other in distinct):
            distinct.append(face)
    return distinct


def _boxes(
    model: FaceSearch,
    image: np.ndarray,
    square: tuple[float, float, float] | None = None,
    min_score: float = _SURE_SCORE,
) -> list[_Box]:
    """Faces in the picture, or in a square of it: (centre x, centre y, side)."""
    if square is None:
        height, width = image.shape[:2]
        square = (width / 2, height / 2, max(width, height))
    crop, origin, scale = crop_square(image, square, _SEARCH_MAX_PIXELS)
    boxes = []
    for seen in model.find(crop):
        x, y = (np.array(seen.middle) * crop.shape[0] * scale) + origin
        side = max(seen.sides) * crop.shape[0] * scale
        if seen.score >= min_score:
            boxes.append(_Box(float(x), float(y), float(side), seen.score))
    return boxes
