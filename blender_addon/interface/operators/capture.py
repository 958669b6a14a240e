# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture operators: a video, a face recording or speech onto the active portrait, and fewer keys afterwards."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ...blender import problems
from ...blender.scene_time import scene_fps
from ...blender.stored_paths import shown
from ...capture import cleaning, jobs
from ...capture.timing import Placement
from ...connection import server
from ...importers.live_link import read_live_link, take_of_recording
from ...portraits import face_choice
from ...portraits.properties import PORTRAIT_PG_portrait
from ...shots.source import MOVIE_GLOB
from .capture_settings import (
    FromFile,
    FromStrip,
    InBackground,
    KeySettings,
    VideoSettings,
    run_job,
)
from .common import NeedsFreeRig, OnPortrait, OnRig, active_portrait, scene_of, tell

_SOUNDS = f"*.wav;*.mp3;*.flac;*.ogg;*.m4a;*.aac;*.aif;*.aiff;*.opus;*.oga;*.amr;*.wma;*.caf;*.au;*.ac3;{MOVIE_GLOB}"
_PLAYING = f"{MOVIE_GLOB};*.gif;*.webp;*.apng;*.avif"  # pictures that play, without sound


class _CaptureVideo(VideoSettings):
    face: IntProperty(
        name="Face",
        description="Choose which face of the video is followed: 0 takes the largest, 1 the first from the left where faces are first seen",
        default=0, min=0,
    )  # fmt: skip
    choice: EnumProperty(**face_choice.CHOICE)

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        problems.forget(portrait.uid)
        job = jobs.VideoCaptureJob(
            portrait.uid, server.launch_plan(context), self.source(context), self.key_options(),
            self.video_options(), self.face,
        )  # fmt: skip
        return run_job(self, context, job)


class PORTRAIT_OT_capture_video(InBackground, FromFile, _CaptureVideo, NeedsFreeRig, OnPortrait, bpy.types.Operator):
    """Make the portrait act like the person in a video file; the keys can be edited afterwards"""

    bl_idname = "portrait.capture_video"
    bl_label = "Capture from Video"

    filepath: StringProperty(
        name="Video", description="Choose the file of the performance", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default=_PLAYING, options={"HIDDEN"})
    first_frame: IntProperty(
        name="First Frame", description="Let the video begin on this frame of the scene", default=1
    )


class PORTRAIT_OT_capture_movie_strip(
    InBackground, FromStrip, _CaptureVideo, NeedsFreeRig, OnPortrait, bpy.types.Operator
):
    """Make the portrait act like the person in the active movie strip, on the frames where the strip shows them"""

    bl_idname = "portrait.capture_movie_strip"
    bl_label = "Capture from Movie Strip"

    kinds = ("MOVIE",)
    kind_words = "a movie strip"


class PORTRAIT_OT_adjust_capture(VideoSettings, NeedsFreeRig, OnRig, bpy.types.Operator):
    """Key the last captured video again with other settings, without looking at the video anew"""

    bl_idname = "portrait.adjust_capture"
    bl_label = "Adjust Capture"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return (
            "Capture a video first: what was seen in it is kept until Blender is closed"
            if jobs.last_video(active_portrait(context).uid) is None
            else None
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begins with the settings of the capture."""
        video = jobs.last_video(active_portrait(context).uid)
        used, keys = video.options, video.keys
        self.neutral, self.neutral_frame, self.smoothing = used.neutral, used.neutral_frame, used.smoothing
        self.onto = "CONTROLS" if used.sliders else "POINTS"
        self.expression, self.head = used.expression, used.head
        self.tolerance, self.markers = keys.tolerance_percent, keys.markers
        return self.execute(context)

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        video = jobs.last_video(portrait.uid)
        done = jobs.key_video(scene_of(context), portrait, video, self.video_options(), self.key_options())
        problems.forget(portrait.uid)
        return tell(self, done.line, done.notes)


class PORTRAIT_OT_import_live_link(FromFile, KeySettings, NeedsFreeRig, OnRig, bpy.types.Operator):
    """Key the face controls and the head from a recording of Live Link Face (.csv)"""

    bl_idname = "portrait.import_live_link"
    bl_label = "Import Face Recording"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Recording", description="Choose the file of the performance", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default="*.csv", options={"HIDDEN"})
    first_frame: IntProperty(
        name="First Frame", description="Let the recording begin on this frame of the scene", default=1
    )
    unit: EnumProperty(
        name="Angles",
        description="Choose what the recording's angles are in",
        items=(
            ("RADIANS", "Radians", "Read radians, as Live Link Face writes them"),
            ("DEGREES", "Degrees", "Read degrees, as some other programs write them"),
            ("HALF_TURNS", "Parts of 180°", "Read parts of half a turn, from -1 to 1"),
        ),
    )

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        scene = scene_of(context)
        path = Path(bpy.path.abspath(self.filepath))
        placement = Placement(float(self.first_frame), scene_fps(scene))
        take = take_of_recording(read_live_link(path, self.unit), placement)
        done = jobs.key(scene, portrait, take, shown(path.stem), self.key_options())
        problems.forget(portrait.uid)
        return tell(self, done.line, done.notes)


class _CaptureSpeech(KeySettings):
    text: StringProperty(
        name="Text",
        description="Write what is said, in English: the mouth is then far more exact. Leave it empty to recognise the sounds",
        options={"SKIP_SAVE"},
    )
    strength: FloatProperty(
        name="Strength",
        description="Open the mouth so far; 1 is for clear speech",
        default=1.0,
        min=0.0,
        soft_max=2.0,
        max=4.0,
    )

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        problems.forget(portrait.uid)
        job = jobs.SpeechCaptureJob(
            portrait.uid, server.launch_plan(context), self.source(context), self.key_options(),
            self.text, self.strength, getattr(self, "add_sound", False),
        )  # fmt: skip
        return run_job(self, context, job)


class PORTRAIT_OT_capture_speech(InBackground, FromFile, _CaptureSpeech, NeedsFreeRig, OnPortrait, bpy.types.Operator):
    """Move the portrait's mouth to the speech in a sound file"""

    bl_idname = "portrait.capture_speech"
    bl_label = "Capture from Sound"

    filepath: StringProperty(
        name="Sound", description="Choose the file of the performance", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: StringProperty(default=_SOUNDS, options={"HIDDEN"})
    first_frame: IntProperty(
        name="First Frame", description="Let the sound begin on this frame of the scene", default=1
    )
    add_sound: BoolProperty(
        name="Add Sound Strip",
        description="Put the sound into the sequencer too, in time with the keys, where it is not there yet",
        default=True,
    )


class PORTRAIT_OT_capture_sound_strip(
    InBackground, FromStrip, _CaptureSpeech, NeedsFreeRig, OnPortrait, bpy.types.Operator
):
    """Move the portrait's mouth to the speech in the active sound strip"""

    bl_idname = "portrait.capture_sound_strip"
    bl_label = "Capture from Sound Strip"

    kinds = ("SOUND",)
    kind_words = "a sound strip"


class PORTRAIT_OT_clean_keys(NeedsFreeRig, OnRig, bpy.types.Operator):
    """Set the rig's keys anew, as few as keep the tolerance; the action of before stays in the file"""

    bl_idname = "portrait.clean_keys"
    bl_label = "Clean Keys"
    bl_options = {"REGISTER", "UNDO"}

    tolerance: FloatProperty(
        name="Tolerance",
        description="Let a point move so far from where it was, in parts of the face's width; more gives fewer keys",
        subtype="PERCENTAGE", default=0.5, min=0.01, soft_max=3.0, max=20.0, precision=2,
    )  # fmt: skip

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        done = cleaning.clean_keys(portrait.rig, portrait.space, self.tolerance)
        problems.forget(portrait.uid)
        jobs.keep_report(portrait.uid, done)
        return tell(self, done.line, done.notes)


CLASSES = (
    PORTRAIT_OT_capture_video, PORTRAIT_OT_capture_movie_strip, PORTRAIT_OT_adjust_capture,
    PORTRAIT_OT_import_live_link, PORTRAIT_OT_capture_speech, PORTRAIT_OT_capture_sound_strip, PORTRAIT_OT_clean_keys,
)  # fmt: skip
