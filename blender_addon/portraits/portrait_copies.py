# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies: a scene that Blender copied has portraits of its own, and a rig that was duplicated can become one."""

from __future__ import annotations

import uuid
from typing import Final

import bpy
from bpy.app.handlers import persistent
from portrait_shared.digest import image_digest

from ..blender.problems import SceneError
from ..plane import image_plane
from ..plane.plane_space import PlaneSpace
from ..rig import armature
from . import consents, groups, photo, sequencer
from .properties import PORTRAIT_PG_portrait
from .scene_portraits import all_portraits, free_name, portraits_of

_SETTINGS: Final = (
    "engine", "use_scene_range", "frame_start", "frame_end", "frame_step", "resolution_percentage", "matte", "color_depth",
    "preview_size", "frame_prefix", "use_strip", "file_format", "layer_choice", "use_label", "label_icon", "label_text", "label_corner",
    "label_size",
)  # fmt: skip
_APART_WIDTHS: Final = 2.2
"""How far beside the original a copy's plane is put, in halves of its width."""


def separate() -> list[str]:
    """Gives portraits that came with a copied scene a uid, a name and a folder of their own.

    Else jobs, folders and strips, which know a portrait by its uid, would be those of both.

    Returns:
        The new uids.
    """
    seen: dict[str, PORTRAIT_PG_portrait] = {}
    made: list[str] = []
    for scene in bpy.data.scenes:  # by name: a copy follows its original
        if scene.library is not None:
            continue
        for portrait in list(portraits_of(scene).items):
            original = seen.setdefault(portrait.uid, portrait)
            if original == portrait:
                continue
            if not any(part is not None and part.name in scene.objects for part in (portrait.plane, portrait.rig)):
                _drop(scene, portrait)  # “Copy Settings” copies the list but no objects
                return made + separate()
            _part(scene, portrait)
            seen[portrait.uid] = portrait
            made.append(portrait.uid)
    return made


def _part(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    strips = [strip for strip in sequencer.find_strips(portrait.group_uid) if strip.id_data == scene]
    # Derived and not random: after undo and redo this is done again, and must come to the same uid.
    portrait.uid = uuid.uuid5(uuid.UUID(portrait.uid), f"{scene.name}\n{portrait.name}").hex
    if portrait.group:
        portrait.group = uuid.uuid5(uuid.UUID(portrait.group), scene.name).hex
    portrait.name = free_name(portrait, portrait.name)
    portrait.folder_name = ""
    portrait.strip_was_made = bool(strips)
    for strip in strips:
        strip[sequencer.PORTRAIT_KEY] = portrait.group_uid


def own_look(portrait: PORTRAIT_PG_portrait) -> None:
    """Gives the plane a material of its own where it has that of another portrait, as a copied scene's plane has."""
    for _, other in all_portraits():
        if other.plane not in (None, portrait.plane) and image_plane.look_alike(other.plane, portrait.plane):
            image_plane.own_material(portrait.plane)
            return


def _drop(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    items = portraits_of(scene).items
    items.remove(list(items).index(portrait))


def spare_rig(scene: bpy.types.Scene, item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The object, if it is a landmark rig of no portrait of the scene; of a linked collection, the rig in it."""
    if item is None:
        return None
    collection = item.instance_collection
    inside = collection.all_objects if collection is not None and collection.library is not None else ()
    taken = [portrait.rig for portrait in portraits_of(scene).items]
    rigs = (each for each in (item, *inside) if each.type == "ARMATURE" and each not in taken)
    return next((each for each in rigs if not armature.missing_bones(each)), None)


def adopt(scene: bpy.types.Scene, spare: bpy.types.Object) -> PORTRAIT_PG_portrait:
    """Makes a portrait of a duplicated, appended or overridden rig: it gets a plane, frames and settings of its own.

    Raises:
        PortraitError: SCENE where the rig is linked without an override or its photo is not known; as `photo.check`.
    """
    if spare.library is not None:
        raise SceneError(
            f"The rig “{spare.name}” is linked from another file and cannot be posed here.",
            "Choose Object > Library Override > Make first.",
        )
    plane = spare.parent
    original = _original(plane.parent if plane is not None and plane.type == "EMPTY" else plane)
    if original is not None and original.shot.is_filmed:
        raise SceneError(
            f"The rig “{spare.name}” rides on a filmed shot, which its copy does not have.",
            "Add the shot once more for another version of it.",
        )
    picture = original.photo if original is not None else image_plane.photo_of(plane)
    if picture is None:
        raise SceneError(
            f"The photo of the rig “{spare.name}” is not known: it hangs on no portrait's plane.",
            "Copy the rig together with its plane, or add the photo as a new portrait.",
        )
    size = tuple(original.size) if original is not None else tuple(picture.size)
    picture = photo.check(picture, size)
    points = armature.rest_points(spare, PlaneSpace(*size))
    name = spare.name.removesuffix(" rig").split(" rig.")[0]
    there = [other for other in portraits_of(scene).items if other.plane == plane]
    if there and groups.of_face(there, points) is None:
        portrait = groups.join(
            there[0].uid, points
        )  # of another face of a photo whose plane was copied with several rigs
        portrait.name = free_name(portrait, name)
    else:
        portrait = portraits_of(scene).add(name)
        original = _original(plane)  # anew: Blender may have moved it in memory
        portrait.photo, portrait.size = picture, size
        portrait.photo_digest = original.photo_digest if original is not None else image_digest(photo.pixels(picture))
        if original is not None:
            _take_over(portrait, original, groups.of_face(original.members, points) or original)
        if there:
            plane = _plane_beside(scene, portrait, plane, picture)
            spare.parent = plane
        else:
            image_plane.own_material(plane)
        portrait.plane = plane
        image_plane.show_photo(plane, picture)
    portrait.rig = spare
    consents.take_from_rig(portrait.consent, spare)
    portrait.set_detected_points(points)
    return portrait


def _take_over(portrait: PORTRAIT_PG_portrait, original: PORTRAIT_PG_portrait, person: PORTRAIT_PG_portrait) -> None:
    """Settings of the portrait that it is a copy of, and what else is known of the person."""
    for name in _SETTINGS:
        setattr(portrait, name, getattr(original, name))
    portrait.personal = person.personal
    for reference in person.references:
        copy = portrait.references.add()
        copy.name, copy.photo, copy.photo_digest = reference.name, reference.photo, reference.photo_digest
        if reference.points is not None:
            copy.set_points(reference.points)


def _original(plane: bpy.types.Object | None) -> PORTRAIT_PG_portrait | None:
    """The portrait whose plane, or material, that of a copy is; of several faces the leading one."""
    if plane is None:
        return None
    alike = (
        portrait
        for _, portrait in all_portraits()
        if portrait.plane is not None and image_plane.look_alike(portrait.plane, plane)
    )
    return next(alike, None)


def _plane_beside(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, plane: bpy.types.Object, picture: bpy.types.Image
) -> bpy.types.Object:
    space: PlaneSpace = portrait.space
    made = image_plane.build(scene, portrait.name, space, picture)
    made.matrix_world = plane.matrix_world
    made.location.x += _APART_WIDTHS * space.half_size[0] * made.scale.x
    return made


@persistent
def _on_change(*_: object) -> None:
    separate()


HANDLERS: Final = (
    (bpy.app.handlers.depsgraph_update_post, _on_change),
    (bpy.app.handlers.load_post, _on_change),
    (bpy.app.handlers.undo_post, _on_change),
    (bpy.app.handlers.redo_post, _on_change),
)
