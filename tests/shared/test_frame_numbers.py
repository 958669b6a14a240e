# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame numbers on a command line, as people and farms write them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pytest
from portrait_shared.frames.frame_numbers import joined, parse_frames, ranges_of


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("1-4", [1, 2, 3, 4]),
        ("7, 3,10-12", [3, 7, 10, 11, 12]),
        ("-2-1", [-2, -1, 0, 1]),
        ("-10--8", [-10, -9, -8]),
        ("1-7:2", [1, 3, 5, 7]),
        ("1-6:2,6", [1, 3, 5, 6]),
        ("-5--1:2", [-5, -3, -1]),
        ("3-3", [3]),
    ],
)
def test_frames_are_read(text: str, frames: list[int]) -> None:
    assert parse_frames(text) == frames
    assert parse_frames(ranges_of(frames)) == frames
    assert joined(["--frames", text]) in (["--frames", text], [f"--frames={text}"])


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([1, 2, 3, 4], "1-4"),
        ([3, 7, 10, 11, 12], "3,7,10-12"),
        ([10, 20, 21, 22], "10,20-22"),
        ([1, 3, 5, 7, 8, 9, 20, 23], "1-7:2,8-9,20,23"),
        ([-9, -6, -3, 0], "-9-0:3"),
        ([5], "5"),
        ([], ""),
        (range(1, 20_001, 2), "1-19999:2"),
    ],
)
def test_frames_are_written_in_few_characters(frames: Sequence[int], text: str) -> None:
    assert ranges_of(frames) == text
    assert not frames or parse_frames(text) == list(frames)


@pytest.mark.parametrize("text", ["", "1-", "a", "3-1", "1-7:0", "1-7:-2", "7:2", "1-9999999", "1,,2"])
def test_what_is_no_frames_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_frames(text)
