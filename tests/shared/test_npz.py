# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of arrays that promise more than they hold: refused with little memory, in few words."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.track import LandmarkTrack

FEW_BYTES = 40_000_000
FIELDS = {"points": np.zeros((2, 70, 3), np.float32), "size": np.array([64, 64], np.int32)}


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def array(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, values, allow_pickle=False)
    return content.getvalue()


def archive(path: Path, kind: int = zipfile.ZIP_DEFLATED, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in ({name: array(values) for name, values in FIELDS.items()} | members).items():
            file.writestr(f"{name}.npy", content)


def with_many_words(path: Path) -> None:
    archive(path, size=array(np.zeros(20_000_000, np.uint8)))


def with_a_long_fps(path: Path) -> None:
    archive(path, fps=array(np.zeros(20_000_000, np.uint8)))


def that_unpacks_to_gigabytes(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("points.npy", "w", force_zip64=True) as points,
    ):
        points.write(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (400000, 70, 3)}"))
        for _ in range(336):
            points.write(bytes(10**6))


def that_lies_in_its_directory(path: Path) -> None:
    archive(path)
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)


def with_a_million_entries(path: Path) -> None:
    archive(path)
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    entry = content[start : content.find(b"PK\x01\x02", start + 4)]
    record = bytearray(content[end:])
    record[12:16] = struct.pack("<I", len(entry) * 400_000)
    path.write_bytes(content[:start] + entry * 400_000 + record)


def header_that(header: str) -> Callable[[Path], None]:
    return lambda path: archive(path, points=npy(header, bytes(1680)))


@pytest.mark.parametrize(
    "make",
    [
        with_many_words, with_a_long_fps, that_unpacks_to_gigabytes, that_lies_in_its_directory, with_a_million_entries,
        header_that("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -70, 24)}"),
        header_that("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1000000000000000000000, 3)}"),
        header_that("{'descr': '<f4', 'fortran_order': False, 'shape': " + "-" * 9000 + "1}"),
        header_that("(" * 9000),
        header_that("{'descr': '|V2000000000', 'fortran_order': False, 'shape': (0,)}"),
        header_that("{'descr': [" + "('a','<f4')," * 500 + "], 'fortran_order': False, 'shape': (1,)}"),
        lambda path: archive(path, zipfile.ZIP_LZMA),
        lambda path: archive(path, zipfile.ZIP_BZIP2),
        lambda path: archive(path, **{str(number): array(np.zeros(1)) for number in range(300)}),
        lambda path: archive(path, points=array(np.zeros((2, 70, 3), [("x" * 60, "<f4"), ("y", "<i8")]))),
    ],
    ids=range(15),
)  # fmt: skip
def test_it_is_refused_in_few_words_with_little_memory(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "track.npz"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(PortraitError) as caught:
            LandmarkTrack.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code is ErrorCode.BAD_TRACK and len(str(caught.value)) < 700
    assert peak < FEW_BYTES


def test_a_long_quiet_take_is_read(tmp_path: Path) -> None:
    """An hour in which nothing moves shrinks a thousandfold, and is no attack."""
    track = LandmarkTrack(np.full((90_000, 70, 3), 7, np.float32), (64, 64))
    track.save(tmp_path / "track.npz")
    assert len(LandmarkTrack.load(tmp_path / "track.npz")) == 90_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "track.npz")
    with pytest.raises(PortraitError) as caught:
        LandmarkTrack.load(tmp_path / "track.npz")
    assert caught.value.code is ErrorCode.BAD_TRACK
