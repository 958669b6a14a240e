# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings of the face (eyes, mouth) in N frames: their outline, and the patch of frame around it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import ceil, floor

import numpy as np
from scipy.interpolate import CubicSpline

from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES, MOUTH
from portrait_server.geometry.raster import extent
from portrait_server.kernels.base import Array, Kernels, Patches

LEAST_WIDTH = 2.0  # pixels: what is narrower shows no inside
_FINE = 4  # points of the drawn outline for each of the rim's
_SIDES = 16  # patches of a batch are as large as a multiple of this: fewer sizes, so that a device meets few new ones


def patches_around(
    points: np.ndarray, margin: float | np.ndarray, size: tuple[int, int], steps: tuple[int, int] = (1, 1)
) -> Patches:
    """The parts of frames (width, height) within `margin` pixels, one or (N,), of points (N, P, 2).

    Of one frame it is as large as it must be. Those of several are as large as the largest, and moved to lie inside.

    Args:
        steps: pixels along x and y of which their sides shall be multiples, as those of the frame are.
    """
    if len(points) == 1 and steps == (1, 1):
        return _patch_around(points[0], float(np.ravel(margin)[0]), size)
    margin = np.reshape(margin, (-1, 1))
    low = np.minimum(np.maximum(np.floor(points.min(1) - margin), 0), size).astype(int)
    high = np.minimum(np.maximum(np.ceil(points.max(1) + margin) + 1, 0), size).astype(int)
    if steps != (1, 1):
        low, high = low // steps * steps, -(-high // steps) * steps
    there = (high - low).min(1) >= 1
    if not there.any():
        nowhere = np.zeros(len(points), int)
        return Patches(nowhere, nowhere, 1, 1, there)
    extent = (high - low)[there].max(0)
    own = None
    if len(points) > 1:
        sides = np.lcm(_SIDES, steps)
        extent, own = np.minimum(-(-extent // sides) * sides, size), np.concatenate([low, high], 1)
    low = np.clip(low, 0, np.array(size) - extent)
    return Patches(low[:, 0], low[:, 1], int(extent[0]), int(extent[1]), there, own)


def _patch_around(points: np.ndarray, margin: float, size: tuple[int, int]) -> Patches:
    """The same of a single frame, for whose few numbers Python is quicker than NumPy."""
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    x, y = (min(max(floor(low - margin), 0), side) for low, side in zip((left, top), size, strict=True))
    width, height = (
        min(max(ceil(high + margin) + 1, 0), side) - low
        for high, side, low in zip((right, bottom), size, (x, y), strict=True)
    )
    if min(width, height) < 1:
        return Patches(np.zeros(1, int), np.zeros(1, int), 1, 1, np.zeros(1, bool))
    return Patches(np.array([x]), np.array([y]), width, height, np.ones(1, bool))


def planes(kernels: Kernels, *numbers: np.ndarray) -> Iterator[Array]:
    """Numbers (N,) as planes (N, 1, 1) float32 where the pixels are."""
    block = np.empty((len(numbers), max(map(np.size, numbers))), np.float32)
    for row, values in zip(block, numbers, strict=True):
        row[:] = values
    yield from kernels.put(block[..., None, None])


@cache
def _through(count: int) -> np.ndarray:
    """What makes of a rim's points the points of a smooth line through them: (M, count)."""
    at = np.linspace(0, count - 1, _FINE * (count - 1) + 1)
    return CubicSpline(np.arange(count), np.eye(count))(at)


def opening_mask(
    kernels: Kernels, upper: np.ndarray, lower: np.ndarray, patches: Patches, softness: np.ndarray
) -> Array:
    """How far each pixel of the patches lies in the opening between two rims (N, P, 2).

    Args:
        softness: (N,) of its edge, pixels.

    Returns:
        (N, height, width) float32.
    """
    line = _through(upper.shape[1])
    mask = kernels.filled(np.concatenate([line @ upper, (line @ lower)[:, ::-1]], 1), patches)
    mask = kernels.blurred(mask, np.where(softness > 0.3, softness, 0.0))
    xp = array_namespace(mask)
    return xp.astype(mask, xp.float32) / 255


def shown_openings(kernels: Kernels, vertices: np.ndarray, size: tuple[int, int]) -> Iterator[tuple[Patches, Array]]:
    """Both eyes' openings and the mouth's, where meshes (N, V, 2 or 3) have them in frames (width, height).

    Yields:
        the patches around one, and how far each of their pixels lies in it, (N, height, width) float32.
    """
    for rims in (*EYES, MOUTH):
        upper, lower = (vertices[:, list(rim), :2] for rim in rims)
        patches = patches_around(np.concatenate([upper, lower], 1), 2, size)
        yield patches, opening_mask(kernels, upper, lower, patches, np.zeros(len(vertices)))


def nearer_half(upper: np.ndarray, lower: np.ndarray) -> tuple[int, ...] | None:
    """Of a mouth in profile the half that is seen: behind it the other is hidden, and folded back in the picture.

    Args:
        upper, lower: (11, 3) its rims.

    Returns:
        Which of the rims' points are landmarks there, left to right: only those are where they shall be, for between them
        what moves one half moves the other. None where both corners lie on their sides of the middle.
    """
    line = (upper + lower) / 2
    left, right = (line[5] - line[0])[:2], (line[10] - line[5])[:2]
    if left @ right >= 0:
        return None
    return (0, 4, 5) if line[0, 2] < line[10, 2] else (5, 6, 10)


def of_half(rim: np.ndarray, half: tuple[int, ...] | None) -> np.ndarray:
    """As many points (…, 11, 2) along a half of a rim, see `nearer_half`, as there were along all of it."""
    if half is None:
        return rim
    between, all_of_it = np.array(half) - half[0], np.linspace(0, half[-1] - half[0], rim.shape[-2])
    shares = np.stack([np.interp(all_of_it, between, one) for one in np.eye(len(half))], 1)
    return np.asarray(shares @ rim[..., list(half), :])


def depth_below(kernels: Kernels, rim: np.ndarray, x: Array, y: Array) -> Array:
    """How far pixels at x and y (N, h, w) lie below rims (N, P, 2), square to the line between their ends: (N, h, w)."""
    along = rim[:, -1] - rim[:, 0]
    along = along / np.maximum(np.linalg.norm(along, axis=1), 1e-6)[:, None]
    from_left, from_top, right, down = planes(kernels, *rim[:, 0].T, *along.T)
    x, y = x - from_left, y - from_top
    return y * right - x * down - line_height(kernels, rim, rim[:, 0], along, x * right + y * down)


def line_height(kernels: Kernels, line: np.ndarray, origin: np.ndarray, along: np.ndarray, right: Array) -> Array:
    """How far down lines are, so far to the right of an origin: of `right`'s shape (N, h, w), pixels.

    Args:
        line: (N, P, 2); origin: (N, 2).
        along: (N, 2) unit vectors to the right; down is square to them.
    """
    local = line - origin[:, None]
    at = (local * along[:, None]).sum(-1)
    height = local[..., 1] * along[:, None, 0] - local[..., 0] * along[:, None, 1]
    order = np.argsort(at, axis=1)
    if isinstance(right, np.ndarray) and len(right) == 1:
        return np.interp(right, at[0, order[0]], height[0, order[0]]).astype(np.float32)
    at, height = np.take_along_axis(at, order, 1), np.take_along_axis(height, order, 1)
    rise, run = np.diff(height, axis=1), np.maximum(np.diff(at, axis=1), 1e-6)
    starts, slopes, rises = kernels.put(np.stack([at[:, :-1].T, 1 / run.T, rise.T]).astype(np.float32)[..., None, None])
    (first,) = planes(kernels, height[:, 0])
    xp = array_namespace(right)
    return first + xp.sum(((right - starts) * slopes).clip(0, 1) * rises, axis=0)


def covered(
    kernels: Kernels, skin: np.ndarray, towards: np.ndarray, rim: np.ndarray, depth: np.ndarray, patches: Patches
) -> Array | float:
    """How far nearer skin hides each pixel of an opening, as the bridge of the nose does an eye in profile.

    Args:
        skin: (N, T, 3, 3) triangles that may be in front: pixels of the frame, and depth; the smaller, the nearer.
        towards: (N, T) which of them are turned towards the viewer.
        rim: (N, P, 2) the opening's, and the depth (N,) of its nearest point.

    Returns:
        (N, height, width) float32, 0 to 1; 0 where nothing is in front.
    """
    low, high = extent(skin)
    (left, top), (right, bottom) = rim.min(1).T[..., None], rim.max(1).T[..., None]
    over = towards & (high[..., 0] > left) & (low[..., 0] < right) & (high[..., 1] > top) & (low[..., 1] < bottom)
    over &= high[..., 2] < depth[:, None]
    some = over.any(0)
    if not some.any():
        return 0.0
    mask = kernels.averaged(kernels.covered(skin[:, some, :, :2], over[:, some], patches), 3)
    xp = array_namespace(mask)
    return xp.astype(mask, xp.float32) / 255


def mix(kernels: Kernels, frames: Array, patches: Patches, colour: Array, share: Array) -> None:
    """Lays colours (N, height, width, 3) over patches of the frames, in place; an alpha channel is kept."""
    colours = frames[..., :3]
    kernels.laid(colours, patches, kernels.mixed(kernels.taken(colours, patches), colour, share))


def undone(linear: np.ndarray) -> np.ndarray:
    """The inverses of linear maps (N, 2, 2); of those that are flat the identity."""
    (a, b), (c, d) = linear[:, 0].T, linear[:, 1].T
    area = a * d - b * c
    flat = np.abs(area) < 0.05
    found = np.stack([d, -b, -c, a], -1).reshape(-1, 2, 2) / np.where(flat, 1.0, area)[:, None, None]
    return np.where(flat[:, None, None], np.eye(2), found)
