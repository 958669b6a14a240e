# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels draw, the same in every editor."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import bpy

from .. import compat, image_plane, job_queue, portrait_copies, problems, sequencer, server, view_colors, viewport
from ..operators.common import active_portrait, portraits, scene_of
from ..problems import Fix, SceneError
from ..properties import PORTRAIT_PG_portrait, portraits_of

_LOG_LINES: Final = 12
_LOG_HEAD: Final = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)\S* (?:INFO )?([A-Z]+ )?[\w.]+: ")
_HEALTH_ICONS = {
    server.State.RUNNING: "CHECKMARK",
    server.State.STARTING: "SORTTIME",
    server.State.STOPPED: "DOT",
    server.State.FAILED: "ERROR",
}


def draw_portraits(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The portraits of the scene, the way to add one, and what is going on."""
    if context.area is not None and context.area.type == "SEQUENCE_EDITOR" and compat.sequencer_has_no_scene(context):
        box = layout.box()
        draw_text(
            box, context, f"The sequencer shows no scene; below are the portraits of “{context.scene.name}”.", "INFO"
        )
        box.operator("portrait.show_scene_in_sequencer", icon="SCENE_DATA")
    held = portraits(context)
    if len(held.items) > 1:
        layout.template_list("PORTRAIT_UL_portraits", "", held, "items", held, "list_index", rows=2)
    column = layout.column(align=True)
    column.scale_y = 1.3 if not held.items else 1.0
    column.operator("portrait.add", icon="ADD")
    layer = context.view_layer
    if layer is not None and portrait_copies.is_spare_rig(scene_of(context), layer.objects.active):
        column.operator("portrait.adopt", icon="DUPLICATE")
    draw_problem(layout, context, "")
    portrait = active_portrait(context)
    draw_other_job(layout, portrait)
    if portrait is None:
        column = layout.column()
        column.active = False
        column.label(text="Add a photograph or a painting", icon="INFO")
        column.label(text="of a person to begin.", icon="BLANK1")
        return
    row = layout.row(align=True)
    row.prop(portrait, "name", text="", icon="USER")
    row.operator("portrait.remove", text="", icon="X")
    draw_job(layout, context, portrait)
    draw_problem(layout, context, portrait.uid)
    draw_view(layout, context)
    if portrait.detected_points is None:
        row = layout.row(align=True)
        row.prop(portrait, "face")
        row.operator("portrait.find_face", icon="VIEWZOOM").face = portrait.face
        return
    row = layout.row(align=True)
    row.operator("portrait.pose", icon="POSE_HLT")
    row.operator("portrait.demo_motion", icon="PLAY")
    row = layout.row(align=True)
    row.operator("portrait.show_photo", icon="IMAGE_DATA")
    row.operator("portrait.show_frames", icon="RENDER_ANIMATION")
    row = layout.row(align=True)
    row.operator("portrait.import_track", text="Import Track", icon="IMPORT")
    row.operator("portrait.choose_face", text="Other Face", icon="COMMUNITY")
    layout.operator("portrait.frame_scene", icon="OUTLINER_OB_CAMERA")


def draw_view(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What keeps the user from seeing the photo as it is, and the remedy."""
    space = context.space_data
    if space is not None and space.type == "VIEW_3D" and not viewport.shows_pictures(space):
        layout.operator("portrait.show_colors", icon="SHADING_TEXTURE")
    altered = image_plane.altered_colors(scene_of(context))
    if altered:
        box = layout.box()
        draw_text(box, context, f"The photo's colors are altered: {altered}.", "COLOR")
        view = view_colors.known_neutral_view(scene_of(context))
        box.operator("portrait.use_own_colors", text=f"Use View “{view}”" if view else "Use the Photo's Own Colors")


def draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
    """How far the portrait's job is, or how it ended."""
    job = job_queue.last_of(portrait.uid)
    if job is None:
        return
    if job.active:
        row = layout.row(align=True)
        row.progress(factor=job.progress, text=f"{job.label}: {job.note}")
        row.operator("portrait.cancel", text="", icon="CANCEL").uid = job.uid
    elif portrait.uid and problems.last(portrait.uid) is None:
        draw_text(layout, context, f"{job.label}: {job.note}", "INFO")
        for note in job.notes:
            draw_text(layout, context, note, "INFO")


def draw_other_job(layout: bpy.types.UILayout, portrait: PORTRAIT_PG_portrait | None) -> None:
    """The job that is worked on, where it is another portrait's."""
    job = job_queue.current()
    if job is None or (portrait is not None and job.uid == portrait.uid):
        return
    row = layout.row(align=True)
    row.progress(factor=job.progress, text=f"{owner_name(job.uid)}{job.label}: {job.note}")
    row.operator("portrait.cancel", text="", icon="CANCEL").uid = job.uid


def owner_name(uid: str) -> str:
    """“anna · ” for a portrait's job, nothing for one of the server's."""
    found = (portraits_of(scene).by_uid(uid) for scene in bpy.data.scenes)
    return next((f"{portrait.name} · " for portrait in found if portrait is not None), "")


def state_icon(portrait: PORTRAIT_PG_portrait) -> str:
    """For the list: what a portrait is at."""
    if problems.last(portrait.uid) is not None:
        return "ERROR"
    job = job_queue.active_of(portrait.uid)
    return "NONE" if job is None else "RENDER_ANIMATION" if job is job_queue.current() else "SORTTIME"


def health_icon() -> str:
    return _HEALTH_ICONS[server.health().state]


def draw_render(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Settings of the render, and its button."""
    portrait = active_portrait(context)
    at_work = job_queue.active_of(portrait.uid) is not None
    if at_work:
        draw_text(layout, context, "Wait until the portrait's job is done, or cancel it, to change these.", "INFO")
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.enabled = not at_work
    column.prop(portrait, "use_scene_range")
    if not portrait.use_scene_range:
        pair = column.column(align=True)
        pair.prop(portrait, "frame_start")
        pair.prop(portrait, "frame_end")
    column.prop(portrait, "resolution_percentage")
    column.prop(portrait, "matte")
    column.prop(portrait, "engine_choice")
    column.prop(portrait, "output_folder", placeholder="beside the .blend")
    column.prop(portrait, "frame_prefix", placeholder="none: 0001.png")
    _draw_unsaved(layout, context, portrait)
    draw_strip_option(layout, context, portrait)
    row = layout.row()
    row.scale_y = 1.4
    row.operator("portrait.render", icon="RENDER_ANIMATION")


def _draw_unsaved(layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
    """Before the first click on Render, so that it is not one for nothing."""
    known = problems.last(portrait.uid)
    if known is not None and known.fix is Fix.SAVE:
        return
    try:
        portrait.folder()
    except SceneError as error:
        draw_text(layout, context, error.message, "INFO")
        if error.fix is not None:
            row = layout.row()
            row.operator_context = "INVOKE_DEFAULT"
            row.operator(error.fix.value[0], text=error.fix.value[1])


def draw_strip_option(
    layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait
) -> None:  # fmt: skip
    """Whether the frames are in the sequencer too, and what Render Image then shows."""
    column = layout.column(align=True)
    strips = sequencer.find_strips(portrait.uid)
    if not (strips or portrait.use_strip):
        column.operator("portrait.add_strip", icon="SEQ_SEQUENCER")
        return
    column.operator("portrait.remove_strip", icon="TRASH")
    if strips:
        column.prop(scene_of(context).render, "use_sequencer", text="Render Image Shows the Strip")
        if not all(map(sequencer.is_as_made, strips)):
            draw_text(layout, context, "A strip was cut or locked: new frames do not lengthen it.", "INFO")
            layout.operator("portrait.add_strip", text="Add Whole Strip", icon="SEQ_SEQUENCER")
    else:
        draw_text(layout, context, "The strip comes with the next render.", "INFO")


def draw_strip(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Of the sequencer's active strip."""
    layout.operator("portrait.redo_strip", icon="FILE_REFRESH")


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The server's health in one line, its buttons and its log."""
    health = server.health()
    draw_text(layout, context, health.line, health_icon())
    row = layout.row(align=True)
    row.operator("portrait.start_server", icon="PLAY")
    row.operator("portrait.stop_server", icon="PAUSE")
    row.operator("portrait.show_preferences", text="", icon="PREFERENCES")
    lines = server.log_tail(_LOG_LINES)
    if lines:
        column = layout.box().column(align=True)
        column.scale_y = 0.7
        # The time and the words alone: a sidebar is narrow.
        wrapped = [part for line in lines for part in _wrapped(context, _LOG_HEAD.sub(r"\1 \2", line))]
        for line in wrapped[-_LOG_LINES:]:
            column.label(text=line)
    if health.log_file:
        layout.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = health.log_file


def draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context, uid: str) -> None:
    """The last error, what to do, and the button that does it."""
    problem = problems.last(uid)
    if problem is None:
        return
    box = layout.box()
    box.alert = True
    draw_text(box, context, problem.message, "ERROR")
    box.alert = False
    if problem.remedy:
        draw_text(box, context, problem.remedy, "BLANK1")
    if problem.fix is not None:
        idname, text = problem.fix.value
        # Save As asks for a name; without a window there is nobody to ask.
        row = box.row()
        row.operator_context = "INVOKE_DEFAULT" if problem.fix is not Fix.PREFERENCES else "EXEC_DEFAULT"
        row.operator(idname, text=text)


def draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence over as many lines as the sidebar's width asks for."""
    column = layout.column(align=True)
    for number, line in enumerate(_wrapped(context, text)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def _wrapped(context: bpy.types.Context, text: str) -> list[str]:
    width = context.region.width if context.region is not None else 260
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    return textwrap.wrap(text, max(18, int(width / (7 * scale)) - 6))
