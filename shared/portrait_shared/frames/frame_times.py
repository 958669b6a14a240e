# SPDX-License-Identifier: GPL-3.0-or-later
"""When frames are shown: their rate, and the time code of each as files hold it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from portrait_shared.rates import exact_rate, frame_of, nominal, timecode

_DROP_FLAG: Final = 1 << 6
_MOST_FRAMES: Final = 40  # in a second: the word has two bits for their tens


@dataclass(frozen=True)
class FrameTimes:
    """When each frame is shown.

    Attributes:
        fps: frames per second.
        timecode: of the frame with the number `first`, ``HH:MM:SS:FF``; with a semicolon before the frames some numbers are
            left out (29.97 and 59.94 frames/s). Empty where none is known.

    Raises:
        PortraitError: BAD_CONFIGURATION for what is no rate, or no time code of it.
    """

    fps: float
    timecode: str = ""
    first: int = 1

    def __post_init__(self) -> None:
        exact_rate(self.fps)
        self.timecode_of(self.first)

    @property
    def rate(self) -> Fraction:
        return exact_rate(self.fps)

    def timecode_of(self, number: int) -> str:
        """A frame's time code, written as `timecode` is; empty where none is known."""
        if not self.timecode:
            return ""
        counted = self.rate if ";" in self.timecode else Fraction(nominal(self.rate))
        return timecode(frame_of(self.timecode, counted) + number - self.first, counted)

    def packed_timecode(self, number: int) -> int | None:
        """The same in one 32-bit word, as SMPTE 12M and OpenEXR have it; None where none is known, or the word has no room
        for it."""
        text = self.timecode_of(number)
        if not text:
            return None
        hours, minutes, seconds, frames = (int(part) for part in text.replace(";", ":").split(":"))
        if frames >= _MOST_FRAMES:
            return None
        digits = ((frames, 0), (seconds, 8), (minutes, 16), (hours, 24))
        word = sum((value // 10 << 4 | value % 10) << shift for value, shift in digits)
        return word | _DROP_FLAG if ";" in text else word
