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


def engine_subject(portrait: PORTRAIT_PG_portrait) -> str:
    """Hash of all that chooses what draws a shot's frames.

    Raises:
        PortraitError: as `likeness.personal_file`.
    """
    personal = likeness.personal_file(portrait)
    chosen = f"{portrait.engine}\n{personal.digest if personal is not None else ''}"
    return hashlib.sha256(chosen.encode()).hexdigest()


def keep_engine(portrait: PORTRAIT_PG_portrait, subject: str, name: str, fingerprint: str) -> None:
    """Remembers, in the file, what a command has drawn a shot's frames with.

    Args:
        subject: `engine_subject` of the portrait when the command was run.
    """
    portrait.shot.engine = f"{subject} {name} {fingerprint}"


def engine_of_shot(portrait: PORTRAIT_PG_portrait) -> tuple[str, str] | None:
    """Name and fingerprint of what draws a shot's frames; None where neither a server nor the last render has told.

    Raises:
        PortraitError: as `engine_subject`.
    """
    info = server.health().info
    personal = likeness.personal_file(portrait)
    name = portrait.engine or (info.default_engine if info is not None else "")
    if info is not None and name in info.engines and (personal is None or portrait.engine):
        return name, tuned_fingerprint(info.engines[name], personal.digest if personal is not None else None)
    kept = portrait.shot.engine.split(" ", 2)
    return (kept[1], kept[2]) if len(kept) == 3 and kept[0] == engine_subject(portrait) else None
