# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's networks by its “tasks”, all that its packages for any Python have; the files are downloaded.

Not of 0.10.35 or later: those report to Google how they are used (its issue 6291, and the package's NOTICE).
"""

from __future__ import annotations

import atexit
import zipfile
from typing import Any
from weakref import WeakSet

import numpy as np
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision.face_detector import FaceDetector, FaceDetectorOptions
from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarker, FaceLandmarkerOptions
from mediapipe.tasks.python.vision.image_segmenter import ImageSegmenter, ImageSegmenterOptions

from portrait_server.detectors.mediapipe_networks import (
    MESH_MIN_SCORE,
    MESHES,
    FaceSearch,
    MeshReader,
    Networks,
    Sighting,
)
from portrait_server.detectors.model_downloads import fetched_models

_NEAR_FACES = "face_detector.tflite"  # in the bundle of the mesh, which finds its face by it
_MARKS = 4  # and the ears
_open: WeakSet[Any] = WeakSet()


@atexit.register
def _let_go() -> None:
    """MediaPipe's objects close when they are deleted; at the program's end the threads that would do it have ended."""
    for model in _open:
        model._handle = None


class TaskNetworks(Networks):
    def __init__(self) -> None:
        self._bundle, self._far, self._selfie = fetched_models()

    def near_faces(self, min_score: float) -> FaceSearch:
        with zipfile.ZipFile(self._bundle) as bundle:
            return _Search(bundle.read(_NEAR_FACES), min_score)

    def far_faces(self, min_score: float) -> FaceSearch:
        return _Search(self._far.read_bytes(), min_score)

    def meshes(self) -> MeshReader:
        return _Meshes(self._bundle.read_bytes())

    def people(self, picture: np.ndarray) -> np.ndarray:
        options = ImageSegmenterOptions(base_options=BaseOptions(model_asset_buffer=self._selfie.read_bytes()))
        with ImageSegmenter.create_from_options(options) as model:
            (mask,) = model.segment(_image(picture)).confidence_masks
            return np.array(mask.numpy_view(), np.float32).reshape(picture.shape[:2])


class _Search:
    def __init__(self, network: bytes, min_score: float) -> None:
        options = FaceDetectorOptions(BaseOptions(model_asset_buffer=network), min_detection_confidence=min_score)
        self._model = FaceDetector.create_from_options(options)
        _open.add(self._model)

    def find(self, picture: np.ndarray) -> list[Sighting]:
        height, width = picture.shape[:2]
        return [_sighting(found, width, height) for found in self._model.detect(_image(picture)).detections]

    def close(self) -> None:
        self._model.close()


class _Meshes:
    def __init__(self, bundle: bytes) -> None:
        options = FaceLandmarkerOptions(
            BaseOptions(model_asset_buffer=bundle), num_faces=MESHES, min_face_detection_confidence=MESH_MIN_SCORE
        )
        self._model = FaceLandmarker.create_from_options(options)
        _open.add(self._model)

    def find(self, picture: np.ndarray) -> list[np.ndarray]:
        return [
            np.array([(point.x, point.y, point.z) for point in points], np.float32)
            for points in self._model.detect(_image(picture)).face_landmarks
        ]

    def close(self) -> None:
        self._model.close()


def _image(picture: np.ndarray) -> Any:
    return Image(ImageFormat.SRGB, np.ascontiguousarray(picture))


def _sighting(found: Any, width: int, height: int) -> Sighting:
    box = found.bounding_box  # whole pixels
    return Sighting(
        float(found.categories[0].score),
        ((box.origin_x + box.width / 2) / width, (box.origin_y + box.height / 2) / height),
        (box.width / width, box.height / height),
        tuple((mark.x, mark.y) for mark in found.keypoints[:_MARKS]),
    )
