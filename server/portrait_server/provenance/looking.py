# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks into the pixels of any picture or film for the watermark, and at what the file says of itself without proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.detectors.registry import create_detector
from portrait_server.disclosure.find_watermark import FoundWatermark, find_in_frames, find_watermark
from portrait_server.media.containers import READ_ERRORS
from portrait_server.media.images import is_picture, read_image
from portrait_server.media.movie_frames import MovieFrames
from portrait_server.media.stated_origin import StatedOrigin, origin_of_film, origin_of_picture

_FILM_FRAMES: Final = 64
"""That are looked at of a film, spread over it: the part that was made may be short, and a film long."""
_FRAMES_ALONE: Final = 5
"""Of these, that are looked at each by itself too."""
_MOST_FACES: Final = 3
_REACH: Final = 0.25


@dataclass(frozen=True)
class Looked:
    """What was seen.

    Attributes:
        watermark: None where there is none.
        origin: what the file says of itself, which anybody may have written.
    """

    watermark: FoundWatermark | None
    origin: StatedOrigin


def look(path: Path) -> Looked:
    """Reads a picture, or frames of a film.

    Raises:
        PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
    """
    if is_picture(path):
        image = read_image(path)
        return Looked(find_watermark(image) or _in_faces(lambda: [image]), origin_of_picture(path))
    try:
        with closing(MovieFrames(path)) as film:
            # Where only few frames were made, or a still one is among them, the sum of all may show less than one of them.
            one_by_one = (found for frame in _spread(film, _FRAMES_ALONE) if (found := find_watermark(frame)))
            found = find_in_frames(_spread(film, _FILM_FRAMES)) or next(one_by_one, None)
            found = found or _in_faces(lambda: _spread(film, _FILM_FRAMES))
            return Looked(found, origin_of_film(path))
    except PortraitError as error:
        if error.code is not ErrorCode.BAD_IMAGE:
            raise
        raise PortraitError(error.code, "It is neither a picture nor a film that can be read.") from error


def _in_faces(frames: Callable[[], Iterable[np.ndarray]]) -> FoundWatermark | None:
    """What lies around the largest faces: of a filmed shot only they were changed, and all else hides the little there is.

    Args:
        frames: gives a picture, or a film's frames, whenever it is called.
    """
    with closing(create_detector("mediapipe")) as detector:
        boxes: list[np.ndarray] = []  # (2, 2) pixels each: left and top, right and bottom
        for frame in islice(frames(), _FRAMES_ALONE):
            levels = frame[..., :3] if frame.dtype == np.uint8 else (frame[..., :3] >> 8).astype(np.uint8)
            boxes += [_around(face.points) for face in detector.detect(np.ascontiguousarray(levels))[:_MOST_FACES]]
    for low, high in _merged(boxes):
        parts = (frame[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] for frame in frames())
        if (found := find_in_frames(np.ascontiguousarray(part) for part in parts)) is not None:
            return found
    return None


def _around(points: np.ndarray) -> np.ndarray:
    """A box of pixels as far around a face (N, 2 or 3) as its expressions move skin: (2, 2), low and high corner."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    reach = (high - low).max() * _REACH
    return np.rint([low - reach, high + reach]).astype(int)


def _merged(boxes: list[np.ndarray]) -> list[np.ndarray]:
    """Those that overlap as one, for a face moves."""
    merged: list[np.ndarray] = []
    for box in boxes:
        for other in merged:
            if (np.maximum(box[0], other[0]) < np.minimum(box[1], other[1])).all():
                other[0], other[1] = np.minimum(box[0], other[0]), np.maximum(box[1], other[1])
                break
        else:
            merged.append(box)
    return merged


def _spread(film: MovieFrames, most: int) -> Iterator[np.ndarray]:
    """So many frames of it, in order; what is damaged is left out."""
    count = min(film.frame_count, most)
    for number in np.unique(np.linspace(0, film.frame_count - 1, count).round().astype(int)):
        try:
            yield film.frame(int(number))
        except (PortraitError, *READ_ERRORS):
            continue
