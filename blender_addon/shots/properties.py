# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of the shot that a portrait was filmed in."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import FloatProperty, IntProperty, PointerProperty, StringProperty
from portrait_shared.files.picture_sequences import PictureSequence, sequence_at

from ..blender import compat, stored_paths
from ..blender.problems import SceneError


class PORTRAIT_PG_shot(bpy.types.PropertyGroup):
    """A filmed shot: empty for a portrait of a photo.

    Its frames are counted from 0; frame 0 lies at the scene's frame `start`, and each takes up one frame of the scene.
    """

    path: StringProperty(
        name="Shot",
        description="Tells where the movie lies, or the pictures with # for their number",
        subtype="FILE_PATH",
        options=compat.path_options(),
    )
    points_file: StringProperty(
        name="Points",
        description="Tells where the points lie that were found in the shot",
        subtype="FILE_PATH",
        options=compat.path_options(),
    )
    start: IntProperty(
        name="Start", description="Tells at which frame of the scene the shot begins", options={"HIDDEN"}
    )
    count: IntProperty(name="Frames", description="Tells how many frames the shot has", options={"HIDDEN"})
    fps: FloatProperty(name="Frame Rate", description="Tells how many frames a second the shot has", options={"HIDDEN"})
    rest: IntProperty(options={"HIDDEN"})  # the frame whose points the rig rests on
    picture: PointerProperty(type=bpy.types.Image)  # the movie or the sequence, as the plane shows it
    ride: PointerProperty(type=bpy.types.Object)  # follows the head; the rig hangs on it
    engine: StringProperty(options={"HIDDEN"})  # what drew the frames last: its name and fingerprint

    @property
    def is_filmed(self) -> bool:
        """Whether the portrait is of a shot, and not of a photo."""
        return bool(self.path)

    @property
    def file(self) -> Path:
        """The movie, or the pictures with # for their number, as `portrait_shared.shots` names a shot."""
        return stored_paths.full(self.path, self.id_data.library)

    @property
    def points_path(self) -> Path:
        return stored_paths.full(self.points_file, self.id_data.library)

    @property
    def frames(self) -> range:
        """The scene's frames that the shot takes up."""
        return range(self.start, self.start + self.count)

    def within(self, frames: range) -> range:
        """Those of the scene's frames that the shot has.

        Raises:
            PortraitError: SCENE where it has none of them.
        """
        own = range(max(frames.start, self.start), min(frames.stop, self.start + self.count))
        if not own:
            raise SceneError(
                f"The shot lies at frames {self.start} to {self.start + self.count - 1}, outside the range {frames[0]} to "
                f"{frames[-1]}.",
                "Set a range in which the shot plays.",
            )
        return own

    def pictures(self) -> PictureSequence | None:
        """Its pictures; None for a movie.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE: see `sequence_at`.
        """
        return sequence_at(self.file)


CLASSES = (PORTRAIT_PG_shot,)
