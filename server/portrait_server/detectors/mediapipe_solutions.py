# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's networks by its “solutions”, which 0.10.21 is the last to have; the package brings the files."""

from __future__ import annotations

from typing import Any

import mediapipe.python.solutions.face_detection as mp_face_detection
import mediapipe.python.solutions.face_mesh as mp_face_mesh
import mediapipe.python.solutions.selfie_segmentation as mp_selfie
import numpy as np

from portrait_server.detectors.mediapipe_networks import (
    MESH_MIN_SCORE,
    MESHES,
    FaceSearch,
    MeshReader,
    Networks,
    Sighting,
)
from portrait_server.model_files import MEDIAPIPES, check_models

_NEAR, _FAR = 0, 1
_MARKS = 4  # and the ears


class SolutionNetworks(Networks):
    def __init__(self) -> None:
        check_models(MEDIAPIPES)

    def near_faces(self, min_score: float) -> FaceSearch:
        return _Search(_NEAR, min_score)

    def far_faces(self, min_score: float) -> FaceSearch:
        return _Search(_FAR, min_score)

    def meshes(self) -> MeshReader:
        return _Meshes()

    def people(self, picture: np.ndarray) -> np.ndarray:
        with mp_selfie.SelfieSegmentation(model_selection=0) as model:
            return np.asarray(model.process(np.ascontiguousarray(picture)).segmentation_mask, np.float32)


class _Search:
    def __init__(self, which: int, min_score: float) -> None:
        self._model = mp_face_detection.FaceDetection(model_selection=which, min_detection_confidence=min_score)

    def find(self, picture: np.ndarray) -> list[Sighting]:
        return [_sighting(detection) for detection in self._model.process(picture).detections or ()]

    def close(self) -> None:
        self._model.close()


class _Meshes:
    def __init__(self) -> None:
        self._model = mp_face_mesh.FaceMesh(
            static_image_mode=True,
            max_num_faces=MESHES,
            refine_landmarks=True,
            min_detection_confidence=MESH_MIN_SCORE,
        )

    def find(self, picture: np.ndarray) -> list[np.ndarray]:
        return [
            np.array([(point.x, point.y, point.z) for point in landmarks.landmark], np.float32)
            for landmarks in self._model.process(picture).multi_face_landmarks or ()
        ]

    def close(self) -> None:
        self._model.close()


def _sighting(detection: Any) -> Sighting:
    box = detection.location_data.relative_bounding_box
    marks = detection.location_data.relative_keypoints[:_MARKS]
    return Sighting(
        float(detection.score[0]),
        (box.xmin + box.width / 2, box.ymin + box.height / 2),
        (box.width, box.height),
        tuple((mark.x, mark.y) for mark in marks),
    )
