# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a shot, the points that were found in it and those of a track belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.shots import ShotIdentity, is_unchanged
from portrait_shared.track import LandmarkTrack

from portrait_server.shots.reader import ShotReader


def check_found(shot: ShotReader, identity: ShotIdentity, found: LandmarkTrack, name: str) -> None:
    """Args: found: points of each frame of the shot; name: what messages call them.

    Raises:
        PortraitError: SIZE_MISMATCH, BAD_TRACK: they are another shot's.
    """
    again = f"Find its landmarks again: portrait landmarks {shot.path} --output {_file_of(name)}"
    if found.size != shot.size:
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"{name} was made for {found.size[0]}x{found.size[1]} pixels, but {shot.path} has "
            f"{shot.size[0]}x{shot.size[1]}.",
            f"Choose the shot's own points. {again}",
        )
    if len(found) != shot.frame_count:
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"{name} has points for {len(found)} frames, but {shot.path} has {shot.frame_count}.",
            f"It may have been shortened, or not be the shot that they were found in. {again}",
        )  # fmt: skip
    stated = ShotIdentity.of_track(found)
    if stated is not None and stated.digest != identity.digest:
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"{shot.path} has changed since the points of {name} were found, or is another shot.",
            f"Choose the file that they were found in, if it was encoded again. {again}",
        )  # fmt: skip


def check_targets(found: LandmarkTrack, track: LandmarkTrack, name: str, frames: Sequence[int]) -> None:
    """Args: track: where the points shall be in each frame; name: what messages call it; frames: those asked for.

    Raises:
        PortraitError: SIZE_MISMATCH, BAD_TRACK, BAD_POINTS.
    """
    if track.size != found.size:
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"{name} was made for {track.size[0]}x{track.size[1]} pixels, but the shot has "
            f"{found.size[0]}x{found.size[1]}.",
            "Give a track in pixels of the shot.",
        )
    if len(track) != len(found):
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"{name} has {len(track)} frames, but the shot has {len(found)}.",
            "Give a track with a row for each frame of the shot; --frames chooses those that are written.",
        )  # fmt: skip
    rows = track.rows_of(frames)
    check_points(rows, frames, size=track.size)
    detected = found.extra.get("detected")
    if detected is None or detected.shape != (len(found),):
        return
    own = found.points[np.array(frames) - track.start]
    blind = ~detected.astype(bool)[np.array(frames) - track.start] & ~is_unchanged(rows, own)
    if blind.any():
        raise PortraitError(
            ErrorCode.BAD_TRACK,
            f"{name} changes the face in frame {frames[int(blind.argmax())]}, where none was found in the shot.",
            "Leave that frame's points as they were found, or leave the frame out (--frames).",
        )


def _file_of(name: str) -> str:
    return name if Path(name).suffix == ".npz" else "POINTS.npz"
