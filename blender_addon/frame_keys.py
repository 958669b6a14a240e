# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames an edit touches, told from the rig's curves: without changing the frame, which costs far more.

A frame's key is a hash of all that can move the rig at that frame. Frames with equal keys have equal points, so
that only frames whose key is new have to be sampled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import compat
from .plane_space import PlaneSpace
from .rig import rest_points
from .sampling import POSE_CHANNELS
from .scene_time import stretch

_changes = 0
_BONE_PATH = re.compile(r'pose\.bones\["(.+)"\]\.(\w+)')


@dataclass(frozen=True)
class RigState:
    """All that moves the rig but its curves, at the time of asking.

    Attributes:
        digest: hash of the rest pose, the unkeyed pose and the sliders.
        moved_from_outside: whether more than its own curves moves it.
        stretch: see `scene_time.stretch`.
    """

    digest: bytes
    moved_from_outside: bool
    stretch: float


def rig_state(scene: bpy.types.Scene, rig: bpy.types.Object, space: PlaneSpace) -> RigState:
    """Takes some milliseconds: to be kept until the rig changes."""
    still = hashlib.sha256(rest_points(rig, space).tobytes())
    still.update(repr((space, _unkeyed(rig))).encode())
    outside = is_moved_from_outside(rig)
    if outside:
        still.update(str(_changes).encode())
    return RigState(still.digest(), outside, stretch(scene))


def frame_keys(rig: bpy.types.Object, state: RigState, frames: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Each frame with its key."""
    curves = _curves(rig)
    for frame in frames:
        key = hashlib.sha256(state.digest)
        at = frame * state.stretch
        key.update(np.array([curve.evaluate(at) for curve in curves], np.float64).tobytes())
        if state.moved_from_outside:
            key.update(str(at).encode())
        yield frame, key.digest()


def keys_outside(rig: bpy.types.Object, frames: range, stretch: float) -> list[int]:
    """Frames with keys that are not among those rendered, in order; keys that only hold a value do not count."""
    hold = bpy.types.Keyframe.bl_rna.properties["type"].enum_items["MOVING_HOLD"].value
    found: set[int] = set()
    for curve in _curves(rig):
        places = np.empty(2 * len(curve.keyframe_points), np.float32)
        kinds = np.empty(len(curve.keyframe_points), np.int32)
        curve.keyframe_points.foreach_get("co", places)
        curve.keyframe_points.foreach_get("type", kinds)
        found.update(np.round(places[::2][kinds != hold] / stretch).astype(int).tolist())
    return sorted(found - set(frames))


def note_change() -> None:
    """Something in the scene has changed: rigs that it may move get new keys."""
    global _changes
    _changes += 1


def changes() -> int:
    """How many changes were noted."""
    return _changes


def is_moved_from_outside(rig: bpy.types.Object) -> bool:
    """Whether more than its own curves moves a rig: constraints and drivers that look at other objects, the NLA."""
    animation = rig.animation_data
    if animation is not None and any(not track.mute for track in animation.nla_tracks):
        return True
    own = (None, rig, rig.data)
    constraints = [*rig.constraints, *(constraint for bone in rig.pose.bones for constraint in bone.constraints)]
    if any(target not in own for constraint in constraints for target in _targets(constraint)):
        return True
    return any(_looks_outside(driver.driver, own[1:]) for driver in _drivers(rig))


def _looks_outside(driver: bpy.types.Driver, own: tuple[bpy.types.ID, ...]) -> bool:
    if driver.type == "SCRIPTED" and "frame" in driver.expression:
        return True
    return any(
        not variable.targets or any(target.id not in own for target in variable.targets)
        for variable in driver.variables
    )


def _curves(rig: bpy.types.Object) -> list[bpy.types.FCurve]:
    return [curve for owner in (rig, rig.data) for curve in compat.fcurves_of(owner) if not curve.mute]


def _drivers(rig: bpy.types.Object) -> list[bpy.types.FCurve]:
    owners = (rig, rig.data)
    return [driver for owner in owners if owner.animation_data for driver in owner.animation_data.drivers]


def _unkeyed(rig: bpy.types.Object) -> list[tuple[str, Any]]:
    """The pose and the sliders that no curve and no driver moves."""
    moved = {(curve.data_path, curve.array_index) for curve in (*_curves(rig), *_drivers(rig))}
    bones = rig.pose.bones
    values: list[tuple[str, Any]] = [("modes", [rig.rotation_mode, *(bone.rotation_mode for bone in bones)])]
    pose = {}
    for channel, width in POSE_CHANNELS.items():
        pose[channel] = np.empty(len(bones) * width, np.float32)
        bones.foreach_get(channel, pose[channel])
        own = [0.0 if (channel, axis) in moved else value for axis, value in enumerate(getattr(rig, channel))]
        values.append((channel, own))
    for path, axis in moved:
        found = _BONE_PATH.fullmatch(path)
        if found is not None and found[2] in pose and (index := bones.find(found[1])) >= 0:
            pose[found[2]][index * POSE_CHANNELS[found[2]] + axis] = 0
    values.extend((f"bones {channel}", values_of.tobytes()) for channel, values_of in pose.items())
    for prefix, owner in (("", rig), ("data", rig.data), *((f'pose.bones["{bone.name}"]', bone) for bone in bones)):
        for name, value in owner.items():
            path = f'{prefix}["{bpy.utils.escape_identifier(name)}"]'
            if isinstance(value, (bool, int, float)) and (path, 0) not in moved:
                values.append((path, value))
    return values


def _targets(constraint: bpy.types.Constraint) -> list[bpy.types.ID | None]:
    return [getattr(constraint, "target", None), *(each.target for each in getattr(constraint, "targets", ()))]
