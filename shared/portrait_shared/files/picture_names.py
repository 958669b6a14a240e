# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are photographs, by their names: what the reader reads, a file browser shows."""

from __future__ import annotations

from typing import Final

PICTURE_SUFFIXES: Final = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif", ".avif", ".webp", ".gif",
    ".tif", ".tiff", ".exr", ".bmp", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".tga", ".psd", ".ppm", ".pgm",
    ".pbm", ".pnm",
)  # fmt: skip
"""Lower case; a name is compared without regard to case."""

UNNAMED: Final = "this file"
"""What messages call a picture whose path the reader was not told."""
