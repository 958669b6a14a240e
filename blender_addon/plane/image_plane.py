# SPDX-License-Identifier: GPL-3.0-or-later
"""The plane that shows the photo, and then the frames, in their own colours."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import bpy
import numpy as np
from portrait_shared.frames.frame_files import PICTURES

from ..blender import compat
from ..blender.problems import Fix, SceneError
from . import plane_frames, plane_shot
from .plane_space import PlaneSpace
from .view_colors import altered_colors as altered_colors  # for scripts of users, which know them by this module
from .view_colors import use_own_colors as use_own_colors

TEXTURE_NODE: Final = "Portrait"
_PREVIEW_KEY: Final = "talking_portrait_preview"
_PHOTO_KEY: Final = "talking_portrait_photo"
_BEFORE_KEY: Final = "talking_portrait_before"


def build(scene: bpy.types.Scene, name: str, space: PlaneSpace, photo: bpy.types.Image) -> bpy.types.Object:
    """A new plane of the photo's aspect, upright at the 3D cursor, facing Blender's front view."""
    plane = bpy.data.objects.new(name, _mesh(name, space))
    plane.data.materials.append(_material(name, photo))
    plane.location = scene.cursor.location
    scene.collection.objects.link(plane)
    return plane


def show_photo(plane: bpy.types.Object, photo: bpy.types.Image) -> None:
    """Puts the still photograph on the plane; on that of a shot, the shot alone."""
    node = texture_node(plane)
    plane_frames.forget_away(node)
    plane_frames.put(node, photo)
    plane_shot.cover(node, (), 1.0)


def show_meanwhile(plane: bpy.types.Object, photo: bpy.types.Image) -> str:
    """Puts the photo on the plane for a while; the name of what `show_again` is to put back, empty for nothing."""
    node = texture_node(plane)
    if node.image == photo:
        return ""
    covered = node.image.name if node.image is not None else ""
    plane_frames.put(node, photo)
    return covered


def show_again(plane: bpy.types.Object, covered: str) -> None:
    """Ends `show_meanwhile`; nothing where the image has gone since, or the plane its material."""
    image = bpy.data.images.get(covered)
    if image is not None and is_dressed(plane):
        plane_frames.put_back(texture_node(plane), image)


def replace_photo(plane: bpy.types.Object, old: bpy.types.Image | None, photo: bpy.types.Image) -> None:
    """Gives the plane another photo; frames that it shows stay."""
    node = texture_node(plane)
    node[_PHOTO_KEY] = photo
    if node.image is None or node.image == old:
        plane_frames.put(node, photo)
        plane_shot.uncover(node)


def show_frames(
    plane: bpy.types.Object,
    folder: Path,
    numbers: Iterable[int],
    stretch: float = 1.0,
    prefix: str = "",
    suffix: str = PICTURES,
) -> bpy.types.Image | None:
    """Plays the frame files on the plane: file N at scene frame N, the first and the last one held.

    Where frames are missing between others, the one before them is held.

    Args:
        numbers: all frames that are in the folder.
        stretch: see `scene_time.stretch`.

    Returns:
        The image sequence, or None where there are no frames yet.
    """
    there = set(numbers)
    if not there:
        return None
    node = texture_node(plane)
    plane_frames.note_wanted(node, there)
    plane_frames.show(node, folder, there, stretch, prefix, suffix)
    for image in plane_frames.playing(node):
        plane_frames.make_alike(image, node.get(_PHOTO_KEY))
        image.reload()
    return node.image


def follow_files(
    plane: bpy.types.Object,
    folder: Path,
    numbers: Iterable[int],
    stretch: float = 1.0,
    prefix: str = "",
    suffix: str = PICTURES,
) -> bool:
    """Plays those frames of the last `show_frames` whose files are there; whether anything on the plane changed.

    Where there are none any more, the photo is shown until they are back.

    Args:
        numbers: all frames that are in the folder.
    """
    node = texture_node(plane)
    photo, there = node.get(_PHOTO_KEY), plane_frames.wanted(node, numbers)
    sequence = plane_frames.wanted_sequence(node)
    if sequence is None or is_preview(node.image):
        return False
    if not there:
        return plane_frames.put_away(node, sequence, photo)
    node_image = node.image
    if node_image != sequence:
        node.image = sequence
    changed = plane_frames.show(node, folder, there, stretch, prefix, suffix) or node_image != sequence
    for image in plane_frames.playing(node):
        plane_frames.make_alike(image, photo)
        if changed:
            image.reload()
    return changed


def wanted_sequence(plane: bpy.types.Object) -> bpy.types.Image | None:
    """The sequence that the plane plays, or would if its files were there; None where it is to show something else."""
    return plane_frames.wanted_sequence(texture_node(plane))


def wanted_frames(plane: bpy.types.Object) -> list[int]:
    """The drawn frames that the plane was last asked to play, whether their files are there or not."""
    node = texture_node(plane)
    return plane_frames.noted(node) if plane_frames.wanted_sequence(node) is not None else []


def show_preview(plane: bpy.types.Object, uid: str, pixels: np.ndarray) -> None:
    """Puts a live picture on the plane; what was there waits until `end_preview`.

    Args:
        uid: the portrait's.
        pixels: (H, W, 4) float32, display colours with straight alpha, the lowest row first, as Blender holds them.
    """
    node = texture_node(plane)
    height, width = pixels.shape[:2]
    image = next((image for image in bpy.data.images if image.get(_PREVIEW_KEY) == uid), None)
    if image is None:
        image = bpy.data.images.new(f"{plane.name} preview", width, height, alpha=True)
        image[_PREVIEW_KEY] = uid
    elif tuple(image.size) != (width, height):
        image.scale(width, height)
    if node.image != image:
        if not is_preview(node.image):
            image[_BEFORE_KEY] = node.image
        plane_frames.put(node, image)
    plane_frames.make_alike(image, node.get(_PHOTO_KEY))
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.update_tag()  # else Cycles, and a viewport that gathers samples, go on with the picture before


def settle_preview(uid: str) -> None:
    """Makes the live picture count as saved: else Blender asks to save it when it quits or opens another file.

    Its pixels are packed as a file. No saved .blend holds them, because planes do not show live pictures while saving.
    """
    for image in [image for image in bpy.data.images if image.get(_PREVIEW_KEY) == uid and image.is_dirty]:
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        targa = targa_bytes(pixels.reshape(height, width, 4))
        image.source = "FILE"
        image.pack(data=targa, data_len=len(targa))
        image.buffers_free()  # it is read from there
        image.update_tag()


def end_preview(plane: bpy.types.Object, photo: bpy.types.Image | None) -> None:
    """Puts back what the live picture has replaced; the photo where that is not there any more."""
    node = texture_node(plane)
    if is_preview(node.image):
        plane_frames.put_back(node, node.image.get(_BEFORE_KEY) or photo)


def shows_preview(plane: bpy.types.Object) -> bool:
    return is_preview(texture_node(plane).image)


def covered_by_preview(plane: bpy.types.Object) -> bpy.types.Image | None:
    """What the plane would show without its live picture."""
    image = texture_node(plane).image
    return image.get(_BEFORE_KEY) if is_preview(image) else image


def is_preview(image: bpy.types.Image | None) -> bool:
    return image is not None and _PREVIEW_KEY in image


def remove_preview(uid: str) -> None:
    """Frees the live picture of a portrait; no plane may show it any more."""
    for image in [image for image in bpy.data.images if image.get(_PREVIEW_KEY) == uid]:
        bpy.data.images.remove(image)


def texture_node(plane: bpy.types.Object | None) -> bpy.types.ShaderNodeTexImage:
    """The node that holds the plane's picture.

    Raises:
        PortraitError: SCENE with the fix *Rebuild* where the plane or its material has gone.
    """
    material = plane.active_material if plane is not None else None
    node = compat.ensure_node_tree(material).nodes.get(TEXTURE_NODE) if material is not None else None
    if node is None or node.bl_idname != "ShaderNodeTexImage":  # the user's own may have its name
        raise SceneError("The portrait's plane has lost its material.", "Rebuild it.", Fix.REBUILD)
    return node


def is_dressed(plane: bpy.types.Object | None) -> bool:
    """Whether the plane has the material that shows its picture."""
    try:
        texture_node(plane)
    except SceneError:
        return False
    return True


def dress(plane: bpy.types.Object, name: str, photo: bpy.types.Image) -> None:
    """Gives the plane its material anew, beside what the user put on it."""
    material = _material(name, photo)
    if plane.data.materials:
        plane.material_slots[plane.active_material_index].material = material
    else:
        plane.data.materials.append(material)


def own_material(plane: bpy.types.Object) -> None:
    """Gives the plane a copy of its material, so that it shows frames that other planes do not.

    On the object and not on the mesh, which may be linked or shared.
    """
    texture_node(plane)
    slot = plane.material_slots[plane.active_material_index]
    material = slot.material.copy()
    slot.link = "OBJECT"
    slot.material = material


def look_alike(one: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether it is one plane, or two that show the same: copies in the viewport share their material."""
    return one == other or (one.active_material is not None and one.active_material == other.active_material)


def photo_of(plane: bpy.types.Object | None) -> bpy.types.Image | None:
    """The still picture that a portrait's plane was made of; None where it is not one or is not known."""
    if plane is None or plane.type != "MESH":
        return None
    try:
        node = texture_node(plane)
    except SceneError:
        return None
    return node.get(_PHOTO_KEY) or (node.image if node.image is not None and node.image.source == "FILE" else None)


def targa_bytes(pixels: np.ndarray) -> bytes:
    """A Targa file, which takes no time to write: (H, W, 4) float32 from 0 to 1, the lowest row first."""
    height, width = pixels.shape[:2]
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, width, height, 32, 8)
    return head + (pixels[..., [2, 1, 0, 3]] * 255 + 0.5).astype(np.uint8).tobytes()


def _mesh(name: str, space: PlaneSpace) -> bpy.types.Mesh:
    x, z = space.half_size
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)], [], [(0, 1, 2, 3)])
    uv = mesh.uv_layers.new(name="UVMap")
    uv.data.foreach_set("uv", (0, 0, 1, 0, 1, 1, 0, 1))
    return mesh


def _material(name: str, photo: bpy.types.Image) -> bpy.types.Material:
    """Emission of strength 1, let through where the picture is transparent."""
    material = bpy.data.materials.new(name)
    tree = compat.ensure_node_tree(material)
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.name = texture.label = TEXTURE_NODE
    texture.image = texture[_PHOTO_KEY] = photo
    texture.extension = "EXTEND"
    emission = tree.nodes.new("ShaderNodeEmission")
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = tree.nodes.new("ShaderNodeMixShader")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    for step, node in enumerate((texture, emission, mix, output)):
        node.location = (300 * step - 600, 0)
    clear.location = (-300, 150)
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], mix.inputs["Fac"])
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(emission.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    return material
