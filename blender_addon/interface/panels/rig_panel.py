# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Rig”: what is shown in the viewport, expressions, mirror and reset, and the sliders by region."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import bpy

from ...blender.problems import listed
from ...rig import armature as rig_module
from ...rig.blendshapes import ARKIT_NAMES, REGIONS
from ...rig.body_sliders import BODY_SLIDERS
from ...rig.handles import HANDLES_COLLECTION, POINTS_COLLECTION
from ...rig.rig_drivers import LIMITS_PROPERTY
from ..operators.common import active_portrait
from .placement import ForRig, InSequencer, InView3D
from .sections import draw_text

_WORDS = re.compile(r"[A-Z][a-z]*")
_LABEL_SHARE = 0.34
HEAD_HINT: Final = "Head, seen from the front: R tilts, R Z turns, R X nods."
_ALONE = {"tongueOut": "Tongue Out", "cheekPuff": "Puff", "browInnerUp": "Inner Up"}


def label_of(name: str) -> str:
    """ARKit's name without its region and side: “mouthSmileLeft” is “Smile”."""
    words = _WORDS.findall(name.removesuffix("Left").removesuffix("Right"))
    return _ALONE.get(name) or " ".join(words) or "Side"


def rows_of(region: str) -> list[tuple[str, ...]]:
    """The region's sliders: (right, left) where there are two, in the picture's order."""
    rows: list[tuple[str, ...]] = []
    for name in REGIONS[region]:
        if name.endswith("Right") and name.removesuffix("Right") + "Left" in ARKIT_NAMES:
            rows.append((name, name.removesuffix("Right") + "Left"))
        elif not name.endswith("Left"):
            rows.append((name,))
    return rows


def draw_rig(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """All but the sliders."""
    portrait = active_portrait(context)
    rig = portrait.rig
    row = layout.row(align=True)
    for name in (HANDLES_COLLECTION, POINTS_COLLECTION):
        collection = rig.data.collections_all.get(name)
        if collection is not None:
            row.prop(collection, "is_visible", text=name, toggle=True)
    if LIMITS_PROPERTY in rig:
        layout.prop(rig, f'["{LIMITS_PROPERTY}"]', text="Limits")
    layout.menu("PORTRAIT_MT_expressions", icon="USER")
    layout.operator_menu_enum("portrait.key_all", "part", text="Key All", icon="KEY_HLT")
    layout.operator("portrait.mirror_pose", icon="MOD_MIRROR")
    row = layout.row(align=True)
    row.operator("portrait.reset_pose", text="Reset All").scope = "ALL"
    row.operator("portrait.reset_pose", text="Reset Selected").scope = "SELECTED"
    row = layout.row(align=True)
    row.operator("portrait.save_pose", icon="ASSET_MANAGER")
    row.operator("portrait.make_pose_library", text="Pose Library")
    draw_text(layout, context, HEAD_HINT, "INFO")
    missing = rig_module.missing_handles_and_sliders(rig)
    if missing:
        draw_text(layout, context, f"The rig lacks controls: {listed(missing, 3)}. It renders without them.", "INFO")
        layout.operator("portrait.add_controls", icon="ARMATURE_DATA")


def draw_sliders(layout: bpy.types.UILayout, context: bpy.types.Context, region: str) -> None:
    """A line for each slider, or for a left and a right one; the person's right is at the picture's left, and so is its slider."""
    rig = active_portrait(context).rig
    column = layout.column(align=True)
    rows = rows_of(region)
    if any(len(names) == 2 for names in rows):  # in each slider the word would be cut
        split = column.split(factor=_LABEL_SHARE, align=True)
        split.label(text="")
        row = split.row(align=True)
        for side in ("Right", "Left"):
            row.label(text=side)
    for names in rows:
        split = column.split(factor=_LABEL_SHARE, align=True)
        split.label(text=label_of(names[0]))
        row = split.row(align=True)
        for name in names:
            if name in rig:
                row.prop(rig, f'["{name}"]', text="", slider=True)


def draw_body(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The sliders of shoulders and breath."""
    rig = active_portrait(context).rig
    column = layout.column(align=True)
    for name, slider in BODY_SLIDERS.items():
        if name in rig:
            split = column.split(factor=_LABEL_SHARE, align=True)
            split.label(text=slider.label)
            split.prop(rig, f'["{name}"]', text="", slider=True)


def _drawing_of(region: str) -> Callable[[bpy.types.Panel, bpy.types.Context], None]:
    return lambda self, context: draw_sliders(self.layout, context, region)


def _panels(place: type, prefix: str) -> list[type[bpy.types.Panel]]:
    """The section and a foldable one for each region, for one editor."""
    bases = (place, ForRig, bpy.types.Panel)
    parent = f"PORTRAIT_PT_{prefix}rig"
    section = {
        "bl_label": "Rig",
        "bl_order": 10,
        "bl_parent_id": f"PORTRAIT_PT_{prefix}portraits",
        "bl_options": {"DEFAULT_CLOSED"},
        "__doc__": "Handles, sliders and expressions of the active portrait.",
        "draw": lambda self, context: draw_rig(self.layout, context),
    }
    panels = [type(parent, bases, section)]
    drawings = {region: _drawing_of(region) for region in REGIONS}
    drawings["Shoulders and Breath"] = lambda self, context: draw_body(self.layout, context)
    for label, draw in drawings.items():
        name = f"{parent}_{label.split()[0].lower()}"
        content = {
            "bl_label": label,
            "bl_parent_id": parent,
            "bl_options": {"DEFAULT_CLOSED"},
            "__doc__": f"Sliders: {label.lower()}.",
            "draw": draw,
        }
        panels.append(type(name, bases, content))
    return panels


CLASSES = (*_panels(InView3D, ""), *_panels(InSequencer, "sequencer_"))
