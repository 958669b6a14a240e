# SPDX-License-Identifier: GPL-3.0-or-later
"""What the credentials of frames shall say, as words for the `portrait` commands that sign them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_shared.consent import Consent

from ..connection.server import Launch


def credential_words(launch: Launch, consents: Sequence[Consent], folder: Path) -> list[str]:
    """Touches nothing of Blender's.

    Args:
        consents: of each face, in the order of their tracks.
        folder: where the files are written that the words name.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    if not launch.credentials:
        return ["--no-credentials"]
    words = ["--thumbnails"] if launch.thumbnails else []
    for number, consent in enumerate(consents, 1):
        record = folder / f"consent{number}.json"
        consent.save(record)
        words += ["--consent", str(record)]
    return words
