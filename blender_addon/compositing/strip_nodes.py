# SPDX-License-Identifier: GPL-3.0-or-later
"""The node group as the compositor modifier of a portrait's strip: edge and motion blur in the sequencer."""

from __future__ import annotations

from typing import Any, Final

import bpy

from ..blender import compat, compat_compositor
from ..blender.problems import SceneError
from ..portraits import sequencer
from . import node_group, scene_nodes
from .scene_nodes import Frames

_NAME: Final = "Talking Portrait"
_STEP: Final = 300
_SETTINGS: Final = ("Edge Blur", "Motion Blur")
"""What the modifier's panel shows of the group's; a strip knows nothing of what is behind it, whose light could wrap."""


def add(strip: Any, uid: str, plane: bpy.types.Object, frames: Frames) -> bpy.types.NodeTree:
    """Gives a strip the modifier; one that has it is brought up to date. Returns the modifier's nodes.

    Of layered files, matte, depth and motion come from an image node that plays them in step with the strip. The strip is
    cut out by them, also where its files hold the whole picture.

    Raises:
        PortraitError: SCENE where this Blender has no such modifier.
    """
    if not compat_compositor.has_strip_compositor():
        raise SceneError(
            "This Blender has no compositor for strips.", "Use Blender 5.2 or later, or Add to Compositor."
        )
    modifier = next((each for each in strip.modifiers if _tree_of(each) is not None), None)
    if modifier is None:
        modifier = strip.modifiers.new(_NAME, "COMPOSITOR")
        modifier.node_group = _new_tree(f"{strip.name} strip")
    tree = _tree_of(modifier)
    assert tree is not None
    moved = compat.strip_start(strip) - int(strip.get(sequencer.FIRST_KEY, frames.numbers[0]))
    image = scene_nodes.play_layers(tree, uid, plane, frames._replace(moved=moved))
    for node in tree.nodes:
        if node_group.is_ours(node):
            scene_nodes.link_layers(image, node)
    strip.invalidate_cache("RAW")
    return tree


def follow_in_compositors(uid: str, plane: bpy.types.Object, frames: Frames) -> None:
    """Lets the scenes' compositors and the strips' modifiers play a portrait's frames that are there now."""
    scene_nodes.follow(uid, plane, frames)
    for strip in sequencer.find_strips(uid):
        if any(_tree_of(modifier) is not None for modifier in strip.modifiers):
            add(strip, uid, plane, frames)


def _tree_of(modifier: Any) -> bpy.types.NodeTree | None:
    tree = getattr(modifier, "node_group", None)
    return tree if tree is not None and any(map(node_group.is_ours, tree.nodes)) else None


def _new_tree(name: str) -> bpy.types.NodeTree:
    """What a strip's compositor is given, through the group."""
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    for socket, in_out in (("Image", "INPUT"), ("Mask", "INPUT"), ("Image", "OUTPUT")):
        tree.interface.new_socket(socket, in_out=in_out, socket_type="NodeSocketColor")
    compat_compositor.offer_for_strips(tree)
    given, group, output = map(tree.nodes.new, ("NodeGroupInput", "CompositorNodeGroup", "NodeGroupOutput"))
    group.node_tree, group.width = node_group.node_group(), 200
    given.location, group.location, output.location = (-_STEP, 0), (0, 0), (_STEP, 0)
    tree.links.new(given.outputs["Image"], group.inputs["Image"])
    for name in _SETTINGS:
        known = next(item for item in group.node_tree.interface.items_tree if item.name == name)
        setting = tree.interface.new_socket(
            name, description=known.description, in_out="INPUT", socket_type="NodeSocketFloat"
        )
        setting.min_value, setting.max_value = known.min_value, known.max_value
        tree.links.new(given.outputs[name], group.inputs[name])
    tree.links.new(group.outputs["Image"], output.inputs["Image"])
    return tree
