# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Messages”: all that comes and goes, at the tab's end, where it pushes no button away under the mouse."""

from __future__ import annotations

from typing import Final

import bpy
from portrait_shared.frames.identity import Verdict

from ...blender import problems
from ...blender.problems import Fix, SceneError
from ...capture import jobs
from ...export import verify_job
from ...jobs import job_queue
from ...plane import view_colors
from ...portraits.properties import PORTRAIT_PG_portrait
from ...preview import live_preview
from ...render import frame_states
from ...rig import armature
from ..operators.common import active_portrait, scene_of
from ..verified_lines import draw_verified
from .placement import InSequencer, InView3D
from .sections import characters_of, draw_text, problem_of

_RECOGNISED: Final = 0.9
"""Share of the frames that is to show the person."""
_WHAT_HELPS: Final = (
    "What helps: less motion of the head and milder expressions, another photo, further photos with the engine fewshot, or "
    "tuning to the person."
)
_VIEW_TRANSFORMED = ("MATERIAL", "RENDERED")
_VERIFIED_LINES = 3
_BOX_CHARACTERS = 3  # of a line's, which a box takes
_OUTDATED = (
    "An older version made this rig: handles may leave the face when the head turns, the eyes do not meet at a near target, "
    "smiles are V-shaped, and what is captured fits less well. Update Handles mends all of it; keys and poses stay."
)


def has_messages(context: bpy.types.Context) -> bool:
    """Whether there is anything to say."""
    portrait = active_portrait(context)
    if problems.last("") is not None or verify_job.last() is not None:
        return True
    if portrait is None:
        return False
    preview = live_preview.of(portrait.uid)
    return bool(
        problem_of(portrait) is not None
        or _notes(portrait)
        or jobs.last_report(portrait.uid) is not None
        or (preview is not None and preview.trouble is not None)
        or frame_states.of(portrait.uid).hint
        or is_little_recognised(portrait)
        or job_queue.active_of(portrait.uid) is not None
        or unsaved(portrait.lead) is not None
        or altered_colors_seen(context)
        or is_outdated(portrait)
    )


def draw_messages(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The last errors with what mends them, what a job told, and what keeps the photo from being seen as it is."""
    draw_problem(layout, context, problems.last(""))
    draw_last_verified(layout, context)
    portrait = active_portrait(context)
    if portrait is None:
        return
    draw_problem(layout, context, problem_of(portrait))
    preview = live_preview.of(portrait.uid)
    if preview is not None and preview.trouble is not None:
        draw_text(layout, context, f"Live preview: {preview.line}", "ERROR")
        if preview.trouble.lost:
            layout.operator("portrait.start_server", icon="PLAY")
    if job_queue.active_of(portrait.uid) is not None:
        draw_text(layout, context, "Wait until the job is done, or cancel it, to change how it renders.", "INFO")
    elif (error := unsaved(portrait.lead)) is not None:
        draw_text(layout, context, error.message, "INFO")
        _draw_fix(layout, error.fix)
    for note in _notes(portrait):
        draw_text(layout, context, note, "INFO")
    done = jobs.last_report(portrait.uid)
    if done is not None:
        box = layout.box()
        draw_text(box, context, done.line, "CHECKMARK")
        for note in done.notes:
            draw_text(box, context, note, "INFO")
    if hint := frame_states.of(portrait.uid).hint:
        draw_text(layout, context, hint, "INFO")
    _draw_little_recognised(layout, context, portrait)
    if is_outdated(portrait):
        box = layout.box()
        draw_text(box, context, _OUTDATED, "INFO")
        box.operator("portrait.add_controls", text="Update Handles", icon="ARMATURE_DATA")
    altered = altered_colors_seen(context)
    if altered:
        box = layout.box()
        draw_text(box, context, f"The photo's colors are altered: {altered}.", "COLOR")
        view = view_colors.known_neutral_view(scene_of(context))
        box.operator("portrait.use_own_colors", text=f"Use View “{view}”" if view else "Use the Photo's Own Colors")


def draw_last_verified(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What Verify found last, until it is put away."""
    found = verify_job.last()
    if found is None:
        return
    box = layout.box()
    draw_verified(box, found, characters_of(context) - _BOX_CHARACTERS, _VERIFIED_LINES)
    row = box.row(align=True)
    row.operator("portrait.show_verified", text="Show Wide", icon="WINDOW")
    row.operator("portrait.forget_verified", text="", icon="X")


def is_little_recognised(portrait: PORTRAIT_PG_portrait) -> bool:
    """Whether too few of the frames were found to show the person; not where of too many it cannot be told."""
    found = frame_states.of(portrait.uid).identity
    return found is not None and found.share < _RECOGNISED and bool(found.counts[Verdict.NOT_RECOGNISED])


def _draw_little_recognised(
    layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait
) -> None:  # fmt: skip
    """What was found, and what helps."""
    found = frame_states.of(portrait.uid).identity
    if found is None or not is_little_recognised(portrait):
        return
    box = layout.box()
    draw_text(box, context, f"{found.in_words} {_WHAT_HELPS}", "ERROR")
    row = box.row(align=True)
    row.operator("portrait.add_references", icon="ADD")
    row.operator("portrait.tune", icon="MOD_ARMATURE")


def is_outdated(portrait: PORTRAIT_PG_portrait) -> bool:
    """Whether the portrait's rig can be brought to today's version here."""
    own = portrait.rig is not None and portrait.rig.library is None and portrait.rig.data.library is None
    return own and armature.is_outdated(portrait.rig)


def altered_colors_seen(context: bpy.types.Context) -> str:
    """Why this editor does not show the photo's own colours; empty where it does: Solid shading knows no view."""
    space = context.space_data
    if space is not None and space.type == "VIEW_3D" and space.shading.type not in _VIEW_TRANSFORMED:
        return ""
    return view_colors.altered_colors(scene_of(context))


def unsaved(portrait: PORTRAIT_PG_portrait) -> SceneError | None:
    """What to know of a portrait whose frames have no folder beside a .blend yet."""
    known = problems.last(portrait.uid)
    if known is not None and known.fix is Fix.SAVE:
        return None
    try:
        portrait.folder()
    except SceneError as error:
        return error
    if bpy.data.filepath or not portrait.folder_text.startswith("//"):
        return None
    return SceneError(
        "Frames are kept until Blender ends: save the .blend, and they are moved beside it.", "", Fix.SAVE
    )


def _notes(portrait: PORTRAIT_PG_portrait) -> list[str]:
    """Of the portrait's last job; those of a capture stand in its report."""
    job = job_queue.last_of(portrait.uid)
    if job is None or job.active or problem_of(portrait) is not None:
        return []
    report = jobs.last_report(portrait.uid)
    return [note for note in job.notes if report is None or note not in report.notes]


def draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context, problem: problems.Problem | None) -> None:
    """The last error, what to do, and the button that does it."""
    if problem is None:
        return
    box = layout.box()
    box.alert = True
    draw_text(box, context, problem.message, "ERROR")
    box.alert = False
    if problem.remedy:
        draw_text(box, context, problem.remedy, "BLANK1")
    _draw_fix(box, problem.fix)


def _draw_fix(layout: bpy.types.UILayout, fix: Fix | None) -> None:
    if fix is None:
        return
    # Save As asks for a name; without a window there is nobody to ask.
    row = layout.row()
    row.operator_context = "INVOKE_DEFAULT" if fix is not Fix.PREFERENCES else "EXEC_DEFAULT"
    row.operator(fix.value[0], text=fix.value[1])


class _Messages:
    bl_label = "Messages"
    bl_order = 80

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_messages(context)

    def draw(self, context: bpy.types.Context) -> None:
        draw_messages(self.layout, context)


class PORTRAIT_PT_messages(InView3D, _Messages, bpy.types.Panel):
    """What went wrong, and what to know."""


class PORTRAIT_PT_sequencer_messages(InSequencer, _Messages, bpy.types.Panel):
    """What went wrong, and what to know."""


CLASSES = (PORTRAIT_PT_messages, PORTRAIT_PT_sequencer_messages)
