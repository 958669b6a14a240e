# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies a filmed shot, how a numbered sequence is listed, and by what a drawn frame is known."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at, sequence_of
from portrait_shared.shots import (
    SHOT_ARRAY,
    ShotIdentity,
    identify_shot,
    is_unchanged,
    performance_digest,
    shot_digest,
    shot_frame_digest,
)
from portrait_shared.track import LandmarkTrack


def _pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(f"picture {name}".encode())
    return folder


def test_a_sequence_is_listed_by_number_and_other_files_are_let_be(tmp_path: Path) -> None:
    folder = _pictures(
        tmp_path, "sc010_v02.1001.png", "sc010_v02.1003.png", "sc010_v02.1002.png", "thumb.png", ".1.png", "notes1.txt"
    )
    sequence = sequence_at(folder)
    assert sequence is not None
    assert (sequence.prefix, sequence.tail, sequence.start) == ("sc010_v02.", ".png", 1001)
    assert [file.name for file in sequence.files] == [f"sc010_v02.{number}.png" for number in (1001, 1002, 1003)]
    assert sequence.gaps == []
    sequence.check_whole()
    assert sequence_of(folder / "sc010_v02.1002.png") == sequence
    assert sequence_of(folder / "thumb.png") is None
    assert sequence_at(folder / "sc010_v02.####.png") == sequence


def test_a_name_may_hold_a_hash_itself(tmp_path: Path) -> None:
    folder = _pictures(tmp_path, "take #2 0001.png", "take #2 0002.png", "other.1.png", "other.2.png")
    sequence = sequence_at(folder / "take #2 ####.png")
    assert sequence is not None and sequence.prefix == "take #2 " and len(sequence.names) == 2


def test_digits_of_a_suffix_are_no_number_and_padding_does_not_matter(tmp_path: Path) -> None:
    sequence = sequence_at(_pictures(tmp_path, "9.jp2", "10.jp2", "08.jp2"))
    assert sequence is not None and list(sequence.names) == [8, 9, 10]


def test_gaps_are_told(tmp_path: Path) -> None:
    sequence = sequence_at(_pictures(tmp_path, "1.png", "2.png", "5.png"))
    assert sequence is not None and sequence.gaps == [3, 4]
    with pytest.raises(PortraitError, match=r"3, 4") as raised:
        sequence.check_whole()
    assert raised.value.code is ErrorCode.FILE_MISSING and raised.value.remedy


def test_a_folder_of_several_sequences_asks_for_one(tmp_path: Path) -> None:
    folder = _pictures(tmp_path, "a1.png", "a2.png", "b1.png", "b2.png", "still7.png")
    with pytest.raises(PortraitError, match=r"a#\.png, b#\.png") as raised:
        sequence_at(folder)
    assert raised.value.code is ErrorCode.BAD_IMAGE and str(folder / "a#.png") in raised.value.remedy
    sequence = sequence_at(folder / "b#.png")
    assert sequence is not None and list(sequence.names.values()) == ["b1.png", "b2.png"]
    # A single numbered picture beside a sequence is none.
    only = _pictures(tmp_path / "one", "a1.png", "a2.png", "still7.png")
    sequence = sequence_at(only)
    assert sequence is not None and sequence.prefix == "a"


@pytest.mark.parametrize(("name", "code"), [(".", ErrorCode.BAD_IMAGE), ("frame.####.png", ErrorCode.FILE_MISSING)])
def test_no_numbered_pictures_is_an_error(tmp_path: Path, name: str, code: ErrorCode) -> None:
    _pictures(tmp_path, "a.png")
    with pytest.raises(PortraitError) as raised:
        sequence_at(tmp_path / name)
    assert raised.value.code is code


def test_two_pictures_of_one_number_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match=r"number 1") as raised:
        sequence_at(_pictures(tmp_path, "01.png", "1.png"))
    assert raised.value.code is ErrorCode.BAD_IMAGE


def test_a_movie_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    movie = tmp_path / "shot.mp4"
    movie.write_bytes(b"content")
    assert sequence_at(movie) is None
    assert shot_digest(movie) == hashlib.sha256(b"content").hexdigest()
    moved = movie.rename(tmp_path / "moved.mp4")
    assert shot_digest(moved) == hashlib.sha256(b"content").hexdigest()
    with pytest.raises(PortraitError) as raised:
        shot_digest(movie)
    assert raised.value.code is ErrorCode.FILE_MISSING


def test_a_sequence_is_its_names_and_contents(tmp_path: Path) -> None:
    folder = _pictures(tmp_path, "1.png", "2.png")
    before = identify_shot(folder)
    (folder / "notes.txt").write_bytes(b"no picture")
    assert identify_shot(folder) == before
    (folder / "2.png").write_bytes(b"another")
    assert identify_shot(folder).digest != before.digest


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    movie = tmp_path / "shot.mp4"
    movie.write_bytes(b"content")
    known = ShotIdentity("what was found before", identify_shot(movie).stamp)
    assert identify_shot(movie, known) == known
    os.utime(movie, ns=(0, 0))
    assert identify_shot(movie, known).digest == hashlib.sha256(b"content").hexdigest()


def test_a_track_keeps_the_identity(tmp_path: Path) -> None:
    identity = ShotIdentity("d" * 64, "s" * 64)
    points = np.zeros((2, 70, 3), np.float32)
    LandmarkTrack(points, (64, 64), extra={SHOT_ARRAY: identity.as_array()}).save(tmp_path / "p.npz")
    assert ShotIdentity.of_track(LandmarkTrack.load(tmp_path / "p.npz")) == identity
    assert ShotIdentity.of_track(LandmarkTrack(points, (64, 64))) is None
    assert ShotIdentity.of_track(LandmarkTrack(points, (64, 64), extra={SHOT_ARRAY: np.zeros(2)})) is None


def test_a_performance_is_all_that_drawing_looks_at() -> None:
    points = np.zeros((2, 70, 3), np.float32)
    plain = performance_digest(LandmarkTrack(points, (64, 64)))
    assert performance_digest(LandmarkTrack(points, (64, 64), fps=30.0, start=7)) == plain
    moved = points.copy()
    moved[1, 3, 0] = 1
    assert performance_digest(LandmarkTrack(moved, (64, 64))) != plain
    assert performance_digest(LandmarkTrack(points, (64, 64), extra={"cuts": np.array([False, True])})) != plain
    assert performance_digest(LandmarkTrack(points, (64, 64), extra={"faces": np.array([1, 1])})) == plain


def test_a_frame_is_known_by_what_it_depends_on() -> None:
    found = np.arange(210, dtype=np.float32).reshape(70, 3)
    target = found + 1

    def digest(engine="warp", fingerprint="f", shot="s", performance="p", index=0, target=target, depth=8):
        return shot_frame_digest(engine, fingerprint, shot, performance, index, target, found, depth=depth)

    changes = [{"engine": "fewshot"}, {"fingerprint": "g"}, {"shot": "t"}, {"performance": "q"}, {"index": 1},
               {"target": target + 1}, {"target": target[:, :2]}, {"depth": 16}]  # fmt: skip
    assert len({digest(), *(digest(**change) for change in changes)}) == 1 + len(changes)
    # Of an unchanged frame neither engine nor points matter, only the shot.
    still = digest(target=found)
    assert digest(target=found, engine="fewshot", fingerprint="g", performance="q") == still
    assert digest(target=found[:, :2]) == still
    assert len({still, digest(target=found, shot="t"), digest(target=found, index=1), digest(target=found, depth=16)}) == 4  # fmt: skip


def test_frames_whose_points_are_those_found_are_unchanged() -> None:
    found = np.arange(420, dtype=np.float32).reshape(2, 70, 3)
    target = found.copy()
    target[1, 5, 2] += 0.25
    assert is_unchanged(target, found).tolist() == [True, False]
    assert is_unchanged(target[..., :2], found).tolist() == [True, True]
    assert is_unchanged(target, found[..., :2]).tolist() == [True, True]
