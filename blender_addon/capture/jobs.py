# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture in the background: a video's landmarks, a sound's mouth shapes, then keys on the portrait's rig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import bpy
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from ..blender.scene_time import scene_fps
from ..blender.stored_paths import shown
from ..connection import server
from ..connection.worker import Worker
from ..jobs.command_job import CommandJob
from ..portraits import strip_sound
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig import key_checks
from ..rig.armature import rest_points
from ..rig.sampling import check_rig
from .keying import Report, key_take
from .media_parts import MediaPart
from .speech_shapes import Speech, take_of_speech
from .takes import Take, VideoOptions, take_of_video

_KEPT: Final = 4
_videos: dict[str, SeenVideo] = {}
_reports: dict[str, Report] = {}


@dataclass(frozen=True)
class KeyOptions:
    """How what was captured is keyed.

    Attributes:
        tolerance_percent: see `key_take`.
        markers: mark frames without a face, and cuts.
    """

    tolerance_percent: float = 0.5
    markers: bool = True


@dataclass(frozen=True)
class SeenVideo:
    """A video in which a face was found, kept so that it can be keyed again with other options."""

    source: MediaPart
    track: LandmarkTrack
    options: VideoOptions
    keys: KeyOptions


def last_video(uid: str) -> SeenVideo | None:
    """The video last captured onto a portrait in this session of Blender."""
    return _videos.get(uid)


def last_report(uid: str) -> Report | None:
    """What was last keyed onto a portrait in this session of Blender."""
    return _reports.get(uid)


def key_video(
    scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, video: SeenVideo, options: VideoOptions, keys: KeyOptions
) -> Report:
    """Keys a video's performance onto a portrait.

    Raises:
        PortraitError: SCENE, NO_FACE; nothing is changed then.
    """
    check_rig(scene, portrait.rig)
    rest = rest_points(portrait.rig, portrait.space)
    take = take_of_video(video.track, video.source.placement, rest, scene_fps(scene), options)
    return key(scene, portrait, take, shown(video.source.path.stem), keys)


def key(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, take: Take, name: str, keys: KeyOptions) -> Report:
    """Keys what was captured from the named source."""
    action_name = f"{portrait.name} {name}"
    report = key_take(scene, portrait.rig, portrait.space, take, keys.tolerance_percent, action_name, keys.markers)
    keep_report(portrait.uid, report)
    return report


def keep_report(uid: str, report: Report) -> None:
    """Remembers what was keyed last, for the panel."""
    _reports[uid] = report


class _CaptureJob(CommandJob):
    """What capturing from a video and from speech have in common.

    Attributes:
        report: what was keyed, once it is.
    """

    def __init__(self, uid: str, launch: server.Launch, source: MediaPart, keys: KeyOptions) -> None:
        super().__init__(uid, launch)
        self.report: Report | None = None
        self._source, self._keys = source, keys

    def begin(self) -> None:
        super().begin()
        scene, portrait = self.portrait()
        check_rig(scene, portrait.rig)
        key_checks.check_animation(portrait.rig)

    def new_worker(self) -> Worker:
        self.note = f"Looking at {self._source.path.name}"
        return super().new_worker()

    def done(self, report: Report) -> None:
        """The panel shows the report whole; the job's own line would show it a second time, and cut."""
        self.report = report
        self.note = report.line
        self.told_in_section = True

    def _part(self) -> list[str]:
        words = ["--from", f"{self._source.start:.4f}", "--progress"]
        return words if self._source.end is None else [*words, "--to", f"{self._source.end:.4f}"]


class VideoCaptureJob(_CaptureJob):
    """Finds the landmarks of a video and keys them."""

    label = "Capture Video"

    def __init__(
        self, uid: str, launch: server.Launch, source: MediaPart, keys: KeyOptions, options: VideoOptions, face: int = 0
    ) -> None:
        super().__init__(uid, launch, source, keys)
        self._options, self._face = options, face

    def words(self, output: Path) -> Sequence[str]:
        return ["landmarks", str(self._source.path), "--output", str(output), "--smooth", *self._part(),
                "--face", str(self._face)]  # fmt: skip

    def load(self, output: Path) -> LandmarkTrack:
        return LandmarkTrack.load(output)

    def take_up(self, result: LandmarkTrack) -> None:
        scene, portrait = self.portrait()
        video = SeenVideo(self._source, result, self._options, self._keys)
        _videos.pop(self.uid, None)
        _videos[self.uid] = video
        while len(_videos) > _KEPT:
            del _videos[next(iter(_videos))]
        self.done(key_video(scene, portrait, video, self._options, self._keys))


class SpeechCaptureJob(_CaptureJob):
    """Hears the mouth shapes of a sound and keys them."""

    label = "Capture Speech"

    def __init__(
        self, uid: str, launch: server.Launch, source: MediaPart, keys: KeyOptions, text: str = "",
        strength: float = 1.0, add_sound: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(uid, launch, source, keys)
        self._text, self._strength, self._add_sound = text, strength, add_sound

    def words(self, output: Path) -> Sequence[str]:
        return ["visemes", str(self._source.path), "--output", str(output), *self._part(), f"--text={self._text}",
                "--clock", "sound" if self._source.from_first_sound else "picture"]  # fmt: skip

    def load(self, output: Path) -> Speech:
        return Speech.load(output)

    def take_up(self, result: Speech) -> None:
        scene, portrait = self.portrait()
        take = take_of_speech(result, self._source.placement, self._strength)
        if not take.weights:
            raise PortraitError(
                ErrorCode.SCENE, f"No speech was heard in {self._source.path.name}.",
                "Choose a part in which somebody speaks.",
            )  # fmt: skip
        report = key(scene, portrait, take, shown(self._source.path.stem), self._keys)
        if self._add_sound:
            report = replace(report, notes=(*report.notes, *self._sound(scene, portrait.group_uid, report.frames)))
            keep_report(portrait.uid, report)
        self.done(report)

    def _sound(self, scene: bpy.types.Scene, pictures: str, keyed: tuple[int, int]) -> list[str]:
        """Puts the sound under the keys, for playing, connected with strips of a uid; what became of it."""
        start = round(self._source.placement.origin)
        try:
            strip = strip_sound.add_sound(scene, pictures, self._source.path, range(start, max(start, keyed[1]) + 1))
        except PortraitError as error:
            return [str(error)]
        if strip is None:
            return []
        return [f"The sound is in the sequencer, in channel {strip.channel}."]
