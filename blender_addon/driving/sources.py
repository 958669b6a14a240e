# SPDX-License-Identifier: GPL-3.0-or-later
"""What drives a portrait: found by name or picked in the viewport, and whether it is still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bmesh
import bpy
import numpy as np

from ..blender import compat
from ..blender.problems import SceneError
from ..rig.armature import BONE_AXES
from . import names
from .mechanism import is_helper, item_of
from .names import TARGETS


@dataclass(frozen=True)
class Source:
    """An object or a part of it.

    Attributes:
        kind: OBJECT, BONE, VERTEX or GROUP.
        item: the bone's or the group's name.
        vertex: its number.
        along: 0 to 1 on a bone.
    """

    source: bpy.types.Object
    kind: str = "OBJECT"
    item: str = ""
    vertex: int = 0
    along: float = 0.0


def put(driving: Any, target: str, source: Source) -> None:
    """Maps a source to the head or a point, in place of what drove it before."""
    entry = next((entry for entry in driving.entries if entry.target == target), None) or driving.entries.add()
    entry.target, entry.source, entry.kind, entry.item = target, source.source, source.kind, source.item
    entry.vertex, entry.along, entry.name = source.vertex, source.along, source.source.name
    entry.vertex_count = len(source.source.data.vertices) if source.kind == "VERTEX" else 0


def by_name(context: bpy.types.Context, portrait: Any) -> dict[str, Source]:
    """The selected objects, their bones and vertex groups whose names stand for points: {target: source}."""
    chosen = [item for item in context.selected_objects if not _is_own(portrait, item)]
    if not chosen:
        raise SceneError(
            "Nothing that could drive the portrait is selected.",
            "In Object Mode, select the empties, the armature or the mesh, then map again.",
        )
    called = {item.name: item for item in chosen}
    found = {target: Source(called[match.name]) for target, match in names.match(called).items()}
    for item in chosen:
        if item.type == "ARMATURE":
            matches = names.match(bone.name for bone in item.data.bones)
            found.update({target: Source(item, "BONE", m.name, along=m.along) for target, m in matches.items()})
        elif item.type == "MESH":
            matches = names.match(group.name for group in item.vertex_groups)
            found.update({target: Source(item, "GROUP", match.name) for target, match in matches.items()})
    if not found:
        raise SceneError(
            f"No name in {', '.join(f'“{item.name}”' for item in chosen[:3])} stands for a point of the face.",
            "Known are jaw_01 … left_pupil, numbers of iBUG and MediaPipe, and Rigify's face bones. Map others by picking.",
        )
    return found


def picked(context: bpy.types.Context, portrait: Any) -> dict[str, Source]:
    """What is selected, against the points that are selected on the portrait's rig: {target: source}.

    One source goes to all points; as many sources as points are paired by where they lie.
    """
    rig = portrait.rig
    targets = [name for name in TARGETS if name in rig.pose.bones and compat.is_selected(rig.pose.bones[name])]
    if not targets:
        raise SceneError(
            "No point of the portrait is selected.",
            "In Pose Mode, select the points on the portrait's rig that shall be driven, or its head.",
        )
    sources = list(_selected(context, portrait))
    if not sources:
        raise SceneError(
            "Nothing that could drive the points is selected.",
            "Select objects, bones in Pose Mode, or vertices in Edit Mode, beside the points.",
        )
    if len(sources) == 1:
        return dict.fromkeys(targets, sources[0])
    if len(sources) != len(targets):
        raise SceneError(
            f"{len(sources)} drivers and {len(targets)} points are selected.",
            "Select one driver, or as many as points.",
        )
    return _paired(rig, targets, sources)


def problem_of(scene: bpy.types.Scene, portrait: Any, entry: Any) -> SceneError | None:
    """Why an entry cannot drive its point, and what to do."""
    source, part = entry.source, item_of(portrait.driving, entry)
    if source is None:
        return SceneError(
            f"“{entry.name}”, which drives {entry.target}, was deleted.", "Remove the entry, or map the point anew."
        )
    if _is_own(portrait, source) or depends_on(source, portrait.rig):
        return SceneError(
            f"“{source.name}”, which drives {entry.target}, itself follows the rig “{portrait.rig.name}”.",
            "Choose a driver that does not hang on the portrait.",
        )
    if source.name not in scene.objects:
        return SceneError(
            f"“{source.name}”, which drives {entry.target}, is not in this scene: it was deleted, or lies in another.",
            "Link it to a collection of this scene, or remove the entry.",
        )
    if entry.kind == "BONE" and (source.type != "ARMATURE" or part not in source.pose.bones):
        return SceneError(
            f"The bone “{part}” of “{source.name}”, which drives {entry.target}, is not there any more.",
            "Give it back its name, or map the point anew.",
        )
    if entry.kind == "GROUP" and (source.type != "MESH" or part not in source.vertex_groups):
        return SceneError(
            f"The vertex group “{part}” of “{source.name}”, which drives {entry.target}, is not there any more.",
            "Give it back its name, or map the point anew.",
        )
    if entry.kind == "VERTEX" and (source.type != "MESH" or len(source.data.vertices) != entry.vertex_count):
        return SceneError(
            f"The mesh “{source.name}”, whose vertex {entry.vertex} drives {entry.target}, has other vertices than when "
            "it was picked.",
            "Pick the vertex again.",
        )
    return None


def problems(scene: bpy.types.Scene, portrait: Any) -> list[SceneError]:
    """Of all entries, in their order."""
    found = (problem_of(scene, portrait, entry) for entry in portrait.driving.entries)
    return [problem for problem in found if problem is not None]


def label(driving: Any, entry: Any) -> str:
    """What drives, in words: “lip.T.L of metarig”."""
    owner = entry.source.name if entry.source is not None else entry.name
    if entry.kind == "VERTEX":
        return f"vertex {entry.vertex} of {owner}"
    return owner if entry.kind == "OBJECT" else f"{item_of(driving, entry)} of {owner}"


def depends_on(item: bpy.types.ID, rig: bpy.types.Object) -> bool:
    """Whether an object is moved by the rig, directly or through others."""
    seen: set[bpy.types.ID] = set()
    ahead: list[bpy.types.ID] = [item]
    while ahead:
        current = ahead.pop()
        if current in seen:
            continue
        seen.add(current)
        if current == rig:
            return True
        ahead.extend(found for found in _moved_by(current) if found is not None)
    return False


def _moved_by(item: bpy.types.ID) -> Iterator[bpy.types.ID | None]:
    owners: list[Any] = [item]
    if isinstance(item, bpy.types.Object):
        yield item.parent
        constraints = [
            *item.constraints,
            *(c for bone in (item.pose.bones if item.pose else ()) for c in bone.constraints),
        ]
        for constraint in constraints:
            yield getattr(constraint, "target", None)
            yield from (each.target for each in getattr(constraint, "targets", ()))
        yield from (getattr(modifier, "object", None) for modifier in item.modifiers)
        owners += [item.data, getattr(item.data, "shape_keys", None)]
    for owner in owners:
        animation = getattr(owner, "animation_data", None)
        for curve in animation.drivers if animation is not None else ():
            for variable in curve.driver.variables:
                yield from (target.id for target in variable.targets)


def _is_own(portrait: Any, item: bpy.types.Object) -> bool:
    return item in (portrait.rig, portrait.plane) or is_helper(item)


def _selected(context: bpy.types.Context, portrait: Any) -> Iterator[Source]:
    for item in context.objects_in_mode if context.mode == "EDIT_MESH" else ():
        mesh = bmesh.from_edit_mesh(item.data)
        yield from (Source(item, "VERTEX", vertex=vertex.index) for vertex in mesh.verts if vertex.select)
    if context.mode == "EDIT_MESH":
        return
    for item in context.selected_objects:
        if _is_own(portrait, item):
            continue
        bones = [bone for bone in item.pose.bones if compat.is_selected(bone)] if item.mode == "POSE" else []
        if bones:
            yield from (Source(item, "BONE", bone.name) for bone in bones)
        elif item.mode == "OBJECT":
            yield Source(item)


def _paired(rig: bpy.types.Object, targets: Iterable[str], sources: Iterable[Source]) -> dict[str, Source]:
    """Nearest first, both groups brought to one size: seen from each one's own front."""
    targets, sources = list(targets), list(sources)
    points = np.array([rig.data.bones[name].head_local for name in targets], np.float64) @ BONE_AXES.T
    places = np.array([_place(source) for source in sources], np.float64) @ BONE_AXES.T

    def leveled(group: np.ndarray) -> np.ndarray:
        group = group[:, :2] - group[:, :2].mean(0)
        return group / max(float(np.abs(group).max()), 1e-9)

    apart = np.linalg.norm(leveled(points)[:, None] - leveled(places)[None], axis=2)
    pairs: dict[str, Source] = {}
    for _ in targets:
        point, place = np.unravel_index(int(np.argmin(apart)), apart.shape)
        pairs[targets[point]] = sources[place]
        apart[point], apart[:, place] = np.inf, np.inf
    return {name: pairs[name] for name in targets}


def _place(source: Source) -> Any:
    if source.kind == "BONE":
        return source.source.pose.bones[source.item].head
    if source.kind == "VERTEX":  # picked in Edit Mode
        mesh = bmesh.from_edit_mesh(source.source.data)
        mesh.verts.ensure_lookup_table()
        return mesh.verts[source.vertex].co.copy()
    return source.source.matrix_world.translation
