# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes on the pipes of `portrait camera` and `portrait air`: whole, bounded, and refused where it is something else."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from portrait_shared import raw_frames
from portrait_shared.camera_lines import MAX_LINE_CHARACTERS, CameraEnded, CameraOpened, CameraSeen, line_of, read_line
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.raw_frames import header_of, read_frame


def test_each_line_tells_what_was_said() -> None:
    opened = CameraOpened("Kamera „vorn“", (1280, 720), 30.0, "mediapipe")
    ended = CameraEnded("live_unavailable", "The camera was unplugged.", "Plug it in.")
    assert read_line(line_of(opened)) == opened
    assert read_line(line_of(ended)) == ended
    points = np.random.default_rng(1).normal(300, 90, (70, 3)).astype(np.float32)
    seen = read_line(line_of(CameraSeen(12.3456789, (640, 480), points)))
    assert isinstance(seen, CameraSeen) and seen.seconds == 12.345679 and seen.size == (640, 480)
    assert seen.points is not None
    np.testing.assert_array_equal(seen.points, points)
    nobody = read_line(line_of(CameraSeen(1.0, (640, 480), None)))
    assert isinstance(nobody, CameraSeen) and nobody.points is None


def test_a_line_is_one_line_and_short() -> None:
    line = line_of(CameraSeen(1e6, (4096, 4096), np.full((70, 3), -1e30, np.float32)))
    assert "\n" not in line and len(line) < 1400 < MAX_LINE_CHARACTERS
    assert "\n" not in line_of(CameraEnded("scene", "Two\nlines"))


def damaged_lines() -> list[str]:
    whole = line_of(CameraSeen(1.0, (640, 480), np.zeros((70, 3), np.float32)))
    told = json.loads(whole)
    wrong: list[dict] = [
        {**told, "points": "????"}, {**told, "points": told["points"][:-4]}, {**told, "points": 7},
        {**told, "size": [0, 480]}, {**told, "size": [640]}, {**told, "size": [True, 480]}, {**told, "seconds": "now"},
        {**told, "seconds": float("nan")}, {**told, "seconds": 10**400}, {"face": True}, {"ended": 3, "message": "", "remedy": ""},
    ]  # fmt: skip
    nan = line_of(CameraSeen(1.0, (640, 480), np.full((70, 3), np.nan, np.float32)))
    return [
        "",
        "{}",
        "[]",
        "null",
        "3",
        whole[:-9],
        "[" * 5000,
        "x" * (MAX_LINE_CHARACTERS + 1),
        nan,
        *map(json.dumps, wrong),
    ]


@pytest.mark.parametrize("line", damaged_lines(), ids=range(len(damaged_lines())))
def test_what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(PortraitError) as refused:
        read_line(line)
    assert refused.value.code is ErrorCode.BAD_MESSAGE and refused.value.remedy


def test_a_camera_of_another_release_is_told() -> None:
    line = line_of(CameraOpened("a", (2, 2), 0.0, "mediapipe")).replace('"version":1', '"version":2')
    with pytest.raises(PortraitError) as refused:
        read_line(line)
    assert refused.value.code is ErrorCode.VERSION_MISMATCH


def sent(*frames: np.ndarray) -> io.BytesIO:
    return io.BytesIO(b"".join(header_of(frame) + frame.tobytes() for frame in frames))


def test_frames_of_any_size_arrive() -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, shape, np.uint8) for shape in ((4, 6, 3), (1, 1, 4), (33, 2, 3))]
    stream = sent(*frames)
    for frame in frames:
        np.testing.assert_array_equal(read_frame(stream), frame)
    assert read_frame(stream) is None


class Dribble(io.RawIOBase):
    """Gives a byte at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._data.readinto(buffer[:1])


def test_frames_that_come_in_pieces_arrive_whole() -> None:
    frame = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    np.testing.assert_array_equal(read_frame(Dribble(sent(frame).getvalue())), frame)  # type: ignore[arg-type]


HEADER = header_of(np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        HEADER[:7], HEADER, HEADER + b"123", b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<4sHHII", b"TPRF", 1, 3, 1 << 31, 1 << 31), struct.pack("<4sHHII", b"TPRF", 1, 3, 0, 9),
        struct.pack("<4sHHII", b"TPRF", 1, 9, 2, 2), struct.pack("<4sHHII", b"TPRF", 1, 3, raw_frames.MAX_SIDE + 1, 1),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_before_memory_is_given_to_it(data: bytes) -> None:
    with pytest.raises(PortraitError) as refused:
        read_frame(io.BytesIO(data))
    assert refused.value.code is ErrorCode.BAD_MESSAGE and refused.value.remedy


def test_frames_of_another_release_are_told() -> None:
    with pytest.raises(PortraitError) as refused:
        read_frame(io.BytesIO(struct.pack("<4sHHII", b"TPRF", 2, 3, 2, 2)))
    assert refused.value.code is ErrorCode.VERSION_MISMATCH


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2, 3)), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), np.uint8), np.zeros((0, 2, 3), np.uint8)],
)
def test_what_is_no_picture_is_not_sent(pixels: np.ndarray) -> None:
    with pytest.raises(PortraitError) as refused:
        header_of(pixels)
    assert refused.value.code is ErrorCode.SIZE_MISMATCH
