# SPDX-License-Identifier: GPL-3.0-or-later
"""The portraits of a scene, and which of several is meant: one answer for the list, the panels and the operators.

An active plane or rig means its portrait; with anything else active it is the one that was meant last. The list shows
that answer, and a click in it selects the portrait's plane or rig, so that the two never differ.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Final

import bpy
from bpy.app.handlers import persistent
from bpy.props import BoolProperty, CollectionProperty, IntProperty, PointerProperty

from ..blender import modes
from ..blender.numbered_names import numbered_names
from ..blender.selection import select_only
from ..plane import image_plane
from . import properties
from .properties import PORTRAIT_PG_portrait


def _index_meant(held: PORTRAIT_PG_portraits) -> int:
    return held.index_meant(bpy.context.view_layer)


def _choose_in_list(held: PORTRAIT_PG_portraits, index: int) -> None:
    held.choose(bpy.context, index)


class PORTRAIT_PG_portraits(bpy.types.PropertyGroup):
    """The portraits of a scene."""

    items: CollectionProperty(type=PORTRAIT_PG_portrait)
    active_index: IntProperty(name="Portrait", default=0)
    list_index: IntProperty(
        name="Portrait",
        description="Choose the portrait that panels and buttons are about; its plane or rig is selected",
        get=_index_meant,
        set=_choose_in_list,
        options={"SKIP_SAVE"},
    )
    show_states: BoolProperty(
        name="Frame States",
        description="Show in timeline, dope sheet and sequencer which frames are done, stale, failed or missing",
        default=True,
    )

    def add(self, name: str) -> PORTRAIT_PG_portrait:
        portrait = self.items.add()
        portrait.name = free_name(portrait, name)
        portrait.uid = uuid.uuid4().hex
        self.active_index = len(self.items) - 1
        return portrait

    def by_uid(self, uid: str) -> PORTRAIT_PG_portrait | None:
        return next((item for item in self.items if item.uid == uid), None)

    @property
    def active(self) -> PORTRAIT_PG_portrait | None:
        """The one that was chosen last."""
        return self.items[self.active_index] if 0 <= self.active_index < len(self.items) else None

    def meant(self, layer: bpy.types.ViewLayer | None) -> PORTRAIT_PG_portrait | None:
        """The portrait whose plane or rig is active, else the one chosen last."""
        index = self._index_of_active(layer)
        return self.items[index] if index is not None else self.active

    def index_meant(self, layer: bpy.types.ViewLayer | None) -> int:
        """What the list highlights."""
        index = self._index_of_active(layer)
        return self.active_index if index is None else index

    def choose(self, context: bpy.types.Context, index: int) -> None:
        """Makes it the one that is meant: where another one's plane or rig is active, this one's is selected instead."""
        self.active_index = index
        layer = context.view_layer
        other = self._index_of_active(layer)
        if other in (None, index) or not 0 <= index < len(self.items):
            return
        active, portrait = layer.objects.active, self.items[index]
        posing = active.mode == "POSE"
        parts = (portrait.rig, portrait.plane) if active == self.items[other].rig else (portrait.plane, portrait.rig)
        for part in parts:
            if part is not None and part.name in layer.objects and part.visible_get(view_layer=layer):
                select_only(layer, part)
                if posing and part == portrait.rig:
                    bpy.ops.object.mode_set(mode="POSE")
                return
        modes.leave(context)
        # Plane and rig are hidden: with no object active, the list's choice counts.
        active.select_set(False, view_layer=layer)

    def remember_active(self, layer: bpy.types.ViewLayer | None) -> None:
        """Keeps the active portrait as the chosen one, which it still is when the user then selects a lamp."""
        index = self._index_of_active(layer)
        if index is not None and index != self.active_index:
            self.active_index = index

    def _index_of_active(self, layer: bpy.types.ViewLayer | None) -> int | None:
        active = layer.objects.active if layer is not None else None
        if active is None or not (active.select_get(view_layer=layer) or active.mode != "OBJECT"):
            return None
        shown = [
            index
            for index, portrait in enumerate(self.items)
            if active == portrait.rig or (portrait.plane is not None and image_plane.look_alike(portrait.plane, active))
        ]
        exact = [index for index in shown if active in (self.items[index].plane, self.items[index].rig)]
        found = exact or shown  # several planes may show one portrait, and one plane those of several faces
        return self.active_index if self.active_index in found else next(iter(found), None)


def portraits_of(scene: bpy.types.Scene) -> PORTRAIT_PG_portraits:
    return scene.talking_portraits


def all_portraits() -> Iterator[tuple[bpy.types.Scene, PORTRAIT_PG_portrait]]:
    """Each portrait of the file with its scene, linked scenes too."""
    return ((scene, portrait) for scene in bpy.data.scenes for portrait in portraits_of(scene).items)


def find_portrait(uid: str) -> tuple[bpy.types.Scene, PORTRAIT_PG_portrait] | None:
    """A portrait and its scene, wherever in the file it is."""
    return next((found for found in all_portraits() if found[1].uid == uid), None)


def free_name(portrait: PORTRAIT_PG_portrait, name: str) -> str:
    """The name, where no other portrait of the file has it; else with a number that is free, as Blender numbers copies."""
    taken = {other.name for _, other in all_portraits() if other != portrait}
    if name not in taken:
        return name
    stem = re.sub(r"\.\d{3}$", "", name)
    return next(free for free in numbered_names(stem) if free not in taken | {stem})


@persistent
def _remember(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    held = portraits_of(scene)
    if depsgraph is not None and len(held.items) > 1:
        held.remember_active(scene.view_layers.get(depsgraph.view_layer.name))


HANDLERS: Final = ((bpy.app.handlers.depsgraph_update_post, _remember),)
_CLASSES: Final = (*properties.CLASSES, PORTRAIT_PG_portraits)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.talking_portraits = PointerProperty(type=PORTRAIT_PG_portraits)


def unregister() -> None:
    del bpy.types.Scene.talking_portraits
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
