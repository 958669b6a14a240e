# SPDX-License-Identifier: GPL-3.0-or-later
"""Values on every frame to few Bézier keys that keep a tolerance. Knows nothing of bpy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

_HANDLE = 1.0 / 3.0  # with handles a third of the way in time, a Bézier key's value is a cubic of time
SLIDER_RANGE: Final = (0.0, 1.0)
"""Of the rig's sliders, for `limits`: a curve that swings beyond looks like a mistake to whoever edits it."""


@dataclass(frozen=True)
class Keys:
    """One curve's keys, as Blender keeps them.

    Attributes:
        frames, values: (K,).
        left, right: (K, 2) handles: frame and value.
        held: (K,) bool, which keys hold their value up to the next one; none where None.
    """

    frames: np.ndarray
    values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    held: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)


def reduce(
    frames: np.ndarray, values: np.ndarray, tolerance: float, breaks: np.ndarray | None = None,
    limits: tuple[float, float] | None = None, exact_ends: bool = False, steps: bool = False,
) -> Keys:  # fmt: skip
    """Keys whose curve is nowhere further than the tolerance from the values.

    Args:
        frames: (N,) rising frame numbers.
        values: (N,).
        tolerance: in the values' unit.
        breaks: indices at which a new stretch begins: the curve before and after are fitted apart, and what lies
            between them is eased.
        limits: what the curve stays within also between frames; values that lie beyond them widen them.
        exact_ends: the first and the last value are met exactly: a curve holds them before and after.
        steps: values before a break are held up to it, instead.
    """
    frames, values = np.asarray(frames, np.float64), np.asarray(values, np.float64)
    if limits is not None:
        limits = min(limits[0], float(values.min())), max(limits[1], float(values.max()))
    bounds = [0, *(() if breaks is None else np.asarray(breaks, int).tolist()), len(frames)]
    parts = [
        _fit(frames[a:b], values[a:b], tolerance, limits, exact_ends) for a, b in itertools.pairwise(bounds) if b > a
    ]
    at = np.concatenate([part[0] for part in parts])
    heights = np.concatenate([part[1] for part in parts])
    slopes = np.concatenate([part[2] for part in parts])
    before, after = _handle_lengths(at)
    # Between two stretches nothing is known: handles lie flat there, and nothing swings over.
    ends = np.cumsum([len(part[0]) for part in parts], dtype=int)[:-1]
    into, out_of = slopes.copy(), slopes.copy()
    into[ends], out_of[ends - 1] = 0.0, 0.0
    held = np.zeros(len(at), bool)
    held[ends - 1] = steps
    return Keys(at, heights, np.column_stack((at - before, heights - into * before)),
                np.column_stack((at + after, heights + out_of * after)), held)  # fmt: skip


def evaluate(keys: Keys, frames: np.ndarray) -> np.ndarray:
    """The curve's values at frames, as Blender computes them for handles a third of the way; held outside."""
    frames = np.clip(np.asarray(frames, np.float64), keys.frames[0], keys.frames[-1])
    if len(keys) == 1:
        return np.full(len(frames), keys.values[0])
    span = np.clip(np.searchsorted(keys.frames, frames, side="right") - 1, 0, len(keys) - 2)
    t = (frames - keys.frames[span]) / (keys.frames[span + 1] - keys.frames[span])
    if keys.held is not None:
        t = np.where(keys.held[span], np.floor(t), t)
    a, b, c, d = keys.values[span], keys.right[span, 1], keys.left[span + 1, 1], keys.values[span + 1]
    return np.asarray((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)


def _handle_lengths(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In frames, to the left and to the right of each key."""
    return np.diff(at, prepend=at[0] - 3.0) * _HANDLE, np.diff(at, append=at[-1] + 3.0) * _HANDLE


def _fit(
    frames: np.ndarray, values: np.ndarray, tolerance: float, limits: tuple[float, float] | None, exact_ends: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys' frames, values and slopes: each round adds a key where a span is worst, until all keep the tolerance."""
    last = len(frames) - 1
    if np.ptp(values) <= tolerance and (not exact_ends or values[0] == values[-1]):
        # A curve that ends on the value it began with keeps that value exactly: a face at rest stays at rest.
        level = values[0] if values[0] == values[-1] else (values.max() + values.min()) / 2
        return frames[:1], np.array([level]), np.zeros(1)
    knots = [0, last] if last > 0 else [0]
    while True:
        slopes = _slopes(frames, values, knots)
        if limits is not None:
            slopes = _within(slopes, frames[knots], values[knots], limits)
        error = np.abs(_hermite(frames, frames[knots], values[knots], slopes) - values)
        worst = [a + int(np.argmax(error[a : b + 1])) for a, b in itertools.pairwise(knots) if b - a > 1]
        added = {index for index in worst if error[index] > tolerance} - set(knots)
        if not added:
            return frames[knots], values[knots], slopes
        knots = sorted({*knots, *added})


def _slopes(frames: np.ndarray, values: np.ndarray, knots: list[int]) -> np.ndarray:
    """The keys' slopes that bring the curve nearest to all values, least squares.

    Each slope meets those of the two keys beside it alone: the system has three diagonals.
    """
    count = len(knots)
    diagonal, beside, right = np.full(count, 1e-9), np.zeros(max(count - 1, 0)), np.zeros(count)
    for rank, (a, b) in enumerate(itertools.pairwise(knots)):
        length = frames[b] - frames[a]
        t = (frames[a : b + 1] - frames[a]) / length
        first, second = length * t * (1 - t) ** 2, -length * t**2 * (1 - t)
        blend = t**2 * (3 - 2 * t)
        rest = values[a : b + 1] - values[a] - blend * (values[b] - values[a])
        if b - a == 1:  # no value between the keys: a straight line is as good a guess as any
            weight, chord = 1e-3 * length**2, (values[b] - values[a]) / length
            diagonal[rank : rank + 2] += weight
            right[rank : rank + 2] += weight * chord
            continue
        diagonal[rank] += first @ first
        diagonal[rank + 1] += second @ second
        beside[rank] += first @ second
        right[rank] += first @ rest
        right[rank + 1] += second @ rest
    return _solve_three_diagonals(diagonal, beside, right)


def _within(slopes: np.ndarray, at: np.ndarray, heights: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """The slopes, flatter where a handle would stick out of the limits: a Bézier curve stays between its handles."""
    before, after = _handle_lengths(at)
    above, below = np.maximum(limits[1] - heights, 0.0), np.maximum(heights - limits[0], 0.0)
    return np.clip(slopes, -np.minimum(below / after, above / before), np.minimum(above / after, below / before))


def _solve_three_diagonals(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The Thomas algorithm for a symmetric matrix."""
    diagonal, right = diagonal.copy(), right.copy()
    for row in range(1, len(diagonal)):
        share = beside[row - 1] / diagonal[row - 1]
        diagonal[row] -= share * beside[row - 1]
        right[row] -= share * right[row - 1]
    for row in range(len(diagonal) - 1, -1, -1):
        after = beside[row] * right[row + 1] if row + 1 < len(diagonal) else 0.0
        right[row] = (right[row] - after) / diagonal[row]
    return right


def _hermite(frames: np.ndarray, at: np.ndarray, heights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    if len(at) == 1:
        return np.full(len(frames), heights[0])
    span = np.clip(np.searchsorted(at, frames, side="right") - 1, 0, len(at) - 2)
    length = at[span + 1] - at[span]
    t = (frames - at[span]) / length
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * heights[span] + t**2 * (3 - 2 * t) * heights[span + 1]
        + length * (t * (1 - t) ** 2 * slopes[span] - t**2 * (1 - t) * slopes[span + 1])
    )  # fmt: skip
