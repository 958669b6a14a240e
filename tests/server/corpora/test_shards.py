# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards keep what was put in, tell when they are damaged, and are built on from where a build stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from portrait_server import cli
from portrait_server.commands import corpus as corpus_command
from portrait_server.corpora import build as building
from portrait_server.corpora.build import build
from portrait_server.corpora.photos import Photos
from portrait_server.corpora.shards import Face, Faces, Shard, write_shard
from portrait_server.detectors.base import Detector
from portrait_shared.errors import ErrorCode, PortraitError


def face(seed: int) -> Face:
    rng = np.random.default_rng(seed)
    smooth = np.clip(rng.integers(0, 256, 3) + np.add.outer(np.arange(40), np.arange(30))[..., None], 0, 255)
    return Face(
        smooth.astype(np.uint8),
        rng.random((70, 3), np.float32),
        rng.random((478, 3), np.float32),
        rng.integers(0, 256, (40, 30)).astype(np.uint8),
    )


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "00000.shard"
    write_shard(path, [(0, 0, face(0)), (1, 7, face(1))], ["a/x.mp4", "b/y.mp4"], {"c.mp4": "No face."})
    return path


def test_what_was_written_is_read(shard: Path) -> None:
    opened = Shard(shard)
    assert opened.sources == ["a/x.mp4", "b/y.mp4"] and opened.skipped == {"c.mp4": "No face."}
    assert opened.entries["frame"].tolist() == [0, 7] and opened.entries["source"].tolist() == [0, 1]
    for number in range(2):
        kept, given = opened.read(number), face(number)
        assert np.array_equal(kept.points, given.points) and np.array_equal(kept.mesh, given.mesh)
        assert np.array_equal(kept.matte, given.matte)
        assert np.abs(kept.image.astype(int) - given.image).max() <= 4


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: b"PK\x03\x04" + content[4:],
        flip(9),
        flip(-5),
        flip(17),
    ],
    ids=["empty", "no head", "half", "foreign", "index moved", "index changed", "length changed"],
)
def test_a_damaged_shard_is_named(shard: Path, damage: Callable[[bytes], bytes]) -> None:
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(PortraitError, match=r"00000\.shard") as caught:
        Shard(shard)
    assert caught.value.code == ErrorCode.BAD_IMAGE and "build" in caught.value.remedy


def test_a_damaged_record_is_named_when_it_is_read(shard: Path) -> None:
    shard.write_bytes(flip(int(Shard(shard).entries["offset"][1]) + 8000)(shard.read_bytes()))
    opened = Shard(shard)
    opened.read(0)
    with pytest.raises(PortraitError, match=r"00000\.shard: record 1"):
        opened.read(1)


def test_a_folder_without_shards_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="no shards") as caught:
        Faces(tmp_path)
    assert caught.value.code == ErrorCode.FILE_MISSING and "portrait corpus build" in caught.value.remedy


def test_photos_are_found_cut_and_kept(photo_shards: Path, photo: np.ndarray) -> None:
    faces = Faces(photo_shards)
    (opened,) = (Shard(path) for path in photo_shards.glob("*.shard"))
    assert opened.sources == ["a.png", "more/b.png"]
    assert set(opened.skipped) == {"nobody.png", "zdamaged.png"} and all(opened.skipped.values())
    one, mirrored = faces.read(0), faces.read(1)
    assert one.image.shape[:2] == one.matte.shape
    # The same woman, and her mirror image: what is left of one nose is right of the other.
    assert abs(one.points[30, 0] + mirrored.points[30, 0] - (one.image.shape[1] - 1)) < 0.03 * one.image.shape[1]
    middle, corner = one.points[30, :2].astype(int), one.matte[:20, :20]
    assert one.matte[middle[1], middle[0]] > 250 and corner.mean() < 60


class Interrupted(Photos):
    """Stops at the second picture, as by Ctrl+C."""

    def faces(self, name: str, detector: Detector) -> Iterator[tuple[int, Face]]:
        if name.startswith("more"):
            raise KeyboardInterrupt
        return super().faces(name, detector)


class Counting(Photos):
    """Keeps which pictures it was asked for."""

    asked: list[str]

    def faces(self, name: str, detector: Detector) -> Iterator[tuple[int, Face]]:
        self.asked = [*getattr(self, "asked", []), name]
        return super().faces(name, detector)


def test_an_interrupted_build_goes_on(
    photo_folder: Path, photo_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_FACES_PER_SHARD", 1)
    with pytest.raises(KeyboardInterrupt):
        build(Interrupted(photo_folder), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["00000.shard"]
    before = (tmp_path / "00000.shard").read_bytes()
    (tmp_path / f".portrait-{0:016x}.partial").write_bytes(b"half of it")
    source = Counting(photo_folder)
    built = build(source, tmp_path)
    assert built.faces == 2 and built.sources == 2 and len(built.skipped) == 2
    assert source.asked == ["more/b.png", "nobody.png", "zdamaged.png"]
    assert (tmp_path / "00000.shard").read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))
    whole, pieces = Faces(photo_shards), Faces(tmp_path)
    assert np.array_equal(whole.read(1).image, pieces.read(1).image)
    again = Counting(photo_folder)
    build(again, tmp_path)
    assert not hasattr(again, "asked")


def test_a_damaged_shard_stops_a_build_that_would_go_on(photo_shards: Path, photo_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(photo_shards, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00000.shard").write_bytes(b"TPSHARD1 and nothing more")
    with pytest.raises(PortraitError, match=r"00000\.shard"):
        build(Photos(photo_folder), tmp_path)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="nothing to read") as caught:
        build(Photos(tmp_path / "nowhere"), tmp_path / "output")
    assert caught.value.code == ErrorCode.FILE_MISSING


def test_the_command_builds_and_reports(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli._COMMANDS, "corpus", "make corpora")
    assert cli.main(["corpus", "build", "photos", str(photo_folder), "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "2 faces of 2 files" in said and "nobody.png" in said
    assert corpus_command._KINDS.keys() == {"photos", "videos"}
