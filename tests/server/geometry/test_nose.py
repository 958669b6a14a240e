# SPDX-License-Identifier: GPL-3.0-or-later
"""A nose's wings: the mesh lies on the creases that the picture shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait_server.geometry.face_mesh import VERTEX_COUNT, neutral_mesh
from portrait_server.geometry.nose import fitted_wings

_WIDTH = 300.0
_WINGS = ((209, 49, 129, 64, 98), (429, 279, 358, 294, 327))
_WALL = (48, 129)


def _face() -> np.ndarray:
    return neutral_mesh()[:VERTEX_COUNT] * _WIDTH + (250.0, 250.0, 0.0)


def _picture(face: np.ndarray, beside: tuple[float, float]) -> np.ndarray:
    """A shaded nose on a lighter face, its wings so many face widths farther out than the mesh has them, left and right."""
    corners = [
        face[list(wing), :2] + (way * by * _WIDTH, 0) for wing, way, by in zip(_WINGS, (-1, 1), beside, strict=True)
    ]
    image = np.full((500, 500, 3), 190.0, np.float32)
    outline = np.concatenate([corners[0], corners[1][::-1]])
    cv2.fillPoly(image, [np.round(outline * 16).astype(np.int32)], (140.0, 130.0, 120.0), cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("beside", [(0.02, -0.02), (-0.025, 0.0), (0.0, 0.015)])
def test_wings_end_at_their_creases(beside: tuple[float, float]) -> None:
    face = _face()
    moved = fitted_wings(face, _picture(face, beside)) - face
    for wing, way, by in zip(_WINGS, (-1, 1), beside, strict=True):
        found = way * moved[list(wing[1:4]), 0] / _WIDTH
        assert np.abs(found - by).max() < 0.008, found


def test_nothing_but_the_wings_moves() -> None:
    face = _face()
    moved = np.abs(fitted_wings(face, _picture(face, (0.03, 0.03))) - face)
    far = np.linalg.norm(face[:, None, :2] - face[np.ravel(_WINGS), :2], axis=2).min(1) > 0.15 * _WIDTH
    assert moved[far].max() < 1e-3 * _WIDTH


def test_without_a_crease_in_sight_places_stay() -> None:
    face = _face()
    plain = fitted_wings(face, np.full((500, 500, 3), 128, np.uint8))
    assert np.abs(plain[:, :2] - face[:, :2]).max() < 0.1


def test_a_wing_is_no_wall() -> None:
    face = _face()
    fitted = fitted_wings(face, _picture(face, (0.0, 0.0)))
    (before, after) = (abs(float(np.subtract(*each[list(_WALL), 2]))) for each in (face, fitted))
    assert after < 0.6 * before


def test_a_face_at_the_edge_and_a_small_one_are_left_alone() -> None:
    face = _face()
    assert np.isfinite(fitted_wings(face - (260.0, 300.0, 0.0), np.zeros((40, 40, 4), np.uint8))).all()
    small = face * 0.1
    assert fitted_wings(small, np.zeros((50, 50, 3), np.uint8)) is small
