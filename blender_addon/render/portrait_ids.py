# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait's id, as the server computes it: with that, frames can be told valid without asking the server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from portrait_shared.digest import portrait_digest, tuned_fingerprint

from ..connection import server
from ..portraits import groups, likeness
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.armature import rest_points

_known: dict[str, Known] = {}


@dataclass(frozen=True)
class Known:
    """What a server has told of a portrait.

    Attributes:
        portrait_id: hash of its photos, landmarks, engine and tuning.
        photo: content hash of its photo, which its frames carry.
        deep: content hash of its photo with 16 bits, where that is what was drawn from.
    """

    portrait_id: str
    photo: str
    deep: str = ""


def keep(portrait: PORTRAIT_PG_portrait, subject: str, told: Known) -> None:
    """Remembers, in the file too, what a server has told.

    Args:
        subject: `subject_of` the portrait when the server was asked.
    """
    _known[subject] = told
    portrait.rendered_with = f"{subject} {told.portrait_id} {told.photo} {told.deep}".rstrip()


def known(portrait: PORTRAIT_PG_portrait) -> Known | None:
    """None where no server has told it for the photo, the landmarks and the engine as they are.

    A server that runs counts more than what another told: it may have other weights.
    """
    told = _told(portrait)
    info = server.health().info
    engine = portrait.engine or (info.default_engine if info is not None else "")
    if info is None or engine not in info.engines:
        return told
    others = groups.further_rest(portrait)
    further = [(item.photo_digest, item.points) for item in portrait.references if item.detected]
    personal = likeness.personal_file(portrait)
    if personal is not None and not portrait.engine:
        return told  # the server alone knows which engine takes the tuning
    photo = told.photo if told is not None else portrait.photo_digest
    drawn = photo if portrait.depth == 8 else told.deep if told is not None else ""
    if not drawn:
        return None  # only a server can tell
    points = rest_points(portrait.rig, portrait.space)
    fingerprint = tuned_fingerprint(info.engines[engine], personal.digest if personal is not None else None)
    portrait_id = portrait_digest(engine, fingerprint, [(drawn, points), *further], others)
    return Known(portrait_id, photo, told.deep if told else "")


def _told(portrait: PORTRAIT_PG_portrait) -> Known | None:
    subject = subject_of(portrait)
    if subject in _known:
        return _known[subject]
    kept = portrait.rendered_with.split()
    return Known(*kept[1:]) if len(kept) in (3, 4) and kept[0] == subject else None


def subject_of(portrait: PORTRAIT_PG_portrait) -> str:
    """Hash of all that the id depends on, but for the server.

    Raises:
        PortraitError: SCENE for a broken rig; as `likeness.digest`.
    """
    points = rest_points(portrait.rig, portrait.space)
    drawn_with = f"{portrait.engine}\n{portrait.photo_digest}\n{likeness.digest(portrait)}"
    if portrait.depth != 8:
        drawn_with += f"\ndepth {portrait.depth}"
    others = groups.further_rest(portrait)
    others_bytes = b"" if others is None else others.tobytes()
    return hashlib.sha256(drawn_with.encode() + points.tobytes() + others_bytes).hexdigest()
