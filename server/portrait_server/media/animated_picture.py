# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that play, GIF, WebP, PNG and AVIF, as videos: frames at one constant rate, timed by their own durations."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from portrait_server.media.images import is_animation, opaque, open_animation
from portrait_server.media.picture_colours import stated_profile
from portrait_server.media.picture_errors import check_size
from portrait_server.media.picture_modes import finished, upright

# Browsers show a frame that claims to be shorter for a tenth of a second, and files are made for them.
_SHORTEST_MS, _INSTEAD_MS = 10, 100
# GIF counts hundredths of a second: a steady rate may look as uneven as that.
_UNEVEN_MS = 10

log = logging.getLogger(__name__)


class AnimatedPicture:
    """The frames of a picture that plays, over mid grey where it is transparent.

    Attributes:
        fps: frames per second, constant: the average of durations that are alike, else that of the shortest one.
        frame_count: how many frames there are at that rate.
    """

    def __init__(self, path: Path, image: Image.Image) -> None:
        """Use `open`."""
        self._path = path
        self._image = image
        check_size(path, *image.size)
        with path.open("rb") as file:
            self._profile = stated_profile(image, file)
        # The picture that programs without animation show is not one of its frames.
        self._first = 1 if image.info.get("default_image") else 0
        durations = list(self._durations())
        even = max(durations) - min(durations) <= _UNEVEN_MS
        self.fps = 1000 / (sum(durations) / len(durations) if even else min(durations))
        self._ends = list(itertools.accumulate(durations))
        self.frame_count = max(1, round(self._ends[-1] * self.fps / 1000))

    @classmethod
    def open(cls, path: Path) -> AnimatedPicture | None:
        """None where the file is no picture that plays.

        Raises:
            PortraitError: IMAGE_TOO_LARGE.
        """
        image = open_animation(path)
        if image is None:
            return None
        try:
            return cls(path, image)
        except BaseException:
            image.close()
            raise

    def close(self) -> None:
        self._image.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames, (H, W, 3) uint8 RGB, all of one size."""
        number, shown = -1, np.empty(0)
        for count in range(self.frame_count):
            middle_ms = (count + 0.5) * 1000 / self.fps
            while number < 0 or (middle_ms >= self._ends[number] and number + 1 < len(self._ends)):
                number += 1
                self._image.seek(self._first + number)
                self._image.load()
                shown = opaque(finished(upright(self._image), self._profile))
            yield shown

    def _durations(self) -> Iterator[float]:
        """Milliseconds of each frame that can be decoded; of one at least."""
        assert is_animation(self._image)
        for number in itertools.count(self._first):
            try:
                self._image.seek(number)
                self._image.load()
            except EOFError:
                return
            except Exception as error:  # noqa: BLE001  whatever a decoder raises, what comes before it plays
                log.warning("%s cannot be read to its end: %.200s", self._path, error)
                if number == self._first:
                    yield _INSTEAD_MS
                return
            duration = float(self._image.info.get("duration") or 0)
            yield duration if duration > _SHORTEST_MS else _INSTEAD_MS
