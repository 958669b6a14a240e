# SPDX-License-Identifier: GPL-3.0-or-later
"""The hidden objects through which Blender itself carries a driver's motion to a portrait: constraints and drivers.

All of it is native, so that the viewport, the preview, a render, a farm and a bake see the same without a handler.
A driver that is deleted leaves its point at rest; a camera or a head that is deleted is taken to stand still.

Two armatures hang in a collection that is not shown. One rides on the driver's head, where that is known, and
measures each driver: ``IN-<point>`` lies on it, and ``OUT-<point>`` is how far the point goes. The other rides on the
view and measures the head: ``head`` and ``OUT-head``. A vertex is measured by an empty that has it as its parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..blender.modes import editing
from ..curves.rig_curves import bone_path, drivers_of
from ..rig.armature import HEAD_BONE

COLLECTION: Final = "Portrait Drivers"
DRIVEN: Final = "driven"
"""The variable of the drivers that are made here."""
_CONSTRAINT: Final = "Portrait Drive"
_SOURCE: Final = "Source"
_MARK: Final = "talking_portraits_helper"
_LENGTH_METRES = 0.05
_AXES: Final = "xyz"


def in_bone(target: str) -> str:
    return f"IN-{target}"


def out_bone(target: str) -> str:
    return f"OUT-{target}"


def is_helper(item: bpy.types.Object) -> bool:
    """Whether an object was made here."""
    return bool(item.get(_MARK, False))


def source_constraint(driving: Any, target: str) -> bpy.types.Constraint | None:
    """What ties a target to its driver; None before its rest was set."""
    face = driving.face
    bone = face.pose.bones.get(in_bone(target)) if face is not None and face.pose is not None else None
    return bone.constraints.get(_SOURCE) if bone is not None else None


def item_of(driving: Any, entry: Any) -> str:
    """An entry's bone or group by the name it has now: Blender renames it in constraints when the bone is renamed."""
    constraint = source_constraint(driving, entry.target)
    follows = constraint is not None and entry.source is not None and constraint.target == entry.source
    return constraint.subtarget if follows and entry.kind == "BONE" else entry.item


def is_bound(driving: Any, entry: Any) -> bool:
    """Whether the entry moves its target now; a new or changed one does so after the next Set Rest."""
    constraint = source_constraint(driving, entry.target)
    if constraint is None or constraint.target is None:
        return False
    if entry.kind == "VERTEX":
        return constraint.target.parent == entry.source and constraint.target.parent_vertices[0] == entry.vertex
    part = "" if entry.kind == "OBJECT" else item_of(driving, entry)
    same_place = not hasattr(constraint, "head_tail") or abs(constraint.head_tail - entry.along) < 1e-6
    return constraint.target == entry.source and constraint.subtarget == part and same_place


def constraints_of(rig: bpy.types.Object, targets: Sequence[str] | None = None) -> Iterator[tuple[Any, Any]]:
    """The rig's bones with the constraints that were put on them here."""
    for bone in rig.pose.bones:
        if targets is None or bone.name in targets:
            yield from ((bone, each) for each in bone.constraints if each.name.startswith(_CONSTRAINT))


def slider_curves(rig: bpy.types.Object) -> list[bpy.types.FCurve]:
    """Drivers of the rig's sliders that were made here."""
    return [curve for curve in drivers_of(rig) if any(variable.name == DRIVEN for variable in curve.driver.variables)]


def switch(scene: bpy.types.Scene, driving: Any, on: bool) -> None:
    """Lets the other rig move the portrait, or not."""
    rig = next((item.rig for item in scene.talking_portraits.items if item.driving == driving), None)
    if rig is None:
        return
    for _, constraint in constraints_of(rig):
        constraint.mute = not on
    for curve in slider_curves(rig):
        curve.mute = not on
    rig.update_tag()


def rest_broken(driving: Any, broken: Sequence[str]) -> None:
    """Leaves the named targets at rest, because their drivers would misplace them; the others follow theirs."""
    for entry in driving.entries:
        constraint = source_constraint(driving, entry.target)
        if constraint is not None and constraint.mute != (entry.target in broken):
            constraint.mute = entry.target in broken


def let_go(driving: Any, rig: bpy.types.Object | None, targets: Sequence[str]) -> None:
    """Targets are no longer driven; the others go on as they were."""
    for bone, constraint in list(constraints_of(rig, targets)) if rig is not None else ():
        bone.constraints.remove(constraint)
    for target in targets:
        constraint = source_constraint(driving, target)
        if constraint is not None:
            driving.face.pose.bones[in_bone(target)].constraints.remove(constraint)
    if HEAD_BONE in targets and driving.face is not None and driving.stage is not None:
        for constraint in list(driving.face.constraints):
            driving.face.constraints.remove(constraint)
        ride(driving.face, driving.stage, "", driving.face.matrix_basis)


def remove(driving: Any, rig: bpy.types.Object | None) -> None:
    """Takes the whole mechanism away, but not the sliders' drivers."""
    for bone, constraint in list(constraints_of(rig)) if rig is not None else ():
        bone.constraints.remove(constraint)
    discard(driving.face, driving.stage)
    driving.face = driving.stage = None


def discard(face: bpy.types.Object | None, stage: bpy.types.Object | None) -> None:
    """Removes the helpers, and the empties on vertices with them."""
    doomed = [face, stage]
    if face is not None and face.pose is not None:
        doomed += [each.target for bone in face.pose.bones for each in bone.constraints if each.name == _SOURCE]
    for item in {item for item in doomed if item is not None and is_helper(item)}:
        data = item.data
        bpy.data.objects.remove(item)
        if data is not None and not data.users:
            bpy.data.armatures.remove(data)
    for collection in [each for each in bpy.data.collections if each.name.startswith(COLLECTION)]:
        if collection.library is None and not collection.objects and not collection.children:
            bpy.data.collections.remove(collection)


def discard_unused(face: bpy.types.Object | None, stage: bpy.types.Object | None) -> None:
    """As `discard`, unless another portrait has the same: that of a linked copy of the scene."""
    held = (item.driving for scene in bpy.data.scenes for item in scene.talking_portraits.items)
    if face is not None and all(driving.face != face for driving in held):
        discard(face, stage)


@contextmanager
def workshop(scene: bpy.types.Scene) -> Iterator[bpy.types.Collection]:
    """The helpers' collection, shown for a while: Blender evaluates nothing that nobody sees or needs."""
    found = [each for each in scene.collection.children if each.name.startswith(COLLECTION) and each.library is None]
    if found:
        collection = found[0]
    else:
        collection = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(collection)
    collection.hide_viewport, collection.hide_render = False, True
    name = collection.name
    try:
        yield collection
    finally:
        left = bpy.data.collections.get((name, None))  # what failed may have taken it away
        if left is not None:
            left.hide_viewport = True


def new_armature(collection: bpy.types.Collection, name: str) -> bpy.types.Object:
    helper = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    collection.objects.link(helper)
    helper[_MARK] = True
    return helper


def set_bones(context: bpy.types.Context, helper: bpy.types.Object, heads: Mapping[str, Sequence[float]]) -> None:
    """Gives a helper these bones and no others, each with the helper's own axes; constraints of those kept stay."""
    with editing(context, helper):
        bones = helper.data.edit_bones
        for bone in [bone for bone in bones if bone.name not in heads]:
            bones.remove(bone)
        for name, head in heads.items():
            bone = bones.get(name) or bones.new(name)
            bone.head = Vector(head)
            bone.tail = bone.head + Vector((0.0, _LENGTH_METRES, 0.0))
            bone.roll = 0.0
            bone.use_deform = False
    for bone in helper.pose.bones:
        bone.rotation_mode = "XYZ"


def tie(collection: bpy.types.Collection, face: bpy.types.Object, entry: Any, part: str) -> None:
    """Lays the entry's bone onto its driver; the head's takes its turn too."""
    bone = face.pose.bones[in_bone(entry.target)]
    constraint = bone.constraints.new("COPY_TRANSFORMS" if entry.target == HEAD_BONE else "COPY_LOCATION")
    constraint.name = _SOURCE
    if entry.kind == "VERTEX":
        marker = bpy.data.objects.new(f"{entry.source.name} vertex {entry.vertex}", None)
        collection.objects.link(marker)
        marker[_MARK] = True
        marker.parent, marker.parent_type = entry.source, "VERTEX"
        marker.parent_vertices = (entry.vertex, 0, 0)
        constraint.target = marker
    else:
        constraint.target = entry.source
        constraint.subtarget = "" if entry.kind == "OBJECT" else part
        if hasattr(constraint, "head_tail"):
            constraint.head_tail = entry.along


def ride(helper: bpy.types.Object, target: bpy.types.Object, bone: str, place: Matrix) -> None:
    """A helper goes along with something from where that is now, and where it stays if that is deleted.

    Args:
        place: of what it rides on, in the world, without scale.
    """
    constraint = helper.constraints.new("CHILD_OF")
    constraint.target, constraint.subtarget = target, bone
    constraint.use_scale_x = constraint.use_scale_y = constraint.use_scale_z = False
    constraint.set_inverse_pending = False
    constraint.inverse_matrix = place.inverted()


def lay(bone: bpy.types.PoseBone, sources: Sequence[bpy.types.Constraint]) -> None:
    """Lays a bone into the middle of what other bones lie on."""
    for count, source in enumerate(sources, 1):
        constraint = bone.constraints.new("COPY_LOCATION")
        constraint.target, constraint.subtarget = source.target, source.subtarget
        constraint.head_tail = getattr(source, "head_tail", 0.0)
        constraint.influence = 1 / count


def drive(bone: bpy.types.PoseBone, channel: str, sources: tuple[bpy.types.Object, str],
          expressions: Sequence[str]) -> None:  # fmt: skip
    """Drives a bone's three values of a channel by x, y and z: the way of another bone from its own rest."""
    for axis, expression in enumerate(expressions):
        curve = bone.driver_add(channel, axis)
        for modifier in list(curve.modifiers):
            curve.modifiers.remove(modifier)
        for letter in _AXES:
            variable = curve.driver.variables.new()
            variable.name, variable.type = letter, "TRANSFORMS"
            target = variable.targets[0]
            target.id, target.bone_target = sources
            target.transform_type, target.transform_space = f"LOC_{letter.upper()}", "LOCAL_SPACE"
        curve.driver.type, curve.driver.expression = "SCRIPTED", expression


def express(helper: bpy.types.Object, bone: str, channel: str, expressions: Sequence[str]) -> None:
    """Gives drivers that are there other expressions of the same x, y and z."""
    path = bone_path(bone, channel)
    for axis, expression in enumerate(expressions):
        helper.animation_data.drivers.find(path, index=axis).driver.expression = expression


def follow(rig: bpy.types.Object, target: str, helper: bpy.types.Object, kind: str, bone: str) -> None:
    """A bone of the portrait's rig adds what a helper's bone does to its own."""
    constraint = rig.pose.bones[target].constraints.new(kind)
    constraint.name = f"{_CONSTRAINT} {kind.removeprefix('COPY_').title()}"
    constraint.target, constraint.subtarget = helper, bone
    constraint.owner_space = constraint.target_space = "LOCAL"
    if kind == "COPY_ROTATION":
        constraint.mix_mode = "BEFORE"
    else:
        constraint.use_offset = True


def local_places(layer: bpy.types.ViewLayer, helper: bpy.types.Object, bones: Sequence[str]) -> np.ndarray:
    """Where drivers have put bones, (N, 3), exactly as Blender computes it."""
    layer.update()
    posed = helper.evaluated_get(layer.depsgraph).pose.bones
    return np.array([posed[name].location for name in bones], np.float64).reshape(-1, 3)


def world_places(layer: bpy.types.ViewLayer, helper: bpy.types.Object) -> dict[str, Matrix]:
    """Where a helper's bones are in the world."""
    layer.update()
    posed = helper.evaluated_get(layer.depsgraph)
    return {bone.name: posed.matrix_world @ bone.matrix for bone in posed.pose.bones}


def without_scale(matrix: Matrix) -> Matrix:
    """Raises ValueError for a matrix that has none: scaled to nothing."""
    place, turn, scale = matrix.decompose()
    if min(abs(value) for value in scale) < 1e-9:
        raise ValueError("scaled to nothing")
    return Matrix.LocRotScale(place, turn, None)
