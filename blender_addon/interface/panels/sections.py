# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels draw, the same in every editor."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import bpy
from portrait_shared.frames.identity import Verdict

from ...blender import compat, problems
from ...connection import installation_box, preferences, server, server_program
from ...jobs import job_queue
from ...portraits import groups, portrait_copies, sequencer, viewport
from ...portraits.properties import PORTRAIT_PG_portrait
from ...portraits.scene_portraits import find_portrait
from ...render import frame_states
from ..operators.common import active_portrait, portraits, scene_of
from ..operators.shots import PORTRAIT_OT_add_shot_of_strip

_LOG_LINES: Final = 12
_FACE_COLUMNS: Final = 2
_LOG_HEAD: Final = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)\S* (?:INFO )?([A-Z]+ )?[\w.]+: ")
_HEALTH_ICONS = {
    server.ServerState.RUNNING: "CHECKMARK",
    server.ServerState.STARTING: "SORTTIME",
    server.ServerState.STOPPED: "DOT",
    server.ServerState.FAILED: "ERROR",
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
    column.operator("portrait.add_shot", icon="FILE_MOVIE")
    if PORTRAIT_OT_add_shot_of_strip.obstacle(context) is None:
        column.operator("portrait.add_shot_of_strip", icon="SEQ_SEQUENCER")
    layer = context.view_layer
    if layer is not None and portrait_copies.spare_rig(scene_of(context), layer.objects.active) is not None:
        column.operator("portrait.adopt", icon="DUPLICATE")
    portrait = active_portrait(context)
    if portrait is None:
        draw_status(layout, None)
        column = layout.column()
        column.active = False
        column.label(text="Add a photograph or a painting", icon="INFO")
        column.label(text="of a person to begin.", icon="BLANK1")
        return
    row = layout.row(align=True)
    row.prop(portrait, "name", text="", icon="USER")
    row.operator("portrait.remove", text="", icon="X")
    draw_status(layout, portrait)
    space = context.space_data
    if space is not None and space.type == "VIEW_3D":
        row = layout.row()
        row.enabled = not viewport.shows_pictures(space)
        row.operator("portrait.show_colors", icon="SHADING_TEXTURE")
    if portrait.shot.is_filmed and portrait.rig is None:
        return
    if portrait.detected_points is None:
        row = layout.row(align=True)
        row.prop(portrait, "face_choice", text="")
        row.operator("portrait.find_face", icon="VIEWZOOM").face = portrait.face
        layout.operator("portrait.place_points", icon="OUTLINER_DATA_POINTCLOUD")
        return
    row = layout.row(align=True)
    row.operator("portrait.pose", icon="POSE_HLT")
    row.operator("portrait.demo_motion", icon="PLAY")
    row = layout.row(align=True)
    row.operator(
        "portrait.show_photo", text="Show Shot" if portrait.shot.is_filmed else "Show Photo", icon="IMAGE_DATA"
    )
    row.operator("portrait.show_frames", icon="RENDER_ANIMATION")
    if not portrait.shot.is_filmed:
        row = layout.row(align=True)
        row.operator("portrait.import_track", text="Import Track", icon="IMPORT")
        row.operator("portrait.choose_face", text="Other Face", icon="COMMUNITY")
        row = layout.row(align=True)
        row.operator("portrait.place_points", icon="OUTLINER_DATA_POINTCLOUD")
        row.operator("portrait.place_points", text="", icon="ADD").further = True
    layout.operator("portrait.frame_scene", icon="OUTLINER_OB_CAMERA")
    layout.prop(portrait, "lit", icon="LIGHT")
    draw_faces(layout, portrait)


def draw_faces(layout: bpy.types.UILayout, portrait: PORTRAIT_PG_portrait) -> None:
    """The photo's further faces: a button for each that has no rig yet."""
    without = groups.without_rig(portrait)
    if not without:
        return
    box = layout.box()
    box.label(text=f"{len(without)} more face{'' if len(without) == 1 else 's'} in the picture", icon="COMMUNITY")
    grid = box.grid_flow(row_major=True, columns=min(len(without), _FACE_COLUMNS), even_columns=True, align=True)
    for number, _ in without:
        grid.operator("portrait.add_face", text=f"Add Face {number}", icon="ADD").number = number
    if len(without) > 1:
        box.operator("portrait.add_face", text="Add All", icon="ADD").number = 0


def draw_status(layout: bpy.types.UILayout, portrait: PORTRAIT_PG_portrait | None) -> None:
    """One line, always there, so that nothing below it moves: the work that goes on, else what went wrong, else how
    the last work ended. The section *Messages* says it whole."""
    own = job_queue.last_of(portrait.uid) if portrait is not None else None
    job = own if own is not None and own.active else job_queue.current()
    row = layout.row(align=True)
    if job is not None:
        owner = "" if job is own else owner_name(job.uid)
        row.progress(factor=job.progress, text=f"{owner}{job.label}: {job.note}")
        row.operator("portrait.cancel", text="", icon="CANCEL").uid = job.uid
        return
    problem = (problem_of(portrait) if portrait is not None else None) or problems.last("")
    if problem is not None:
        row.alert = True
        row.label(text=problem.message, icon="ERROR")
    elif own is not None:
        # What a section of its own shows whole is not shown here a second time, and cut.
        row.label(text=f"{own.label}: {'done' if own.told_in_section else own.note}", icon="INFO")
    else:
        row.label(text="")


def owner_name(uid: str) -> str:
    """“anna · ” for a portrait's job, nothing for one of the server's."""
    found = find_portrait(uid)
    return f"{found[1].name} · " if found is not None else ""


def problem_of(portrait: PORTRAIT_PG_portrait) -> problems.Problem | None:
    """The portrait's last problem, else that of the leading one of the photo, which is rendered with it."""
    return problems.last(portrait.uid) or problems.last(portrait.lead.uid)


def state_icon(portrait: PORTRAIT_PG_portrait) -> str:
    """For the list: whether something went wrong with a portrait, or it is worked on, or it waits for that; a question
    mark where frames do not show the person."""
    if problem_of(portrait) is not None:
        return "ERROR"
    job = job_queue.active_of(portrait.uid)
    found = frame_states.of(portrait.uid).identity
    if job is None and found is not None and found.counts[Verdict.NOT_RECOGNISED]:
        return "QUESTION"
    return "NONE" if job is None else "RENDER_ANIMATION" if job is job_queue.current() else "SORTTIME"


def health_icon() -> str:
    return _HEALTH_ICONS[server.health().state]


def draw_render(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Settings of the render, and its button."""
    portrait = active_portrait(context).lead
    at_work = job_queue.active_of(portrait.uid) is not None
    if len(portrait.members) > 1:
        names = [member.name for member in portrait.members]
        draw_text(layout, context, f"One picture of {problems.listed(names, 4)}", "COMMUNITY")
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.enabled = not at_work
    column.prop(portrait, "use_scene_range")
    if not portrait.use_scene_range:
        pair = column.column(align=True)
        pair.prop(portrait, "frame_start")
        pair.prop(portrait, "frame_end")
    column.prop(portrait, "frame_step")
    if not portrait.shot.is_filmed:  # whose frames are as the shot's
        column.prop(portrait, "resolution_percentage")
        column.prop(portrait, "matte")
    draw_format(column, portrait)
    draw_label(column, portrait)
    column.prop(portrait, "engine_choice")
    column.prop(portrait, "output_folder", placeholder="beside the .blend")
    if not portrait.shot.is_filmed:
        column.prop(portrait, "frame_prefix", placeholder="none: 0001.png")
    draw_strip_option(layout, context, portrait)
    column = layout.column(align=True)
    row = column.row(align=True)
    row.scale_y = 1.4
    row.operator("portrait.render", icon="RENDER_ANIMATION")
    column.operator("portrait.render_again", icon="FILE_REFRESH")
    column = layout.column(align=True)
    column.operator("portrait.export_movie", icon="EXPORT")
    column.operator("portrait.export_picture", icon="IMAGE_DATA")
    column.operator("portrait.export_job", icon="NETWORK_DRIVE")
    column.operator("portrait.verify_frames", icon="CHECKMARK")


def draw_format(layout: bpy.types.UILayout, portrait: PORTRAIT_PG_portrait) -> None:
    """What kind of files the frames are."""
    layout.row().prop(portrait, "file_format", expand=True)
    if portrait.layers:
        layout.column(align=True).prop(portrait, "layer_choice")
    layout.row().prop(portrait, "color_depth", expand=True)


def draw_label(layout: bpy.types.UILayout, portrait: PORTRAIT_PG_portrait) -> None:
    """The visible label of the frames."""
    layout.prop(portrait, "use_label")
    if portrait.use_label:
        column = layout.column(align=True)
        column.prop(portrait, "label_icon")
        column.prop(portrait, "label_text", placeholder="none: the icon alone")
        column.prop(portrait, "label_corner")
        column.prop(portrait, "label_size")


def draw_strip_option(
    layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait
) -> None:  # fmt: skip
    """Whether the frames are in the sequencer too, and what Render Image then shows."""
    column = layout.column(align=True)
    strips = sequencer.find_strips(portrait.group_uid)
    if not (strips or portrait.use_strip):
        column.operator("portrait.add_strip", icon="SEQ_SEQUENCER")
        return
    column.operator("portrait.remove_strip", icon="TRASH")
    if strips:
        column.prop(scene_of(context).render, "use_sequencer", text="Render Image Shows the Strip")
        if not all(map(sequencer.is_as_made, strips)):
            draw_text(
                layout, context, "A strip was cut, trimmed, retimed or locked: new frames do not lengthen it.", "INFO"
            )
            layout.operator("portrait.add_strip", text="Add Whole Strip", icon="SEQ_SEQUENCER")
    else:
        draw_text(layout, context, "The strip comes with the next render.", "INFO")


def draw_strip(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Of the sequencer's active strip."""
    layout.operator("portrait.redo_strip", icon="FILE_REFRESH")
    row = layout.row(align=True)
    row.operator("portrait.export_timeline", icon="EXPORT")
    row.operator("portrait.import_timeline", icon="IMPORT")
    layout.operator("portrait.verify_strips", icon="CHECKMARK")


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The server's health in one line, its buttons and its log."""
    health = server.health()
    if not server_program.lately_found(preferences.of(context).server_command).is_by_hand:
        draw_text(layout, context, installation_box.line(), "IMPORT")
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


def draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str, lines: int = 0) -> None:
    """A sentence over as many lines as the sidebar's width asks for.

    Args:
        lines: take up so many, whatever there is to say, so that what is below keeps its place; 0 for as many as asked.
    """
    column = layout.column(align=True)
    wrapped = _wrapped(context, text)
    if lines:
        wrapped = [*wrapped[: lines - 1], " ".join(wrapped[lines - 1 :]), *[""] * lines][:lines]
    for number, line in enumerate(wrapped):
        column.label(text=line, icon="NONE" if not line else icon if number == 0 else "BLANK1")


def characters_of(context: bpy.types.Context) -> int:
    """That fit in a line of the sidebar."""
    width = context.region.width if context.region is not None else 260
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    return max(18, int(width / (7 * scale)) - 6)


def _wrapped(context: bpy.types.Context, text: str) -> list[str]:
    return textwrap.wrap(text, characters_of(context))
