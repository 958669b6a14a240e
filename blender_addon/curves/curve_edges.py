# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies before and after a range of new keys: it stays as it was on every whole frame. Knows nothing of bpy.

An F-curve holds its first value backwards and its last one forwards, and eases from one key to the next. So new keys
would alter frames that nobody asked to change, and make their finished pictures stale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
"""A curve's keys, one row each, as `rig_curves` reads and writes them."""


@dataclass(frozen=True)
class Before:
    """A channel as it was.

    Attributes:
        keys: its keys; none of them for a channel that had no curve.
        value_at: its value at a frame: the curve's, or what the property was set to.
        slanted: whether the curve goes on in a straight line before its first key and after its last one.
    """

    keys: Arrays
    value_at: Callable[[float], float]
    slanted: bool = False


@dataclass(frozen=True)
class Kinds:
    """Blender's numbers for how a key is interpolated, and for a key that only holds a value."""

    linear: int
    constant: int
    hold: int


def framed(
    new: Arrays, before: Before, first: float, last: float, kinds: Kinds, blank: Callable[[np.ndarray], Arrays]
) -> Arrays:
    """The new keys between the old ones outside [first, last], and what keeps all other frames as they were.

    Args:
        new: keys within the range, at least one.
        blank: keys with flat handles from their (K, 2) frames and values.
    """
    frames = before.keys["co"][:, 0]
    left, right = _rows(before.keys, frames < first), _rows(before.keys, frames > last)
    new = {name: values.copy() for name, values in new.items()}
    lead = _lead(new, left, before, first, kinds, blank)
    tail = _tail(new, right, before, last, kinds, blank)
    if len(tail["co"]) or len(right["co"]):
        new["interpolation"][-1] = kinds.constant
    return joined(left, lead, new, tail, right)


def joined(*parts: Arrays) -> Arrays:
    """All keys, by frame."""
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(together["co"][:, 0], kind="stable")
    return _rows(together, order)


def _lead(
    new: Arrays, left: Arrays, before: Before, first: float, kinds: Kinds, blank: Callable[[np.ndarray], Arrays]
) -> Arrays:
    """Keys from the last old key to the range; sets how the curve goes from that old key to them."""
    known = len(left["co"]) > 0
    edge = np.ceil(first) - 1
    start = np.floor(left["co"][-1, 0]) + 1 if known else edge - (1 if before.slanted else 0)
    shown = _shown(before, np.arange(start, edge + 1))
    if not known and not before.slanted and shown[-1, 1] == new["co"][0, 1]:
        return blank(shown[:0])  # the first key holds the right value backwards
    if known and (shown[:, 1] == left["co"][-1, 1]).all():
        if len(shown):
            left["interpolation"][-1] = kinds.constant
        return blank(shown[:0])
    if known:
        left["interpolation"][-1] = kinds.linear
    return _keys(shown, kinds, blank, hold=not known)


def _tail(
    new: Arrays, right: Arrays, before: Before, last: float, kinds: Kinds, blank: Callable[[np.ndarray], Arrays]
) -> Arrays:
    """Keys from the range to the first old key after it."""
    known = len(right["co"]) > 0
    edge = np.floor(last) + 1
    end = np.ceil(right["co"][0, 0]) if known else edge + (2 if before.slanted else 1)
    shown = _shown(before, np.arange(edge, end))
    if not len(shown) or (not before.slanted and (shown[:, 1] == new["co"][-1, 1]).all()):
        return blank(shown[:0])
    flat = bool((shown[:, 1] == shown[0, 1]).all())
    if flat and not before.slanted:
        return _keys(shown[:1], kinds, blank, hold=True)
    tail = _keys(shown, kinds, blank, hold=False)
    tail["interpolation"][-1] = kinds.linear
    return tail


def _shown(before: Before, frames: np.ndarray) -> np.ndarray:
    """(K, 2) frames and values as single precision has them, which is what a key holds."""
    return np.array([(frame, before.value_at(float(frame))) for frame in frames], np.float32).reshape(-1, 2)


def _keys(shown: np.ndarray, kinds: Kinds, blank: Callable[[np.ndarray], Arrays], hold: bool) -> Arrays:
    """Straight lines through whole frames, without those in the middle of a flat stretch; the last one holds."""
    values = shown[:, 1]
    needed = np.ones(len(shown), bool)
    needed[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
    keys = blank(shown[needed])
    keys["interpolation"][:] = kinds.linear
    keys["interpolation"][-1] = kinds.constant
    if hold:
        keys["type"][:] = kinds.hold
    return keys


def _rows(arrays: Arrays, which: np.ndarray) -> Arrays:
    return {name: values[which] for name, values in arrays.items()}
