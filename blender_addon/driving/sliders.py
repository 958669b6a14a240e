# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys and custom properties with ARKit's names drive the portrait's sliders of the same names, by Blender's own
drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import bpy

from ..blender.problems import SceneError
from ..curves.rig_curves import drivers_of, property_path
from . import names
from .mechanism import DRIVEN, is_helper, slider_curves
from .sources import depends_on


def drive(rig: bpy.types.Object, chosen: Iterable[bpy.types.Object]) -> list[str]:
    """Makes drivers on the rig's sliders; keys of a slider stay, and count again when its driver is released.

    Returns:
        The sliders that are driven now.

    Raises:
        PortraitError: SCENE where nothing is named like a slider; nothing is changed then.
    """
    chosen = [item for item in chosen if item != rig and not is_helper(item)]
    for item in chosen:
        if depends_on(item, rig):
            raise SceneError(
                f"“{item.name}” itself follows the rig “{rig.name}”.", "Choose an object that does not hang on it."
            )
    found: dict[str, tuple[bpy.types.ID, str]] = {}
    for item in chosen:
        for owner, (before, after), kinds in _holders(item):
            for slider, name in names.match_sliders(kinds).items():
                found.setdefault(slider, (owner, before + bpy.utils.escape_identifier(name) + after))
    kept = _drivers_of_the_user(rig)
    found = {name: source for name, source in found.items() if name in rig and property_path(name) not in kept}
    if not found:
        raise SceneError(
            "Nothing selected has shape keys or properties named like ARKit's controls.",
            "Select the mesh or the object that has jawOpen, eyeBlinkLeft and so on.",
        )
    for slider, (owner, path) in found.items():
        _drive(rig, slider, owner, path)
    rig.update_tag()
    return list(found)


def release(rig: bpy.types.Object) -> int:
    """Takes the sliders' drivers away again, those of the user's own excepted; how many there were."""
    curves = slider_curves(rig)
    for curve in curves:
        rig.animation_data.drivers.remove(curve)
    rig.update_tag()
    return len(curves)


def driven_sliders(rig: bpy.types.Object) -> list[str]:
    """The sliders that are driven, in the order of their drivers."""
    return [curve.data_path[2:-2] for curve in slider_curves(rig)]


def told(count: int) -> str:
    """How many are driven, in words."""
    return f"{count} sliders are driven" if count > 1 else "1 slider is driven"


def _drivers_of_the_user(rig: bpy.types.Object) -> set[str]:
    """Paths that others than this module drive."""
    return {curve.data_path for curve in drivers_of(rig)} - {curve.data_path for curve in slider_curves(rig)}


def _holders(item: bpy.types.Object) -> Iterator[tuple[bpy.types.ID, tuple[str, str], list[str]]]:
    """What of an object may drive sliders: (data-block, what stands before and after a name in its path, names)."""
    keys = getattr(item.data, "shape_keys", None)
    if keys is not None:
        yield keys, ('key_blocks["', '"].value'), [block.name for block in keys.key_blocks]
    yield item, ('["', '"]'), _numbers(item)
    for bone in item.pose.bones if item.pose is not None else ():
        yield item, (f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]["', '"]'), _numbers(bone)


def _numbers(owner: bpy.types.bpy_struct) -> list[str]:
    return [name for name, value in owner.items() if isinstance(value, (bool, int, float))]


def _drive(rig: bpy.types.Object, slider: str, owner: bpy.types.ID, path: str) -> None:
    rig.driver_remove(property_path(slider))
    curve = rig.driver_add(property_path(slider))
    for modifier in list(curve.modifiers):
        curve.modifiers.remove(modifier)
    variable = curve.driver.variables.new()
    variable.name, variable.type = DRIVEN, "SINGLE_PROP"
    target = variable.targets[0]
    target.id_type = "KEY" if isinstance(owner, bpy.types.Key) else "OBJECT"
    target.id, target.data_path = owner, path
    curve.driver.type, curve.driver.expression = "SCRIPTED", DRIVEN
