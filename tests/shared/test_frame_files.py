# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame files: whole or not at all, and valid only with the digest asked for."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from portrait_server.media.png import encode_png
from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import partial_file, write_error
from portrait_shared.frames.frame_files import (
    copy_equal_frames,
    frame_path,
    frames_in,
    has_frames,
    prepare_folder,
    valid_frames,
    whole_prefix,
    write_frame,
)
from portrait_shared.frames.frame_marks import (
    SEAL_KEYWORD,
    FrameMark,
    marked,
    pixel_seal,
    png_chunks,
    read_digest,
    read_mark,
    text_chunk,
)

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


def test_frames_that_are_absent_foreign_or_have_another_digest_are_not_valid(tmp_path: Path) -> None:
    write_frame(frame_path(tmp_path, 1), encode_png(PIXELS, "a" * 64, "warp"))
    write_frame(frame_path(tmp_path, 2), encode_png(PIXELS, "b" * 64, "warp"))
    frame_path(tmp_path, 4).write_bytes(b"a user's own file")
    valid = valid_frames(tmp_path, dict.fromkeys((1, 2, 3, 4), "a" * 64))
    assert valid == {1: hashlib.sha256(frame_path(tmp_path, 1).read_bytes()).hexdigest()}


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


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def with_other_pixels(data: bytes) -> bytes:
    """The pixels of another frame under the same words, every checksum right."""
    other = encode_png(255 - PIXELS, "b" * 64, "warp")
    pixels = b"".join(
        chunk(kind, bytes(content)) for kind, content, _ in png_chunks(other) if kind in (b"IDAT", b"IEND")
    )
    return data[: data.index(b"IDAT") - 4] + pixels


def saved_again(data: bytes) -> bytes:
    """What a careful program makes of it that keeps all words."""
    picture, words, again = Image.open(io.BytesIO(data)), PngInfo(), io.BytesIO()
    for keyword, text in picture.text.items():
        words.add_text(keyword, str(text))
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(again, "PNG", pnginfo=words)
    return again.getvalue()


@pytest.mark.parametrize(
    "altered",
    [
        lambda data: data + b"rubbish",
        lambda data: data + data,
        lambda data: data + b"\0" * 12,
        with_other_pixels,
        saved_again,
        lambda data: data[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + data[33:],
    ],
    ids=["rubbish", "twice", "zeros", "other pixels", "saved again", "another gamma"],
)
def test_an_altered_frame_is_not_valid(tmp_path: Path, altered: Callable[[bytes], bytes]) -> None:
    path = frame_path(tmp_path, 1)
    whole = marked(encode_png(PIXELS, "a" * 64, "warp", "cpu x"), "c" * 64)
    path.write_bytes(whole)
    assert read_mark(path) == FrameMark("a" * 64, "c" * 64, "cpu x", __version__, "warp")
    path.write_bytes(altered(whole))
    assert valid_frames(tmp_path, {1: "a" * 64}) == {}


def test_frames_of_before_there_were_seals_are_valid_where_they_are_whole(tmp_path: Path) -> None:
    data = encode_png(PIXELS, "a" * 64, "warp")
    seal = text_chunk(SEAL_KEYWORD, pixel_seal(data))
    assert seal in data
    older = data.replace(seal, b"")
    (tmp_path / "0001.png").write_bytes(older)
    assert read_digest(tmp_path / "0001.png") == "a" * 64
    (tmp_path / "0001.png").write_bytes(older + b"rubbish")
    assert read_digest(tmp_path / "0001.png") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps links and pipes from most users")
def test_a_pipe_in_a_frames_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(frame_path(tmp_path, 1))
    assert valid_frames(tmp_path, {1: "a" * 64}) == {}


def test_frames_that_move_are_copied_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    for number, letter in ((1, "a"), (2, "b")):
        write_frame(frame_path(tmp_path, number), encode_png(PIXELS, letter * 64, "warp"))
    wanted = {1: "b" * 64, 2: "a" * 64, 3: "a" * 64, 4: "c" * 64}
    assert copy_equal_frames(tmp_path, wanted) == valid_frames(tmp_path, wanted)
    assert [read_digest(frame_path(tmp_path, number)) for number in (1, 2, 3)] == ["b" * 64, "a" * 64, "a" * 64]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.png", "0002.png", "0003.png"]


def test_numbers_are_those_of_a_prefix_alone(tmp_path: Path) -> None:
    for name in ("0001.png", "anna.0002.png", "anna.-0003.png", "bea_12345.png", "._0004.png", "anna.0005.exr"):
        (tmp_path / name).touch()
    assert frames_in(tmp_path) == [1]
    assert frames_in(tmp_path, "anna.") == [-3, 2]
    assert frames_in(tmp_path, "bea_") == [12345]
    for prefix in ("", "anna.", whole_prefix("shot1"), whole_prefix("-")):
        for number in (-12345, -3, 0, 7, 12345):
            path = frame_path(tmp_path / "again", number, prefix)
            path.parent.mkdir(exist_ok=True)
            path.touch()
            assert number in frames_in(path.parent, prefix), path.name
    assert has_frames(tmp_path) and not has_frames(tmp_path / "nowhere")
