# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior motion against moves whose flow is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from portrait_server.networks.prior import _rotation, fit_motion, flow_pixels

from tests.posing import blinking, speaking, turned

SIDE = 256


def prior_flow(reference: torch.Tensor, target: torch.Tensor, side: int) -> torch.Tensor:
    """For each pixel of targets (B, 70, 3) its position in one reference (B, 70, 3) each: (B, side, side, 2) pixels."""
    return flow_pixels(fit_motion(reference[:, None], target, side), side)[:, 0]


def flow_of(reference: np.ndarray, target: np.ndarray) -> np.ndarray:
    return prior_flow(torch.from_numpy(reference)[None], torch.from_numpy(target)[None], SIDE)[0].numpy()


def grid() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).astype(np.float32)


def at_points(flow: np.ndarray, points: np.ndarray) -> np.ndarray:
    x, y = np.round(points[:, :2]).astype(int).T
    return flow[y, x] + points[:, :2] - np.round(points[:, :2])


def test_the_same_points_move_nothing(face: np.ndarray) -> None:
    assert np.abs(flow_of(face, face) - grid()).max() < 0.05


@pytest.mark.parametrize(("scale", "roll", "shift"), [(1.0, 0, (6, -4)), (1.08, 0, (0, 0)), (0.95, 8, (3, 3))])
def test_a_similarity_moves_the_face_alike(face: np.ndarray, scale: float, roll: float, shift: tuple[int, int]) -> None:
    angle = np.radians(roll)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([128, 135])
    reference = face.copy()
    reference[:, :2] = (face[:, :2] - centre) @ linear.T + centre + shift
    reference[:, 2] *= scale
    expected = (grid() - centre) @ linear.T + centre + shift
    inside = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(face[:68, :2]).astype(np.int32)), 1)
    assert np.abs(flow_of(reference, face) - expected)[inside > 0].max() < 0.5


@pytest.mark.parametrize("pose", [{"yaw": 15}, {"yaw": -15, "pitch": 8}, {"pitch": -10, "roll": 5}])
def test_a_turned_head_is_found_where_it_was(face: np.ndarray, pose: dict[str, float]) -> None:
    target = turned(face, **pose)
    inner = list(range(17, 68))
    assert np.abs(at_points(flow_of(face, target), target)[inner] - face[inner, :2]).max() < 1.0


def test_rims_that_cross_do_not_fold_the_picture(face: np.ndarray) -> None:
    reference = speaking(face, 0.08)
    target = blinking(face)
    target[[61, 62, 63], 1], target[[67, 66, 65], 1] = face[[67, 66, 65], 1] + 0.4, face[[61, 62, 63], 1] - 0.4
    offset = np.abs(flow_of(reference, target) - grid()).max()
    assert offset < 1.5 * np.abs(reference - target)[:, :2].max()


def test_a_closing_eye_closes_whatever_the_gaze(face: np.ndarray) -> None:
    target = blinking(face)
    flow = flow_of(face, target)
    x, y = face[68, 0], (target[38, 1] + target[40, 1]) / 2
    rows = np.arange(round(y) - 4, round(y) + 5)
    source = flow[rows, round(x), 1]
    inside = (source > face[37:39, 1].mean() + 1) & (source < face[40:42, 1].mean() - 1)
    assert inside.sum() <= 2


def test_each_of_a_batch_and_each_reference_is_its_own(face: np.ndarray) -> None:
    faces = [face, turned(face, yaw=12), speaking(face, 0.1)]
    target = torch.from_numpy(np.stack([turned(face, pitch=6), turned(face, yaw=-8)]))
    references = torch.from_numpy(np.stack(faces))[None].expand(2, -1, -1, -1)
    together = flow_pixels(fit_motion(references, target, SIDE), SIDE)
    assert together.shape == (2, 3, SIDE, SIDE, 2)
    for b in range(2):
        for k in range(3):
            alone = prior_flow(references[b, k : k + 1], target[b : b + 1], SIDE)[0]
            assert (together[b, k] - alone).abs().max() < 0.02


def test_smaller_frames_show_the_same_motion(face: np.ndarray) -> None:
    target = turned(face, yaw=15)
    small = [
        torch.from_numpy((points + np.array([0.5, 0.5, 0])) / 4 - np.array([0.5, 0.5, 0])).float()[None]
        for points in (face, target)
    ]
    flow = prior_flow(small[0], small[1], 64)[0].numpy()
    large = flow_of(face, target).reshape(64, 4, 64, 4, 2).mean((1, 3))
    assert np.abs((flow + 0.5) * 4 - 0.5 - large).mean() < 0.2


def test_points_out_of_all_proportion_stay_finite(face: np.ndarray) -> None:
    for target in (face * 100, np.zeros_like(face), np.round(face / 50) * 50, -face):
        assert np.isfinite(flow_of(face, target)).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_best_rotation_is_that_of_the_singular_vectors(mirrored: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    source = torch.randn(40, 27, 3, generator=generator) * torch.tensor([1, 1.2, 0.4])
    turn = torch.linalg.qr(torch.randn(40, 3, 3, generator=generator))[0]
    target = 3 * source @ turn + 0.1 * torch.randn(source.shape, generator=generator)
    if mirrored:
        target = target * torch.tensor([-1, 1, 1])
    moments = target.mT @ source
    left, _, right = torch.linalg.svd(moments)
    sign = torch.ones(40, 3)
    sign[:, 2] = torch.linalg.det(left @ right)
    assert (_rotation(moments) - left * sign[:, None] @ right).abs().max() < 1e-5
