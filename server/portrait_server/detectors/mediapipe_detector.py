# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's face mesh, looked for at several scales and read off at one: the 70 points, with depth.

The mesh is always taken from a square crop in which the face fills half the side. That finds faces
of any size, keeps MediaPipe's projection exact (it assumes a square region), and shakes less than
half as much as a mesh taken from the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import mediapipe.python.solutions.face_detection as mp_face_detection
import mediapipe.python.solutions.face_mesh as mp_face_mesh
import numpy as np

from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.mesh import MESH_VERTICES
from portrait_server.detectors.native_log import without_harmless_lines

MAX_FACES = 8
_CROP_PER_FACE = 2.0  # side of the crop in face sizes
_CROP_MAX_PIXELS = 512  # the mesh network sees 192; more only adds aliasing
_SEARCH_MAX_PIXELS = 1024
_SAME_FACE_IOU = 0.3
_SURE_SCORE = 0.65  # things that are no face reach 0.62; faces in 147 portraits had 0.87 and more
_PARTLY_SEEN_SCORE = 0.5
_MAX_SQUARES = 9  # along a side, for strips that are hardly pictures


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

    def __init__(self) -> None:
        with without_harmless_lines():
            self._mesh = mp_face_mesh.FaceMesh(
                static_image_mode=True, max_num_faces=4, refine_landmarks=True, min_detection_confidence=0.3
            )
            self._near = mp_face_detection.FaceDetection(model_selection=0, min_detection_confidence=_PARTLY_SEEN_SCORE)
            self._far = mp_face_detection.FaceDetection(model_selection=1, min_detection_confidence=_SURE_SCORE)
            # MediaPipe opens its graphs in threads of their own, done by the end of the first call.
            for model in (self._mesh, self._near, self._far):
                model.process(np.zeros((64, 64, 3), np.uint8))
        self._mesh_has_run = False
        self._last: list[DetectedFace] = []

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        faces = []
        for box in self._search(image):
            rough = self._mesh_in(image, box)
            if rough is not None:
                faces.append(self._mesh_in(image, _box_of(rough)) or rough)
        return _largest_first(faces)

    def detect_next(self, image: np.ndarray) -> list[DetectedFace]:
        followed = [self._mesh_in(image, _box_of(face)) for face in self._last]
        faces = _largest_first([face for face in followed if face is not None])
        if not faces or len(faces) < len(self._last):
            faces = self.detect(image)
        self._last = faces
        return faces

    def detect_at(self, image: np.ndarray, points: np.ndarray) -> DetectedFace | None:
        """The face of a picture that points (70, 2 or 3) mark roughly, without a search; None where there is none."""
        rough = self._mesh_in(image, _box_of(DetectedFace(points, points[:68])))
        return None if rough is None else self._mesh_in(image, _box_of(rough)) or rough

    def close(self) -> None:
        for model in (self._mesh, self._near, self._far):
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

    def _mesh_in(self, image: np.ndarray, box: _Box) -> DetectedFace | None:
        """The face nearest the middle of the crop around the box."""
        crop, origin, scale = _crop(image, (box.x, box.y, box.side * _CROP_PER_FACE), _CROP_MAX_PIXELS)
        if self._mesh_has_run:
            result = self._mesh.process(crop)
        else:
            with without_harmless_lines():
                result = self._mesh.process(crop)
        meshes = []
        for landmarks in result.multi_face_landmarks or ():
            self._mesh_has_run = True
            mesh = np.array([(point.x, point.y, point.z) for point in landmarks.landmark], np.float32)
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
    model: mp_face_detection.FaceDetection,
    image: np.ndarray,
    square: tuple[float, float, float] | None = None,
    min_score: float = _SURE_SCORE,
) -> list[_Box]:
    """Faces in the picture, or in a square of it: (centre x, centre y, side)."""
    if square is None:
        height, width = image.shape[:2]
        square = (width / 2, height / 2, max(width, height))
    crop, origin, scale = _crop(image, square, _SEARCH_MAX_PIXELS)
    boxes = []
    for detection in model.process(crop).detections or ():
        box = detection.location_data.relative_bounding_box
        x, y = (np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) * crop.shape[0] * scale) + origin
        side = max(box.width, box.height) * crop.shape[0] * scale
        if detection.score[0] >= min_score:
            boxes.append(_Box(float(x), float(y), float(side), float(detection.score[0])))
    return boxes


def _crop(
    image: np.ndarray, square: tuple[float, float, float], max_pixels: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """A square of the picture, its border pixels continued where it reaches outside.

    Returns:
        the crop, at most `max_pixels` a side; its top left corner in the picture; picture pixels per crop pixel.
    """
    x, y, side = square
    size = max(2, round(side))
    left, top = round(x - size / 2), round(y - size / 2)
    height, width = image.shape[:2]
    x0, x1 = np.clip((left, left + size), 0, width)
    y0, y1 = np.clip((top, top + size), 0, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    inside = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    scale = max(1.0, size / max_pixels)
    if scale > 1:
        # The part inside is scaled first, so that a huge picture is never padded at full size.
        shape = [max(1, round(length / scale)) for length in inside.shape[1::-1]]
        inside = cv2.resize(inside, shape, interpolation=cv2.INTER_AREA)
    pixels = round(size / scale)
    before_x, before_y = (min(pixels, max(0, round(gap / scale))) for gap in (x0 - left, y0 - top))
    after_x, after_y = max(0, pixels - before_x - inside.shape[1]), max(0, pixels - before_y - inside.shape[0])
    crop = cv2.copyMakeBorder(inside, before_y, after_y, before_x, after_x, cv2.BORDER_REPLICATE)
    crop = np.ascontiguousarray(crop[:pixels, :pixels])
    return crop, np.array([x0 - before_x * scale, y0 - before_y * scale], np.float32), size / pixels
