# SPDX-License-Identifier: GPL-3.0-or-later
"""Where drawn faces have their landmarks: looked for where they were asked to be, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_server.corpora.assembly import aligned_face
from portrait_server.corpora.shards import Face
from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.tuning.landmark_check import landmark_errors

SIDE = 128


def drawn(face: Face) -> tuple[torch.Tensor, torch.Tensor]:
    """The photograph as one drawn picture (1, 3, S, S), and its landmarks (1, 70, 3)."""
    view = aligned_face(face, SIDE)
    picture, points = view.image, view.points
    return torch.from_numpy(picture).permute(2, 0, 1).float()[None] / 255, torch.from_numpy(points)[None]


def test_a_face_is_as_wrong_as_it_is_far_from_where_it_was_asked(detector: Detector, face: Face) -> None:
    picture, points = drawn(face)
    assert landmark_errors(detector, picture, points) < 0.01
    assert landmark_errors(detector, picture, points + torch.tensor([0.04 * SIDE, 0, 0])) == pytest.approx(
        0.04, abs=6e-3
    )
    assert landmark_errors(detector, picture, points + torch.tensor([0.9 * SIDE, 0, 0])) == pytest.approx(0.1)
    assert landmark_errors(detector, picture.flip(2), points) == pytest.approx(0.1), "it stands on its head"


def test_a_picture_without_a_face_is_not_searched(
    detector: MediaPipeDetector, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn badly, most have none; a search at all sizes and angles looks into each some fifty times."""
    picture, points = drawn(face)
    searched: list[np.ndarray] = []
    search = MediaPipeDetector._search
    monkeypatch.setattr(MediaPipeDetector, "_search", lambda self, image: searched.append(image) or search(self, image))
    grey = torch.full_like(picture, 0.5)
    assert landmark_errors(detector, torch.cat([grey, picture]), points.expand(2, -1, -1))[0] == pytest.approx(0.1)
    assert not searched


class _Two(Detector):
    """Sees two faces in every picture."""

    name = "two"

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return [DetectedFace(np.full((70, 3), place, np.float32)) for place in (20, 80)]

    def close(self) -> None:
        pass


def test_of_several_faces_the_one_that_is_meant() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    for place in (10, 90):
        found = _Two().detect_at(image, np.full((70, 2), place, np.float32))
        assert found is not None and abs(found.points[0, 0] - place) == 10
