# SPDX-License-Identifier: GPL-3.0-or-later
"""How much work a picture makes, known before it is decoded."""

from __future__ import annotations

from typing import BinaryIO, Final

from PIL import Image

MAX_PICTURE_FILE_BYTES: Final = 2**30
_SCAN_MARK: Final = b"\xff\xda"
_MOST_SCANS: Final = 1000
_MOST_SCANNED_PIXELS: Final = 1_000_000_000
"""Of all scans together: about three seconds. Programs write a dozen scans; the largest picture may have fifteen."""
_CHUNK_BYTES: Final = 2**20


def too_much_work(image: Image.Image, file: BinaryIO) -> str:
    """Why decoding an opened picture would take too long; empty where it would not. The file's place is kept.

    A progressive JPEG is decoded whole for each of its scans, and a scan may take only a few bytes.
    """
    if image.format not in ("JPEG", "MPO") and image.info.get("compression") != "jpeg":
        return ""
    scans = _count(file)
    if scans <= _MOST_SCANS and scans * image.width * image.height <= _MOST_SCANNED_PIXELS:
        return ""
    return f"it is drawn in {scans} scans, one over another, which would take too long"


def _count(file: BinaryIO) -> int:
    """How often a scan begins; in the scans' own data the mark cannot stand."""
    place = file.tell()
    file.seek(0)
    scans, last = 0, b""
    while chunk := file.read(_CHUNK_BYTES):
        scans += (last + chunk).count(_SCAN_MARK)
        last = chunk[-1:]
    file.seek(place)
    return scans
