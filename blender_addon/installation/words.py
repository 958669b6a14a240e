# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as people read them."""

from __future__ import annotations


def size_words(size: int) -> str:
    """Such as "187 MB" or "2.9 GB", in powers of ten as downloads are counted."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{max(1, round(size / 1e6))} MB"
