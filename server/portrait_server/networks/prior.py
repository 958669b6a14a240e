# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion that geometry alone tells, in the aligned frame: for every target pixel, where the reference shows it.

A mean head is laid on both sets of landmarks; its points, carried from target to reference, are joined by a
linear radial spline. Batched and without weights: the same function in training and at work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from portrait_shared.landmarks import GROUPS, MESH_VERTICES, STABLE

from portrait_server.geometry.face_mesh import OVAL, SIDES, VERTEX_COUNT, neutral_mesh
from portrait_server.geometry.head_mesh import ring_depth, ring_expression, ring_follow
from portrait_server.geometry.ramps import smoothstep
from portrait_server.geometry.reference_mesh import skin_normals
from portrait_server.geometry.spread import spread_weights
from portrait_server.networks.constants import indices, values
from portrait_server.networks.flow import pixel_grid

_MESH_POINTS = 64  # of the mean face, beside the landmarks
# Rings around the face as multiples of its outline, fewer than in `geometry.head_mesh`; the last two keep their place.
_RINGS = (1.16, 1.43, 1.8, 2.35, 3.2, 4.4)
_RING_STEP = 2  # every second point of the outline
_SKULL_DEPTH = 0.7  # how far behind the outline the back of the head lies, in half face widths
_SMOOTH = 3e-4  # in sides of the frame: without it two points in one place would make the system singular
_HIDDEN_SMOOTH = 0.5  # and so much more for skin that faces away and lies under what is seen
_HARDLY_SEEN, _WELL_SEEN = 0.1, 0.35
# Rims that meet, upper and lower: where they crossed, however little, the picture would be folded over between them.
_UPPER_RIMS, _LOWER_RIMS = (37, 38, 43, 44, 61, 62, 63), (41, 40, 47, 46, 67, 66, 65)
_LEAST_OPENING = 0.003  # in sides of the frame
# Halfway between their points the rims are held too, or a closing eye would stay open there.
_RIMS = [GROUPS[name] for name in ("right_eye", "left_eye", "inner_lip")]
_RIM_STARTS = tuple(point for rim in _RIMS for point in rim)
_RIM_ENDS = tuple(point for rim in _RIMS for point in (*rim[1:], rim[0]))
# A gaze keyed without its lids must not hold a closing eye open: pupil, upper and lower lid.
_PUPILS = ((68, (37, 38), (41, 40)), (69, (43, 44), (47, 46)))
_SQUARINGS = 12  # the greatest eigenvalue counts as its 4096th power
# Of each sum of target x, y, z times source x, y, z the part in Horn's matrix, its rows one after the other.
_TO_QUATERNIONS = (
    (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1), (0, 0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, -1, 0, 0, 0),
    (0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0),
    (1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1), (0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0),
    (0, 0, -1, 0, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0, 0), (0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0),
    (1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1),
)  # fmt: skip
_ABOVE_ALL = tuple(tuple(1.75 * (row == column) for column in range(4)) for row in range(4))
# Of each product of a quaternion's w, x, y, z the part in its rotation, likewise.
_TO_ROTATIONS = (
    (1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0, 0, 0, -1, 0, 1, 0), (0, 0, 1, 0, 0, 0, -1, 0, 0), (0, -1, 0, 1, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, -1, 0, 1, 0), (1, 0, 0, 0, -1, 0, 0, 0, -1), (0, 1, 0, 1, 0, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 1, 0, 0),
    (0, 0, 1, 0, 0, 0, -1, 0, 0), (0, 1, 0, 1, 0, 0, 0, 0, 0), (-1, 0, 0, 0, 1, 0, 0, 0, -1), (0, 0, 0, 0, 0, 1, 0, 1, 0),
    (0, -1, 0, 1, 0, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 1, 0, 1, 0), (-1, 0, 0, 0, -1, 0, 0, 0, 1),
)  # fmt: skip
CELLS = 128  # grid on which the spline is computed


@dataclass(frozen=True)
class _Head:
    """The mean head: what is the same for every face.

    Attributes:
        landmarks: (70, 3); `points` (N, 3) further ones, on face and rings.
        spread: (N, 70) how the landmarks' own motion moves the points.
        normals: (70 + N, 3) of the skin, nought where it has none or must always be heeded.
        follow: (70 + N,) how far the head carries each point.
    """

    landmarks: torch.Tensor
    points: torch.Tensor
    spread: torch.Tensor
    normals: torch.Tensor
    follow: torch.Tensor

    def to(self, device: torch.device) -> _Head:
        return _Head(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Motion:
    """A spline from target to reference, in sides of the frame.

    Attributes:
        centres: (B, N, 2) in the target.
        weights: (B, N + 1, 2 K) for K references; the last row is a constant.
    """

    centres: torch.Tensor
    weights: torch.Tensor

    def without_first(self) -> Motion:
        """Of the references but the first one."""
        return Motion(self.centres, self.weights[..., 2:])

    def offsets(self, columns: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """How far from the target's grid its content lies in the references.

        Args:
            columns: (W,) x of the grid's columns, sides of the frame; rows: (H,) y of its rows. They may lie
                outside the frame.

        Returns:
            (B, K, H, W, 2) sides of the frame.
        """
        x = (columns - self.centres[..., :1]) ** 2  # (B, N, W)
        y = (rows - self.centres[..., 1:]) ** 2  # (B, N, H)
        distance = (x[:, :, None, :] + y[..., None]).sqrt_().flatten(2)  # (B, N, H W)
        offset = self.weights[:, -1:].transpose(1, 2) - self.weights[:, :-1].transpose(1, 2) @ distance
        return offset.unflatten(1, (-1, 2)).unflatten(3, (len(rows), len(columns))).permute(0, 1, 3, 4, 2)


@torch.no_grad()
def flow_pixels(motion: Motion, side: int) -> torch.Tensor:
    """The motion (B, K, side, side, 2) at every pixel, in pixels; computed on at most `CELLS` cells a side."""
    cells = min(side, CELLS)
    at = (torch.arange(cells, device=motion.centres.device, dtype=torch.float32) + 0.5) / cells
    with torch.autocast(motion.centres.device.type, enabled=False):  # positions of 16 bits are pixels off
        offset = motion.offsets(at, at) * side
    if cells != side:
        batch = len(offset)
        offset = F.interpolate(offset.flatten(0, 1).permute(0, 3, 1, 2), size=(side, side), mode="bilinear")
        offset = offset.permute(0, 2, 3, 1).unflatten(0, (batch, -1))
    return offset + pixel_grid(side, motion.centres)


@torch.no_grad()
def fit_motion(reference_points: torch.Tensor, target_points: torch.Tensor, side: int) -> Motion:
    """The spline for several references of one target.

    Args:
        reference_points: (B, K, 70, 3) and target_points: (B, 70, 3), pixels of the aligned frame.
        side: of the frame.
    """
    with torch.autocast(reference_points.device.type, enabled=False):
        batch, count = reference_points.shape[:2]
        device = reference_points.device
        head = _head_on(device)
        both = torch.cat([target_points[:, None], reference_points], 1).float()
        both = (both + values((0.5, 0.5, 0.0), device)) / side
        placed, facing = _place(head, _uncrossed(both.flatten(0, 1)))
        placed = placed.unflatten(0, (batch, count + 1))
        starts, ends = (placed[:, :, indices(points, device)] for points in (_RIM_STARTS, _RIM_ENDS))
        placed = torch.cat([placed, (starts + ends) / 2], 2)
        facing = torch.cat([facing, torch.ones_like(facing[:, : len(_RIM_STARTS)])], 1)
        centres, carried = placed[:, 0, :, :2], placed[:, 1:, :, :2]
        hidden = 1 - smoothstep((facing - _HARDLY_SEEN) / (_WELL_SEEN - _HARDLY_SEEN))
        hidden = hidden.unflatten(0, (batch, count + 1))
        follow = F.pad(head.follow, (0, len(_RIM_STARTS)), value=1.0)
        goals = follow[:, None] * (carried - centres[:, None])  # (B, K, N, 2)
        smooth = _SMOOTH + _HIDDEN_SMOOTH * torch.maximum(hidden[:, :1], hidden[:, 1:])  # (B, K, N)
        weights = _solve(centres, goals, smooth)
        return Motion(centres, weights)


def _uncrossed(points: torch.Tensor) -> torch.Tensor:
    """Points (B, 70, 3), sides of the frame, with upper rims above lower ones and pupils between the lids."""
    points, device = points.clone(), points.device
    above, below = indices(_UPPER_RIMS, device), indices(_LOWER_RIMS, device)
    missing = _LEAST_OPENING - (points[:, below, 1] - points[:, above, 1])
    half = missing.clamp_min(0) / 2
    points[:, above, 1] -= half
    points[:, below, 1] += half
    for pupil, upper, lower in _PUPILS:
        highest, lowest = (points[:, indices(lid, device), 1].mean(1) for lid in (upper, lower))
        points[:, pupil, 1] = points[:, pupil, 1].clamp(highest, lowest)
    return points


def _solve(centres: torch.Tensor, goals: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """Weights (B, N + 1, 2 K) of the splines through goals (B, K, N, 2) at centres (B, N, 2)."""
    batch, count, number = smooth.shape
    x, y = centres.unbind(-1)
    kernel = -((x[:, :, None] - x[:, None]) ** 2 + (y[:, :, None] - y[:, None]) ** 2).sqrt()
    system = kernel.new_ones(batch, count, number + 1, number + 1)
    system[..., :-1, :-1] = kernel[:, None] + torch.diag_embed(smooth)
    system[..., -1, -1].zero_()
    goals = F.pad(goals, (0, 0, 0, 1))
    weights = _solved(system, goals)  # (B, K, N + 1, 2)
    return weights.permute(0, 2, 1, 3).flatten(2)


def _solved(system: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    if system.device.type != "cpu" or torch.get_num_threads() == 1 or torch.jit.is_tracing():
        return torch.linalg.solve_ex(system, goals)[0]  # which does not wait for a device to ask how it went
    # MKL's LU in torch 2.13 fails or hangs for several systems of over 150 rows on more than one thread.
    return torch.from_numpy(np.linalg.solve(system.numpy(), goals.numpy()))


def _place(head: _Head, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean head laid on landmarks (B, 70, 3): all points (B, 70 + N, 3), and how far they face us (B, 70 + N)."""
    stable = indices(STABLE, points.device)
    rotation, scale, shift = _similarity(head.landmarks[stable], points[:, stable])
    turn = scale[:, None, None] * rotation.transpose(1, 2)
    posed = torch.cat([head.landmarks, head.points]) @ turn + shift[:, None]
    landmarks, others = posed[:, : len(head.landmarks)], posed[:, len(head.landmarks) :]
    others = others + head.spread @ (points - landmarks)
    facing = (head.normals @ rotation.transpose(1, 2))[..., 2]
    facing = torch.where(head.normals.abs().sum(-1) > 0, facing, torch.ones_like(facing))
    return torch.cat([points, others], 1), facing


def _similarity(source: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rotations (B, 3, 3), scales (B,), shifts (B, 3) that best carry source (N, 3) to targets (B, N, 3) (Umeyama)."""
    middle, goal = source.mean(0), target.mean(1)
    a, b = source - middle, target - goal[:, None]
    moments = b.transpose(1, 2) @ a
    rotation = _rotation(moments)
    scale = (rotation * moments).sum((1, 2)) / (a**2).sum()
    shift = goal - scale[:, None] * (rotation @ middle)
    return rotation, scale, shift


def _rotation(moments: torch.Tensor) -> torch.Tensor:
    """The rotations (B, 3, 3) that best carry one set of points to another.

    By Horn, "Closed-form solution of absolute orientation using unit quaternions", 1987. The eigenvector is found by
    squaring, which asks nothing of a device; torch's solvers of such problems wait for it to say how they fared.

    Args:
        moments: (B, 3, 3) sums of target times source.
    """
    device = moments.device
    flat = F.normalize(moments.flatten(1), dim=1)
    # No eigenvalue lies so far below 0 as is added: the greatest is also the one of greatest size.
    power = (flat @ values(_TO_QUATERNIONS, device)).unflatten(1, (4, 4)) + values(_ABOVE_ALL, device)
    for step in range(_SQUARINGS):
        if step % 4 == 0:
            power = power / power.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        power = power @ power
    power = power / power.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]  # the quaternion times itself
    return (power.flatten(1) @ values(_TO_ROTATIONS, device)).unflatten(1, (3, 3))


@cache
@torch.inference_mode(False)  # else training could not use what drawing has made
def _head_on(device: torch.device) -> _Head:
    return _head().to(device)


@cache
@torch.inference_mode(False)
def _head() -> _Head:
    mesh = neutral_mesh()
    landmarks = mesh[list(MESH_VERTICES)]
    face = mesh[:VERTEX_COUNT]
    chosen = _spread_out(face, landmarks, _MESH_POINTS)
    rings, follow, expressive = _rings(face)
    spread = spread_weights(np.concatenate([face, rings]))
    spread[VERTEX_COUNT:] *= expressive[:, None]
    normals = np.zeros((len(landmarks) + len(chosen) + len(rings), 3))
    skin = skin_normals(face)
    jaw = list(GROUPS["jaw"])
    normals[jaw] = skin[[MESH_VERTICES[i] for i in jaw]]
    normals[len(landmarks) : len(landmarks) + len(chosen)] = skin[chosen]
    arrays = (
        landmarks,
        np.concatenate([face[chosen], rings]),
        np.concatenate([spread[chosen], spread[VERTEX_COUNT:]]),
        normals,
        np.concatenate([np.ones(len(landmarks) + len(chosen)), follow]),
    )
    return _Head(*(torch.tensor(array, dtype=torch.float32) for array in arrays))


def _spread_out(face: np.ndarray, landmarks: np.ndarray, count: int) -> list[int]:
    """Vertices each as far as can be from the landmarks and from one another."""
    distance = np.linalg.norm(face[:, None] - landmarks[None], axis=2).min(1)
    chosen = []
    for _ in range(count):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(face - face[chosen[-1]], axis=1))
    return chosen


def _rings(face: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (R, 3) around the mean face, how far the head carries them (R,), how far expression does (R,)."""
    oval = face[list(OVAL)][::_RING_STEP]
    centre = (oval[:, :2].min(0) + oval[:, :2].max(0)) / 2
    arm = oval[:, :2] - centre
    half_width = np.linalg.norm(face[SIDES[1], :2] - face[SIDES[0], :2]) / 2
    down = arm[:, 1] / np.linalg.norm(arm, axis=1)
    points, follow, expressive = [], [], []
    for ring in _RINGS:
        behind = _SKULL_DEPTH * half_width * ring_depth(ring)
        points.append(np.column_stack([centre + ring * arm, oval[:, 2] + behind]))
        follow.append(ring_follow(ring, down))
        expressive.append(np.full(len(oval), ring_expression(ring)))
    return np.concatenate(points), np.concatenate(follow), np.concatenate(expressive)
