# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame rates as they are meant, and timecodes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from portrait_shared.errors import PortraitError
from portrait_shared.rates import exact_rate, frame_of, parse_rate, timecode

FILM, NTSC, NTSC_60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (23.976, FILM), (23.98, FILM), (24 / 1.001, FILM), (29.97, NTSC), (30 / 1.001, NTSC), (59.94, NTSC_60),
        (119.88, Fraction(120000, 1001)), (24, Fraction(24)), (25.0, Fraction(25)), (12.5, Fraction(25, 2)),
        (30.0, Fraction(30)), (15, Fraction(15)),
    ],
)  # fmt: skip
def test_a_short_number_stands_for_the_exact_rate(fps: float, rate: Fraction) -> None:
    assert exact_rate(fps) == rate


def test_rates_as_people_write_them() -> None:
    assert parse_rate("24000/1001") == parse_rate(" 23.976 ") == FILM
    assert parse_rate("25") == 25


@pytest.mark.parametrize("text", ["", "fast", "1/0"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rate(text)


@pytest.mark.parametrize("text", ["0", "-25", "1e9"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(PortraitError, match="no frame rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("frame", "rate", "text"),
    [
        (86400, Fraction(24), "01:00:00:00"), (86399, FILM, "00:59:59:23"),
        # SMPTE ST 12-1: the first two numbers of a minute are left out, but not of each tenth one.
        (1799, NTSC, "00:00:59;29"), (1800, NTSC, "00:01:00;02"), (17982, NTSC, "00:10:00;00"),
        (107892, NTSC, "01:00:00;00"), (3600, NTSC_60, "00:01:00;04"), (215784, NTSC_60, "01:00:00;00"),
        (-1, Fraction(25), "23:59:59:24"),
    ],
)  # fmt: skip
def test_timecodes(frame: int, rate: Fraction, text: str) -> None:
    assert timecode(frame, rate) == text
    if frame >= 0:
        assert frame_of(text, rate) == frame


@pytest.mark.parametrize("rate", [FILM, Fraction(25), NTSC, NTSC_60])
def test_over_ten_minutes_each_frame_has_a_timecode_of_its_own(rate: Fraction) -> None:
    texts = [timecode(frame, rate) for frame in range(round(rate * 601))]
    assert len(set(texts)) == len(texts)
    assert [frame_of(text, rate) for text in texts] == list(range(len(texts)))


@pytest.mark.parametrize("text", ["1:00:00:00", "01:60:00:00", "24:00:00:00", "01:00:00:25", "later"])
def test_what_is_no_timecode_is_refused(text: str) -> None:
    with pytest.raises(PortraitError, match="no timecode"):
        frame_of(text, Fraction(25))


def test_a_number_that_is_left_out_is_refused() -> None:
    with pytest.raises(PortraitError, match="left out"):
        frame_of("00:01:00;00", NTSC)
