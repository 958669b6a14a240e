# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark raster."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_server.networks.landmark_raster import rasterize
from portrait_shared.landmarks import LANDMARK_COUNT

from tests.posing import blinking


@pytest.mark.parametrize("side", [64, 256])
def test_every_point_is_drawn_and_pupils_are_white(face: np.ndarray, side: int) -> None:
    points = torch.from_numpy(face)[None]
    drawn = rasterize(points, side, 256)[0]
    at = ((points[0, :, :2] + 0.5) * side / 256 - 0.5).round().long()
    brightest = drawn.amax(0)[at[:, 1], at[:, 0]]
    assert brightest.shape == (LANDMARK_COUNT,) and brightest.min() > 0.3
    assert (drawn[:, at[68:, 1], at[68:, 0]] == 1).all()


def test_pupils_show_through_closed_lids(face: np.ndarray) -> None:
    shut = blinking(face)
    shut[68:, 1] = shut[[37, 43], 1]
    drawn = rasterize(torch.from_numpy(shut)[None], 256)[0]
    at = torch.from_numpy(shut[68:, :2]).round().long()
    assert (drawn[:, at[:, 1], at[:, 0]] == 1).all()


def test_lines_are_antialiased_and_move_with_a_tenth_of_a_pixel(face: np.ndarray) -> None:
    points = torch.from_numpy(face)[None]
    drawn = rasterize(points, 256)
    between = ((drawn > 0.02) & (drawn < 0.98)).float().mean()
    assert between > 0.01
    change = (rasterize(points + torch.tensor([0.1, 0, 0]), 256) - drawn).abs()
    assert 0.03 < change.max() < 0.15


def test_the_same_whatever_the_batch_and_the_call(face: np.ndarray) -> None:
    points = torch.from_numpy(np.stack([face, face[::-1].copy(), face + 3]))
    together = rasterize(points, 64, 256)
    assert torch.equal(together, rasterize(points, 64, 256))
    for number in range(3):
        assert torch.equal(together[number : number + 1], rasterize(points[number : number + 1], 64, 256))


def test_left_and_right_are_told_apart(face: np.ndarray) -> None:
    drawn = rasterize(torch.from_numpy(face)[None], 256)[0]
    colors = [drawn[:, int(face[point, 1]), int(face[point, 0])] for point in (19, 24)]
    assert (colors[0] - colors[1]).abs().max() > 0.3


def test_points_far_outside_leave_the_picture_empty() -> None:
    assert rasterize(torch.full((1, 70, 3), 1e6), 64).abs().max() == 0
