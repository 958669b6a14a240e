# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait of a filmed shot: made of a movie or a sequence, given its points, and put right where it was moved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bpy
import numpy as np
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder

from ..blender import stored_paths
from ..blender.problems import Fix, SceneError
from ..blender.scene_time import scene_fps, stretch
from ..connection import server
from ..connection.command_run import CommandRun
from ..plane import image_plane, plane_shot
from ..rig.armature import rest_points
from ..rig.replaced_sliders import add_sliders
from ..shots import riding
from ..shots.filmed import Filmed, filmed
from ..shots.source import ShotSource
from . import photo, portrait_parts
from .properties import PORTRAIT_PG_portrait
from .scene_portraits import free_name

_ABOUT: Final = re.compile(r"Shot: (\d+) frames, ([0-9.]+) fps")


@dataclass(frozen=True)
class ShotFrame:
    """One frame of a shot as a picture's file, and what was told of the whole shot.

    Attributes:
        count: how many frames it has.
        fps: frames per second.
        notes: what is not as in an ordinary shot, in sentences.
    """

    count: int
    fps: float
    notes: tuple[str, ...]


def read_frame(launch: server.Launch, shot: Path, index: int, output: Path, run: CommandRun) -> ShotFrame:
    """Has one frame of a shot written as PNG, by a command. Touches nothing of Blender's.

    Args:
        index: from 0.

    Raises:
        PortraitError: as `CommandRun.run`: the command says what is wrong with the shot.
    """
    launch.check_command()
    lines: list[str] = []
    words = ["shot-frame", str(shot), "--index", str(index), "--output", str(output)]
    run.run([*launch.command, *words], lines.append)
    about = next((match for line in lines if (match := _ABOUT.match(line))), None)
    if about is None:
        raise PortraitError(ErrorCode.INTERNAL, "The `portrait` command is of another version.", "Update it.")
    notes = tuple(line.removeprefix("Note: ") for line in lines if line.startswith("Note: "))
    return ShotFrame(int(about[1]), float(about[2]), notes)


def add(scene: bpy.types.Scene, source: ShotSource, launch: server.Launch) -> tuple[PORTRAIT_PG_portrait, ShotFrame]:
    """A new portrait of a shot: the plane at the 3D cursor plays it, no rig yet.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE and the like where the shot cannot be read; SCENE where Blender cannot; the
            scene is then as it was.
    """
    with PrivateFolder() as folder:
        picture = folder / "frame.png"
        about = read_frame(launch, source.path, 0, picture, CommandRun())
        movie = _load_picture(source)
        try:
            portrait = portrait_parts.add(scene, str(picture))
        except PortraitError:
            bpy.data.images.remove(movie)
            raise
        _pack(portrait.photo, f"{source.name} rest")
    _name_after(portrait, source)
    shot = portrait.shot
    shot.path, shot.start = stored_paths.stored(source.path), source.start
    shot.count, shot.picture = about.count, movie
    shot.fps = about.fps if source.number is None else scene_fps(scene)  # pictures tell no rate
    portrait_parts.show_shot(portrait)
    return portrait, about


def _name_after(portrait: PORTRAIT_PG_portrait, source: ShotSource) -> None:
    """Calls a portrait, whose picture has a name of its own, as the shot."""
    portrait.name = free_name(portrait, stored_paths.shown(source.name))
    portrait.plane.name = portrait.name


def take_points(
    context: bpy.types.Context, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, points_file: str, rest: int,
    picture: Path, points: np.ndarray,
) -> Filmed:  # fmt: skip
    """Gives the portrait the points that were found in its shot: a rig that rests on one frame of it, and rides.

    Args:
        points_file: where they lie, as the .blend keeps it.
        rest: the frame that the rig rests on, from 0.
        picture: that frame's file.
        points: (70, 3) pixels, its points.
    """
    shot = portrait.shot
    image = photo.load(str(picture))
    _pack(image, portrait.photo.name)
    image_plane.replace_photo(portrait.plane, portrait.photo, image)
    old, portrait.photo = portrait.photo, image
    if old.users == 0:
        bpy.data.images.remove(old)
    portrait.photo_digest = image_digest(photo.pixels(image))
    shot.points_file, shot.rest = points_file, rest
    if portrait.rig is None:
        portrait_parts.attach_rig(context, portrait, points)
    else:
        portrait_parts.move_rig(context, portrait, points)
    add_sliders(portrait.rig)
    return ride(scene, portrait)


def ride(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> Filmed:
    """Lets the rig follow the filmed head.

    Raises:
        PortraitError: as `filmed`.
    """
    shot = portrait.shot
    found = points_of(portrait)
    places = np.array(shot.frames, np.float64) * stretch(scene)
    shot.ride = riding.ride(
        scene, portrait.rig, portrait.plane, shot.ride, found.performance.poses, portrait.space, places
    )
    return found


def points_of(portrait: PORTRAIT_PG_portrait) -> Filmed:
    """What was found in the portrait's shot.

    Raises:
        PortraitError: as `filmed`; SCENE for a broken rig.
    """
    return filmed(portrait.shot, rest_points(portrait.rig, portrait.space))


def relocate(portrait: PORTRAIT_PG_portrait, source: ShotSource) -> None:
    """Points the portrait to its shot's new place.

    Raises:
        PortraitError: SCENE where Blender cannot read it; the portrait is then as it was.
    """
    movie = _load_picture(source)
    portrait.shot.path, portrait.shot.picture = stored_paths.stored(source.path), movie
    portrait_parts.show_shot(portrait)


def _load_picture(source: ShotSource) -> bpy.types.Image:
    try:
        return plane_shot.load(source.first, source.number is not None)
    except RuntimeError as error:
        raise SceneError(
            f"Blender cannot show {source.first.name}.", "Convert the shot to H.264 in an .mp4 file, or to PNG.",
        ) from error  # fmt: skip


def _pack(image: bpy.types.Image, name: str) -> None:
    """Keeps a frame's picture in the .blend: its file is gone soon."""
    image.pack()
    image.name = stored_paths.shown(name)
    image.filepath_raw = ""


def check_there(portrait: PORTRAIT_PG_portrait) -> None:
    """Raises FILE_MISSING with the fix *Locate Shot* where the movie or the pictures are no longer there."""
    shot = portrait.shot
    try:
        found = shot.pictures() is not None or shot.file.is_file()
    except PortraitError as error:
        raise SceneError(error.message, "Locate the shot where it is now.", Fix.RELOCATE_SHOT, error.code) from error
    if not found:
        raise SceneError(
            f"The shot {shot.file} is no longer there.", "Locate it where it is now.", Fix.RELOCATE_SHOT,
            ErrorCode.FILE_MISSING,
        )  # fmt: skip
