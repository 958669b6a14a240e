# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of a video or sound file is captured, and on which frames it lies: a whole file, or what a strip shows."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from ..blender import compat
from ..blender.problems import SceneError
from ..blender.scene_time import scene_fps
from ..blender.strip_speed import check_plain_speed
from .timing import Placement

_MARGIN_SECONDS = 0.5


@dataclass(frozen=True)
class MediaPart:
    """A part of a file, and where it lies in the scene.

    Attributes:
        path: of the video or the sound.
        placement: from its seconds to scene frames.
        start, end: the part that is looked at, seconds; to the file's end where None.
        from_first_sound: its second 0 is the first of its sound, as Blender plays sound strips; else that of a video is
            its first picture.
    """

    path: Path
    placement: Placement
    start: float = 0.0
    end: float | None = None
    from_first_sound: bool = False


def of_file(scene: bpy.types.Scene, path: str, first_frame: int) -> MediaPart:
    """A whole file whose beginning lies at a scene frame; raises SCENE where there is no such file."""
    return MediaPart(_file(path), Placement(float(first_frame), scene_fps(scene)))


def active_strip(scene: bpy.types.Scene, kinds: tuple[str, ...]) -> Any | None:
    """The sequencer's active strip, where it is of one of the kinds."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor is not None else None
    return strip if strip is not None and strip.type in kinds else None


def of_strip(scene: bpy.types.Scene, strip: Any) -> MediaPart:
    """What a movie or a sound strip shows: its trim, its place, its own rate against the scene's.

    Raises:
        PortraitError: SCENE for a missing file, and for a strip whose speed was changed.
    """
    if strip.type == "SOUND":
        return _sound(scene, strip)
    path = _file(strip.filepath)
    check_plain_speed(scene, strip)
    # A movie plays one of its frames on each frame of the scene, unless Blender fits its rate to the scene's.
    fps, count = _movie(path)
    rate = scene_fps(scene)
    length = compat.media_frames(strip)
    fitted = abs(length - count * rate / fps) <= abs(length - count)
    placement = _placed(strip, compat.media_start(strip), rate if fitted else fps)
    return _part(path, placement)


def _sound(scene: bpy.types.Scene, strip: Any) -> MediaPart:
    sound = strip.sound
    if sound is None or sound.packed_file is not None:
        raise SceneError(
            f"The sound of the strip “{strip.name}” is packed into the .blend." if sound else "The strip has no sound.",
            "Unpack it (File › External Data), then try again.",
        )
    check_plain_speed(scene, strip)
    rate = scene_fps(scene)
    start = compat.media_start(strip) + compat.sound_delay_seconds(strip) * rate
    return replace(_part(_file(sound.filepath), _placed(strip, start, rate)), from_first_sound=True)


def _placed(strip: Any, origin: float, rate: float) -> Placement:
    shown = compat.strip_range(strip)
    return Placement(origin, rate, shown.start, shown.stop - 1)


def _part(path: Path, placement: Placement) -> MediaPart:
    """A little more than is shown, so that the ends are smoothed like the middle."""
    assert placement.first is not None and placement.last is not None
    start = max(0.0, placement.seconds_of(placement.first) - _MARGIN_SECONDS)
    return MediaPart(path, placement, start, max(placement.seconds_of(placement.last + 1), start) + _MARGIN_SECONDS)


def _movie(path: Path) -> tuple[float, int]:
    """Frames per second and number of frames, as Blender counts them."""
    clip = None
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=False)
        if clip.fps > 0 and clip.frame_duration > 0:
            return float(clip.fps), int(clip.frame_duration)
    except RuntimeError:
        pass
    finally:
        if clip is not None:
            bpy.data.movieclips.remove(clip)
    raise SceneError(f"Blender cannot read {path.name} as a movie.", "Convert it to H.264 in an .mp4 file.")


def _file(path: str) -> Path:
    found = Path(bpy.path.abspath(path))
    if not os.path.isfile(found):
        raise SceneError(f"There is no file {found}.", "Locate it, then try again.")
    return found
