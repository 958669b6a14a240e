# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes whole curves of keys onto a rig at once."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bpy
import numpy as np

from . import compat
from .capture.reduce import Keys
from .curve_edges import Arrays, Before, Kinds, framed, joined

_FLOATS: Final = {"co": 2, "handle_left": 2, "handle_right": 2, "amplitude": 1, "back": 1, "period": 1}
_ENUMS: Final = ("interpolation", "easing", "handle_left_type", "handle_right_type", "type")
_EASING: Final = {"amplitude": 0.8, "back": 1.70158, "period": 4.1}  # of a key that a user sets in Blender
_ALIGNED_SHARE = 1e-4
_HANDLE_MOVED = 1e-6
_BONE = re.compile(r'^pose\.bones\["((?:[^"\\]|\\.)*)"\]\.')
SLIDER_GROUP: Final = "Face Controls"
"""Under which name the editors show the sliders' curves, whoever keyed them."""


@dataclass(frozen=True)
class Curve:
    """One F-curve to write.

    Attributes:
        path, index: which property it moves.
        group: under which name the editors show it.
        interpolation: of every key: BEZIER (eased), LINEAR or CONSTANT.
        automatic: Blender sets the handles, as for keys that a user sets; those of `keys` do not count.
    """

    path: str
    index: int
    group: str
    keys: Keys
    interpolation: str = "BEZIER"
    automatic: bool = False


def plain_keys(frames: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> Keys:
    """Keys with flat handles, for curves whose handles do not count."""
    co = np.column_stack((np.asarray(frames, np.float64), np.asarray(values, np.float64)))
    side = np.array((1.0, 0.0))
    return Keys(co[:, 0], co[:, 1], co - side, co + side)


def bone_path(bone: str, channel: str) -> str:
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{channel}'


def bone_of(path: str) -> str:
    """The bone that a channel's path names; nothing for a property of the object."""
    found = _BONE.match(path)
    return bpy.utils.unescape_identifier(found.group(1)) if found else ""


def property_path(name: str) -> str:
    """Of an object's own custom property."""
    return f'["{bpy.utils.escape_identifier(name)}"]'


def rest_value(path: str, index: int = 0) -> float:
    """What a channel of the rig is at rest: a place, a turn, a slider's weight or a size."""
    if path.endswith(".rotation_quaternion"):
        return float(index == 0)
    if path.endswith(".rotation_axis_angle"):
        return float(index == 2)
    return float(path.endswith(".scale"))


def value_now(rig: bpy.types.Object, path: str, index: int) -> float | None:
    """What a property is set to; None where the rig lacks it."""
    try:
        value = rig.path_resolve(path)
    except ValueError:
        return None
    return float(value) if isinstance(value, (bool, int, float)) else float(value[index])


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
    first: float, last: float, keep_outside: bool = True,
) -> tuple[bpy.types.Action, list[str]]:  # fmt: skip
    """A copy of the rig's action whose owned channels hold the new keys from `first` to `last`.

    The whole frames outside stay as they were, of curves with modifiers their keys alone; so do other channels, and
    the action the rig had before. Locked channels are left alone.

    Args:
        owned: whether the keys of a data path are replaced, by rest where `curves` lacks it; all curves given are.
        keep_outside: False lets the first and the last new value hold outside, where no old key does.

    Returns:
        The new action, and the data paths that are locked.
    """
    _keep_action(rig)
    bag = compat.copied_fcurves(rig, action_name)
    new = {(curve.path, curve.index): curve for curve in curves}
    locked: list[str] = []
    for fcurve in list(bag.fcurves):
        path, index = place = (fcurve.data_path, fcurve.array_index)
        if place not in new and not owned(path):
            continue
        curve = new.pop(place, None)
        if fcurve.lock or (fcurve.group is not None and fcurve.group.lock):
            locked.append(path)
            continue
        old, before = _read(fcurve), _before(rig, path, index, fcurve) if keep_outside else None
        arrays = _new_arrays(fcurve, curve or _at_rest(path, index, first, last))
        arrays = _framed(arrays, old, before, first, last)
        if curve is None and not len(fcurve.modifiers) and _says_nothing(arrays, rest_value(path, index), first, last):
            bag.fcurves.remove(fcurve)
            _set_value(rig, path, index, rest_value(path, index))
        else:
            _write_unbent(fcurve, arrays, old)
    for curve in new.values():
        before = _before(rig, curve.path, curve.index, None) if keep_outside else None
        fcurve = bag.fcurves.new(curve.path, index=curve.index)
        fcurve.group = bag.groups.get(curve.group) or bag.groups.new(curve.group)
        nothing = _blank(np.zeros((0, 2)))
        _write_unbent(fcurve, _framed(_new_arrays(fcurve, curve), nothing, before, first, last), nothing)
    return rig.animation_data.action, list(dict.fromkeys(locked))


def resting(rig: bpy.types.Object, channels: Iterable[tuple[str, int, str]], first: float, last: float) -> list[Curve]:
    """Curves at rest for channels, (path, index, group) each, that have no curve and are set to something else."""
    moved = {(curve.data_path, curve.array_index) for curve in compat.fcurves_of(rig)}
    return [
        _at_rest(path, index, first, last, group)
        for path, index, group in channels
        if (path, index) not in moved and value_now(rig, path, index) not in (None, rest_value(path, index))
    ]


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


def _read(curve: bpy.types.FCurve) -> Arrays:
    keys, arrays = curve.keyframe_points, {}
    for name, width in _FLOATS.items():
        values = np.empty(len(keys) * width, np.float32)
        keys.foreach_get(name, values)
        arrays[name] = values.reshape(-1, width) if width > 1 else values
    for name in _ENUMS:
        arrays[name] = np.empty(len(keys), np.int32)
        keys.foreach_get(name, arrays[name])
    return arrays


def _write(curve: bpy.types.FCurve, arrays: Arrays) -> None:
    keys = curve.keyframe_points
    keys.clear()
    keys.add(len(arrays["co"]))
    for name in (*_ENUMS, *_FLOATS):
        keys.foreach_set(name, arrays[name].ravel())
    curve.update()


def _write_unbent(curve: bpy.types.FCurve, arrays: Arrays, before: Arrays) -> None:
    """Writes, and lets Blender set no handle of an old key anew because there is another key beside it now."""
    free = _enum("handle_left_type", "FREE")
    arrays = {name: values.copy() for name, values in arrays.items()}
    old = np.isin(arrays["co"][:, 0], before["co"][:, 0])
    while True:
        _write(curve, arrays)
        now = _read(curve)
        bent = np.zeros(len(old), bool)
        for side in ("handle_left", "handle_right"):
            bent |= np.abs(now[side] - arrays[side]).max(axis=1, initial=0.0) > _HANDLE_MOVED
        bent &= old & ((arrays["handle_left_type"] != free) | (arrays["handle_right_type"] != free))
        if not bent.any():
            return
        arrays["handle_left_type"][bent] = arrays["handle_right_type"][bent] = free


def _new_arrays(fcurve: bpy.types.FCurve, curve: Curve) -> Arrays:
    """The new keys as they lie alone on their curve: what comes beside them bends none of their handles."""
    arrays = _as_arrays(curve.keys)
    if curve.interpolation != "BEZIER":
        arrays["interpolation"][:] = _enum("interpolation", curve.interpolation)
    if curve.automatic:
        arrays["handle_left_type"][:] = arrays["handle_right_type"][:] = _enum("handle_left_type", "AUTO_CLAMPED")
        _write(fcurve, arrays)
        arrays = _read(fcurve)
        edges, free = [0, -1], _enum("handle_left_type", "FREE")
        arrays["handle_left_type"][edges] = arrays["handle_right_type"][edges] = free
    return arrays


def _framed(arrays: Arrays, old: Arrays, before: Before | None, first: float, last: float) -> Arrays:
    """The new keys and those outside; also what keeps the frames outside as they were, where that is known."""
    if before is not None:
        kinds = Kinds(
            _enum("interpolation", "LINEAR"), _enum("interpolation", "CONSTANT"), _enum("type", "MOVING_HOLD")
        )
        return framed(arrays, before, first, last, kinds, _blank)
    outside = (old["co"][:, 0] < first) | (old["co"][:, 0] > last)
    return joined({name: values[outside] for name, values in old.items()}, arrays)


def _before(rig: bpy.types.Object, path: str, index: int, fcurve: bpy.types.FCurve | None) -> Before | None:
    """A channel as it is now; None where that is not known. Its curve may be written anew afterwards."""
    if fcurve is None or not len(fcurve.keyframe_points):
        value = value_now(rig, path, index)
        return None if value is None else Before(_blank(np.zeros((0, 2))), lambda frame: value)
    if len(fcurve.modifiers):
        return None
    keys = _read(fcurve)
    span = range(math.floor(keys["co"][0, 0]) - 2, math.ceil(keys["co"][-1, 0]) + 3)
    known = [fcurve.evaluate(frame) for frame in span]

    def value_at(frame: float) -> float:
        row = round(frame) - span.start
        if 0 <= row < len(known):
            return known[row]
        end, inward = (0, 1) if row < 0 else (len(known) - 1, -1)
        return known[end] + (known[end + inward] - known[end]) * inward * (row - end)

    return Before(keys, value_at, fcurve.extrapolation == "LINEAR")


def _says_nothing(arrays: Arrays, rest: float, first: float, last: float) -> bool:
    """Whether all is at rest, and no key outside is one that a user set."""
    frames, hold = arrays["co"][:, 0], _enum("type", "MOVING_HOLD")
    inside = (frames >= first) & (frames <= last)
    return bool((arrays["co"][:, 1] == rest).all() and (inside | (arrays["type"] == hold)).all())


def _set_value(rig: bpy.types.Object, path: str, index: int, value: float) -> None:
    """Of a property whose curve is gone; it would stay as the curve left it."""
    if value_now(rig, path, index) is None:
        return
    owner, _, name = path.rpartition(".")
    if owner:
        getattr(rig.path_resolve(owner), name)[index] = value
    else:
        rig[bpy.utils.unescape_identifier(path[2:-2])] = value


def _as_arrays(keys: Keys) -> Arrays:
    """Aligned handles where the curve passes a key smoothly, free ones where it does not."""
    co = np.column_stack((keys.frames, keys.values)).astype(np.float32)
    into, out_of = co - keys.left, keys.right - co
    turn = np.abs(into[:, 0] * out_of[:, 1] - into[:, 1] * out_of[:, 0])
    kind = np.where(turn <= _ALIGNED_SHARE, _enum("handle_left_type", "ALIGNED"), _enum("handle_left_type", "FREE"))
    interpolation = np.full(len(co), _enum("interpolation", "BEZIER"), np.int32)
    if keys.held is not None:
        interpolation[keys.held] = _enum("interpolation", "CONSTANT")
    return {
        "co": co, "handle_left": keys.left.astype(np.float32), "handle_right": keys.right.astype(np.float32),
        "interpolation": interpolation,
        "easing": np.full(len(co), _enum("easing", "AUTO"), np.int32),
        "handle_left_type": kind.astype(np.int32), "handle_right_type": kind.astype(np.int32),
        "type": np.full(len(co), _enum("type", "KEYFRAME"), np.int32),
        **{name: np.full(len(co), value, np.float32) for name, value in _EASING.items()},
    }  # fmt: skip


def _blank(co: np.ndarray) -> Arrays:
    return _as_arrays(plain_keys(co[:, 0], co[:, 1]))


def _at_rest(path: str, index: int, first: float, last: float, group: str = "") -> Curve:
    """What a channel does over a range in which nothing moves it."""
    frames = np.array((first, last) if last > first else (first,))
    return Curve(path, index, group, plain_keys(frames, np.full(len(frames), rest_value(path, index))))


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
