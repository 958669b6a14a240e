# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept in the .blend of the rigs that drive a portrait."""

from __future__ import annotations

import bpy
from bpy.props import (  # fmt: skip
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import mechanism
from .names import HEAD, TARGETS

_TARGET_ITEMS = tuple(
    (
        name,
        name.replace("_", " "),
        "Move the portrait's head control" if name == HEAD else "Move this point of the portrait",
    )
    for name in TARGETS
)


def _switched(self: PORTRAIT_PG_driving, context: bpy.types.Context) -> None:
    mechanism.switch(self.id_data, self, self.enabled)


class PORTRAIT_PG_driver(bpy.types.PropertyGroup):
    """One thing that drives the head or a point; `name` is that of the source, remembered for when it is gone."""

    target: EnumProperty(name="Drives", description="Tells what of the portrait follows", items=_TARGET_ITEMS)
    source: PointerProperty(name="Object", description="What drives it", type=bpy.types.Object)
    kind: EnumProperty(
        name="Kind",
        description="Tells what of the object drives",
        items=(
            ("OBJECT", "Object", "Follow the object's origin"),
            ("BONE", "Bone", "Follow a bone of the armature"),
            ("VERTEX", "Vertex", "Follow a vertex of the mesh, with shape keys and modifiers"),
            ("GROUP", "Vertex Group", "Follow the middle of a vertex group of the mesh"),
        ),
    )
    item: StringProperty(name="Part", description="Tells which bone or vertex group drives")
    vertex: IntProperty(name="Vertex", description="Tells which vertex drives, by its number", min=0)
    vertex_count: IntProperty(options={"HIDDEN"})  # of the mesh when the vertex was picked
    along: FloatProperty(
        name="Along Bone",
        description="Follow this place on the bone: 0 is its head, 1 its tail",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
    )


class PORTRAIT_PG_driving(bpy.types.PropertyGroup):
    """How other rigs drive a portrait."""

    entries: CollectionProperty(type=PORTRAIT_PG_driver)
    active_index: IntProperty(name="Driver", default=0)
    view: EnumProperty(
        name="Through",
        description="Choose from where the driving rig is seen; what is right, up and near there is so in the picture",
        items=(
            (
                "FRONT",
                "Its Own Front",
                "Look from the front of the driving armature or mesh: its X is right, its Z up. "
                "Objects are seen from the world's front",
            ),
            ("CAMERA", "Scene Camera", "Look through the scene's camera, with perspective"),
            (
                "PLANE",
                "Plane",
                "Look squarely at the plane of an object: its X is right, its Y up, its Z towards the viewer",
            ),
        ),
    )
    plane: PointerProperty(name="Plane", description="The object whose X and Y are right and up", type=bpy.types.Object)
    automatic_scale: BoolProperty(
        name="Automatic Scale", description="Scale the motion by the size of the two faces at rest", default=True
    )
    scale: FloatProperty(
        name="Scale", description="Move the portrait by so many metres for one metre of the driving rig", default=1.0, min=1e-4,
        soft_max=100.0,
    )  # fmt: skip
    separate_head: BoolProperty(
        name="Separate Head",
        description="Give the head's turn and shift to the portrait's head control, where enough points that "
        "expressions hardly move are mapped: both sides of the head and the nose's bridge. A mapped head always does",
        default=True,
    )
    enabled: BoolProperty(
        name="Driven",
        description="Let the other rig move the portrait; the mapping is kept while it is off",
        default=True,
        update=_switched,
    )
    face: PointerProperty(type=bpy.types.Object)  # measures the drivers against their head
    stage: PointerProperty(type=bpy.types.Object)  # measures the head against the view
    rest_frame: IntProperty(options={"HIDDEN"})


CLASSES = (PORTRAIT_PG_driver, PORTRAIT_PG_driving)
