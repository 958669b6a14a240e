# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the face in every frame of a shot, and lets the portrait's rig ride on it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.whole_files import partial_file, write_error
from portrait_shared.track import LandmarkTrack

from ..blender import stored_paths
from ..blender.selection import is_untouched, select_only
from ..connection import server
from ..connection.worker import Worker
from ..portraits import portrait_parts, shot_parts
from ..portraits.scene_portraits import all_portraits
from ..shots import points_place
from .command_job import CommandJob


@dataclass(frozen=True)
class PointsFound:
    """What the worker brings.

    Attributes:
        rest: the frame that the rig is to rest on, from 0.
        points: (70, 3) pixels of that frame.
        picture: the content of its file.
    """

    rest: int
    points: np.ndarray
    picture: bytes


class ShotJob(CommandJob):
    """Finds landmarks over a portrait's shot, keeps them beside the .blend, and gives the rig its rest.

    Args:
        face: which face of the first frame with faces is followed, see `face_choice`.
    """

    label = "Find Points"
    taking_up = "Making the rig"

    def __init__(self, uid: str, launch: server.Launch, face: int = 0) -> None:
        super().__init__(uid, launch)
        self._face = face

    def begin(self) -> None:
        super().begin()
        scene, portrait = self.portrait()
        portrait_parts.check_plane(scene, portrait)
        shot_parts.check_there(portrait)
        self._shot = portrait.shot.file
        # Copies of a scene share one file: each portrait finds its own points anew.
        shared = any(
            other.shot.points_path == portrait.shot.points_path for _, other in all_portraits() if other != portrait
        )
        kept = "" if shared else portrait.shot.points_file
        self._place = kept or points_place.new_place(portrait.name)
        self._points = stored_paths.full(self._place)
        self._fps = None if portrait.shot.pictures() is None else portrait.shot.fps

    def new_worker(self) -> Worker:
        self.note = f"Looking at {self._shot.name}"
        return super().new_worker()

    def words(self, output: Path) -> Sequence[str]:
        words = [
            "landmarks",
            str(self._shot),
            "--output",
            str(output),
            "--smooth",
            "--progress",
            "--face",
            str(self._face),
        ]
        return words if self._fps is None else [*words, "--fps", f"{self._fps:.9g}"]

    def load(self, output: Path) -> PointsFound:
        track = LandmarkTrack.load(output)
        rest = int(np.argmax(track.extra["detected"]))
        with PrivateFolder() as folder:
            picture = folder / "rest.png"
            shot_parts.read_frame(self._launch, self._shot, rest, picture, self._run)
            content = picture.read_bytes()
        try:
            self._points.parent.mkdir(parents=True, exist_ok=True)
            with partial_file(self._points) as partial:
                shutil.copyfile(output, partial)
        except OSError as error:
            raise write_error(self._points, error, "Save the .blend in a folder that you may write to.") from error
        return PointsFound(rest, track.points[rest], content)

    def take_up(self, result: PointsFound) -> None:
        scene, portrait = self.portrait()
        portrait_parts.check_plane(scene, portrait)
        layer = bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]
        new_rig = portrait.rig is None
        with PrivateFolder() as folder, bpy.context.temp_override(scene=scene, view_layer=layer):
            picture = folder / "rest.png"
            picture.write_bytes(result.picture)
            found = shot_parts.take_points(
                bpy.context, scene, portrait, self._place, result.rest, picture, result.points
            )
            if new_rig and is_untouched(layer, portrait.plane):
                select_only(layer, portrait.rig)
        seen = int(found.detected.sum())
        self.note = f"Face found in {seen} of {len(found.track)} frames"
        self.notes = found.notes()
