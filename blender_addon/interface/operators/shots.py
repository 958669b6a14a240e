# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for portraits of filmed shots."""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from portrait_shared.errors import ErrorCode, PortraitError

from ...blender import compat, problems
from ...blender.problems import SceneError
from ...blender.scene_time import scene_fps
from ...blender.selection import select_only
from ...blender.wait_cursor import wait_cursor
from ...connection import preferences, server
from ...curves.rig_curves import property_path
from ...jobs import job_queue
from ...jobs.job import JobState
from ...jobs.shot_job import ShotJob
from ...portraits import face_choice, free_place, photo, portrait_parts, shot_parts, viewport
from ...portraits.properties import PORTRAIT_PG_portrait
from ...rig.key_checks import check_animation
from ...rig.replaced_sliders import BLINKS
from ...rig.sampling import check_rig
from ...shots import source
from ...shots.source import MOVIE_GLOB, ShotSource
from .common import (
    AsksForFile,
    NeedsEditableRig,
    NeedsIdle,
    OnPortrait,
    SaysWhyNot,
    active_portrait,
    has_window,
    report,
    scene_of,
    tell,
    work_off,
)

_SAME_RATE = 0.01
_NEAR_BASE = 1e-4
_BLINK_EASE = 3
_STRIPS = ("MOVIE", "IMAGE")


class _AddsShot:
    """Operators that make a portrait of a shot."""

    face: IntProperty(
        name="Face",
        description="Choose which face is followed: 0 takes the largest, 1 the first from the left where faces are first seen",
        default=0, min=0, options={"SKIP_SAVE"},
    )  # fmt: skip
    choice: EnumProperty(**face_choice.CHOICE)
    use_framerate: BoolProperty(
        name="Set Scene Frame Rate", description="Let the scene play as many frames a second as the shot", default=True
    )
    look_from_front: BoolProperty(
        name="Look From Front",
        description="Put the picture where nothing covers it, turn the 3D viewport squarely to it, and show its own colors",
        default=True,
    )
    without_waiting: BoolProperty(
        description="Return before the face is found in all frames", default=False, options={"HIDDEN", "SKIP_SAVE"}
    )

    def source(self, context: bpy.types.Context) -> ShotSource:
        """Which shot, and where it lies."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        return add_filmed(self, context, lambda: self.source(context), self.use_framerate)


def add_filmed(
    operator: bpy.types.Operator, context: bpy.types.Context, source: Callable[[], ShotSource], use_framerate: bool
) -> set[str]:
    """Makes a portrait of a shot, for an operator that says `face`, `look_from_front` and `without_waiting`.

    Args:
        source: says which shot; its errors are put into words.
        use_framerate: the scene takes over the shot's.
    """
    scene = scene_of(context)
    problems.forget("")
    try:
        with wait_cursor():
            portrait, about = shot_parts.add(scene, source(), server.launch_plan(context))
    except PortraitError as error:
        return report(operator, error)
    portrait.face = operator.face
    portrait.use_strip = preferences.of(context).use_strip
    _show(context, portrait, operator.look_from_front)
    notes = [*about.notes, *_match_rate(scene, portrait, use_framerate)]
    job = ShotJob(portrait.uid, server.launch_plan(context), operator.face)
    if operator.without_waiting:
        job_queue.submit(job)
        return tell(operator, f"{about.count} frames; finding the face in them", notes)
    job_queue.run(job)
    if job.state is not JobState.DONE:
        portrait_parts.remove(scene, job.uid)
        return report(operator, job.error or PortraitError(ErrorCode.CANCELLED, "Finding the face was cancelled."))
    return tell(operator, job.note, [*notes, *job.notes])


def _show(context: bpy.types.Context, portrait: PORTRAIT_PG_portrait, look_from_front: bool) -> None:
    context.view_layer.update()  # else a desktop Blender 5.2 does not count the new plane among its objects
    if portrait.plane.name in context.view_layer.objects:
        if look_from_front:
            free_place.make_room(scene_of(context), context.view_layer, portrait.plane)
        select_only(context.view_layer, portrait.plane)
    if look_from_front and has_window(context):
        viewport.look_in_window(context, portrait)


def _match_rate(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, use_framerate: bool) -> list[str]:
    """Gives the scene the shot's rate, or says what it is to have another."""
    fps = portrait.shot.fps
    if abs(scene_fps(scene) - fps) <= _SAME_RATE:
        return []
    if use_framerate:
        _set_rate(scene, fps)
        return []
    return [
        f"The shot has {fps:g} frames a second and the scene {scene_fps(scene):g}: each of its frames takes up one."
    ]


class PORTRAIT_OT_add_shot(AsksForFile, _AddsShot, bpy.types.Operator):
    """Make a portrait of a movie or an image sequence: the rig changes what was filmed, and at rest nothing of it"""

    bl_idname = "portrait.add_shot"
    bl_label = "Add Filmed Shot"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Shot", description="Choose the movie, or any picture of the sequence", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_glob: StringProperty(default=f"{MOVIE_GLOB};{photo.IMAGE_GLOB}", options={"HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    first_frame: IntProperty(name="First Frame", description="Let the shot begin on this frame of the scene", default=1)

    def draw(self, context: bpy.types.Context) -> None:
        """Beside the file browser's files."""
        column = self.layout.column()
        column.prop(self, "choice")
        column.prop(self, "first_frame")
        column.prop(self, "use_framerate")
        column.prop(self, "look_from_front")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if has_window(context):
            self.without_waiting = True
            self.filepath = ""  # Blender proposes the .blend's own name
        return super().invoke(context, event)

    def source(self, context: bpy.types.Context) -> ShotSource:
        return source.of_file(self.filepath, self.first_frame)


class PORTRAIT_OT_add_shot_of_strip(SaysWhyNot, _AddsShot, bpy.types.Operator):
    """Make a portrait of what the active movie or image strip plays, on the frames where it lies"""

    bl_idname = "portrait.add_shot_of_strip"
    bl_label = "Add Portrait of Strip"
    bl_options = {"REGISTER", "UNDO"}

    use_framerate: BoolProperty(  # the edit that the strip is in has a rate already
        name="Set Scene Frame Rate", description="Let the scene play as many frames a second as the shot", default=False
    )

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        editor = scene_of(context).sequence_editor
        strip = editor.active_strip if editor is not None else None
        return "Choose a movie strip, or a strip of a sequence" if strip is None or strip.type not in _STRIPS else None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.without_waiting = has_window(context)
        return self.execute(context)

    def source(self, context: bpy.types.Context) -> ShotSource:
        scene = scene_of(context)
        return source.of_strip(scene, scene.sequence_editor.active_strip)


class _OnShot(OnPortrait):
    """Operators for a portrait that was filmed."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return None if active_portrait(context).shot.is_filmed else "The portrait is of a photo"


class PORTRAIT_OT_find_points(NeedsIdle, _OnShot, bpy.types.Operator):
    """Find the face in all frames of the shot again; keys and settings are kept"""

    bl_idname = "portrait.find_points"
    bl_label = "Find Points Again"

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        return work_off(self, context, ShotJob(portrait.uid, server.launch_plan(context), portrait.face))


class PORTRAIT_OT_use_shot_rate(_OnShot, bpy.types.Operator):
    """Let the scene play as many frames a second as the shot"""

    bl_idname = "portrait.use_shot_rate"
    bl_label = "Use the Shot's Frame Rate"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        _set_rate(scene_of(context), portrait.shot.fps)
        return {"FINISHED"}


class PORTRAIT_OT_take_out_blink(NeedsEditableRig, _OnShot, bpy.types.Operator):
    """Keep the eyes open through the blink that was filmed at the current frame: keys Take Out Blinks around it"""

    bl_idname = "portrait.take_out_blink"
    bl_label = "Take Out This Blink"
    bl_options = {"UNDO"}

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene, shot, rig = scene_of(context), portrait.shot, portrait.rig
        check_rig(scene, rig)
        check_animation(rig)
        found = shot_parts.points_of(portrait)
        row = scene.frame_current - shot.start
        blink = found.performance.blink_at(row) if 0 <= row < shot.count else None
        if blink is None:
            raise SceneError(f"No blink was filmed at frame {scene.frame_current}.", "Go to a frame with shut eyes.")
        first, last = shot.start + blink.start, shot.start + blink.stop - 1
        path = property_path(BLINKS)
        before = [_value_at(rig, path, frame) for frame in (first - _BLINK_EASE, last + _BLINK_EASE)]
        for frame, value in (
            (first - _BLINK_EASE, before[0]), (first - 1, 1.0), (last + 1, 1.0), (last + _BLINK_EASE, before[1]),
        ):  # fmt: skip
            rig[BLINKS] = value
            rig.keyframe_insert(path, frame=frame)
        scene.frame_set(scene.frame_current)
        return tell(self, f"The blink of frames {first} to {last} is taken out", ())


class PORTRAIT_OT_relocate_shot(AsksForFile, _OnShot, bpy.types.Operator):
    """Say where the shot is now"""

    bl_idname = "portrait.relocate_shot"
    bl_label = "Locate Shot"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="Shot", description="Choose the movie, or any picture of the sequence", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_glob: StringProperty(default=f"{MOVIE_GLOB};{photo.IMAGE_GLOB}", options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        shot_parts.relocate(portrait, source.of_file(self.filepath, portrait.shot.start))
        problems.forget(portrait.uid)
        return {"FINISHED"}


def _value_at(rig: bpy.types.Object, path: str, frame: int) -> float:
    curve = next((curve for curve in compat.fcurves_of(rig) if curve.data_path == path), None)
    return 0.0 if curve is None else float(curve.evaluate(frame))


def _set_rate(scene: bpy.types.Scene, fps: float) -> None:
    whole = round(fps)
    scene.render.fps = whole
    # 24000/1001 and its like, as Blender's own presets have them.
    scene.render.fps_base = 1.001 if abs(whole / fps - 1.001) < _NEAR_BASE else whole / fps


CLASSES = (
    PORTRAIT_OT_add_shot, PORTRAIT_OT_add_shot_of_strip, PORTRAIT_OT_find_points, PORTRAIT_OT_use_shot_rate,
    PORTRAIT_OT_take_out_blink, PORTRAIT_OT_relocate_shot,
)  # fmt: skip
