# SPDX-License-Identifier: GPL-3.0-or-later
"""NumPy's .npz archives from anywhere: what they say of themselves is checked before memory is given to it."""

from __future__ import annotations

import io
import lzma
import math
import os
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final

import numpy as np

from portrait_shared.files.whole_files import open_without_waiting

_MAX_UNPACKED_BYTES: Final = 2 * 2**30
"""Of all arrays of a file together."""
_ALWAYS_UNPACKED_BYTES: Final = 128 * 2**20
_MOST_COMPRESSION: Final = 50
"""Landmarks of real faces shrink to a half; only what repeats itself goes beyond this."""
_MAX_ARRAYS: Final = 256
_MAX_NAME: Final = 200
_MAX_DIRECTORY_BYTES: Final = 2**20
_MAX_DIMENSIONS: Final = 16
_MAX_SIDE: Final = 2**40
_CHUNK_BYTES: Final = 2**20

_END_RECORD: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\x05\x06"
_LARGE_LOCATOR: Final = b"PK\x06\x07"
_LARGE_LOCATOR_BYTES: Final = 20
_MAX_COMMENT_BYTES: Final = 2**16

# What zipfile and numpy raise on damaged files.
_DAMAGED: Final = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, SystemError, TypeError, ValueError, lzma.LZMAError, struct.error, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class DamagedArchive(Exception):
    """A file is no archive of arrays; the message says why, in a few words."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, by name.

    Raises:
        DamagedArchive: it is no such archive, or holds too much: more than 2 GiB, or far more than the file's own size.
            Whatever the file claims, little memory is taken before that is found.
        OSError: the file cannot be opened.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedArchive("it is not a file")
            return _read_known(file, status.st_size)
    except ValueError as error:  # its path holds a zero byte or a lone surrogate
        raise DamagedArchive("its name is none that a file can have") from error


def _read_known(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(file, size)
    except _DAMAGED as error:
        raise DamagedArchive(str(error)[:200] or type(error).__name__) from error


def _read(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if len(members) > _MAX_ARRAYS:
            raise ValueError(f"it holds {len(members)} arrays; {_MAX_ARRAYS} are the limit")
        unpacked = sum(member.file_size for member in members)
        most = min(_MAX_UNPACKED_BYTES, max(_ALWAYS_UNPACKED_BYTES, _MOST_COMPRESSION * size))
        if unpacked > most:
            raise ValueError(f"it unpacks to {unpacked:,} bytes; {most:,} are the limit for a file of its size")
        arrays: dict[str, np.ndarray] = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays or len(name) > _MAX_NAME:
                raise ValueError(f"an array's name {'comes twice' if name in arrays else 'is too long'}")
            arrays[name] = _read_array(archive, member)
        return arrays


def _check_directory(file: IO[bytes], size: int) -> None:
    """zipfile makes an object of a kilobyte for each entry of the directory, however many there are."""
    start = file.read(6)
    if start == b"\x93NUMPY":
        raise ValueError("it is a single array, not an archive of arrays")
    tail_bytes = min(size, _END_RECORD.size + _MAX_COMMENT_BYTES + _LARGE_LOCATOR_BYTES)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    plain = len(tail) - _END_RECORD.size
    at = plain if plain >= 0 and tail[plain : plain + 4] == _END_SIGNATURE else tail.rfind(_END_SIGNATURE)
    if at < 0 or at + _END_RECORD.size > len(tail):
        raise ValueError("it is no zip archive, or is cut short")
    directory_bytes = _END_RECORD.unpack_from(tail, at)[5]
    if (
        tail[max(0, at - _LARGE_LOCATOR_BYTES) : at].startswith(_LARGE_LOCATOR)
        or directory_bytes > _MAX_DIRECTORY_BYTES
    ):
        raise ValueError("its directory is too long")
    file.seek(0)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise ValueError("an array is compressed or encrypted in a way that NumPy never does")
    with archive.open(member) as content:
        version = np.lib.format.read_magic(content)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError("an array has an unknown version")
        shape, fortran, dtype = readers[version](content)
        if dtype.hasobject:
            raise ValueError("an array holds Python objects, which are never loaded")
        if len(shape) > _MAX_DIMENSIONS or not all(0 <= side <= _MAX_SIDE for side in shape):
            raise ValueError("an array has an impossible shape")
        length = math.prod(shape) * dtype.itemsize
        if length > member.file_size:
            raise ValueError("an array is shorter than it says")
        values = bytearray(length)
        _fill(content, memoryview(values))
        while content.read(_CHUNK_BYTES):  # to its end, where its checksum is looked at
            pass
    return np.ndarray(shape, dtype, values, order="F" if fortran else "C")


def _fill(content: IO[bytes], values: memoryview) -> None:
    at = 0
    while at < len(values):
        got = content.read(min(_CHUNK_BYTES, len(values) - at))
        if not got:
            raise ValueError("an array is cut short")
        values[at : at + len(got)] = got
        at += len(got)


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """The content of an archive."""
    buffer = io.BytesIO()
    # np.savez takes no array named "file".
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()
