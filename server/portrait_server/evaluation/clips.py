# SPDX-License-Identifier: GPL-3.0-or-later
"""Real clips to judge an engine by: folders of frames with a landmark track, or videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

from portrait_server.detectors.registry import create_detector
from portrait_server.detectors.tracking import track_of_video
from portrait_server.media.images import is_animated_picture, is_picture, opaque, read_image
from portrait_server.media.video import VideoReader

TRACK_NAME = "track.npz"
_VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".mts")
_LAYOUT = (
    f"Give a folder with one folder for each clip, in which the frames 0001.png … and {TRACK_NAME} lie, or with videos."
)


@dataclass(frozen=True)
class Clip:
    """Frames of one person, all of one size, and their landmarks.

    Attributes:
        name: what the report calls it.
        frames: (H, W, 3) uint8 RGB each.
        points: (T, 70, 2 or 3) float32 pixels.
    """

    name: str
    frames: Sequence[np.ndarray]
    points: np.ndarray

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.points):
            raise _bad_clip(self.name, f"it has {len(self.frames)} frames and landmarks for {len(self.points)}")
        if len(self.frames) < 2:
            raise _bad_clip(self.name, "one frame is the reference, so at least two with a face are needed")
        inside = ((self.points[:, :68, :2] >= 0) & (self.points[:, :68, :2] <= np.array(self.size) - 1)).all(2).any(1)
        if not inside.all():
            raise _bad_clip(self.name, f"no landmark of its frame {np.argmin(inside) + 1} lies in the picture")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        height, width = self.frames[0].shape[:2]
        return width, height


def find_clips(path: Path) -> list[Path]:
    """The clips at a path: it is one, or a folder of some. In the order of their names.

    Raises:
        PortraitError: FILE_MISSING where there is nothing, or no clip.
    """
    if not os.path.exists(path):
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no folder or video {path}.", "Check the path.")
    if os.path.isfile(path) or os.path.exists(path / TRACK_NAME):
        return [path]
    if not os.path.isdir(path):
        raise _bad_clip(path, "it is neither a video nor a folder")
    found = [entry for entry in sorted(path.iterdir()) if _is_clip(entry)]
    if not found:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no clip in {path}.", _LAYOUT)
    return found


@dataclass(frozen=True)
class ClipFile:
    """A clip on disk whose landmarks are known: to be looked through first, and loaded when its turn comes.

    Attributes:
        path: of the video or the folder.
        track: of all its frames.
        numbers: the frames that are taken, rising.
    """

    path: Path
    track: LandmarkTrack
    numbers: np.ndarray

    @property
    def name(self) -> str:
        """What the report calls it."""
        return self.path.stem if os.path.isfile(self.path) else self.path.name

    def load(self) -> Clip:
        """The frames and their landmarks.

        Raises:
            PortraitError: a frame that cannot be read or does not fit the track; fewer than two frames; no landmark
                of a frame in the picture.
        """
        frames = list(_frames_of(self.path, self.numbers.tolist(), len(self.track)))
        for number, frame in zip(self.numbers, frames, strict=False):
            if (frame.shape[1], frame.shape[0]) != self.track.size:
                raise PortraitError(
                    ErrorCode.SIZE_MISMATCH,
                    f"{self.path}: frame {number + 1} has {frame.shape[1]}x{frame.shape[0]} pixels, "
                    f"its track was made for {self.track.size[0]}x{self.track.size[1]}.",
                    "Use the frames that the track was made for.",
                )
        return Clip(self.name, frames, self.track.points[self.numbers])


def open_clip(path: Path, most_frames: int, device: str = "cpu") -> ClipFile:
    """A clip of those frames in which the face was seen, at most so many, spread over all of them.

    Args:
        device: where faces are looked for in a video.

    Raises:
        PortraitError: a track that cannot be read; a video that cannot, or without a face.
    """
    track = _track_of(path, device)
    seen = np.asarray(track.extra.get("detected", np.ones(len(track), bool)), bool)
    if seen.shape != (len(track),):
        raise _bad_clip(path, f"`detected` of its track has shape {seen.shape}; ({len(track)},) is needed")
    return ClipFile(path, track, spread(np.flatnonzero(seen), most_frames))


def spread(items: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the items, the first among them, evenly apart."""
    count = min(most, len(items))
    return items[np.arange(count) * len(items) // max(count, 1)]


def _track_of(path: Path, device: str) -> LandmarkTrack:
    if os.path.isdir(path):
        return LandmarkTrack.load(path / TRACK_NAME)
    with closing(create_detector(device=device)) as detector:
        return track_of_video(path, detector, None)


def _frames_of(path: Path, numbers: Sequence[int], count: int) -> Iterator[np.ndarray]:
    """The frames of the given numbers, which rise, of a clip whose track has so many."""
    if os.path.isdir(path):
        pictures = _pictures(path)
        if len(pictures) != count:
            raise _bad_clip(path, f"it has {len(pictures)} pictures, but its track has {count} frames")
        yield from (opaque(read_image(pictures[number])) for number in numbers)
        return
    with VideoReader(path) as video:
        yield from (frame for number, frame in enumerate(video) if number in numbers)


def _is_clip(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if os.path.isdir(path):
        return os.path.exists(path / TRACK_NAME)
    return path.suffix.lower() in _VIDEO_SUFFIXES or is_animated_picture(path)


def _pictures(folder: Path) -> list[Path]:
    """The folder's pictures, by number where all their names are numbers, else by name."""
    found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != TRACK_NAME)
    pictures = [entry for entry in found if os.path.isfile(entry) and is_picture(entry)]
    if all(picture.stem.isdecimal() for picture in pictures):
        return sorted(pictures, key=lambda picture: int(picture.stem))
    return pictures


def _bad_clip(clip: Path | str, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_TRACK, f"The clip {clip} cannot be used: {why}.", _LAYOUT)
