# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Movie: a portrait's rendered frames as a movie, with the sound of the scene's sequencer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bpy
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_numbers import ranges_of

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.scene_time import scene_fps
from ..connection import server
from ..jobs.command_job import CommandJob
from ..plane import image_plane
from ..render.frame_folder import frames_of

SUFFIXES: Final = {"h264": ".mp4", "prores4444": ".mov", "dnxhr": ".mov"}
"""The usual one of each codec's files."""


@dataclass(frozen=True)
class MovieOptions:
    """What the movie is to be.

    Attributes:
        path: the file.
        codec: one of `SUFFIXES`.
        sound: whether what the sequencer plays is heard with it.
        timecode: of the first frame; by its number where empty.
    """

    path: Path
    codec: str
    sound: bool
    timecode: str = ""


class MovieJob(CommandJob):
    """Writes a movie of those frames of the portrait's range that were rendered."""

    label = "Export Movie"

    def __init__(self, uid: str, launch: server.Launch, options: MovieOptions) -> None:
        super().__init__(uid, launch)
        self._options = options
        self._words: list[str] = []
        self._mixed: PrivateFolder | None = None

    def begin(self) -> None:
        super().begin()
        scene, portrait = self.portrait()
        frames, shot = portrait.span(scene), portrait.shot
        if not shot.is_filmed:
            there = [number for number in frames_of(portrait) if number in frames]
            if not there:
                raise SceneError("None of the portrait's frames in this range was rendered yet.", "Render it first.")
            frames = range(there[0], there[-1] + 1)
        self._words = [
            "movie", str(portrait.folder()), "--output", str(self._options.path), "--codec", self._options.codec,
            "--fps", f"{scene_fps(scene):.9g}", "--frames", f"{frames[0]}-{frames[-1]}", f"--prefix={portrait.frame_prefix}",
            "--format", portrait.frame_suffix.removeprefix("."), "--progress",
        ]  # fmt: skip
        if shot.is_filmed:
            drawn = image_plane.wanted_frames(portrait.plane)  # other files are of edits that were taken back
            self._words += ["--plate", str(shot.file), "--plate-start", str(shot.start)]
            if filmed := [frame for frame in frames if frame not in drawn]:
                self._words.append(f"--as-filmed={ranges_of(filmed)}")
        elif portrait.frame_step > 1:
            self._words.append("--hold")
        if not self._launch.credentials:
            self._words.append("--no-credentials")
        if self._options.timecode:
            self._words += ["--timecode", self._options.timecode]
        if self._options.sound and (sounds := _audible(scene, frames)):
            self.note = f"Mixing {sounds} sound strip{'s' if sounds > 1 else ''}"
            self._mixed = PrivateFolder()
            mixed = self._mixed.path / "sound.wav"
            _mix_down(scene, mixed, frames)
            self._words += ["--sound", str(mixed)]

    def words(self, output: Path) -> Sequence[str]:
        return self._words

    def load(self, output: Path) -> Path:
        return self._options.path

    def take_up(self, result: Path) -> None:
        self.note = f"Saved {result.name}"

    def end(self) -> None:
        if self._mixed is not None:
            self._mixed.remove()
            self._mixed = None


def _audible(scene: bpy.types.Scene, frames: range) -> int:
    """How many sound strips are heard while the frames play."""
    if scene.sequence_editor is None:
        return 0
    heard = (strip for strip in compat.strips_of(scene.sequence_editor) if strip.type in ("SOUND", "META", "SCENE"))
    spans = [compat.strip_range(strip) for strip in heard if not strip.mute]
    return sum(span.start <= frames[-1] and span.stop > frames[0] for span in spans)


def _mix_down(scene: bpy.types.Scene, path: Path, frames: range) -> None:
    """Writes what the scene plays during the frames, as Blender mixes it.

    Raises:
        PortraitError: SCENE where Blender cannot.
    """
    before = scene.frame_start, scene.frame_end
    try:
        scene.frame_start, scene.frame_end = frames[0], frames[-1]
        with bpy.context.temp_override(scene=scene):
            bpy.ops.sound.mixdown(filepath=str(path), container="WAV", codec="PCM", format="S16")
    except RuntimeError as error:
        raise SceneError(
            f"Blender cannot mix the sound of the sequencer: {error}",
            "Turn Sound off, or mute the strips that cannot be played.",
        ) from error
    finally:
        scene.frame_start, scene.frame_end = before
