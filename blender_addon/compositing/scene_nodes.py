# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's frames in the scene's compositor: an image node that plays them, and the node group beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from ..blender import compat_compositor
from ..plane import image_plane, plane_frames
from . import node_group

_UID_KEY: Final = "talking_portrait"
_LAYERS: Final = {
    "Combined": "Image", "Image": "Image", "matte": "Matte", "depth": "Depth", "confidence": "Confidence",
    "vector": "Motion",
}  # fmt: skip
"""Which socket of the group each output of the image node goes to."""
_STEP: Final = 320


class Frames(NamedTuple):
    """The files of a portrait's frames.

    Attributes:
        numbers: all that are there; at least one.
        stretch: see `scene_time.stretch`.
        moved: by so many scene frames they are shown later than their numbers say.
    """

    folder: Path
    numbers: list[int]
    stretch: float
    prefix: str
    suffix: str
    moved: int = 0


class Added(NamedTuple):
    """The group's node, and whether its picture goes to the compositor's output."""

    node: bpy.types.Node
    is_output: bool


def add(scene: bpy.types.Scene, uid: str, plane: bpy.types.Object, frames: Frames) -> Added:
    """Puts a portrait's frames and the group into the scene's compositor; where they are there, brings them up to date.

    What the user has linked stays. The picture goes to the compositor's output where nothing else does.
    """
    tree = compat_compositor.ensure_compositor_tree(scene)
    final = compat_compositor.final_image(tree)
    image = play_layers(tree, uid, plane, frames)
    group = _group_after(image)
    fresh = group is None
    if group is None:
        group = tree.nodes.new("CompositorNodeGroup")
        group.node_tree, group.width = node_group.node_group(), 200
    link_layers(image, group)
    is_output = final is not None and not final.is_linked
    if is_output:
        tree.links.new(group.outputs["Image"], final)
    if fresh:
        _arrange(tree, image, group, final.node if is_output else None)
    is_output = final is not None and any(link.from_node == group for link in final.links)
    return Added(group, is_output)


def follow(uid: str, plane: bpy.types.Object, frames: Frames) -> None:
    """Lets the portrait's image nodes in all scenes' compositors play the frames that are there now."""
    for scene in bpy.data.scenes:
        tree = compat_compositor.compositor_tree(scene) if scene.library is None else None
        if tree is not None and tree.library is None and any(_image_nodes(tree, uid)):
            group = _group_after(play_layers(tree, uid, plane, frames))
            if group is not None:
                link_layers(next(_image_nodes(tree, uid)), group)


def link_layers(image: bpy.types.Node, group: bpy.types.Node) -> None:
    """Links what the frames have to the group's inputs, but for those that the user has linked to something else."""
    for output in image.outputs:
        socket = group.inputs.get(_LAYERS.get(output.name, ""))
        if output.enabled and socket is not None and not socket.is_linked:
            image.id_data.links.new(output, socket)


def play_layers(tree: bpy.types.NodeTree, uid: str, plane: bpy.types.Object, frames: Frames) -> bpy.types.Node:
    """The image node of a portrait's frames, made where there is none."""
    image = next(_image_nodes(tree, uid), None)
    if image is None:
        image = tree.nodes.new("CompositorNodeImage")
        image[_UID_KEY], image.label = uid, plane.name
        image.location = (-_STEP, -_STEP)
        image.image = image_plane.wanted_sequence(plane)  # one image for all, whose paths are mended in one place
    plane_frames.play(image, frames.folder, frames.numbers, frames.stretch, frames.prefix, frames.suffix, frames.moved)
    plane_frames.make_alike(image.image, image_plane.photo_of(plane))
    return image


def _image_nodes(tree: bpy.types.NodeTree, uid: str) -> Iterator[bpy.types.Node]:
    return (node for node in tree.nodes if node.bl_idname == "CompositorNodeImage" and node.get(_UID_KEY) == uid)


def _group_after(image: bpy.types.Node) -> bpy.types.Node | None:
    """The group that the frames' colours go to."""
    linked = (link for output in image.outputs for link in output.links)
    return next((link.to_node for link in linked if node_group.is_ours(link.to_node)), None)


def _arrange(
    tree: bpy.types.NodeTree, image: bpy.types.Node, group: bpy.types.Node, output: bpy.types.Node | None
) -> None:
    """Below what is there; before the output where it is theirs. Both are chosen, so that they are seen."""
    others = [node for node in tree.nodes if node not in (image, group, output)]
    top = min((node.location.y - node.height for node in others), default=100) - 100
    image.location, group.location = (0, top), (_STEP, top)
    if output is not None:
        output.location = (2 * _STEP, top)
    for node in tree.nodes:
        node.select = node in (image, group)
    tree.nodes.active = group
