# SPDX-License-Identifier: GPL-3.0-or-later
"""The compositor's node group “Talking Portrait”: a frame's layers go in, the person over a background comes out.

As it is made, it changes nothing: without a matte and a background the picture comes out as it went in.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import bpy

from ..blender.compat_compositor import CompositorGraph, offer_for_strips, takes_assets

NAME: Final = "Talking Portrait"
_VERSION: Final = 1  # rises where the group changes: one made by an older extension stays as it is, beside the new one
_VERSION_KEY: Final = "talking_portrait_group"
_LEAST_ALPHA: Final = 1e-6


class _Socket(NamedTuple):
    """A socket of the group: its kind, and the number, limits and panel of a setting."""

    name: str
    kind: str
    description: str
    default: Any = None
    limits: tuple[float, float] | None = None
    panel: str = ""


_INPUTS: Final = (
    _Socket("Image", "Color", "The frame's color: the person cut out, or the whole picture", (0.0, 0.0, 0.0, 0.0)),
    _Socket("Matte", "Float", "How far each pixel is the person; of frames that are cut out, their alpha", 1.0, (0, 1)),
    _Socket("Depth", "Float", "In face widths, smaller is nearer, the plane of the photo 0", 0.0),
    _Socket("Confidence", "Float", "1 where a pixel is the photo's own, 0 where all is made up", 1.0, (0, 1)),
    _Socket("Motion", "Vector", "The layer “vector”: where each place goes in the next frame", (0.0, 0.0, 0.0)),
    _Socket("Background", "Color", "What the person is put over", (0.0, 0.0, 0.0, 0.0)),
    _Socket("Edge Blur", "Float", "Soften the person's edge inwards, by so many pixels", 0.0, (0, 500), "Edge"),
    _Socket("Light Wrap", "Float", "Let the background's light fall around the edge", 0.0, (0, 4), "Light Wrap"),
    _Socket("Width", "Float", "How far that light reaches in, in pixels", 30.0, (0, 500), "Light Wrap"),
    _Socket("Motion Blur", "Float", "How long the shutter is open, in frames: 0.5 is 180°", 0.0, (0, 4), "Motion"),
)
_OUTPUTS: Final = (
    _Socket("Image", "Color", "The person over the background"),
    _Socket("Foreground", "Color", "The person alone, premultiplied"),
    _Socket("Matte", "Float", "The person's matte, as blurred"),
    _Socket("Depth", "Float", "As it went in"),
    _Socket("Confidence", "Float", "As it went in"),
    _Socket("Motion", "Vector", "As it went in"),
)


def node_group() -> bpy.types.NodeTree:
    """This file's node group; made where there is none.

    Where Blender's compositor takes node groups as assets it is one, in this file's own library.
    """
    for tree in bpy.data.node_groups:
        if tree.get(_VERSION_KEY) == _VERSION and tree.library is None and tree.bl_idname == "CompositorNodeTree":
            return tree
    tree = bpy.data.node_groups.new(NAME, "CompositorNodeTree")
    tree[_VERSION_KEY] = _VERSION
    _make_sockets(tree)
    _fill(tree)
    if takes_assets():
        offer_for_strips(tree)
        tree.asset_mark()
        tree.asset_data.description = "Puts frames of a talking portrait over a background, by their layers"
        tree.asset_data.tags.new("Talking Portraits")
    return tree


def is_ours(node: bpy.types.Node) -> bool:
    """Whether a node is the group, also one of an older extension's."""
    tree = getattr(node, "node_tree", None)
    return node.bl_idname == "CompositorNodeGroup" and tree is not None and _VERSION_KEY in tree


def _make_sockets(tree: bpy.types.NodeTree) -> None:
    panels = {name: tree.interface.new_panel(name) for name in dict.fromkeys(s.panel for s in _INPUTS) if name}
    for in_out, sockets in (("OUTPUT", _OUTPUTS), ("INPUT", _INPUTS)):
        for wanted in sockets:
            socket = tree.interface.new_socket(
                wanted.name, description=wanted.description, in_out=in_out, socket_type=f"NodeSocket{wanted.kind}",
                parent=panels.get(wanted.panel),
            )  # fmt: skip
            if wanted.default is not None:
                socket.default_value = wanted.default
            if wanted.limits is not None:
                socket.min_value, socket.max_value = wanted.limits
            if in_out == "INPUT" and wanted.kind in ("Vector",):
                socket.hide_value = True


def _fill(tree: bpy.types.NodeTree) -> None:
    graph = CompositorGraph(tree)
    given = graph.node("NodeGroupInput").outputs
    alpha = graph.alpha(given["Image"])
    matte = graph.math("MINIMUM", given["Matte"], alpha)
    # Inwards only: outside, a picture that is cut out is black, and one that is whole shows the photo's background.
    blurred = graph.blurred(matte, given["Edge Blur"])
    outside = graph.math("SUBTRACT", 2.0, graph.math("MULTIPLY", blurred, 2.0), clamp=True)  # all, up to half a matte
    lost = graph.math("MULTIPLY", outside, graph.math("ADD", given["Edge Blur"], 0.0, clamp=True))  # none where 0 px
    edge = graph.math("MULTIPLY", matte, graph.math("SUBTRACT", 1.0, lost))
    person = graph.masked(given["Image"], graph.math("DIVIDE", edge, graph.math("MAXIMUM", alpha, _LEAST_ALPHA)))

    near_edge = graph.math("MULTIPLY", edge, graph.blurred(graph.math("SUBTRACT", 1.0, edge), given["Width"]))
    wrap = graph.math("MULTIPLY", near_edge, given["Light Wrap"])
    lit = graph.added(person, graph.masked(graph.blurred(given["Background"], given["Width"]), wrap))

    along, up, *_ = graph.separate_xyz(given["Motion"])
    along, up = (graph.math("MULTIPLY", part, given["Motion Blur"]) for part in (along, up))
    # Twice the same: the way from the frame before, which no file knows, is taken for as long as that to the next.
    moved = graph.motion_blurred(lit, graph.four(along, up, along, up), given["Depth"])

    output = graph.node("NodeGroupOutput")
    results = {
        "Image": graph.over(given["Background"], moved), "Foreground": moved, "Matte": graph.alpha(moved),
        "Depth": given["Depth"], "Confidence": given["Confidence"], "Motion": given["Motion"],
    }  # fmt: skip
    for name, socket in results.items():
        graph.give(socket, output.inputs[name])
