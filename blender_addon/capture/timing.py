# SPDX-License-Identifier: GPL-3.0-or-later
"""A source's time to scene frames: trims, offsets, unequal rates, cuts, and frames without a face. Knows nothing of bpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import GROUPS
from portrait_shared.track import LandmarkTrack

from ..blender.frame_runs import frame_runs

# A head that moves this far between two frames, in its own widths, or changes its size by this factor: a cut.
_CUT_DISTANCE, _CUT_SIZE_RATIO = 0.6, 1.4
_SAME_TIME_FRAMES = 1e-3
_MOST_FRAMES = 500_000  # more than two hours at 60 frames/s


@dataclass(frozen=True)
class Placement:
    """Where a source lies in the scene.

    Attributes:
        origin: the scene frame at which the source's time 0 lies, shown or not.
        rate: scene frames per second of the source; above 0.
        first, last: the scene frames that may be keyed, both included; no bound where None.
    """

    origin: float
    rate: float
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"{self.rate} frames per second are not above 0")

    def seconds_of(self, frame: float) -> float:
        return (frame - self.origin) / self.rate

    def frames_between(self, start: float, end: float) -> np.ndarray:
        """Whole scene frames from one of the source's seconds to another, both included.

        Raises:
            PortraitError: SCENE where there is none, or more than can be keyed.
        """
        bound = float(2**31)
        low = int(np.ceil(np.clip(self.origin + start * self.rate - _SAME_TIME_FRAMES, -bound, bound)))
        high = int(np.floor(np.clip(self.origin + end * self.rate + _SAME_TIME_FRAMES, -bound, bound)))
        low = low if self.first is None else max(low, self.first)
        high = high if self.last is None else min(high, self.last)
        if high < low:
            raise PortraitError(
                ErrorCode.SCENE, "No frame of the recording falls on a frame of the scene.",
                "Move the strip or the start frame, or trim less of it.",
            )  # fmt: skip
        if high - low >= _MOST_FRAMES:
            raise PortraitError(
                ErrorCode.SCENE,
                f"The recording lies on {high - low + 1:,} frames of the scene; {_MOST_FRAMES:,} can be keyed at once.",
                "Trim it; if it is not that long, one of its timecodes is wrong.",
            )
        return np.arange(low, high + 1)


@dataclass(frozen=True)
class SceneTrack:
    """A track on scene frames, those without a face left out.

    Attributes:
        frames: (N,) int, rising.
        points: (N, 70, 3) pixels.
        shots: (N,) int, the number of each frame's shot.
        missing: (first, last) scene frames without a face.
        cuts: scene frames on which a new shot begins.
    """

    frames: np.ndarray
    points: np.ndarray
    shots: np.ndarray
    missing: tuple[tuple[int, int], ...]
    cuts: tuple[int, ...]

    @property
    def breaks(self) -> np.ndarray:
        """Indices at which keys begin anew: after a cut or after frames without a face."""
        return np.flatnonzero((np.diff(self.frames) > 1) | (np.diff(self.shots) != 0)) + 1


def to_scene(track: LandmarkTrack, placement: Placement, smoothing: float = 1.0) -> SceneTrack:
    """The track at whole scene frames, straight lines between its own.

    Args:
        smoothing: 0 for the points as they were found, 1 for the smoothed ones.

    Raises:
        PortraitError: SCENE where no frame of the scene is met; NO_FACE where none of those met has a face.
    """
    points = np.asarray(track.points, np.float64)
    if "unsmoothed" in track.extra:
        points = smoothing * points + (1 - smoothing) * np.asarray(track.extra["unsmoothed"], np.float64)
    if points.shape[2] == 2:
        points = np.concatenate((points, np.zeros((*points.shape[:2], 1))), axis=2)
    seen = np.asarray(track.extra.get("detected", np.ones(len(track))), bool)
    shots = np.cumsum(_cuts(track, points, seen))
    first = (track.start - 1) / track.fps
    frames = placement.frames_between(first, first + (len(track) - 1) / track.fps)
    rows = (np.array([placement.seconds_of(frame) for frame in frames]) - first) * track.fps
    rows = np.clip(rows, 0, len(track) - 1)
    before = np.floor(rows + _SAME_TIME_FRAMES).astype(int)
    share = np.maximum(rows - before, 0.0)
    share[share < _SAME_TIME_FRAMES] = 0.0
    after = np.minimum(before + (share > 0), len(track) - 1)
    share[shots[before] != shots[after]] = 0.0  # frames of two shots are not blended
    after = np.where(share > 0, after, before)
    there = seen[before] & seen[after]
    if not there.any():
        raise PortraitError(
            ErrorCode.NO_FACE, "None of the frames that would be keyed shows a face.", "Trim the strip to where one is."
        )
    blended = (1 - share)[:, None, None] * points[before] + share[:, None, None] * points[after]
    new_shot = np.flatnonzero(np.diff(shots[before])) + 1
    return SceneTrack(
        frames[there],
        blended[there],
        shots[before][there],
        tuple(frame_runs(frames[~there].tolist())),
        tuple(frames[new_shot].tolist()),
    )


def _cuts(track: LandmarkTrack, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(T,) bool, where a shot begins: as the file says, and where a head jumps from one frame to the next."""
    cuts = np.array(track.extra.get("cuts", np.zeros(len(track))), bool)
    jaw = points[:, list(GROUPS["jaw"])]
    width = np.maximum(np.linalg.norm(jaw[:, 0] - jaw[:, -1], axis=1), 1e-6)
    way = np.linalg.norm(np.diff(jaw[..., :2].mean(1), axis=0), axis=1)
    ratio = np.abs(np.log(width[1:] / width[:-1]))
    jump = (way > _CUT_DISTANCE * width[:-1]) | (ratio > np.log(_CUT_SIZE_RATIO))
    cuts[1:] |= jump & seen[1:] & seen[:-1]
    return cuts
