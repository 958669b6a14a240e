# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos come out upright, at one constant rate, whole or with a clear error."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from portrait_server.media.video import VideoReader
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import turn_display, write_video

HEIGHT, WIDTH = 96, 160


def levels(count: int) -> list[np.ndarray]:
    """Grey frames, each 8 levels brighter than the last, with a red top left corner."""
    frames = []
    for number in range(count):
        frame = np.full((HEIGHT, WIDTH, 3), 20 + 8 * number, np.uint8)
        frame[:32, :48] = (255, 0, 0)
        frames.append(frame)
    return frames


def read(path: Path) -> tuple[float, list[np.ndarray]]:
    with VideoReader(path) as video:
        return video.fps, list(video)


def numbers(frames: list[np.ndarray]) -> list[int]:
    """Which of `levels` each frame is."""
    return [round((float(frame[60, 100].mean()) - 20) / 8) for frame in frames]


def refused(path: Path, code: ErrorCode = ErrorCode.BAD_IMAGE) -> str:
    with pytest.raises(PortraitError) as caught:
        read(path)
    assert caught.value.code is code
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize("fps", [12, 25, 60])
def test_constant_rate_gives_each_frame_once(tmp_path: Path, fps: int) -> None:
    path = write_video(tmp_path / "a.mp4", levels(20), fps=fps)
    with VideoReader(path) as video:
        assert video.fps == pytest.approx(fps, rel=0.01)
        assert video.frame_count == 20
        frames = list(video)
    assert numbers(frames) == list(range(20))
    assert all(frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8 for frame in frames)


def test_variable_rate_keeps_the_time_of_each_moment(tmp_path: Path) -> None:
    times = [n / 30 if n < 12 else 12 / 30 + (n - 12) / 10 for n in range(20)]
    fps, frames = read(write_video(tmp_path / "a.mkv", levels(20), fps=30, times=times))
    shown = numbers(frames)
    assert len(frames) == pytest.approx((times[-1] + 1 / 10) * fps, abs=3)
    for number, level in enumerate(shown):
        assert abs(number / fps - times[level]) <= 1 / 10 + 1 / fps
    assert shown == sorted(shown)


def test_jittering_clock_loses_and_doubles_no_frame(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    times = [n / 25 + float(generator.uniform(-0.3, 0.3)) / 25 + 0.1 for n in range(20)]
    times[0], times[-1] = 0.1, 0.1 + 19 / 25
    _, frames = read(write_video(tmp_path / "a.mkv", levels(20), times=times))
    assert numbers(frames) == list(range(20))


def test_a_fault_of_the_clock_is_no_hour_of_stillness(tmp_path: Path) -> None:
    times = [n / 25 if n < 10 else n / 25 + 3600 for n in range(20)]
    _, frames = read(write_video(tmp_path / "a.mkv", levels(20), times=times))
    assert len(frames) <= 10 * 25 + 20


def test_ten_bits(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", levels(10), codec="prores_ks", pixel_format="yuv422p10le")
    assert numbers(read(path)[1]) == list(range(10))


@pytest.mark.parametrize(("turn", "corner"), [(0, (8, 8)), (90, (8, -8)), (180, (-8, -8)), (270, (-8, 8))])
def test_rotated_videos_are_upright(tmp_path: Path, turn: int, corner: tuple[int, int]) -> None:
    path = write_video(tmp_path / "a.mp4", levels(4))
    turn_display(path, turn)
    _, frames = read(path)
    for frame in frames:
        assert frame.shape[:2] == ((HEIGHT, WIDTH) if turn % 180 == 0 else (WIDTH, HEIGHT))
        red, green, _ = frame[corner].astype(int)
        assert red > 200
        assert green < 50


def test_a_video_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, HEIGHT, WIDTH, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", list(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _, frames = read(path)
    assert 5 < len(frames) < 30


def test_what_is_no_video(tmp_path: Path) -> None:
    names = ("a.txt", "empty.mp4", "a.wav", "headless.mp4", "playlist.m3u8")
    text, empty, sound, headless, playlist = (tmp_path / name for name in names)
    text.write_text("hello " * 100)
    write_video(tmp_path / "whole.mp4", levels(10))
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n")
    empty.touch()
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4000))
    write_video(headless, levels(10))
    headless.write_bytes(headless.read_bytes()[:600])
    refused(text)
    refused(playlist)
    assert "empty" in refused(empty)
    assert "no picture" in refused(sound)
    refused(headless)
    refused(tmp_path)
    refused(tmp_path / "absent.mp4", ErrorCode.FILE_MISSING)
