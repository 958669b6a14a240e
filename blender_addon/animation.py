# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes whole curves of keys onto a rig at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bpy
import numpy as np

from . import compat
from .capture.reduce import Keys

_FLOATS: Final = {"co": 2, "handle_left": 2, "handle_right": 2}
_ENUMS: Final = ("interpolation", "easing", "handle_left_type", "handle_right_type")
_ALIGNED_SHARE = 1e-4


@dataclass(frozen=True)
class Curve:
    """One F-curve to write.

    Attributes:
        path, index: which property it moves.
        group: under which name the editors show it.
    """

    path: str
    index: int
    group: str
    keys: Keys


def bone_path(bone: str, channel: str) -> str:
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{channel}'


def property_path(name: str) -> str:
    """Of an object's own custom property."""
    return f'["{bpy.utils.escape_identifier(name)}"]'


def write_keys(
    rig: bpy.types.Object, action_name: str, curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    interpolation: str = "BEZIER",
) -> bpy.types.Action:  # fmt: skip
    """Puts keys into a new action of the rig; an action it had before stays in the file.

    Args:
        curves: {(bone's name, channel such as "location"): (frames (N,), values (N, width of the channel))}.
        interpolation: of every key: BEZIER (eased), LINEAR or CONSTANT.
    """
    _keep_action(rig)
    action = bpy.data.actions.new(action_name)
    bag = compat.new_fcurves(rig, action)
    groups = {bone: bag.groups.new(bone) for bone in dict.fromkeys(bone for bone, _ in curves)}
    for (bone, channel), (frames, values) in curves.items():
        for axis, column in enumerate(np.asarray(values, np.float32).T):
            curve = bag.fcurves.new(bone_path(bone, channel), index=axis)
            curve.group = groups[bone]
            _fill(curve, np.asarray(frames, np.float32), column, interpolation)
    return action


def replace_range(
    rig: bpy.types.Object, action_name: str, curves: Iterable[Curve], owned: Callable[[str], bool],
    first: float, last: float,
) -> tuple[bpy.types.Action, list[str]]:  # fmt: skip
    """A copy of the rig's action whose owned channels hold the new keys from `first` to `last`.

    Keys outside, other channels, and the action the rig had before stay as they were. Locked channels are left alone.

    Args:
        owned: whether the keys of a data path are replaced; all curves given are.

    Returns:
        The new action, and the data paths that are locked.
    """
    _keep_action(rig)
    bag = compat.copied_fcurves(rig, action_name)
    new = {(curve.path, curve.index): curve for curve in curves}
    locked: list[str] = []
    for fcurve in list(bag.fcurves):
        place = (fcurve.data_path, fcurve.array_index)
        if place not in new and not owned(fcurve.data_path):
            continue
        if fcurve.lock or (fcurve.group is not None and fcurve.group.lock):
            locked.append(fcurve.data_path)
            new.pop(place, None)
            continue
        kept = _without(_read(fcurve), first, last)
        if place in new:
            _write(fcurve, _joined(kept, _as_arrays(new.pop(place).keys)))
        elif len(kept["co"]):
            _write(fcurve, _joined(kept, _at_rest(first, last)))
        else:
            bag.fcurves.remove(fcurve)
    for curve in new.values():
        fcurve = bag.fcurves.new(curve.path, index=curve.index)
        fcurve.group = bag.groups.get(curve.group) or bag.groups.new(curve.group)
        _write(fcurve, _as_arrays(curve.keys))
    return rig.animation_data.action, list(dict.fromkeys(locked))


def locked_notes(paths: Sequence[str]) -> list[str]:
    """What to tell of the data paths that `replace_range` left alone: a sentence, or nothing."""
    if not paths:
        return []
    were = (
        "1 locked channel was left as it is"
        if len(paths) == 1
        else f"{len(paths)} locked channels were left as they are"
    )
    return [f"{were}: {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}."]


def _keep_action(rig: bpy.types.Object) -> None:
    before = rig.animation_data.action if rig.animation_data else None
    if before is not None and before.library is None:
        before.use_fake_user = True


def _fill(curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray, interpolation: str) -> None:
    keys = curve.keyframe_points
    keys.add(len(frames))
    keys.foreach_set("co", np.column_stack((frames, values)).ravel())
    keys.foreach_set("interpolation", np.full(len(frames), _enum("interpolation", interpolation), np.int32))
    curve.update()


def _enum(name: str, item: str) -> int:
    return int(bpy.types.Keyframe.bl_rna.properties[name].enum_items[item].value)


def _read(curve: bpy.types.FCurve) -> dict[str, np.ndarray]:
    keys, arrays = curve.keyframe_points, {}
    for name, width in _FLOATS.items():
        values = np.empty(len(keys) * width, np.float32)
        keys.foreach_get(name, values)
        arrays[name] = values.reshape(-1, width)
    for name in _ENUMS:
        arrays[name] = np.empty(len(keys), np.int32)
        keys.foreach_get(name, arrays[name])
    return arrays


def _write(curve: bpy.types.FCurve, arrays: dict[str, np.ndarray]) -> None:
    keys = curve.keyframe_points
    keys.clear()
    keys.add(len(arrays["co"]))
    for name in (*_ENUMS, *_FLOATS):
        keys.foreach_set(name, arrays[name].ravel())
    curve.update()


def _as_arrays(keys: Keys) -> dict[str, np.ndarray]:
    """Aligned handles where the curve passes a key smoothly, free ones where it does not."""
    co = np.column_stack((keys.frames, keys.values)).astype(np.float32)
    into, out_of = co - keys.left, keys.right - co
    turn = np.abs(into[:, 0] * out_of[:, 1] - into[:, 1] * out_of[:, 0])
    kind = np.where(turn <= _ALIGNED_SHARE, _enum("handle_left_type", "ALIGNED"), _enum("handle_left_type", "FREE"))
    return {
        "co": co, "handle_left": keys.left.astype(np.float32), "handle_right": keys.right.astype(np.float32),
        "interpolation": np.full(len(co), _enum("interpolation", "BEZIER"), np.int32),
        "easing": np.full(len(co), _enum("easing", "AUTO"), np.int32),
        "handle_left_type": kind.astype(np.int32), "handle_right_type": kind.astype(np.int32),
    }  # fmt: skip


def _at_rest(first: float, last: float) -> dict[str, np.ndarray]:
    """Two keys of 0: what a channel does over a range in which nothing moves it."""
    frames = np.array((first, last) if last > first else (first,))
    values, side = np.zeros(len(frames)), np.array((1.0, 0.0))
    co = np.column_stack((frames, values))
    return _as_arrays(Keys(frames, values, co - side, co + side))


def _without(arrays: dict[str, np.ndarray], first: float, last: float) -> dict[str, np.ndarray]:
    outside = (arrays["co"][:, 0] < first) | (arrays["co"][:, 0] > last)
    return {name: values[outside] for name, values in arrays.items()}


def _joined(*parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["co"][:, 0], kind="stable")
    return {name: values[order] for name, values in joined.items()}


def sampled(curve: Any) -> tuple[np.ndarray, np.ndarray]:
    """A curve's whole frames from its first key to its last, and its value on each."""
    first, last = (round(key.co[0]) for key in (curve.keyframe_points[0], curve.keyframe_points[-1]))
    frames = np.arange(first, last + 1)
    return frames, np.array([curve.evaluate(frame) for frame in frames])


def breaks_of(curve: Any) -> Sequence[int]:
    """Indices into `sampled` at which the curve steps: after keys that hold their value."""
    keys, first = curve.keyframe_points, round(curve.keyframe_points[0].co[0])
    pairs = itertools.pairwise(keys)
    steps = [round(b.co[0]) - first for a, b in pairs if a.interpolation == "CONSTANT"]
    return sorted({step for step in steps if step > 0})
