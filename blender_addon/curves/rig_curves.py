# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes whole curves of keys onto a rig at once."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bpy
import numpy as np

from ..blender import compat
from .curve_arrays import (
    as_arrays,
    blank,
    enum,
    kinds,
    plain_keys,
    read,
    with_keys,
    without_modifiers,
    write,
    write_unbent,
)
from .curve_edges import Arrays, Before, framed, joined
from .reduce import Keys

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


def bone_path(bone: str, channel: str) -> str:
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{channel}'


def bone_of(path: str) -> str:
    """The bone that a channel's path names; nothing for a property of the object."""
    found = _BONE.match(path)
    return bpy.utils.unescape_identifier(found.group(1)) if found else ""


def property_path(name: str) -> str:
    """Of an object's own custom property."""
    return f'["{bpy.utils.escape_identifier(name)}"]'


def action_of(target: bpy.types.ID) -> bpy.types.Action | None:
    return target.animation_data.action if target.animation_data is not None else None


def drivers_of(target: bpy.types.ID) -> list[bpy.types.FCurve]:
    return list(target.animation_data.drivers) if target.animation_data is not None else []


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


def replace_range(
    rig: bpy.types.Object, action_name: str, curves: Iterable[Curve], owned: Callable[[str], bool],
    first: float, last: float, keep_outside: bool = True,
) -> tuple[bpy.types.Action, list[str]]:  # fmt: skip
    """A copy of the rig's action whose owned channels hold the new keys from `first` to `last`.

    The whole frames outside stay as they were, and so do other channels, and the action the rig had before. Locked
    channels are left alone. Where NLA strips alone moved the rig, they go on to do so outside; `key_notes.over_strips`
    tells where an action cannot leave that to them.

    Args:
        owned: whether the old keys of a data path are to go: where `curves` has none for it, rest takes their place.
        keep_outside: False lets the first and the last new value hold outside, where no old key does.

    Returns:
        The new action, and the data paths that are locked.
    """
    _keep_action(rig)
    if keep_outside and strips_play_outside(rig, first, last):
        # Keys that hold the present values outside would override the strips there.
        keep_outside, rig.animation_data.action_extrapolation = False, "NOTHING"
    bag = compat.copied_fcurves(rig, action_name)
    new = {(curve.path, curve.index): curve for curve in curves}
    locked: list[str] = []
    of_strips = moved_by_strips(rig)
    for fcurve in list(bag.fcurves):
        path, index = place = (fcurve.data_path, fcurve.array_index)
        if place not in new and not owned(path):
            continue
        curve = new.pop(place, None)
        if is_locked(fcurve):
            locked.append(path)
            continue
        with_keys(fcurve)
        old, before = read(fcurve), _before(rig, path, index, fcurve) if keep_outside else None
        arrays = _new_arrays(fcurve, curve or _at_rest(path, index, first, last))
        arrays = _framed(arrays, old, before, first, last)
        lies_bare = place not in of_strips and not len(fcurve.modifiers)
        if curve is None and lies_bare and _says_nothing(arrays, rest_value(path, index), first, last):
            bag.fcurves.remove(fcurve)
            _set_value(rig, path, index, rest_value(path, index))
        else:
            write_unbent(fcurve, arrays, old)
    for curve in new.values():
        before = _before(rig, curve.path, curve.index, None) if keep_outside else None
        fcurve = bag.fcurves.new(curve.path, index=curve.index)
        fcurve.group = bag.groups.get(curve.group) or bag.groups.new(curve.group)
        nothing = blank(np.zeros((0, 2)))
        write_unbent(fcurve, _framed(_new_arrays(fcurve, curve), nothing, before, first, last), nothing)
    return rig.animation_data.action, list(dict.fromkeys(locked))


def resting(rig: bpy.types.Object, channels: Iterable[tuple[str, int, str]], first: float, last: float) -> list[Curve]:
    """Curves at rest for channels, (path, index, group) each, that have no curve and are not at rest: set by hand, or moved by NLA strips."""
    moved = {(curve.data_path, curve.array_index) for curve in compat.fcurves_of(rig)}
    of_strips = moved_by_strips(rig)

    def is_moved(path: str, index: int) -> bool:
        value = value_now(rig, path, index)
        return value is not None and (value != rest_value(path, index) or (path, index) in of_strips)

    return [
        _at_rest(path, index, first, last, group)
        for path, index, group in channels
        if (path, index) not in moved and is_moved(path, index)
    ]


def is_locked(fcurve: bpy.types.FCurve) -> bool:
    return fcurve.lock or (fcurve.group is not None and fcurve.group.lock)


def nla_plays(rig: bpy.types.Object) -> bool:
    """Whether there are NLA strips that move the rig."""
    animation = rig.animation_data
    return (
        animation is not None
        and animation.use_nla
        and any(not track.mute and len(track.strips) for track in animation.nla_tracks)
    )


def moved_by_strips(rig: bpy.types.Object) -> set[tuple[str, int]]:
    """(path, index) of what NLA strips move: without keys over it, they do."""
    strips = [strip for track in rig.animation_data.nla_tracks for strip in track.strips] if nla_plays(rig) else []
    for strip in strips:
        strips.extend(strip.strips)  # those of a meta strip
    actions = {strip.action for strip in strips if strip.action is not None}
    return {(curve.data_path, curve.array_index) for action in actions for curve in compat.fcurves_in(action)}


def strips_play_outside(rig: bpy.types.Object, first: float, last: float) -> bool:
    """Whether the frames outside are the NLA's alone: the rig's action has no keys there, and is not held there."""
    if not nla_plays(rig):
        return False
    held = rig.animation_data.action_extrapolation != "NOTHING"
    frames = [frame for curve in compat.fcurves_of(rig) for frame in curve.range()]
    return not frames or (not held and first <= min(frames) and max(frames) <= last)


def _keep_action(rig: bpy.types.Object) -> None:
    """Lets the rig's action stay in the file when the rig gets another."""
    before = action_of(rig)
    if before is not None and before.library is None:
        before.use_fake_user = True


def _new_arrays(fcurve: bpy.types.FCurve, curve: Curve) -> Arrays:
    """The new keys as arrays; automatic handles are set before other keys come beside them, and then stay."""
    arrays = as_arrays(curve.keys)
    if curve.interpolation != "BEZIER":
        arrays["interpolation"][:] = enum("interpolation", curve.interpolation)
    if curve.automatic:
        arrays["handle_left_type"][:] = arrays["handle_right_type"][:] = enum("handle_left_type", "AUTO_CLAMPED")
        write(fcurve, arrays)
        arrays = read(fcurve)
        edges, free = [0, -1], enum("handle_left_type", "FREE")
        arrays["handle_left_type"][edges] = arrays["handle_right_type"][edges] = free
    return arrays


def _framed(arrays: Arrays, old: Arrays, before: Before | None, first: float, last: float) -> Arrays:
    """The new keys and those outside; also what keeps the frames outside as they were, where that is known."""
    if before is not None:
        return framed(arrays, before, first, last, kinds(), blank)
    outside = (old["co"][:, 0] < first) | (old["co"][:, 0] > last)
    return joined({name: values[outside] for name, values in old.items()}, arrays)


def _before(rig: bpy.types.Object, path: str, index: int, fcurve: bpy.types.FCurve | None) -> Before | None:
    """A channel as it is now; None where that is not known. Its curve may be written anew afterwards."""
    if fcurve is None or not len(fcurve.keyframe_points):
        value = value_now(rig, path, index)
        return None if value is None else Before(blank(np.zeros((0, 2))), lambda frame: value)
    keys = read(fcurve)
    span = range(math.floor(keys["co"][0, 0]) - 2, math.ceil(keys["co"][-1, 0]) + 3)
    with without_modifiers(fcurve):
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
    frames, hold = arrays["co"][:, 0], enum("type", "MOVING_HOLD")
    inside = (frames >= first) & (frames <= last)
    return bool((arrays["co"][:, 1] == rest).all() and (inside | (arrays["type"] == hold)).all())


def _set_value(rig: bpy.types.Object, path: str, index: int, value: float) -> None:
    """Sets a property whose curve was removed, which would else keep the value that the curve gave it last."""
    if value_now(rig, path, index) is None:
        return
    owner, _, name = path.rpartition(".")
    if owner:
        getattr(rig.path_resolve(owner), name)[index] = value
    else:
        rig[bpy.utils.unescape_identifier(path[2:-2])] = value


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
