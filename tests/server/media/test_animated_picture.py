# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that play are videos of their own timing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portrait_server.media.images import read_image
from portrait_server.media.video import VideoReader

LEVELS = (40, 120, 200)


def written(path: Path, durations: list[int], **options: object) -> Path:
    frames = [Image.fromarray(np.full((24, 40, 3), level, np.uint8)) for level in LEVELS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, **options)
    return path


def played(path: Path) -> tuple[float, list[int]]:
    """Frames per second, and the level of each frame."""
    with VideoReader(path) as video:
        frames = list(video)
        assert len(frames) == video.frame_count
    assert {frame.shape for frame in frames} == {(24, 40, 3)}
    return video.fps, [round(float(frame.mean()) / 10) * 10 for frame in frames]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_even_durations_are_the_rate(tmp_path: Path, suffix: str) -> None:
    fps, levels = played(written(tmp_path / f"a.{suffix}", [40, 40, 40]))
    assert fps == pytest.approx(25) and levels == [40, 120, 200]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_a_frame_that_stands_longer_is_repeated(tmp_path: Path, suffix: str) -> None:
    fps, levels = played(written(tmp_path / f"a.{suffix}", [100, 300, 200]))
    assert fps == pytest.approx(10) and levels == [40, 120, 120, 120, 200, 200]


def test_hundredths_of_a_second_do_not_make_a_steady_rate_uneven(tmp_path: Path) -> None:
    fps, levels = played(written(tmp_path / "a.gif", [30, 30, 40]))
    assert fps == pytest.approx(30) and levels == [40, 120, 200]


def test_frames_without_a_duration_play_as_browsers_play_them(tmp_path: Path) -> None:
    fps, levels = played(written(tmp_path / "a.gif", [0, 0, 0]))
    assert fps == pytest.approx(10) and levels == [40, 120, 200]


def test_the_still_of_an_animated_png_is_the_picture_and_no_frame(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", [40, 40], default_image=True)
    assert played(path) == (pytest.approx(25), [120, 200])
    assert (read_image(path) == 40).all()


def test_what_is_transparent_lies_over_grey(tmp_path: Path) -> None:
    clear, solid = np.zeros((24, 40, 4), np.uint8), np.full((24, 40, 4), 255, np.uint8)
    path = tmp_path / "a.webp"
    Image.fromarray(clear).save(path, save_all=True, append_images=[Image.fromarray(solid)], duration=50, lossless=True)
    with VideoReader(path) as video:
        first, second = video
    assert (first == 127).all() and (second == 255).all()


def test_a_file_that_breaks_off_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    noise = np.random.default_rng(0)
    frames = [Image.fromarray(noise.integers(0, 255, (64, 64), np.uint8)) for _ in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    with VideoReader(path) as video:
        assert 1 <= len(list(video)) < 5
