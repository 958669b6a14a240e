# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on the plane: file N at scene frame N, the one before held where files are missing.

All of it is in the .blend: an image sequence, which Blender plays without gaps, and where there are gaps a driver that
keeps it at the file before (see `plane_reel`). So farms and other machines render the plane without the extension.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import bpy
from portrait_shared.frames.frame_files import LAYERED, PICTURES, frame_path

from ..blender import compat, stored_paths
from ..blender.frame_runs import frame_runs
from . import node_drivers, plane_shot
from .color_spaces import color_spaces
from .plane_reel import Reel

BEFORE_ZERO_NODE: Final = "Portrait before 0"
_WANTED_KEY: Final = "talking_portrait_wanted"
_UNTIL_KEY: Final = "talking_portrait_until"
_AWAY_KEY: Final = "talking_portrait_away"
_GIVEN_SPACE_KEY: Final = "talking_portrait_given_space"
_GIVEN_ALPHA_KEY: Final = "talking_portrait_given_alpha"

_ImageNode = bpy.types.ShaderNodeTexImage | bpy.types.CompositorNodeImage


def show(
    node: bpy.types.ShaderNodeTexImage, folder: Path, numbers: Iterable[int], stretch: float, prefix: str = "",
    suffix: str = PICTURES,
) -> bool:  # fmt: skip
    """Plays the frame files of a folder; whether anything on the plane changed. `numbers` must not be empty.

    Args:
        stretch: see `scene_time.stretch`.
    """
    there = sorted(set(numbers))
    before, after = [n for n in there if n < 0], [n for n in there if n >= 0]
    changed = _play(node, folder, Reel.of(after or before), stretch, prefix, suffix)
    second = _node_before_zero(node)
    if before and after:
        if second is None:
            second, changed = _add_node_before_zero(node), True
        changed |= _play(second, folder, Reel.of(before), stretch, prefix, suffix)
        changed |= _drive_mix(node, after[0], stretch)
    elif second is not None:
        changed |= second.image != node.image
        second.image = node.image
    changed |= plane_shot.cover(node, there, stretch)
    if _AWAY_KEY in node:
        del node[_AWAY_KEY]
    return changed


def play(
    node: bpy.types.CompositorNodeImage, folder: Path, numbers: Iterable[int], stretch: float, prefix: str, suffix: str,
    moved: int = 0,
) -> bool:  # fmt: skip
    """As `show`, in an image node of the compositor, which has no second one: with frames from 0 on, none before are played.

    Args:
        moved: by so many scene frames each is shown later than its number says.
    """
    there = sorted(set(numbers))
    return _play(node, folder, Reel.of([n for n in there if n >= 0] or there).moved(moved), stretch, prefix, suffix)


def put(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image | None) -> None:
    """Shows one image at every frame."""
    node.image = image
    plane_shot.hide_behind(node, image)
    second = _node_before_zero(node)
    if second is not None:
        if second.image is not None and second.image.source == "SEQUENCE":
            second[_AWAY_KEY] = second.image
        second.image = image


def put_back(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image | None) -> None:
    """Shows what `put` has replaced."""
    node.image = image
    plane_shot.uncover(node)
    second = _node_before_zero(node)
    if second is not None:
        plays = image is not None and image.source == "SEQUENCE"
        second.image = (second.get(_AWAY_KEY) or image) if plays else image


def put_away(node: bpy.types.ShaderNodeTexImage, sequence: bpy.types.Image, photo: bpy.types.Image | None) -> bool:
    """Shows the photo for a sequence whose files have gone, until they are back; whether that is new."""
    if photo is None or node.image == photo:
        return False
    put(node, photo)
    plane_shot.cover(node, (), 1.0)
    node[_AWAY_KEY] = sequence
    return True


def note_wanted(node: bpy.types.ShaderNodeTexImage, numbers: Iterable[int]) -> None:
    """Remembers which frames the plane is to play, whether their files are there or not."""
    node[_WANTED_KEY] = [end for run in frame_runs(sorted(numbers)) for end in run]


def wanted(node: bpy.types.ShaderNodeTexImage, numbers: Iterable[int]) -> list[int]:
    """Those of the frames that the plane is to play, in order; all of them where none were noted."""
    asked = set(noted(node))
    return sorted(asked.intersection(numbers) if asked else set(numbers))


def noted(node: bpy.types.ShaderNodeTexImage) -> list[int]:
    """The frames that were noted, in order."""
    ends = list(node.get(_WANTED_KEY, ()))
    return [n for first, last in zip(ends[::2], ends[1::2], strict=True) for n in range(first, last + 1)]


def show_solid(node: bpy.types.ShaderNodeTexImage, frame: int) -> None:
    """Makes the node active whose picture the plane shows at a frame: solid viewports draw that of the active one alone."""
    second, shot, tree = _node_before_zero(node), plane_shot.shot_node(node), node.id_data
    if second is None and shot is None:
        return
    shown = second if second is not None and frame < second.get(_UNTIL_KEY, 0) else node
    if shot is not None and plane_shot.is_shown(node, frame):
        shown = shot
    if tree.nodes.active != shown:
        tree.nodes.active = shown


def forget_away(node: bpy.types.ShaderNodeTexImage) -> None:
    """Lets no sequence come back by itself any more: the user has chosen the photo."""
    if _AWAY_KEY in node:
        del node[_AWAY_KEY]


def wanted_sequence(node: bpy.types.ShaderNodeTexImage) -> bpy.types.Image | None:
    """The sequence that the plane plays, or would if its files were there; None where it is to show something else."""
    if node.image is not None and node.image.source == "SEQUENCE":
        return node.image
    return node.get(_AWAY_KEY)


def playing(node: bpy.types.ShaderNodeTexImage) -> list[bpy.types.Image]:
    """The sequences that the plane plays."""
    images = (each.image for each in (node, _node_before_zero(node)) if each is not None)
    return [image for image in images if image is not None and image.source == "SEQUENCE"]


def folder_of(sequence: bpy.types.Image) -> Path:
    """Where the files of a sequence lie."""
    return stored_paths.full(sequence.filepath, sequence.library).parent


def is_of(sequence: bpy.types.Image, folder: Path, suffix: str) -> bool:
    """Whether a sequence plays files of a folder whose names end so."""
    return folder_of(sequence) == folder and Path(sequence.filepath).suffix == suffix


def make_alike(image: bpy.types.Image, photo: bpy.types.Image | None) -> None:
    """Gives frames and live pictures the photo's colour space and alpha mode: their pixels are encoded as the photo's.

    Layered frames are scene-linear and premultiplied. What the user has set on them since stays. A photo of floats (16
    bits, EXR) is scene-linear while its frames are ordinary sRGB files: they keep what Blender gives to such files.
    """
    if image.filepath.endswith(LAYERED):
        space, alpha_mode = color_spaces().linear, "PREMUL"
    elif photo is None or photo == image or photo.is_float:
        return
    else:
        space, alpha_mode = photo.colorspace_settings.name, photo.alpha_mode
    if image.get(_GIVEN_SPACE_KEY, image.colorspace_settings.name) == image.colorspace_settings.name:
        if image.colorspace_settings.name != space:
            image.colorspace_settings.name = space
        image[_GIVEN_SPACE_KEY] = space
    if image.get(_GIVEN_ALPHA_KEY, image.alpha_mode) == image.alpha_mode:
        if image.alpha_mode != alpha_mode:
            image.alpha_mode = alpha_mode
        image[_GIVEN_ALPHA_KEY] = alpha_mode


def _play(node: _ImageNode, folder: Path, reel: Reel, stretch: float, prefix: str, suffix: str) -> bool:
    image = _sequence(frame_path(folder, reel.first, prefix, suffix), node.image)
    changed = node.image != image
    user = getattr(node, "image_user", node)  # the compositor's nodes are it themselves
    settings = {
        "use_cyclic": False, "use_auto_refresh": True, "frame_start": reel.start, "frame_duration": reel.duration,
    }  # fmt: skip
    if not reel.keys:
        settings["frame_offset"] = reel.offset
    path = f'nodes["{bpy.utils.escape_identifier(node.name)}"]{".image_user" if user != node else ""}.frame_offset'
    changed |= node_drivers.drive_by_frame(node.id_data, path, reel.keys, stretch)
    for name, value in settings.items():
        if getattr(user, name) != value:
            setattr(user, name, value)
            changed = True
    if node.image != image:
        node.image = (
            image  # last, because a node of the compositor looks at once into the file that is due, for its layers
        )
    return changed


def _sequence(first: Path, shown: bpy.types.Image | None) -> bpy.types.Image:
    """The image sequence of a folder: the one already shown if it is that, else a new one."""
    path = stored_paths.stored(first)
    if shown is not None and shown.source == "SEQUENCE" and is_of(shown, first.parent, first.suffix):
        if shown.filepath != path:
            shown.filepath = path
        return shown
    image = bpy.data.images.load(str(first))
    image.source = "SEQUENCE"
    image.filepath = path
    return image


def _node_before_zero(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage | None:
    return node.id_data.nodes.get(BEFORE_ZERO_NODE)


def _add_node_before_zero(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage:
    """A second picture for frames before 0, whose files Blender cannot play in one sequence with the others."""
    tree = node.id_data
    second = tree.nodes.new("ShaderNodeTexImage")
    second.name = second.label = BEFORE_ZERO_NODE
    second.interpolation, second.projection, second.extension = node.interpolation, node.projection, node.extension
    second.location = (node.location[0], node.location[1] - 300)
    for link in list(node.inputs["Vector"].links):
        tree.links.new(link.from_socket, second.inputs["Vector"])
    for step, output in enumerate(("Color", "Alpha")):
        mix = tree.nodes.new("ShaderNodeMix")
        mix.name = mix.label = f"{BEFORE_ZERO_NODE}: {output}"
        mix.data_type = "RGBA" if output == "Color" else "FLOAT"
        mix.location = (node.location[0] + 280, node.location[1] - 200 - 250 * step)
        one, other, mixed = compat.mix_sockets(mix)
        for link in list(node.outputs[output].links):
            tree.links.new(mixed, link.to_socket)
        tree.links.new(node.outputs[output], one)
        tree.links.new(second.outputs[output], other)
        mix.inputs["Factor"].default_value = 0
    return second


def _drive_mix(node: bpy.types.ShaderNodeTexImage, first: int, stretch: float) -> bool:
    """Shows the second picture before the scene frame `first`."""
    tree, changed = node.id_data, False
    tree.nodes[BEFORE_ZERO_NODE][_UNTIL_KEY] = int(first)
    until = first * stretch
    for output in ("Color", "Alpha"):
        mix = tree.nodes.get(f"{BEFORE_ZERO_NODE}: {output}")
        if mix is None:  # the user has built the material anew
            continue
        path = mix.inputs["Factor"].path_from_id("default_value")
        expression = f"frame < {float(until)!r}"
        driver = node_drivers.driver_at(tree, path)
        if driver is None:
            driver = compat.new_driver(tree, path)
            driver.driver.type = "SCRIPTED"
        if driver.driver.expression != expression:
            driver.driver.expression = expression
            changed = True
    return changed
