# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks into the pixels of any picture or film for the watermark, and at what the file says of itself without proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.disclosure.find_watermark import FoundWatermark, find_in_frames, find_watermark
from portrait_server.media.containers import READ_ERRORS
from portrait_server.media.images import is_picture, read_image
from portrait_server.media.movie_frames import MovieFrames
from portrait_server.media.stated_origin import StatedOrigin, origin_of_film, origin_of_picture

_FILM_FRAMES: Final = 64
"""That are looked at of a film, spread over it: the part that was made may be short, and a film long."""
_FRAMES_ALONE: Final = 5
"""Of these, that are looked at each by itself too."""


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
        return Looked(find_watermark(read_image(path)), origin_of_picture(path))
    try:
        with closing(MovieFrames(path)) as film:
            # Where only few frames were made, or a still one is among them, the sum of all may show less than one of them.
            one_by_one = (found for frame in _spread(film, _FRAMES_ALONE) if (found := find_watermark(frame)))
            return Looked(find_in_frames(_spread(film, _FILM_FRAMES)) or next(one_by_one, None), origin_of_film(path))
    except PortraitError as error:
        if error.code is not ErrorCode.BAD_IMAGE:
            raise
        raise PortraitError(error.code, "It is neither a picture nor a film that can be read.") from error


def _spread(film: MovieFrames, most: int) -> Iterator[np.ndarray]:
    """So many frames of it, in order; what is damaged is left out."""
    count = min(film.frame_count, most)
    for number in np.unique(np.linspace(0, film.frame_count - 1, count).round().astype(int)):
        try:
            yield film.frame(int(number))
        except (PortraitError, *READ_ERRORS):
            continue
