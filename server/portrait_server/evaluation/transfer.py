# SPDX-License-Identifier: GPL-3.0-or-later
"""One person's motion on another's landmarks: the difference is carried over, never the proportions."""

from __future__ import annotations

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import EYES, GROUPS, STABLE

from portrait_server.geometry.pose import fit_pose

_MOST_STRETCH = 2.0  # of a part against the head: an eye nearly shut at the start would throw the other's lids far
_STABLE = list(STABLE)


def transfer(own: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Another's motion, measured from the frame of it that is most like one's own pose and expression.

    The head's turn is taken as it is, its shift in head sizes, and what the face does besides in sizes of the
    part that does it: lids by the eye's opening, the mouth by its width.

    Args:
        own: (70, 3) pixels of one's own picture.
        motion: (T, 70, 3) pixels of the other's.

    Returns:
        (T, 70, 3) float32 pixels of one's own picture.

    Raises:
        PortraitError: BAD_TRACK for landmarks without depth, which tell no turn.
    """
    if own.shape[-1] != 3 or motion.shape[-1] != 3:
        raise PortraitError(
            ErrorCode.BAD_TRACK,
            "Motion is carried to another face by landmarks with depth, but a track has none.",
            "Write the track with `portrait landmarks`, or leave out --cross.",
        )
    own, motion = own.astype(float), motion.astype(float)
    start = motion[np.argmin([_unlikeness(own, row) for row in motion])]
    head = _size(own) / _size(start)
    parts = np.clip(_part_sizes(own) / _part_sizes(start), head / _MOST_STRETCH, head * _MOST_STRETCH)
    centre = own[_STABLE].mean(0)
    result = []
    for row in motion:
        pose = fit_pose(start[_STABLE], row[_STABLE])
        unturned = (row - pose.centre - pose.shift) @ pose.rotation / pose.scale + pose.centre
        posed = own + parts[:, None] * (unturned - start)
        shift = head * pose.shift
        result.append(pose.scale * (posed - centre) @ pose.rotation.T + centre + shift)
    return np.stack(result).astype(np.float32)


def _unlikeness(a: np.ndarray, b: np.ndarray) -> float:
    shapes = [(points[:, :2] - points[:68, :2].mean(0)) / _size(points) for points in (a, b)]
    return float(np.square(shapes[0] - shapes[1]).sum())


def _size(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[_STABLE] - points[_STABLE].mean(0))) + 1e-9


def _part_sizes(points: np.ndarray) -> np.ndarray:
    """(70,) the size of the part that each point belongs to, pixels."""
    sizes = np.full(len(points), _size(points))
    sizes[list(GROUPS["outer_lip"] + GROUPS["inner_lip"])] = _apart(points, 48, 54)
    for eye in EYES:
        sizes[[*eye.corners, eye.pupil]] = _apart(points, *eye.corners)
        sizes[[point for pair in eye.lids for point in pair]] = np.mean([_apart(points, *pair) for pair in eye.lids])
    return sizes


def _apart(points: np.ndarray, a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b])) + 1e-9
