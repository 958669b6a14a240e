# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Picture: the rendered frame that the scene is at, as a picture of its own with Content Credentials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_shared.frames.frame_files import frame_path

from ..blender.problems import SceneError
from ..connection import server
from ..jobs.command_job import CommandJob
from ..plane import image_plane
from ..portraits.properties import PORTRAIT_PG_portrait
from ..render.frame_folder import frames_of


class PictureJob(CommandJob):
    """Writes one frame; which kind of picture it becomes, its name says."""

    label = "Export Picture"

    def __init__(self, uid: str, launch: server.Launch, path: Path) -> None:
        super().__init__(uid, launch)
        self._path = path
        self._frame = Path()

    def begin(self) -> None:
        super().begin()
        scene, portrait = self.portrait()
        number = shown_frame(portrait, scene.frame_current)
        self._frame = frame_path(portrait.folder(), number, portrait.frame_prefix, portrait.frame_suffix)

    def words(self, output: Path) -> Sequence[str]:
        without = [] if self._launch.credentials else ["--no-credentials"]
        return ["sign", str(self._frame), "--output", str(self._path), *without]

    def load(self, output: Path) -> Path:
        return self._path

    def take_up(self, result: Path) -> None:
        self.note = f"Saved {result.name}"


def shown_frame(portrait: PORTRAIT_PG_portrait, current: int) -> int:
    """The rendered frame that is seen at a scene frame; with a step, one is seen until the next.

    Raises:
        SceneError: it was not rendered, or the shot is seen there as it was filmed.
    """
    there = frames_of(portrait)
    if portrait.shot.is_filmed:
        drawn = set(image_plane.wanted_frames(portrait.plane))  # other files are of edits that were taken back
        if current not in drawn:
            raise SceneError(f"Frame {current} is as it was filmed.", "Go to a frame that was changed and rendered.")
        there = [number for number in there if number in drawn]
    held = [number for number in there if current - portrait.frame_step < number <= current]
    if not held:
        raise SceneError(f"Frame {current} was not rendered yet.", "Render it, or go to one that was.")
    return held[-1]
