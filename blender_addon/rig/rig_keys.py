# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the rig is keyed together: the whole face, its parts, the head; and keys on all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import bpy
from portrait_shared.landmarks import GROUPS, NAMES

from ..blender import compat
from ..curves.rig_curves import (
    SLIDER_GROUP,
    Curve,
    bone_of,
    bone_path,
    drivers_of,
    property_path,
    replace_range,
    resting,
    value_now,
)
from . import head_turns
from .armature import HEAD_BONE
from .blendshapes import ARKIT_NAMES, REGIONS
from .body_sliders import BODY_SLIDERS, USUAL_BODY
from .handles import HANDLES, property_of
from .replaced_sliders import NOTHING_REPLACED

Channel = tuple[str, int, str]
"""A data path, its index (-1 for all of a property's values), and the group of its curves."""

PARTS: Final[dict[str, tuple[str, str]]] = {
    "ALL": ("Whole Face", "Key all sliders, handles and the head, and the points that were moved"),
    "MOUTH": ("Mouth and Jaw", "Key the sliders, handles and moved points of mouth and jaw"),
    "EYES": ("Eyes", "Key the sliders, handles and moved points of the eyes, and the gaze"),
    "BROWS": ("Brows", "Key the sliders, handles and moved points of the brows"),
    "CHEEKS": ("Cheeks and Nose", "Key the sliders and moved points of cheeks and nose"),
    "HEAD": ("Head", "Key where the head is, how it is turned, and its size"),
    "BODY": ("Shoulders and Breath", "Key the sliders of shoulders and breath"),
}
"""{part: (label, description)} of what Key All keys."""
_REGIONS: Final = {
    "MOUTH": ("Mouth", "Jaw"), "EYES": ("Eyes",), "BROWS": ("Brows",), "CHEEKS": ("Cheeks and Nose",),
}  # fmt: skip
_POINTS: Final = {
    "MOUTH": ("jaw", "outer_lip", "inner_lip"), "EYES": ("right_eye", "left_eye", "right_pupil", "left_pupil"),
    "BROWS": ("right_brow", "left_brow"), "CHEEKS": ("nose_bridge", "nose_base"),
}  # fmt: skip
_DIFFERS = 1e-6


def channels(rig: bpy.types.Object, part: str) -> list[Channel]:
    """What the rig has of a part: sliders, handles, and those points that are moved or keyed."""
    if part == "ALL":
        return [channel for each in PARTS if each != "ALL" for channel in channels(rig, each)]
    if part == "HEAD":
        turn, _ = head_turns.turn_channel(rig)
        paths = (bone_path(HEAD_BONE, "location"), turn, bone_path(HEAD_BONE, "scale"))
        return [(path, -1, HEAD_BONE) for path in paths] if HEAD_BONE in rig.pose.bones else []
    if part == "BODY":
        return [(property_path(name), -1, SLIDER_GROUP) for name in (*BODY_SLIDERS, *NOTHING_REPLACED) if name in rig]
    sliders = [name for region in _REGIONS[part] for name in REGIONS[region] if name in rig]
    handles = [name for name in HANDLES if _part_of(name) == part and name in rig.pose.bones]
    numbers = [number for group in _POINTS[part] for number in GROUPS[group]]
    keyed = {curve.data_path for curve in compat.fcurves_of(rig)}
    points = [NAMES[number] for number in numbers if _is_used(rig, NAMES[number], keyed)]
    return [
        *((property_path(name), -1, SLIDER_GROUP) for name in sliders),
        *((bone_path(name, "location"), -1, name) for name in (*handles, *points)),
    ]


def _part_of(handle: str) -> str:
    """The part of the face that a handle belongs to: that of the slider which it pulls first."""
    pulled = property_of(next(iter(HANDLES[handle].pulls[0].channels)))
    return next(part for part, regions in _REGIONS.items() if any(pulled in REGIONS[region] for region in regions))


def _is_used(rig: bpy.types.Object, point: str, keyed: set[str]) -> bool:
    bone = rig.pose.bones.get(point)
    return bone is not None and (any(bone.location) or bone_path(point, "location") in keyed)


def driven(rig: bpy.types.Object) -> set[str]:
    """The data paths that drivers set: a key there would do nothing."""
    return {curve.data_path for curve in drivers_of(rig)}


def insert(rig: bpy.types.Object, wanted: Sequence[Channel], frame: float) -> tuple[int, list[str]]:
    """Keys channels as they are, on one frame, as Insert Keyframe does; driven ones are left out.

    Returns:
        How many were keyed, and the names of those that are locked.
    """
    skipped = driven(rig)
    locked: list[str] = []
    count = 0
    for path, index, group in wanted:
        if path in skipped:
            continue
        if compat.insert_key(rig, path, index=index, frame=frame, group=group):
            count += 1
        else:
            locked.append(name_of(path))
    return count, locked


def name_of(path: str) -> str:
    """A channel in words: a slider's name, or “location of head”."""
    bone = bone_of(path)
    return f"{path.rpartition('.')[2].partition('_')[0]} of {bone}" if bone else path[2:-2]


def unkeyed_sliders(rig: bpy.types.Object, frame: float) -> list[Channel]:
    """Sliders that are set to something else than their curves give at a frame; it would be lost on the next one."""
    curves = {curve.data_path: curve for curve in compat.fcurves_of(rig)}
    skipped = driven(rig)
    usual = dict.fromkeys(ARKIT_NAMES, 0.0) | USUAL_BODY | NOTHING_REPLACED
    usual_values = {property_path(name): value for name, value in usual.items() if name in rig}
    return [
        (path, -1, SLIDER_GROUP)
        for path, usual in usual_values.items()
        if path not in skipped and abs(_value(rig, path) - _held(curves.get(path), frame, usual)) > _DIFFERS
    ]


def _value(rig: bpy.types.Object, path: str) -> float:
    return float(value_now(rig, path, 0) or 0.0)


def _held(curve: bpy.types.FCurve | None, frame: float, usual: float) -> float:
    return curve.evaluate(frame) if curve is not None and not compat.is_muted(curve) else usual


def key_whole_rig(
    rig: bpy.types.Object, action_name: str, curves: Sequence[Curve], turn: tuple[str, int], first: float, last: float
) -> bpy.types.Action:
    """Keys that are all that moves the rig from `first` to `last`; the frames outside stay as they were.

    Args:
        turn: the data path that turns the head and its number of values, see `head_turns`.
    """
    given = {(curve.path, curve.index) for curve in curves}
    whole = [channel for channel in all_channels(turn) if channel[:2] not in given]
    owned = {path for path, _, _ in whole}
    written = [*curves, *resting(rig, whole, first, last)]
    action, _ = replace_range(rig, action_name, written, owned.__contains__, first, last)
    return action


def all_channels(turn: tuple[str, int]) -> Iterator[Channel]:
    """Each value of the face, whether the rig has it or not.

    Args:
        turn: as `key_whole_rig`.
    """
    for name in ARKIT_NAMES:
        yield property_path(name), 0, SLIDER_GROUP
    for name in (HEAD_BONE, *HANDLES, *NAMES):
        yield from ((bone_path(name, "location"), axis, name) for axis in range(3))
    yield from ((bone_path(HEAD_BONE, "scale"), axis, HEAD_BONE) for axis in range(3))
    yield from ((turn[0], axis, HEAD_BONE) for axis in range(turn[1]))
