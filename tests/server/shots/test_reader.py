# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's frames, be it a movie or a sequence of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.media.movie_frames import PlateReader
from portrait_server.shots.reader import ShotReader
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import write_video


def frames(count: int, kind: type = np.uint8) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, np.iinfo(kind).max, (48, 64, 3), kind) for _ in range(count)]


def write_pictures(folder: Path, pictures: list[np.ndarray], start: int = 1) -> Path:
    folder.mkdir()
    for number, picture in enumerate(pictures, start):
        cv2.imwrite(str(folder / f"plate.{number:04d}.png"), picture[..., ::-1])
    return folder


def test_a_movie_by_number_and_in_order(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames(9))
    with PlateReader(path) as video:
        wanted = list(video)
    with ShotReader(path) as shot:
        assert (shot.size, shot.frame_count, shot.start, shot.fps, shot.notes) == ((64, 48), 9, 1, 25.0, [])
        np.testing.assert_array_equal(shot.frame(7), wanted[7])
        np.testing.assert_array_equal(list(shot), wanted)
        assert not shot.frame(2).flags.writeable
        with pytest.raises(IndexError):
            shot.frame(9)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_sequence_of_pictures_keeps_its_bits(tmp_path: Path, kind: type) -> None:
    wanted = frames(3, kind)
    folder = write_pictures(tmp_path / "shot", wanted, 1001)
    with ShotReader(folder, 16 if kind is np.uint16 else 8) as shot:
        assert (shot.size, shot.frame_count, shot.start) == ((64, 48), 3, 1001)
        for index in (2, 0, 1):
            np.testing.assert_array_equal(shot.frame(index), wanted[index])


def test_eight_bits_are_spread_over_sixteen(tmp_path: Path) -> None:
    wanted = frames(1)
    with ShotReader(write_pictures(tmp_path / "shot", wanted), 16) as shot:
        np.testing.assert_array_equal(shot.frame(0), wanted[0] * np.uint16(257))


def test_a_gap_is_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shot", frames(4))
    (folder / "plate.0003.png").unlink()
    with pytest.raises(PortraitError, match="missing: 3") as raised:
        ShotReader(folder)
    assert raised.value.code is ErrorCode.FILE_MISSING


def test_a_picture_of_another_size_or_damaged_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shot", frames(4))
    cv2.imwrite(str(folder / "plate.0002.png"), np.zeros((10, 10, 3), np.uint8))
    (folder / "plate.0003.png").write_bytes(b"half")
    with ShotReader(folder) as shot:
        for index, code in ((1, ErrorCode.SIZE_MISMATCH), (2, ErrorCode.BAD_IMAGE)):
            with pytest.raises(PortraitError, match=rf"plate\.000{index + 1}\.png") as raised:
                shot.frame(index)
            assert raised.value.code is code and raised.value.remedy
        assert shot.frame(3).shape == (48, 64, 3)


def test_a_single_picture_is_no_shot(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shot", frames(2))
    with pytest.raises(PortraitError, match="single picture") as raised:
        ShotReader(folder / "plate.0001.png")
    assert "####" in raised.value.remedy
    with pytest.raises(PortraitError) as raised:
        ShotReader(tmp_path / "gone.mp4")
    assert raised.value.code is ErrorCode.FILE_MISSING


@pytest.mark.parametrize("ends", ["written anew", "gone"])
@pytest.mark.parametrize("kind", ["movie", "pictures"])
def test_what_changes_while_it_is_read_is_not_taken_for_the_shot(tmp_path: Path, kind: str, ends: str) -> None:
    path = write_video(tmp_path / "a.mp4", frames(4)) if kind == "movie" else write_pictures(tmp_path / "a", frames(4))
    file = path if kind == "movie" else path / "plate.0003.png"
    with ShotReader(path) as shot, shot.another() as other:
        own = shot.frame(1)
        np.testing.assert_array_equal(other.frame(1), own)
        if ends == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes())
            os.utime(file, ns=(1, 1))
        for reader in (shot, other):
            with pytest.raises(PortraitError, match="no longer there" if ends == "gone" else "has changed") as raised:
                reader.frame(2)
            assert str(file) in raised.value.message and "stay" in raised.value.remedy
            np.testing.assert_array_equal(reader.frame(1), own)
        if kind == "movie":
            with pytest.raises(PortraitError):
                shot.another()
