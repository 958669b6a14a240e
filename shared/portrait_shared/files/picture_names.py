# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are photographs or films, by their names: what the readers read, a file browser shows."""

from __future__ import annotations

from typing import Final

PICTURE_SUFFIXES: Final = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif", ".avif", ".webp", ".gif",
    ".tif", ".tiff", ".exr", ".bmp", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".tga", ".psd", ".ppm", ".pgm",
    ".pbm", ".pnm",
)  # fmt: skip
MOVIE_SUFFIXES: Final = (
    ".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".3gp", ".wmv", ".ogv",
    ".mxf", ".dv", ".y4m",
)  # fmt: skip
"""Lower case; a name is compared without regard to case."""

UNNAMED: Final = "this file"
"""What messages call a picture whose path the reader was not told."""
