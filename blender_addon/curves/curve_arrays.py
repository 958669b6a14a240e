# SPDX-License-Identifier: GPL-3.0-or-later
"""An F-curve's keys as arrays: read, made, and written without Blender bending the handles of old keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import bpy
import numpy as np

from .curve_edges import Arrays, Kinds
from .reduce import Keys

_FLOATS: Final = {"co": 2, "handle_left": 2, "handle_right": 2, "amplitude": 1, "back": 1, "period": 1}
_ENUMS: Final = ("interpolation", "easing", "handle_left_type", "handle_right_type", "type")
_EASING: Final = {"amplitude": 0.8, "back": 1.70158, "period": 4.1}  # of a key that a user sets in Blender
_ALIGNED_SHARE = 1e-4
_HANDLE_MOVED = 1e-6


def plain_keys(frames: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> Keys:
    """Keys with flat handles, for curves whose handles do not count."""
    co = np.column_stack((np.asarray(frames, np.float64), np.asarray(values, np.float64)))
    side = np.array((1.0, 0.0))
    return Keys(co[:, 0], co[:, 1], co - side, co + side)


def as_arrays(keys: Keys) -> Arrays:
    """Aligned handles where the curve passes a key smoothly, free ones where it does not."""
    co = np.column_stack((keys.frames, keys.values)).astype(np.float32)
    into, out_of = co - keys.left, keys.right - co
    turn = np.abs(into[:, 0] * out_of[:, 1] - into[:, 1] * out_of[:, 0])
    kind = np.where(turn <= _ALIGNED_SHARE, enum("handle_left_type", "ALIGNED"), enum("handle_left_type", "FREE"))
    interpolation = np.full(len(co), enum("interpolation", "BEZIER"), np.int32)
    if keys.held is not None:
        interpolation[keys.held] = enum("interpolation", "CONSTANT")
    return {
        "co": co, "handle_left": keys.left.astype(np.float32), "handle_right": keys.right.astype(np.float32),
        "interpolation": interpolation,
        "easing": np.full(len(co), enum("easing", "AUTO"), np.int32),
        "handle_left_type": kind.astype(np.int32), "handle_right_type": kind.astype(np.int32),
        "type": np.full(len(co), enum("type", "KEYFRAME"), np.int32),
        **{name: np.full(len(co), value, np.float32) for name, value in _EASING.items()},
    }  # fmt: skip


def blank(co: np.ndarray) -> Arrays:
    """Keys with flat handles from (K, 2) frames and values."""
    return as_arrays(plain_keys(co[:, 0], co[:, 1]))


def read(curve: bpy.types.FCurve) -> Arrays:
    keys, arrays = curve.keyframe_points, {}
    for name, width in _FLOATS.items():
        values = np.empty(len(keys) * width, np.float32)
        keys.foreach_get(name, values)
        arrays[name] = values.reshape(-1, width) if width > 1 else values
    for name in _ENUMS:
        arrays[name] = np.empty(len(keys), np.int32)
        keys.foreach_get(name, arrays[name])
    return arrays


def write(curve: bpy.types.FCurve, arrays: Arrays) -> None:
    keys = curve.keyframe_points
    keys.clear()
    keys.add(len(arrays["co"]))
    for name in (*_ENUMS, *_FLOATS):
        keys.foreach_set(name, arrays[name].ravel())
    curve.update()


def write_unbent(curve: bpy.types.FCurve, arrays: Arrays, before: Arrays) -> None:
    """Writes keys so that old ones keep their handles, which Blender would set anew for the keys beside them now."""
    free = enum("handle_left_type", "FREE")
    arrays = {name: values.copy() for name, values in arrays.items()}
    old = np.isin(arrays["co"][:, 0], before["co"][:, 0])
    while True:
        write(curve, arrays)
        now = read(curve)
        bent = np.zeros(len(old), bool)
        for side in ("handle_left", "handle_right"):
            bent |= np.abs(now[side] - arrays[side]).max(axis=1, initial=0.0) > _HANDLE_MOVED
        bent &= old & ((arrays["handle_left_type"] != free) | (arrays["handle_right_type"] != free))
        if not bent.any():
            return
        arrays["handle_left_type"][bent] = arrays["handle_right_type"][bent] = free


def enum(name: str, item: str) -> int:
    return int(bpy.types.Keyframe.bl_rna.properties[name].enum_items[item].value)


def kinds() -> Kinds:
    return Kinds(enum("interpolation", "LINEAR"), enum("interpolation", "CONSTANT"), enum("type", "MOVING_HOLD"))


@contextmanager
def without_modifiers(curve: bpy.types.FCurve) -> Iterator[None]:
    """Switches a curve's modifiers off for a while, so that it gives what its keys say."""
    acting = [modifier for modifier in curve.modifiers if not modifier.mute]
    for modifier in acting:
        modifier.mute = True
    try:
        yield
    finally:
        for modifier in acting:
            modifier.mute = False


def with_keys(curve: bpy.types.FCurve) -> None:
    """Gives a curve that was baked to samples, which hold no keys, a key on each frame instead."""
    samples = curve.sampled_points
    if len(samples):
        curve.convert_to_keyframes(round(samples[0].co[0]), round(samples[-1].co[0]) + 1)
