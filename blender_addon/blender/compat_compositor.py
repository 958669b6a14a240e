# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the compositors of Blender 4.2 and 5.2 that the extension meets, and only here.

4.5 made sockets of most settings of nodes; 5.0 replaced the compositor's own Math, Mix and XYZ nodes by the shader
editor's, and the Composite node by the output of a node group.
"""

from __future__ import annotations

from typing import Any, Final

import bpy

_WIDEST_BLUR_PIXELS: Final = 2000  # of the node before 4.5, whose socket is a share of it
_LAYERS_STEP: Final = 180


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's compositor, or None where it has none or does not use it."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def ensure_compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's compositor, used and made if it has none: then with nothing but its output."""
    scene.render.use_compositing = True
    tree = compositor_tree(scene)
    if tree is not None:
        return tree
    if not hasattr(scene, "compositing_node_group"):
        fresh = scene.node_tree is None
        scene.use_nodes = True
        if fresh:  # Blender fills it with a render of the scene, which nobody has asked for
            scene.node_tree.nodes.clear()
        return scene.node_tree
    tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return tree


def final_image(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket | None:
    """The socket that the compositor's picture goes to; made with its node where there is none.

    None where the tree has an output, but none for a picture: then it is meant for something else.
    """
    kind = "CompositorNodeComposite" if hasattr(bpy.types, "CompositorNodeComposite") else "NodeGroupOutput"
    found = next((node for node in tree.nodes if node.bl_idname == kind), None) or tree.nodes.new(kind)
    return next((socket for socket in found.inputs if socket.type == "RGBA"), None)


def has_strip_compositor() -> bool:
    """Whether a strip can be given a node group as its modifier: since 5.0, where no script of 5.0 and 5.1 may do so
    without a window, since they then crash."""
    kinds = bpy.types.StripModifier.bl_rna.properties["type"].enum_items if hasattr(bpy.types, "StripModifier") else ()
    return "COMPOSITOR" in kinds and not (bpy.app.background and bpy.app.version < (5, 2, 0))


def offer_for_strips(tree: bpy.types.NodeTree) -> None:
    """Lets the menu of strips' modifiers offer a node group: since 5.2, which asks for a word."""
    if hasattr(tree, "is_strip_modifier"):
        tree.is_strip_modifier = True


def takes_assets() -> bool:
    """Whether the compositor offers node groups that are assets."""
    return bpy.app.version >= (5, 0, 0)


class CompositorGraph:
    """Adds nodes to a tree, from left to right; each method returns the socket of its result.

    Values are sockets or plain numbers.
    """

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._column = 0

    def node(self, *kinds: str) -> bpy.types.Node:
        """A new node of the first kind that this Blender has."""
        for kind in kinds:
            if hasattr(bpy.types, kind):
                node = self.tree.nodes.new(kind)
                node.location = (_LAYERS_STEP * self._column, -220 * (self._column % 3))
                self._column += 1
                return node
        raise ValueError(f"no node of {kinds}")

    def math(self, operation: str, one: Any, other: Any = 0.0, *, clamp: bool = False) -> bpy.types.NodeSocket:
        node = self.node("CompositorNodeMath", "ShaderNodeMath")
        node.operation, node.use_clamp = operation, clamp
        self.give(one, node.inputs[0])
        self.give(other, node.inputs[1])
        return node.outputs[0]

    def separate_xyz(self, vector: bpy.types.NodeSocket) -> tuple[bpy.types.NodeSocket, ...]:
        node = self.node("CompositorNodeSeparateXYZ", "ShaderNodeSeparateXYZ")
        self.give(vector, node.inputs[0])
        return tuple(node.outputs)

    def alpha(self, image: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        node = self.node("CompositorNodeSeparateColor")
        self.give(image, node.inputs[0])
        return node.outputs["Alpha"]

    def four(self, *values: Any) -> bpy.types.NodeSocket:
        """A colour of four values; it carries a vector of four, which only newer Blenders have."""
        node = self.node("CompositorNodeCombineColor")
        for value, socket in zip(values, node.inputs, strict=True):
            self.give(value, socket)
        return node.outputs[0]

    def blurred(self, image: bpy.types.NodeSocket, pixels: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        """A Gaussian blur of so many pixels."""
        node = self.node("CompositorNodeBlur")
        size = node.inputs["Size"]
        if hasattr(node, "filter_type"):
            node.filter_type = "GAUSS"  # since 5.0 a socket, which has it already
        if size.type == "VALUE":
            node.size_x = node.size_y = _WIDEST_BLUR_PIXELS
            pixels = self.math("DIVIDE", pixels, _WIDEST_BLUR_PIXELS)
        self.give(image, node.inputs["Image"])
        self.give(pixels, size)
        return node.outputs[0]

    def masked(self, image: bpy.types.NodeSocket, share: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        """All four channels times a share."""
        node = self.node("CompositorNodeSetAlpha")
        if "Type" in node.inputs:
            node.inputs["Type"].default_value = "Apply Mask"
        else:
            node.mode = "APPLY"
        self.give(image, node.inputs["Image"])
        self.give(share, node.inputs["Alpha"])
        return node.outputs[0]

    def added(self, image: bpy.types.NodeSocket, light: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        """Light added to an image, whose alpha stays."""
        node = self.node("CompositorNodeMixRGB", "ShaderNodeMix")
        if node.bl_idname == "ShaderNodeMix":
            node.data_type = "RGBA"
            one, other = (s for s in node.inputs if s.type == "RGBA" and s.enabled)
            factor, result = node.inputs["Factor"], next(s for s in node.outputs if s.type == "RGBA")
        else:
            factor, one, other = node.inputs
            result = node.outputs[0]
        node.blend_type, factor.default_value = "ADD", 1.0
        self.give(image, one)
        self.give(light, other)
        return result

    def over(self, background: bpy.types.NodeSocket, image: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
        """A premultiplied image over another."""
        node = self.node("CompositorNodeAlphaOver")
        below, above = (socket for socket in node.inputs if socket.type == "RGBA")
        self.give(background, below)
        self.give(image, above)
        return node.outputs[0]

    def motion_blurred(
        self, image: bpy.types.NodeSocket, speed: bpy.types.NodeSocket, depth: bpy.types.NodeSocket
    ) -> bpy.types.NodeSocket:
        """A vector blur with the shutter open from half a frame before to half a frame after."""
        node = self.node("CompositorNodeVecBlur")
        if "Shutter" in node.inputs:
            node.inputs["Shutter"].default_value, node.inputs["Samples"].default_value = 1.0, 32
        else:
            node.factor, node.samples = 0.5, 32
        self.give(image, node.inputs["Image"])
        self.give(speed, node.inputs["Speed"])
        self.give(depth, next(socket for socket in node.inputs if socket.identifier == "Z"))
        return node.outputs[0]

    def give(self, value: Any, socket: bpy.types.NodeSocket) -> None:
        """Links a socket to another, or sets what it is where nothing is linked to it."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value
