# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops on disk: what they show, that none comes twice, that a folder is added to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.corpora.crops import MARGIN, make_crops, read_crops
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.geometry.crops import LEFT_EYE, MOUTH
from portrait_shared.errors import ErrorCode, PortraitError


def test_crops_are_of_samples(photo_shards: Path, tmp_path: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    assert make_crops(corpus, tmp_path, count=3, references=2, side=128, seed=1) == 3
    for crop in (MOUTH, LEFT_EYE):
        pairs, wide = read_crops(tmp_path, crop), crop.side + 2 * MARGIN
        assert len(pairs) == 3 and pairs.references.shape == (3, 2, wide, wide, 3)
        assert pairs.points.shape == (3, 3, 70, 2) and pairs.draft.dtype == np.uint8
        middles = pairs.points[:, :, list(crop.middle)].mean(2)
        np.testing.assert_allclose(middles, (wide - 1) / 2, atol=0.1)
        # The draft is made for the target: it is more like it than the reference is.
        draft, reference = (
            np.abs(p.astype(float) - pairs.target).mean() for p in (pairs.draft, pairs.references[:, 0])
        )
        assert draft < reference


def test_a_folder_is_added_to(photo_shards: Path, tmp_path: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    assert make_crops(corpus, tmp_path, count=1, references=1, side=64, seed=1) == 1
    first = read_crops(tmp_path, MOUTH).target
    assert make_crops(corpus, tmp_path, count=1, references=1, side=64, seed=1) == 1
    np.testing.assert_array_equal(read_crops(tmp_path, MOUTH).target, first)
    assert make_crops(corpus, tmp_path, count=3, references=1, side=64, seed=1) == 3
    targets = read_crops(tmp_path, MOUTH).target
    assert len(targets) == 3
    np.testing.assert_array_equal(targets[:1], first)


def test_the_command_makes_them(photo_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "crops"
    words = ["corpus", "crops", "photos", str(photo_shards), "--output", str(output), "--side", "64"]
    assert main([*words, "--count", "2", "--references", "2"]) == 0
    assert capsys.readouterr().out == f"2 pairs of mouths and eyes. Saved: {output}\n"
    assert read_crops(output, MOUTH).references.shape[:2] == (2, 2)
    with pytest.raises(SystemExit):
        main([*words, "--count", "2", "--references", "33"])
    assert "1 to 32 is needed" in capsys.readouterr().err


def test_damaged_and_missing_crops_are_named(photo_shards: Path, tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="portrait corpus crops") as raised:
        read_crops(tmp_path, MOUTH)
    assert raised.value.code == ErrorCode.FILE_MISSING
    make_crops(ReposedPhotos(photo_shards, augmented=False), tmp_path, count=1, references=1, side=64, seed=1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(PortraitError, match=path.name) as raised:
        read_crops(tmp_path, MOUTH)
    assert raised.value.code == ErrorCode.BAD_IMAGE


def test_a_file_with_another_number_of_references_is_named(photo_shards: Path, tmp_path: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    make_crops(corpus, tmp_path, count=1, references=1, side=64, seed=1)
    make_crops(corpus, tmp_path, count=2, references=2, side=64, seed=1)
    with pytest.raises(PortraitError, match=r"00001.*another number of references") as raised:
        read_crops(tmp_path, MOUTH)
    assert raised.value.code == ErrorCode.BAD_IMAGE
