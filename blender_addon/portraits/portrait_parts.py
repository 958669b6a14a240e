# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's parts in the scene: made on a photo, checked, mended, moved to another file."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from portrait_shared.digest import image_digest

from ..blender import stored_paths
from ..blender.problems import Fix, SceneError
from ..driving import mechanism
from ..plane import image_plane, plane_shot
from ..rig import armature, bone_names
from ..rig.replaced_sliders import add_sliders
from ..shots import riding
from . import consents, groups, photo, sequencer
from .properties import PORTRAIT_PG_portrait
from .scene_portraits import all_portraits, find_portrait, portraits_of


def add(scene: bpy.types.Scene, path: str) -> PORTRAIT_PG_portrait:
    """A new portrait of a picture's file: the plane at the 3D cursor, no rig yet.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE; the scene is then as it was.
    """
    image = photo.load(path)
    stored_paths.make_relative(image)
    portrait = portraits_of(scene).add(stored_paths.shown(Path(path).stem))
    portrait.photo = image
    portrait.size = image.size
    portrait.photo_digest = image_digest(photo.pixels(image))
    portrait.plane = image_plane.build(scene, portrait.name, portrait.space, image)
    return portrait


def attach_rig(context: bpy.types.Context, portrait: PORTRAIT_PG_portrait, points: np.ndarray) -> None:
    """Puts a rig on the landmarks that were found, (70, 3) pixels."""
    portrait.set_detected_points(points)
    portrait.rig = armature.build(context, portrait.name, portrait.plane, portrait.space, points)
    consents.keep_on_rig(portrait.consent, portrait.rig)


def add_face(context: bpy.types.Context, uid: str, points: np.ndarray) -> PORTRAIT_PG_portrait:
    """Gives one more face of a portrait's photo a rig: the new portrait shares plane, frames and strip with the others.

    Python's references to portraits end with it, because Blender may move them in memory.

    Args:
        uid: of any portrait of the photo.
        points: (70, 3) pixels.

    Raises:
        PortraitError: SCENE where the plane was deleted or the face has a rig; as `groups.join`.
    """
    found = find_portrait(uid)
    assert found is not None  # the caller has just had it
    check_plane(*found)
    groups.check_face_free(found[1].members, points)
    added = groups.join(uid, points)
    attach_rig(context, added, points)
    return added


def move_rig(context: bpy.types.Context, portrait: PORTRAIT_PG_portrait, points: np.ndarray) -> None:
    """Puts the portrait's rig on another face, (70, 3) pixels; keys and settings stay.

    Raises:
        PortraitError: SCENE for a broken rig.
    """
    armature.fit(context, portrait.rig, portrait.space, points)
    portrait.set_detected_points(points)


def check_plane(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
    """Raises SCENE with the fix *Rebuild* where the plane was deleted or lost its material."""
    if portrait.plane is None or portrait.plane.name not in scene.objects:
        raise SceneError(
            f"The plane of the portrait “{portrait.name}” was deleted.",
            "Rebuild it; frames that were rendered are kept.",
            Fix.REBUILD,
        )
    image_plane.texture_node(portrait.plane)


def rebuild(context: bpy.types.Context, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> list[str]:
    """Mends whatever is missing of a portrait, and of those on the same photo: plane, material, rigs or bones. Keys stay.

    An object that was deleted in the viewport is put back as it was, because the portrait still holds it.

    Returns:
        What was mended, in words; empty where nothing was missing.

    Raises:
        PortraitError: as `photo.check`.
    """
    mended: list[str] = []
    picture = photo.check(portrait.photo, tuple(portrait.size))
    members = portrait.members
    if portrait.plane is None:
        plane = image_plane.build(scene, members[0].name, portrait.space, picture)
        for member in members:
            member.plane = plane
        mended.append("plane")
    elif portrait.plane.name not in scene.objects:
        scene.collection.objects.link(portrait.plane)
        mended.append("plane")
    if not image_plane.is_dressed(portrait.plane):
        image_plane.dress(portrait.plane, members[0].name, picture)
        mended.append("material")
    if portrait.shot.is_filmed and plane_shot.shot_node(image_plane.texture_node(portrait.plane)) is None:
        show_shot(portrait)
    for member in members:
        of_whom = f" of “{member.name}”" if len(members) > 1 else ""
        mended += [f"{what}{of_whom}" for what in _rebuild_rig(context, scene, member)]
    return mended


def _rebuild_rig(context: bpy.types.Context, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> list[str]:
    points = portrait.detected_points
    if points is None:
        return []
    if portrait.rig is None:
        portrait.rig = armature.build(context, portrait.name, portrait.plane, portrait.space, points)
        consents.keep_on_rig(portrait.consent, portrait.rig)
        riding.hang(portrait.rig, _parent_of_rig(scene, portrait))
        if portrait.shot.is_filmed:
            add_sliders(portrait.rig)
        return ["rig"]
    mended = []
    if portrait.rig.name not in scene.objects:
        scene.collection.objects.link(portrait.rig)
        mended.append("rig")
    parent = _parent_of_rig(scene, portrait)
    if portrait.rig.parent is not parent:
        riding.hang(portrait.rig, parent)
        portrait.rig.matrix_basis.identity()
        mended.append("rig's parent")
    renamed = bone_names.take_back(portrait.rig, portrait.space, points)
    if renamed:
        mended.append(f"the name{'s' if renamed > 1 else ''} of {_bones(renamed)}")
    missing = armature.missing_bones(portrait.rig)
    if missing:
        armature.add_bones(context, portrait.rig, portrait.space, points, missing)
        mended.append(_bones(len(missing)))
    lost = armature.missing_handles_and_sliders(portrait.rig)
    outdated = armature.is_outdated(portrait.rig)
    if missing or lost or outdated:
        armature.add_handles_and_sliders(context, portrait.rig, portrait.space, points)
    if lost:
        mended.append("controls")
    if outdated:
        mended.append("the handles of an older version")
    return mended


def _parent_of_rig(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bpy.types.Object:
    """The plane; the empty that follows the head where the portrait was filmed, put back where it was deleted."""
    carrier = portrait.shot.ride
    if carrier is None:
        return portrait.plane
    if carrier.name not in scene.objects:
        scene.collection.objects.link(carrier)
    if carrier.parent != portrait.plane:
        carrier.parent = portrait.plane
    return carrier


def show_shot(portrait: PORTRAIT_PG_portrait) -> None:
    """Lets the plane play the portrait's shot.

    Raises:
        PortraitError: as `PORTRAIT_PG_shot.pictures`.
    """
    shot = portrait.shot
    pictures = shot.pictures()
    number = 0 if pictures is None else pictures.start
    plane_shot.show(image_plane.texture_node(portrait.plane), shot.picture, shot.start, shot.count, number)


def _bones(count: int) -> str:
    return "1 bone" if count == 1 else f"{count} bones"


def remove(scene: bpy.types.Scene, uid: str) -> None:
    """Takes a portrait and its parts out of the scene; files on the disk stay, and so does what others of the photo share."""
    held = portraits_of(scene)
    portrait = held.by_uid(uid)
    if portrait is None:
        return
    alone = len(portrait.members) == 1
    if alone:
        sequencer.remove_strips(portrait.group_uid)
    groups.hand_over(portrait)
    parts = [part for part in (portrait.rig, portrait.shot.ride, portrait.plane if alone else None) if part is not None]
    helpers = (portrait.driving.face, portrait.driving.stage)
    held.items.remove(list(held.items).index(portrait))
    mechanism.discard_unused(*helpers)
    for part in parts:
        if not _is_shared(part):
            bpy.data.objects.remove(part)
        elif part.name in scene.collection.objects:  # a linked copy of the scene has its portrait on the same objects
            scene.collection.objects.unlink(part)


def _is_shared(part: bpy.types.Object) -> bool:
    return any(part in (portrait.plane, portrait.rig, portrait.shot.ride) for _, portrait in all_portraits())


def relocate(portrait: PORTRAIT_PG_portrait, path: str) -> bool:
    """Points the portrait to its photo's new place.

    Returns:
        Whether the pixels are those that the landmarks were placed on.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, SIZE_MISMATCH; the portrait is then as it was.
    """
    image = photo.load(path)
    try:
        photo.check(image, tuple(portrait.size))
    except SceneError:
        bpy.data.images.remove(image)
        raise
    digest = image_digest(photo.pixels(image))
    old, same = portrait.photo, digest == portrait.photo_digest
    stored_paths.make_relative(image)
    for member in portrait.members:
        member.photo, member.photo_digest = image, digest
    if image_plane.is_dressed(portrait.plane):
        image_plane.replace_photo(portrait.plane, old, image)
    return same
