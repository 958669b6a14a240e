# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the 70 points follow sliders and handles: hidden bones with drivers that Blender evaluates itself.

Three layers, each a bone of its own, so that every value can be seen and used by other drivers:

- ``SUM-<channel>``: its X location is the weight of a channel: a slider and the handles that pull it, added up.
- ``MCH-<point>``: moves the point by the sum of all weights times their offsets, on the face's own axes.
- ``MCH-guard-<point>``: lids and lips give way before they cross (`blender_addon.rig.blendshapes.Guard`).

A point's own bone is a child of the last of them: its own keys come on top. Blender evaluates all these expressions
without Python, so that they are fast and run where scripts are not allowed. A handle is a child of
``MCH-ride-<handle>``, which moves with the face where the handle rides on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import bpy
import numpy as np
from portrait_shared.landmarks import NAMES

from ..curves.rig_curves import drivers_of
from .blendshapes import ARKIT_NAMES, DESCRIPTIONS, GUARDS, shape_offsets, split_offsets
from .handles import (
    CHANNELS,
    GAZE_FORWARD,
    GAZE_MEETS,
    GAZE_TRAVEL,
    HANDLES,
    LIMIT,
    SPLIT,
    Handle,
    Pull,
    RigFrame,
    property_of,
)

LIMITS_PROPERTY: Final = "limits"
MECHANISM_PREFIXES: Final = ("MCH-", "SUM-")
_LEAST_SHARE = 5e-4  # of the distance between the eye corners: a smaller move is below what an eye sees
_LONGEST_EXPRESSION = 255  # of Blender's driver
_LETTERS = "abcdefghijklmnopqrstuvwxyABCDEFGHIJKMNOPQRSTUVWXYZ"  # without L and z: the limits, the gaze's depth
_AIMED, _GAZE = "eyeLook", "gaze"
_INWARDS = {"eyeLookIn": 1.0, "eyeLookOut": -1.0}

_Source = str | tuple[str, int]
"""What a driver reads of the rig: a data path, or a bone's place on one of its axes after its constraints."""


def channel_offsets(frame: RigFrame) -> dict[str, np.ndarray]:
    """What each channel at weight 1 moves the points by: (70, 3) metres right, up and out of the face."""
    offsets: dict[str, np.ndarray] = {}
    for name, pixels in shape_offsets(frame.points).items():
        if name in SPLIT:
            offsets[f"{name}Left"], offsets[f"{name}Right"] = map(frame.in_face, split_offsets(pixels))
        else:
            offsets[name] = frame.in_face(pixels)
    return offsets


def sum_bone(channel: str) -> str:
    return f"SUM-{channel}"


def mover_bone(point: int) -> str:
    return f"MCH-{NAMES[point]}"


def guard_bone(point: int) -> str:
    return f"MCH-guard-{NAMES[point]}"


def ride_bone(handle: Handle) -> str:
    return f"MCH-ride-{handle.name}"


GUARDED: Final = tuple(dict.fromkeys(point for guard in GUARDS for point in guard.moves()))


def add_properties(rig: bpy.types.Object) -> None:
    """The 52 sliders and the limits' switch; values that are there stay."""
    for name in ARKIT_NAMES:
        if not isinstance(rig.get(name), (float, int)):
            rig[name] = 0.0
        rig[name] = float(rig[name])
        # The property may go beyond the slider's 0 to 1, which counts where the limits are lifted.
        rig.id_properties_ui(name).update(
            min=-1.0, max=2.0, soft_min=0.0, soft_max=1.0, default=0.0, step=1.0, precision=3,
            description=DESCRIPTIONS[name].removesuffix("."),
        )  # fmt: skip
        rig.property_overridable_library_set(f'["{name}"]', True)
    if LIMITS_PROPERTY not in rig:
        rig[LIMITS_PROPERTY] = True
        rig.id_properties_ui(LIMITS_PROPERTY).update(
            default=True, description="Keep sliders and handles within what a face can do"
        )
        rig.property_overridable_library_set(f'["{LIMITS_PROPERTY}"]', True)


def add_drivers(rig: bpy.types.Object, frame: RigFrame) -> None:
    """Drives the mechanism's bones, which must be there; replaces the drivers that they had."""
    remove_drivers(rig)
    offsets = channel_offsets(frame)
    for channel in CHANNELS:
        _drive_sum(rig, channel, frame)
    for point in range(len(NAMES)):
        terms = {_weight_path(channel): moved[point] for channel, moved in offsets.items()}
        _drive_location(rig, mover_bone(point), terms, frame.unit)
    for handle in HANDLES.values():
        if handle.rides:
            own = {channel for pull in handle.pulls for channel in pull.channels}
            terms = {}
            for channel, moved in offsets.items():
                # A handle that went along with what it pulls itself would go twice as far.
                path = f'["{property_of(channel)}"]' if channel in own else _weight_path(channel)
                terms[path] = terms.get(path, 0.0) + moved[list(handle.anchors)].mean(0)
            _drive_location(rig, ride_bone(handle), terms, frame.unit)
        if not handle.aims:
            limit = rig.pose.bones[handle.name].constraints[LIMIT]
            _driver(limit, "influence", -1, {"L": f'["{LIMITS_PROPERTY}"]'}, "L")
    _drive_guards(rig, frame)


def remove_drivers(rig: bpy.types.Object) -> None:
    """Takes the mechanism's own drivers away, and no others."""
    for curve in drivers_of(rig):
        of_mechanism = any(curve.data_path.startswith(f'pose.bones["{prefix}') for prefix in MECHANISM_PREFIXES)
        if of_mechanism or curve.data_path.endswith(f'].constraints["{LIMIT}"].influence'):
            rig.animation_data.drivers.remove(curve)


def _drive_sum(rig: bpy.types.Object, channel: str, frame: RigFrame) -> None:
    unit = frame.unit
    variables: dict[str, _Source] = {"L": f'["{LIMITS_PROPERTY}"]', "p": f'["{property_of(channel)}"]'}
    letters = (letter for letter in _LETTERS if letter != "p")
    terms: list[str] = []
    for handle, pull in _pulls_of(channel):
        letter = next(letters)
        variables[letter] = (handle.name, pull.axis) if handle.aims else location_path(handle.name, pull.axis)
        terms.append(f"{letter}*{_number(pull.sign * pull.channels[channel] / (pull.travel * unit))}")
    if channel.startswith(_AIMED):
        # The handle of both eyes and that of each eye are added up before left and right, up and down are told apart.
        # A target farther before the face turns the eyes less, and each from its own place: a near one brings them together.
        variables["z"] = (_GAZE, 2)
        inwards = _INWARDS.get(channel.removesuffix("Left").removesuffix("Right"), 0.0)
        inwards *= frame.pupils_apart / 2 / GAZE_TRAVEL
        if abs(inwards) > _LEAST_SHARE:
            ends = f"{_number(GAZE_FORWARD * unit)},{_number(GAZE_MEETS * unit)}"
            terms.append(f"{_number(inwards)}*smoothstep({ends},z)")
        summed = "+".join(terms).replace("+-", "-")
        terms = [f"({summed})/max(1,z*{_number(1 / (GAZE_FORWARD * unit))})"]
    pulled = "".join(f"+max(0,{term})" for term in terms)
    _driver(rig.pose.bones[sum_bone(channel)], "location", 0, variables, f"clamp(p{pulled},9*L-9,10-9*L)")


def _pulls_of(channel: str) -> Iterator[tuple[Handle, Pull]]:
    for handle in HANDLES.values():
        for pull in handle.pulls:
            if channel in pull.channels:
                yield handle, pull


def _drive_location(rig: bpy.types.Object, bone: str, terms: Mapping[str, np.ndarray], unit: float) -> None:
    """`terms`: {data path: (3,) metres at value 1}."""
    for axis in range(3):
        kept = [(path, moved[axis]) for path, moved in terms.items() if abs(moved[axis]) > _LEAST_SHARE * unit]
        if kept:
            variables = {letter: path for letter, (path, _) in zip(_LETTERS, kept, strict=False)}
            expression = "+".join(
                f"{letter}*{_number(factor)}" for letter, (_, factor) in zip(_LETTERS, kept, strict=False)
            )
            _driver(rig.pose.bones[bone], "location", axis, variables, expression.replace("+-", "-"))


def _drive_guards(rig: bpy.types.Object, frame: RigFrame) -> None:
    heights = frame.in_face(frame.points)[:, 1]
    for guard in GUARDS:
        gap = max(0.0, heights[guard.upper] - heights[guard.lower])
        variables = {
            letter: location_path(mover_bone(point), 1) for letter, point in (("a", guard.upper), ("b", guard.lower))
        }
        for point, share in guard.moves().items():
            expression = f"{share:g}*max(0,b-a-{gap:.7f})"
            _driver(rig.pose.bones[guard_bone(point)], "location", 1, variables, expression)


def location_path(bone: str, axis: int) -> str:
    return f'pose.bones["{bone}"].location[{axis}]'


def _weight_path(channel: str) -> str:
    return location_path(sum_bone(channel), 0)


def _number(value: float) -> str:
    """Six decimals below 1 and four above, without an exponent: a driver's expression must be short."""
    text = f"{value:.6f}" if abs(value) < 1 else f"{value:.4f}"
    return text.rstrip("0").replace("0.", ".", 1) if abs(value) < 1 else text


def _driver(
    owner: bpy.types.bpy_struct, channel: str, axis: int, variables: Mapping[str, str], expression: str
) -> None:
    if len(expression) > _LONGEST_EXPRESSION:
        raise ValueError(f"Blender would cut the driver of {owner}: {expression}")
    curve = owner.driver_add(channel, axis)
    for modifier in list(curve.modifiers):
        curve.modifiers.remove(modifier)
    driver = curve.driver
    driver.type = "SCRIPTED"
    for name, source in variables.items():
        variable = driver.variables.new()
        variable.name = name
        if isinstance(source, str):
            variable.type = "SINGLE_PROP"
            variable.targets[0].id, variable.targets[0].data_path = owner.id_data, source
        else:
            variable.type = "TRANSFORMS"
            target = variable.targets[0]
            target.id, target.bone_target = owner.id_data, source[0]
            target.transform_type, target.transform_space = f"LOC_{'XYZ'[source[1]]}", "LOCAL_SPACE"
    driver.expression = expression
