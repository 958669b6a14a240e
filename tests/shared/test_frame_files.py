# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame files: whole or not at all, and valid only with the digest asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from portrait_server.output.png import encode_png
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frame_files import frame_path, missing_frames, prepare_folder, read_digest, write_frame
from portrait_shared.whole_files import partial_file, write_error

PIXELS = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)


def test_names_have_at_least_four_digits() -> None:
    folder = Path("out")
    assert [frame_path(folder, n).name for n in (1, 12345, -7)] == ["0001.png", "12345.png", "-0007.png"]


def test_digest_of_a_written_frame_is_read_back(tmp_path: Path) -> None:
    write_frame(tmp_path / "0001.png", encode_png(PIXELS, "a" * 64, "warp"))
    assert read_digest(tmp_path / "0001.png") == "a" * 64


@pytest.mark.parametrize("keep", [0, 7, 40, 0.5, -1])
def test_a_truncated_frame_is_not_valid(tmp_path: Path, keep: float) -> None:
    data = encode_png(PIXELS, "a" * 64, "warp")
    path = tmp_path / "0001.png"
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    assert read_digest(path) is None


def test_a_damaged_byte_is_noticed(tmp_path: Path) -> None:
    data = bytearray(encode_png(PIXELS, "a" * 64, "warp"))
    data[len(data) // 2] ^= 1
    (tmp_path / "0001.png").write_bytes(data)
    assert read_digest(tmp_path / "0001.png") is None


def test_missing_frames_are_those_absent_foreign_or_with_another_digest(tmp_path: Path) -> None:
    write_frame(frame_path(tmp_path, 1), encode_png(PIXELS, "a" * 64, "warp"))
    write_frame(frame_path(tmp_path, 2), encode_png(PIXELS, "b" * 64, "warp"))
    frame_path(tmp_path, 4).write_bytes(b"a user's own file")
    assert missing_frames(tmp_path, dict.fromkeys((1, 2, 3, 4), "a" * 64)) == [2, 3, 4]


def test_a_failed_write_keeps_the_frame_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "0001.png"
    path.mkdir()  # os.replace onto a folder fails for every user, root too
    (path / "kept").touch()
    with pytest.raises(PortraitError) as caught:
        write_frame(path, b"data")
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert (path / "kept").exists() and [p.name for p in tmp_path.iterdir()] == ["0001.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to play a full disk")
def test_a_full_disk_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "0001.png"
    with pytest.raises(PortraitError) as caught, wrapped(path), partial_file(path) as partial:
        partial.unlink()
        partial.symlink_to("/dev/full")
        partial.write_bytes(bytes(100_000))
    assert caught.value.code is ErrorCode.DISK_FULL and "Free some room" in caught.value.remedy
    assert not list(tmp_path.iterdir())


@contextlib.contextmanager
def wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def test_a_folder_that_cannot_be_made_is_refused_before_rendering(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PortraitError) as caught:
        prepare_folder(tmp_path / "file" / "frames")
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
