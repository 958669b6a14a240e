# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot on the plane, wherever no frame was drawn of it: a picture of its own, which a driver blends in.

All of it is in the .blend, so that farms and other machines render the plane without the extension.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import bpy

from ..blender import compat, stored_paths
from ..blender.frame_runs import frame_runs
from . import node_drivers
from .plane_reel import Reel

SHOT_NODE: Final = "Portrait shot"
_PICTURE_KEY: Final = "talking_portrait_shot"
_DRAWN_KEY: Final = "talking_portrait_drawn"
_CONSTANT: Final = 0


def load(file: Path, is_sequence: bool) -> bpy.types.Image:
    """The image of a movie, or of a sequence by its first picture.

    Raises:
        RuntimeError: Blender cannot read it.
    """
    image = bpy.data.images.load(str(file))
    image.source = "SEQUENCE" if is_sequence else "MOVIE"
    image.filepath = stored_paths.stored(file)
    return image


def show(node: bpy.types.ShaderNodeTexImage, picture: bpy.types.Image, start: int, count: int, number: int = 0) -> None:
    """Plays a shot on the plane, whatever else it shows.

    Args:
        node: the plane's own.
        picture: see `load`.
        start: the scene's frame at which it begins.
        count: how many frames it has.
        number: of a sequence's first picture.
    """
    shot = shot_node(node) or _add_shot_node(node)
    shot.image = shot[_PICTURE_KEY] = picture
    user = shot.image_user
    user.use_cyclic, user.use_auto_refresh = False, True
    if picture.source == "SEQUENCE":
        reel = Reel.of(list(range(number, number + count)))
        # The reel plays file N at scene frame N.
        user.frame_start = reel.start + (start - number) * (reel.start == number + 1)
        user.frame_duration, user.frame_offset = reel.duration, reel.offset
    else:
        user.frame_start, user.frame_duration, user.frame_offset = start, count, 0
    cover(node, (), 1.0)


def cover(node: bpy.types.ShaderNodeTexImage, drawn: Iterable[int], stretch: float) -> bool:
    """Shows the drawn frames where there are some, and the shot elsewhere; whether that is new. Does nothing on the plane of
    a photo.

    Args:
        drawn: the scene's frames that were drawn.
        stretch: see `scene_time.stretch`.
    """
    shot = shot_node(node)
    if shot is None:
        return False
    runs = frame_runs(sorted(drawn))
    ends = [end for run in runs for end in run]
    changed = list(shot.get(_DRAWN_KEY, ())) != ends or shot.image != shot.get(_PICTURE_KEY)
    shot[_DRAWN_KEY] = ends
    uncover(node)
    keys = [(runs[0][0] - 1.0, 1.0, _CONSTANT)] if runs else []
    for first, last in runs:
        keys += [(float(first), 0.0, _CONSTANT), (last + 1.0, 1.0, _CONSTANT)]
    for mix in _mixes(node):
        path = mix.inputs["Factor"].path_from_id("default_value")
        changed |= node_drivers.drive_by_frame(node.id_data, path, keys, stretch)
        if not keys:
            mix.inputs["Factor"].default_value = 1.0
    # Solid viewports draw the active node's picture alone; on another frame `plane_frames.show_solid` sees to that.
    node.id_data.nodes.active = shot if is_shown(node, bpy.context.scene.frame_current) else node
    return changed


def hide_behind(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image | None) -> None:
    """Shows one image at every frame in the shot's place too; `uncover` ends that."""
    shot = shot_node(node)
    if shot is not None:
        shot.image = image


def uncover(node: bpy.types.ShaderNodeTexImage) -> None:
    """Lets the shot be seen again."""
    shot = shot_node(node)
    if shot is not None and shot.image != shot.get(_PICTURE_KEY):
        shot.image = shot.get(_PICTURE_KEY)


def is_shown(node: bpy.types.ShaderNodeTexImage, frame: int) -> bool:
    """Whether the plane shows the shot at a frame, and nothing drawn."""
    shot = shot_node(node)
    if shot is None:
        return False
    ends = list(shot.get(_DRAWN_KEY, ()))
    return not any(first <= frame <= last for first, last in zip(ends[::2], ends[1::2], strict=True))


def shot_node(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage | None:
    """The node that plays the shot; None on the plane of a photo."""
    return node.id_data.nodes.get(SHOT_NODE)


def _mixes(node: bpy.types.ShaderNodeTexImage) -> list[bpy.types.ShaderNodeMix]:
    found = (node.id_data.nodes.get(f"{SHOT_NODE}: {output}") for output in ("Color", "Alpha"))
    return [mix for mix in found if mix is not None]  # the user may have built the material anew


def _add_shot_node(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage:
    tree = node.id_data
    shot = tree.nodes.new("ShaderNodeTexImage")
    shot.name = shot.label = SHOT_NODE
    shot.interpolation, shot.projection, shot.extension = node.interpolation, node.projection, node.extension
    shot.location = (node.location[0], node.location[1] + 300)
    for link in list(node.inputs["Vector"].links):
        tree.links.new(link.from_socket, shot.inputs["Vector"])
    for step, output in enumerate(("Color", "Alpha")):
        mix = tree.nodes.new("ShaderNodeMix")
        mix.name = mix.label = f"{SHOT_NODE}: {output}"
        mix.data_type = "RGBA" if output == "Color" else "FLOAT"
        mix.location = (node.location[0] + 290, node.location[1] + 250 - 250 * step)
        one, other, mixed = compat.mix_sockets(mix)
        for link in list(node.outputs[output].links):
            tree.links.new(mixed, link.to_socket)
        tree.links.new(node.outputs[output], one)
        tree.links.new(shot.outputs[output], other)
    return shot
