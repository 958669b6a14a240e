# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for compositors: the node group in the scene and on a strip, and the person cut out over another strip."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from bpy.props import StringProperty

from ...blender import compat_compositor, problems
from ...blender.problems import SceneError
from ...blender.scene_time import stretch
from ...compositing import scene_nodes, strip_nodes
from ...compositing.scene_nodes import Frames
from ...connection import server
from ...portraits import sequencer, strip_order
from ...portraits.portrait_parts import check_plane
from ...portraits.properties import PORTRAIT_PG_portrait
from ...render import portrait_strip
from ...render.frame_folder import frames_of
from ...render.ray_render_job import render_job
from .common import AsksForFile, NeedsFreePortrait, OnPortrait, active_portrait, has_window, report, scene_of, work_off


def _frames(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> Frames:
    """Raises PortraitError: SCENE where there are none."""
    if portrait.shot.is_filmed and not portrait.layers:
        raise SceneError(
            "Frames of a shot that are as filmed have no files.",
            "Choose the format OpenEXR and render again: then all frames have one, with their layers.",
        )
    numbers = frames_of(portrait)
    if not numbers:
        raise SceneError("No frames have been rendered yet.", "Render the portrait first.")
    return Frames(portrait.folder(), numbers, stretch(scene), portrait.frame_prefix, portrait.frame_suffix)


class PORTRAIT_OT_add_nodes(OnPortrait, bpy.types.Operator):
    """Put the rendered frames into the scene's compositor, with a node group that puts the person over a background"""

    bl_idname = "portrait.add_nodes"
    bl_label = "Add to Compositor"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene, portrait = scene_of(context), portrait.lead
        check_plane(scene, portrait)
        added = scene_nodes.add(scene, portrait.group_uid, portrait.plane, _frames(scene, portrait))
        problems.forget(portrait.uid)
        if added.is_output:
            self.report({"INFO"}, "The frames are in the compositor, and are its output")
        else:
            self.report({"INFO"}, "The frames are in the compositor; its output is as it was: link their Image to it")
        width, height = portrait.frame_size
        if (scene.render.resolution_x, scene.render.resolution_y) != (width, height):
            self.report(
                {"WARNING"}, f"The scene is not as large as the frames, {width}x{height}: see Scene Size and Camera"
            )
        return {"FINISHED"}


class PORTRAIT_OT_add_strip_nodes(OnPortrait, bpy.types.Operator):
    """Give the portrait's strips the node group as a modifier: the edge and motion can be blurred in the sequencer"""

    bl_idname = "portrait.add_strip_nodes"
    bl_label = "Compositor on Strip"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        if not compat_compositor.has_strip_compositor():
            return "Strips have a compositor since Blender 5"
        return None if sequencer.find_strips(active_portrait(context).group_uid) else "The portrait has no strip yet"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene, portrait = scene_of(context), portrait.lead
        check_plane(scene, portrait)
        for strip in sequencer.find_strips(portrait.group_uid):
            strip_nodes.add(strip, portrait.group_uid, portrait.plane, _frames(scene, portrait))
        return {"FINISHED"}


class PORTRAIT_OT_cut_out_over(AsksForFile, NeedsFreePortrait, bpy.types.Operator):
    """Cut the person out and put them over the chosen strip of the sequencer; over a picture or film where none is chosen"""

    bl_idname = "portrait.cut_out_over"
    bl_label = "Cut Out over"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="Background", description="Choose the picture or film behind the person; empty takes the chosen strip",
        subtype="FILE_PATH", options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        if active_portrait(context).lead.shot.is_filmed:
            return "Frames of a filmed shot are whole: render them as OpenEXR, whose matte cuts out in the compositor"
        return None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context) and strip_order.background_of(scene_of(context)) is None:
            return super().invoke(context, event)
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, portrait = scene_of(context), active_portrait(context).lead
        try:
            sequencer.check_readable(",".join(portrait.layers))
            background = self._background(scene, portrait)
            portrait.matte = True
            if not sequencer.find_strips(portrait.group_uid):
                portrait_strip.add(scene, portrait)
            if not strip_order.put_over(scene, portrait.group_uid, background):
                self.report({"INFO"}, "The strip comes with the first frames, over all others")
        except problems.PortraitError as error:
            return report(self, error, portrait.uid)
        return work_off(self, context, render_job(portrait.uid, server.launch_plan(context)))

    def _background(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bpy.types.Strip:
        chosen = strip_order.background_of(scene)
        if self.filepath:
            path = Path(os.path.realpath(bpy.path.abspath(self.filepath)))
            frames = strip_order.shown_at(scene, portrait.group_uid) or portrait.span(scene)
            return strip_order.add_background(scene, path, frames)
        if chosen is None:
            raise SceneError("No strip is chosen to put the person over.", "Choose a strip, or a picture or film.")
        return chosen


CLASSES = (PORTRAIT_OT_add_nodes, PORTRAIT_OT_add_strip_nodes, PORTRAIT_OT_cut_out_over)
