# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame rates as they are meant, and timecodes that count frames at them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

_NTSC: Final = Fraction(1000, 1001)
_NEAR: Final = 2e-4  # of a rate: 23.976 and 23.98 are 24000/1001 written short
_LARGEST: Final = 10_000
_MINUTES: Final = 60
_TIMECODE: Final = re.compile(r"(\d{2}):([0-5]\d):([0-5]\d)([:;])(\d{2,3})")


def exact_rate(fps: float) -> Fraction:
    """The rate that a number stands for: 23.976 is 24000/1001, 29.97 is 30000/1001; others are as they are written.

    Raises:
        PortraitError: BAD_CONFIGURATION for what is no rate.
    """
    if not 0 < fps <= _LARGEST:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{fps} is no frame rate.", f"Give frames per second, up to {_LARGEST}."
        )
    whole = round(fps / float(_NTSC))
    ntsc = whole * _NTSC
    if whole % 6 == 0 and abs(fps - round(fps)) > _NEAR * fps and abs(fps - float(ntsc)) <= _NEAR * fps:
        return ntsc
    return Fraction(fps).limit_denominator(1001)


def parse_rate(text: str) -> Fraction:
    """A rate as people write it: 25, 23.976, 24000/1001.

    Raises:
        ValueError: it is none.
        PortraitError: as `exact_rate`.
    """
    try:
        return exact_rate(float(Fraction(text.strip())))
    except ZeroDivisionError:
        raise ValueError(text) from None


def nominal(rate: Fraction) -> int:
    """How many frames a timecode counts in its second: 30 at 29.97."""
    return max(1, round(rate))


def drops_frames(rate: Fraction) -> bool:
    """Whether timecodes at the rate leave numbers out, so that they tell the time of day: at 29.97 and 59.94."""
    return rate.denominator == 1001 and nominal(rate) % 30 == 0


def timecode(frame: int, rate: Fraction) -> str:
    """The timecode of a frame, counted from 0 at midnight: `01:00:00:00`, with `;` where numbers are left out.

    At 29.97 the first two numbers of each minute but every tenth are left out (SMPTE ST 12-1), four at 59.94.
    """
    count = nominal(rate)
    if drops := drops_frames(rate):
        left_out = count // 15
        ten = 10 * _MINUTES * count - 9 * left_out
        tens, rest = divmod(frame, ten)
        frame += 9 * left_out * tens
        if rest >= _MINUTES * count:
            frame += left_out * (1 + (rest - _MINUTES * count) // (_MINUTES * count - left_out))
    frame %= 24 * 3600 * count
    seconds, frames = divmod(frame, count)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{';' if drops else ':'}{frames:02d}"


def frame_of(text: str, rate: Fraction) -> int:
    """The frame that a timecode names, counted from 0 at midnight.

    Raises:
        PortraitError: BAD_CONFIGURATION for what is no timecode, or names a frame that there is not.
    """
    found = _TIMECODE.fullmatch(text.strip())
    count = nominal(rate)
    if found is None or int(found[1]) > 23 or int(found[5]) >= count:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{text!r} is no timecode at {float(rate):.6g} frames per second.",
            "Write it as 01:00:00:00, hours, minutes, seconds and frames.",
        )  # fmt: skip
    hours, minutes, seconds, frames = (int(found[place]) for place in (1, 2, 3, 5))
    frame = (hours * 3600 + minutes * 60 + seconds) * count + frames
    if not drops_frames(rate) or found[4] == ":":
        return frame
    left_out = count // 15
    if seconds == 0 and frames < left_out and minutes % 10:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"There is no {text}: that number is left out at this rate.",
            f"The minute begins with frame {left_out:02d}.",
        )  # fmt: skip
    total = hours * 60 + minutes
    return frame - left_out * (total - total // 10)
