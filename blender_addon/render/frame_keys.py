# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames an edit touches, told from the rig's curves: without changing the frame, which costs far more.

A frame's key is a hash of all that can move the rig at that frame. Frames with equal keys have equal points, so
that only frames whose key is new have to be sampled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ..blender import compat
from ..blender.scene_time import stretch
from ..curves.rig_curves import drivers_of
from ..plane.plane_space import PlaneSpace
from ..rig.armature import rest_points
from ..rig.sampling import POSE_CHANNELS

_changes = 0


@dataclass(frozen=True)
class RigState:
    """All that moves the rig but its curves, at the time of asking.

    Attributes:
        digest: hash of the rest pose and of how the channels are read.
        moved_from_outside: whether more than its own curves moves it.
        stretch: see `scene_time.stretch`.
        values: (n,) float64, the pose and the sliders as they stand; 0 where a driver sets them.
        places: index into `values` of each channel: (“data” for the armature's, else empty; data path; index).
    """

    digest: bytes
    moved_from_outside: bool
    stretch: float
    values: np.ndarray
    places: Mapping[tuple[str, str, int], int]


def rig_state(scene: bpy.types.Scene, rig: bpy.types.Object, space: PlaneSpace) -> RigState:
    """Takes some milliseconds: to be kept until the rig changes."""
    names, values = _channels(rig)
    modes = [rig.rotation_mode, *(bone.rotation_mode for bone in rig.pose.bones)]
    still = hashlib.sha256(rest_points(rig, space).tobytes())
    still.update(repr((space, modes)).encode())
    still.update("\n".join(prefix + path for prefix, path, index in names if index == 0).encode())
    outside = is_moved_from_outside(rig)
    if outside:
        still.update(str(_changes).encode())
    return RigState(still.digest(), outside, stretch(scene), values, {name: at for at, name in enumerate(names)})


def frame_keys(rig: bpy.types.Object, state: RigState, frames: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Each frame with its key. A channel counts by its value alone, whether a curve gives that or it stands still."""
    curves, others = [], []
    for prefix, owner in (("", rig), ("data", rig.data)):
        for curve in compat.fcurves_of(owner):
            place = state.places.get((prefix, curve.data_path, curve.array_index))
            if not compat.is_muted(curve):
                (others if place is None else curves).append((place, curve))
    digest = state.digest + repr([(curve.data_path, curve.array_index) for _, curve in others]).encode()
    for frame in frames:
        key = hashlib.sha256(digest)
        at = frame * state.stretch
        values = state.values.copy()
        for place, curve in curves:
            values[place] = curve.evaluate(at)
        moved = values.nonzero()[0]  # few of thousands
        key.update(moved.tobytes())
        key.update(values[moved].tobytes())
        key.update(np.array([curve.evaluate(at) for _, curve in others], np.float64).tobytes())
        if state.moved_from_outside:
            key.update(str(at).encode())
        yield frame, key.digest()


def keys_of_photo(
    rigs: Sequence[bpy.types.Object], states: Sequence[RigState], frames: Iterable[int]
) -> Iterator[tuple[int, bytes]]:
    """As `frame_keys`, of all rigs that are rendered into one frame."""
    numbers = list(frames)
    for same in zip(*(frame_keys(rig, state, numbers) for rig, state in zip(rigs, states, strict=True)), strict=True):
        yield same[0][0], b"".join(key for _, key in same)


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
    return [curve for owner in (rig, rig.data) for curve in compat.fcurves_of(owner) if not compat.is_muted(curve)]


def _drivers(rig: bpy.types.Object) -> list[bpy.types.FCurve]:
    return [*drivers_of(rig), *drivers_of(rig.data)]


def _channels(rig: bpy.types.Object) -> tuple[list[tuple[str, str, int]], np.ndarray]:
    """All channels of the pose and the sliders, see `RigState.places`, and (n,) float64 of what they are now."""
    driven = {
        (prefix, curve.data_path, curve.array_index)
        for prefix, owner in (("", rig), ("data", rig.data))
        for curve in drivers_of(owner)
    }
    names: list[tuple[str, str, int]] = []
    values: list[float] = []
    bones = rig.pose.bones
    paths = [f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]' for bone in bones]
    for channel, width in POSE_CHANNELS.items():
        names += [("", channel, axis) for axis in range(width)]
        values.extend(getattr(rig, channel))
        pose = np.empty(len(bones) * width, np.float32)
        bones.foreach_get(channel, pose)
        names += [("", f"{path}.{channel}", axis) for path in paths for axis in range(width)]
        values += pose.tolist()
    owners = [("", "", rig), ("data", "", rig.data), *(("", *pair) for pair in zip(paths, bones, strict=True))]
    for prefix, start, owner in owners:
        for name, value in owner.items():
            if isinstance(value, (bool, int, float)):
                names.append((prefix, f'{start}["{bpy.utils.escape_identifier(name)}"]', 0))
                values.append(float(value))
    still = [0.0 if name in driven else value for name, value in zip(names, values, strict=True)]
    return names, np.array(still, np.float64)


def _targets(constraint: bpy.types.Constraint) -> list[bpy.types.ID | None]:
    return [getattr(constraint, "target", None), *(each.target for each in getattr(constraint, "targets", ()))]
