# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a sequence's frames that its credentials sign: what `sha256sum` prints of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAX_SEQUENCE_FRAMES: Final = 1_000_000
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,255}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def listing_of(hashes: Mapping[str, str]) -> bytes:
    """What `sha256sum` prints of files, in the order of their names' characters, which is that of the C locale.

    Raises:
        ValueError: as `sign_sequence`.
    """
    if not 0 < len(hashes) <= MAX_SEQUENCE_FRAMES:
        raise ValueError(f"a sequence has 1 to {MAX_SEQUENCE_FRAMES:,} frames")
    for name, digest in hashes.items():
        if not _NAME.fullmatch(name) or not _SHA256.fullmatch(digest):
            raise ValueError("a frame has no file's name, or no SHA-256")
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=str.encode)).encode()


def hashes_of(listing: bytes) -> dict[str, str]:
    """The hashes in a `listing_of`. Raises: ValueError: it is none."""
    hashes = {}
    for line in listing.decode().splitlines():
        digest, _, name = line.partition("  ")
        hashes[name] = digest
    if listing_of(hashes) != listing:
        raise ValueError("a list of frames in another form")
    return hashes
