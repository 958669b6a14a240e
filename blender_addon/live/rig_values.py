# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses onto a rig without keys, and what it was set to before, put back.

What it was is written into the rig itself, as long as it is driven. So it comes with every step of undo and into every
file that is saved meanwhile, and whoever meets a rig that nothing drives any more can put it back.
"""

from __future__ import annotations

import json
import math
from typing import Final

import bpy
import numpy as np

from ..capture.head_pose import PIXELS_TO_HEAD
from ..curves.rig_curves import property_path
from ..plane.plane_space import PlaneSpace
from ..rig import head_turns
from ..rig.armature import HEAD_BONE
from ..rig.rig_keys import driven
from .pose import Pose

_BEFORE: Final = "portrait_before_live"
_HEAD: Final = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle")
_WIDTHS: Final = (3, 3, 4, 4)


def write(rig: bpy.types.Object, space: PlaneSpace, pose: Pose, face: bool = True, head: bool = True) -> bool:
    """Sets the rig to a pose; whether anything of it changed. Sliders that drivers set, and those that the rig lacks, are
    left alone; keys stay, and count again once the frame is evaluated anew.

    Args:
        face, head: whether each of them is set.
    """
    values = _changed_sliders(rig, pose) if face else {}
    turns = _changed_head(rig, space, pose) if head else {}
    if not values and not turns:
        return False
    _remember(rig, values, bool(turns))
    for name, value in values.items():
        rig[name] = value
    for channel, numbers in turns.items():
        setattr(rig.pose.bones[HEAD_BONE], channel, numbers)
    rig.update_tag(refresh={"OBJECT"})  # without TIME: keys would be evaluated, and take the values back
    return True


def _changed_sliders(rig: bpy.types.Object, pose: Pose) -> dict[str, float]:
    wanted = {name: value for name, value in pose.sliders.items() if math.isfinite(value) and _is_number(rig.get(name))}
    changed = {name: value for name, value in wanted.items() if rig[name] != value}
    if not changed:
        return changed
    skipped = driven(rig)
    return {name: value for name, value in changed.items() if property_path(name) not in skipped}


def _changed_head(rig: bpy.types.Object, space: PlaneSpace, pose: Pose) -> dict[str, tuple[float, ...]]:
    """The head handle's channels that change, with their values."""
    bone = rig.pose.bones.get(HEAD_BONE)
    found: dict[str, tuple[float, ...]] = {}
    if bone is None:
        return found
    if pose.angles is not None and np.isfinite(pose.angles).all():
        path, _ = head_turns.turn_channel(rig)
        found[path.rpartition(".")[2]] = tuple(head_turns.turn_values(rig, np.atleast_2d(pose.angles))[0].tolist())
    if pose.moves is not None and np.isfinite(pose.moves).all():
        found["location"] = tuple((PIXELS_TO_HEAD @ pose.moves * space.metres_per_pixel).tolist())
    return {channel: values for channel, values in found.items() if not _same(getattr(bone, channel), values)}


def _same(there: object, values: tuple[float, ...]) -> bool:
    return bool((np.array(there, np.float32) == np.array(values, np.float32)).all())


def put_back(rig: bpy.types.Object) -> bool:
    """Sets the rig to what it was before it was driven, and lets its keys count; whether it had been driven."""
    before = _before(rig)
    if before is None:
        return False
    sliders, head = before
    for name, value in sliders.items():
        if _is_number(rig.get(name)):
            rig[name] = value
    bone = rig.pose.bones.get(HEAD_BONE) if rig.pose is not None else None
    for channel, values in head.items() if bone is not None else ():
        setattr(bone, channel, values)
    del rig[_BEFORE]
    rig.update_tag(refresh={"OBJECT", "TIME"})
    return True


def is_driven(rig: bpy.types.Object) -> bool:
    """Whether a live performance has set it, and nothing has put it back."""
    return _BEFORE in rig


def value_before(rig: bpy.types.Object, name: str) -> float:
    """What a slider was set to before it was driven; what it is set to where it is not driven."""
    before = _before(rig)
    value = before[0].get(name, rig.get(name)) if before is not None else rig.get(name)
    return float(value) if _is_number(value) else 0.0


def head_before(rig: bpy.types.Object, channel: str) -> tuple[float, ...]:
    """As `value_before`, of a channel of the head handle."""
    before = _before(rig)
    now = tuple(getattr(rig.pose.bones[HEAD_BONE], channel))
    return before[1].get(channel, now) if before is not None else now


def _remember(rig: bpy.types.Object, values: dict[str, float], head: bool) -> None:
    sliders, turned = _before(rig) or ({}, {})
    new = {name: float(rig[name]) for name in values if name not in sliders}
    if head and not turned:
        turned = {channel: tuple(getattr(rig.pose.bones[HEAD_BONE], channel)) for channel in _HEAD}
    elif not new and _BEFORE in rig:
        return
    rig[_BEFORE] = json.dumps({"sliders": {**sliders, **new}, "head": turned})


def _before(rig: bpy.types.Object) -> tuple[dict[str, float], dict[str, tuple[float, ...]]] | None:
    """As it was written; a text that another program has changed counts as far as it can be read."""
    text = rig.get(_BEFORE)
    if not isinstance(text, str):
        return None
    try:
        told = json.loads(text)
        sliders = {str(name): float(value) for name, value in told["sliders"].items()}
        head = {name: tuple(map(float, told["head"][name])) for name in _HEAD if name in told["head"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
    widths = dict(zip(_HEAD, _WIDTHS, strict=True))
    return sliders, {name: values for name, values in head.items() if len(values) == widths[name]}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
