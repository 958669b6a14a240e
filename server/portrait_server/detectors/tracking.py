# SPDX-License-Identifier: GPL-3.0-or-later
"""A face followed through a photograph or a video: from pictures to a landmark track."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.track import LandmarkTrack
from tqdm import tqdm

from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.following import FollowedFace
from portrait_server.detectors.selection import no_face, select_face
from portrait_server.detectors.smoothing import smooth
from portrait_server.media.images import opaque
from portrait_server.media.video import VideoReader

_PROGRESS_FRAMES = 5


def track_of_photo(
    image: np.ndarray, detector: Detector, face: int | None, where: str = "the picture"
) -> LandmarkTrack:
    """A track of one frame.

    Args:
        image: (H, W, 3) uint8 RGB.

    Raises:
        PortraitError: NO_FACE, NO_SUCH_FACE.
    """
    found = select_face(detector.detect(image), face, where)
    return _track([found], image.shape, fps=25.0)


@dataclass(frozen=True)
class VideoPart:
    """What of a video is looked at, and who is told how far it is.

    Attributes:
        start, end: seconds from the video's beginning; to its end where None.
        progress: told (frames done, frames to expect).
    """

    start: float = 0.0
    end: float | None = None
    progress: Callable[[int, int], None] | None = None


class Film(Protocol):
    """Frames (H, W, 3 or 4) uint8, all of one size, one after another.

    Attributes:
        fps: frames per second.
        frame_count: how many to expect; 0 where that is not known.
    """

    fps: float
    frame_count: int

    def __iter__(self) -> Iterator[np.ndarray]: ...


def track_of_video(
    path: Path, detector: Detector, face: int | None, *, smoothed: bool = False, part: VideoPart = VideoPart()
) -> LandmarkTrack:
    """One person's track through a video file, see `track_of_film`; with the array `timecode`, a text, of its first frame
    where the file states one.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, NO_FACE, NO_SUCH_FACE.
    """
    with VideoReader(path) as video:
        track = track_of_film(video, path, detector, face, smoothed=smoothed, part=part)
        timecode = _timecode_of(video, track.start)
    return replace(track, extra={**track.extra, "timecode": np.array(timecode)}) if timecode else track


def _timecode_of(video: VideoReader, number: int) -> str:
    """The time code of a frame, the first being 1; empty where the file states none, or one that its rate has not."""
    try:
        return FrameTimes(video.fps, video.timecode).timecode_of(number)
    except PortraitError:
        return ""


def track_of_film(
    film: Film, path: Path, detector: Detector, face: int | None, *, smoothed: bool = False,
    part: VideoPart = VideoPart(), start: int = 1,
) -> LandmarkTrack:  # fmt: skip
    """One person's track: followed from frame to frame, interpolated where they are not seen.

    Extra arrays, one value a frame: `detected` bool, whether the face was seen; `cuts` bool, whether a new shot begins
    here; `faces` int32, how many faces there are. A smoothed track keeps the points as they were found in `unsmoothed`.
    The track's first frame is the film's frame at `part.start`, and its `start` counts in the whole film.

    Args:
        path: what messages call the film.
        start: the number of the film's first frame.

    Raises:
        PortraitError: NO_FACE, NO_SUCH_FACE; what the film raises.
    """
    person: list[DetectedFace | None] = []
    counts: list[int] = []
    followed = FollowedFace(detector, face)
    shape: tuple[int, ...] = ()
    first = max(0, round(part.start * film.fps))
    count = None if part.end is None else max(1, round(part.end * film.fps) - first)
    expected = count or max(film.frame_count - first, 0)
    images = itertools.islice(film, first, None if count is None else first + count)
    for image in tqdm(images, total=expected or None, unit="frame", desc="Landmarks", disable=bool(part.progress)):
        image = opaque(image)
        shape = image.shape
        seen = followed.see(image, f"the first frame with faces, {start + len(person)}")
        counts.append(seen.faces)
        person.append(seen.face)
        if part.progress and (seen.cut or len(person) % _PROGRESS_FRAMES == 0):
            part.progress(len(person), max(expected, len(person)))
    if not followed.found:
        raise no_face(f"any frame of {path}" if person else f"{path}, which has no frames in the part asked for")
    track = _track(person, shape, film.fps)
    extra = {**track.extra, "cuts": np.array(followed.shots.flags), "faces": np.array(counts, np.int32)}
    points = track.points
    if smoothed:
        extra["unsmoothed"] = points
        bounds = [0, *np.flatnonzero(followed.shots.flags).tolist(), len(points)]
        shots_points = [points[a:b] for a, b in itertools.pairwise(bounds) if b > a]
        points = np.concatenate([smooth(shot, track.fps) for shot in shots_points])
    return LandmarkTrack(points, track.size, track.fps, start + first, extra=extra)


def _track(person: Sequence[DetectedFace | None], shape: tuple[int, ...], fps: float) -> LandmarkTrack:
    """The frames' points, those without a face interpolated between their neighbours, held at the ends."""
    detected = np.array([face is not None for face in person])
    seen = [face for face in person if face is not None]
    extra = {"detected": detected}
    meshes = [face.mesh478 for face in seen if face.mesh478 is not None]
    if len(meshes) == len(seen):
        extra["mesh478"] = _fill(np.stack(meshes), detected)
    points = _fill(np.stack([face.points for face in seen]), detected)
    return LandmarkTrack(points, (shape[1], shape[0]), fps, extra=extra)


def _fill(values: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Args: values: (S, P, 3) of the S frames where `detected` (T,) is true. Returns: (T, P, 3) float32."""
    numbers = np.arange(len(detected))
    known = numbers[detected]
    columns = values.reshape(len(values), -1).T
    filled = np.stack([np.interp(numbers, known, column) for column in columns], axis=1)
    return filled.reshape(len(detected), *values.shape[1:]).astype(np.float32)
