# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the plane shows the photo's own colours, or is lit by the scene."""

from __future__ import annotations

from typing import Final

import bpy

from ..blender import compat

_LIT_NODE: Final = "Portrait lit"
_SHADER_INPUT: Final = 2  # of the Mix Shader: what is seen where the picture is not transparent


def is_lit(plane: bpy.types.Object | None) -> bool:
    """Whether light falls on the plane."""
    mix = _mix(plane)
    return mix is not None and any(link.from_node.name == _LIT_NODE for link in mix.inputs[_SHADER_INPUT].links)


def set_lit(plane: bpy.types.Object | None, lit: bool) -> None:
    """Exchanges the material's emission for a matt surface of the same colour, or the other way about.

    Nodes are kept, with what the user has set on them; a material that the user has built anew is left alone.
    """
    mix = _mix(plane)
    if mix is None or is_lit(plane) == lit:
        return
    tree = mix.id_data
    emission = next((node for node in tree.nodes if node.type == "EMISSION"), None)
    if emission is None:
        return
    shader = emission
    if lit:
        shader = tree.nodes.get(_LIT_NODE) or _matt(tree)
        shader.location = (emission.location.x, emission.location.y - 200)
        for link in emission.inputs["Color"].links:
            tree.links.new(link.from_socket, shader.inputs["Base Color"])
    tree.links.new(shader.outputs[0], mix.inputs[_SHADER_INPUT])


def _mix(plane: bpy.types.Object | None) -> bpy.types.Node | None:
    material = plane.active_material if plane is not None else None
    if material is None:
        return None
    return next((node for node in compat.ensure_node_tree(material).nodes if node.type == "MIX_SHADER"), None)


def _matt(tree: bpy.types.NodeTree) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeBsdfPrincipled")
    node.name = node.label = _LIT_NODE
    node.inputs["Roughness"].default_value = 1.0
    node.inputs["Specular IOR Level"].default_value = 0.0
    return node
