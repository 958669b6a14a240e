# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for rigs that drive a portrait: mapping them, their rest, sliders from shape keys, and baking."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
from bpy.props import FloatProperty, IntProperty

from ...blender import problems
from ...driving import bake, mechanism, rest, sliders, sources
from .common import OnEditableRig, active_portrait, scene_of, tell


class _Drives(OnEditableRig):
    """Operators for what drives the rig; what was wrong is forgotten once one of them has done its work."""

    def execute(self, context: bpy.types.Context) -> set[str]:
        done = super().execute(context)
        if done == {"FINISHED"}:
            problems.forget(active_portrait(context).uid)
        return done


class _NeedsEntries(_Drives):
    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return (
            "Nothing is mapped yet: map by name, or pick drivers and points"
            if not active_portrait(context).driving.entries
            else None
        )


def _map(
    operator: bpy.types.Operator, portrait: bpy.types.PropertyGroup, found: Mapping[str, sources.Source]
) -> set[str]:
    for target, source in found.items():
        sources.put(portrait.driving, target, source)
    count = f"{len(found)} drivers" if len(found) > 1 else "1 driver"
    return tell(operator, f"{count} mapped; press Set Rest where the driving face is at rest", ())


class PORTRAIT_OT_map_by_name(_Drives, bpy.types.Operator):
    """Map the selected objects, their bones and vertex groups whose names stand for points of the face: the rig's own \
names, iBUG's and MediaPipe's numbers, Rigify's face bones. Then set their rest"""

    bl_idname = "portrait.map_by_name"
    bl_label = "Map by Name"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        return _map(self, portrait, sources.by_name(context, portrait))


class PORTRAIT_OT_map_picked(_Drives, bpy.types.Operator):
    """Map what is selected, objects, bones in Pose Mode or vertices in Edit Mode, to the points or the head that are \
selected on the portrait's rig: one driver to all of them, or as many as there are points. Then set their rest"""

    bl_idname = "portrait.map_picked"
    bl_label = "Map Selected"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        done = _map(self, portrait, sources.picked(context, portrait))
        portrait.driving.active_index = len(portrait.driving.entries) - 1
        return done


class PORTRAIT_OT_remove_driver(_NeedsEntries, bpy.types.Operator):
    """Remove the chosen driver from the mapping; its point goes back to its own keys"""

    bl_idname = "portrait.remove_driver"
    bl_label = "Remove Driver"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        driving = portrait.driving
        index = min(driving.active_index, len(driving.entries) - 1)
        mechanism.let_go(driving, portrait.rig, [driving.entries[index].target])
        driving.entries.remove(index)
        driving.active_index = max(0, index - 1)
        if not driving.entries:
            mechanism.remove(driving, portrait.rig)
        return {"FINISHED"}


class PORTRAIT_OT_clear_drivers(_Drives, bpy.types.Operator):
    """Remove the whole mapping, the drivers of the sliders too; the portrait's own keys stay"""

    bl_idname = "portrait.clear_drivers"
    bl_label = "Clear Mapping"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        mechanism.remove(portrait.driving, portrait.rig)
        portrait.driving.entries.clear()
        sliders.release(portrait.rig)
        return {"FINISHED"}


class PORTRAIT_OT_set_driver_rest(_NeedsEntries, bpy.types.Operator):
    """Take the mapped drivers as they are on this frame for the face at rest, which is the photo: from now on the \
portrait moves by how far they go from here. Do it again after a change of the mapping, the view or the scale"""

    bl_idname = "portrait.set_driver_rest"
    bl_label = "Set Rest"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        for problem in rest.set_rest(context, scene_of(context), portrait):
            self.report({"WARNING"}, str(problem))
        return {"FINISHED"}


class PORTRAIT_OT_check_drivers(_NeedsEntries, bpy.types.Operator):
    """Look whether all drivers are still there: points whose driver is lost stay as in the photo, those whose driver \
came back move again"""

    bl_idname = "portrait.check_drivers"
    bl_label = "Check Drivers"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        found = rest.let_broken_rest(scene_of(context), portrait)
        for problem in found:
            self.report({"WARNING"}, str(problem))
        if not found:
            self.report({"INFO"}, "All drivers are there")
        return {"FINISHED"}


class PORTRAIT_OT_drive_sliders(_Drives, bpy.types.Operator):
    """Drive the portrait's sliders by the shape keys and custom properties of the selected objects that have names of \
ARKit's controls, such as jawOpen; a slider that has a driver of your own keeps it"""

    bl_idname = "portrait.drive_sliders"
    bl_label = "Sliders from Selected"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        names = sliders.drive(portrait.rig, context.selected_objects)
        portrait.driving.enabled = True
        self.report({"INFO"}, sliders.told(len(names)))
        return {"FINISHED"}


class PORTRAIT_OT_bake_drivers(_Drives, bpy.types.Operator):
    """Turn the driven motion into ordinary keys of the portrait's rig, in a new action, and switch the mapping off"""

    bl_idname = "portrait.bake_drivers"
    bl_label = "Bake to Keys"
    bl_options = {"REGISTER", "UNDO"}

    frame_start: IntProperty(name="Start", description="Begin to key on this frame", options={"SKIP_SAVE"})
    frame_end: IntProperty(name="End", description="Key up to this frame", options={"SKIP_SAVE"})
    tolerance: FloatProperty(
        name="Tolerance",
        description="Let a point be so far from where it was driven, in parts of the face's width; more gives fewer keys",
        subtype="PERCENTAGE", default=0.2, min=0.01, soft_max=3.0, max=20.0, precision=2,
    )  # fmt: skip

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        frames = active_portrait(context).lead.span(scene_of(context))
        self.frame_start, self.frame_end = frames[0], frames[-1]
        return context.window_manager.invoke_props_dialog(self)

    def work(self, context: bpy.types.Context, portrait: bpy.types.PropertyGroup) -> set[str]:
        scene = scene_of(context)
        frames = portrait.lead.span(scene)
        if self.properties.is_property_set("frame_start") or self.properties.is_property_set("frame_end"):
            frames = range(self.frame_start, max(self.frame_start, self.frame_end) + 1)
        rest.let_broken_rest(scene, portrait)
        baked = bake.bake(scene, portrait, frames, self.tolerance)
        return tell(self, baked.line, baked.notes)


CLASSES = (
    PORTRAIT_OT_map_by_name, PORTRAIT_OT_map_picked, PORTRAIT_OT_remove_driver, PORTRAIT_OT_clear_drivers,
    PORTRAIT_OT_set_driver_rest, PORTRAIT_OT_check_drivers, PORTRAIT_OT_drive_sliders, PORTRAIT_OT_bake_drivers,
)  # fmt: skip
