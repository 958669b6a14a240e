# SPDX-License-Identifier: GPL-3.0-or-later
"""Time codes as OpenEXR holds them."""

from __future__ import annotations

import pytest
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_times import FrameTimes


def digits(word: int) -> str:
    """Hours, minutes, seconds and frames of a word of SMPTE 12M."""
    tens = (word >> 28 & 3, word >> 20 & 7, word >> 12 & 7, word >> 4 & 3)
    ones = (word >> 24 & 15, word >> 16 & 15, word >> 8 & 15, word & 15)
    return ":".join(f"{ten}{one}" for ten, one in zip(tens, ones, strict=True))


@pytest.mark.parametrize(
    ("fps", "start", "number", "expected", "drops"),
    [
        (25, "01:00:00:00", 1, "01:00:00:00", False),
        (25, "01:00:00:00", 26, "01:00:01:00", False),
        (23.976, "09:59:59:23", 2, "10:00:00:00", False),
        (29.97, "00:00:59;29", 2, "00:01:00:02", True),
        (29.97, "00:00:59:29", 2, "00:01:00:00", False),
        (29.97, "00:09:59;29", 2, "00:10:00:00", True),
        (24, "00:00:00:00", 0, "23:59:59:23", False),
    ],
)
def test_a_frame_has_its_time_code(fps: float, start: str, number: int, expected: str, drops: bool) -> None:
    word = FrameTimes(fps, start).packed_timecode(number)
    assert word is not None
    assert (digits(word), bool(word & 1 << 6)) == (expected, drops)


def test_no_word_holds_the_fortieth_frame_of_a_second() -> None:
    times = FrameTimes(50, "00:00:00:00", 0)
    assert times.packed_timecode(39) is not None and times.packed_timecode(40) is None


def test_without_a_time_code_there_is_none() -> None:
    assert FrameTimes(25).packed_timecode(3) is None


@pytest.mark.parametrize("text", ["25", "01:00:00:25", "24:00:00:00"])
def test_what_is_no_time_code_is_refused(text: str) -> None:
    with pytest.raises(PortraitError):
        FrameTimes(25, text)


@pytest.mark.parametrize("fps", [0, -1, 1e6])
def test_what_is_no_rate_is_refused_before_anything_is_drawn(fps: float) -> None:
    with pytest.raises(PortraitError):
        FrameTimes(fps)
