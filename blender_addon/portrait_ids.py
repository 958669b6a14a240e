# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server called a portrait as it is now: with that, frames can be told valid without asking the server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .properties import PORTRAIT_PG_portrait
from .rig import rest_points

_known: dict[str, Known] = {}


@dataclass(frozen=True)
class Known:
    """What a server has told of a portrait.

    Attributes:
        portrait_id: what it calls it.
        photo: content hash of its photo, which its frames carry.
    """

    portrait_id: str
    photo: str


def keep(portrait: PORTRAIT_PG_portrait, subject: str, portrait_id: str, photo: str) -> None:
    """Remembers, in the file too, what a server has told.

    Args:
        subject: `subject_of` the portrait when the server was asked.
    """
    _known[subject] = Known(portrait_id, photo)
    portrait.rendered_with = f"{subject} {portrait_id} {photo}"


def known(portrait: PORTRAIT_PG_portrait) -> Known | None:
    """None where no server has told it for the photo, the landmarks and the engine as they are."""
    subject = subject_of(portrait)
    if subject in _known:
        return _known[subject]
    kept = portrait.rendered_with.split()
    return Known(*kept[1:]) if len(kept) == 3 and kept[0] == subject else None


def subject_of(portrait: PORTRAIT_PG_portrait) -> str:
    """Hash of all that the id depends on, but for the server.

    Raises:
        PortraitError: SCENE for a broken rig.
    """
    points = rest_points(portrait.rig, portrait.space)
    return hashlib.sha256(f"{portrait.engine}\n{portrait.photo_digest}\n".encode() + points.tobytes()).hexdigest()
