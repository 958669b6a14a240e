# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of folders, and sizes as people read them."""

from __future__ import annotations

import os
from pathlib import Path


def size_words(size: int) -> str:
    """Such as "187 MB" or "2.9 GB", in powers of ten as downloads are counted."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{max(1, round(size / 1e6))} MB"


def bytes_in(folder: Path) -> int:
    """Of all files beneath; those that vanish meanwhile are not counted."""
    total, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
