# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of frames in their credentials beside what draws them, and how they are signed by this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portrait_shared.client.credentials import Sign
from portrait_shared.consent import Consent
from portrait_shared.frames.frame_files import credentials_path
from portrait_shared.statement import Statement


@dataclass(frozen=True)
class Said:
    """What the user says, or wants to be told.

    Attributes:
        consents: of each face that is driven, in the order of their tracks; those that are missing are on no record.
        thumbnails: whether small pictures of the photos, or of the shot, are told.
    """

    consents: tuple[Consent, ...] = ()
    thumbnails: bool = False


NOTHING_SAID: Final = Said()


def signs(statement: Callable[[], Statement]) -> Sign:
    """What signs a folder's frames with this user's key. Args: statement: asked for what is said of them."""

    def sign(hashes: Mapping[str, str], before: bytes | None, staying: Sequence[str]) -> bytes:
        # Only now: what it takes to sign is slow to load.
        from portrait_server.provenance.sequences import renewed_sequence

        return renewed_sequence(statement(), credentials_path(Path()).name, hashes, before, staying)

    return sign
