# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of a shot, followed from frame to frame: the points that its frames are drawn by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at
from portrait_shared.shots import SHOT_ARRAY, identify_shot
from portrait_shared.track import LandmarkTrack

from portrait_server.detectors.base import Detector
from portrait_server.detectors.tracking import VideoPart, track_of_film, track_of_video
from portrait_server.shots.reader import ShotReader

_WHOLE: Final = VideoPart()


def points_of_shot(
    path: Path, detector: Detector, face: int | None = None, *, smoothed: bool = False, part: VideoPart = _WHOLE,
    fps: float | None = None,
) -> LandmarkTrack:  # fmt: skip
    """One person's track through a shot, as `track_of_film`. That of a whole shot tells which, see `ShotIdentity`.

    Args:
        path: see `portrait_shared.shots`.
        fps: frames per second of a sequence of pictures; `SEQUENCE_FPS` where None.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, SIZE_MISMATCH, NO_FACE, NO_SUCH_FACE; BAD_CONFIGURATION for a movie and
            `fps`.
    """
    identity = identify_shot(path) if part.start == 0 and part.end is None else None
    if sequence_at(path) is None:
        if fps is not None:
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"{path} tells its own frames per second.", "Leave out --fps."
            )
        track = track_of_video(path, detector, face, smoothed=smoothed, part=part)
    else:
        with ShotReader(path) as shot:
            shot.fps = fps or shot.fps
            track = track_of_film(shot, path, detector, face, smoothed=smoothed, part=part, start=shot.start)
    if identity is None:
        return track
    if identify_shot(path, identity).digest != identity.digest:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"{path} has changed while its landmarks were found.",
            "Wait until nothing writes to the shot any more, and find them again.",
        )  # fmt: skip
    return replace(track, extra={**track.extra, SHOT_ARRAY: identity.as_array()})
