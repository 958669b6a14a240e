# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials, frames and files tell, in plain sentences."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from portrait_shared.consent import sentence, spelled_date
from portrait_shared.errors import legible, shortened
from portrait_shared.frames.frame_marks import FrameMark
from portrait_shared.statement import TOOL, SourceKind, Statement

from portrait_server.media.stated_origin import StatedOrigin
from portrait_server.provenance.credentials import Credentials

UNSIGNED: Final = "It is unsigned: a frame's own seal shows accidents and edits, but not a forgery."
NO_SEAL: Final = "it has no seal, so nothing tells whether it was altered since."
TELLS_NOTHING: Final = f"It tells of nothing: it has no Content Credentials, and no watermark of {TOOL} was found."
WAS_FRAME: Final = f"It was a frame of {TOOL}, and its pixels were altered or encoded anew since."
_QUOTED_CHARACTERS: Final = 100
_NAME: Final = re.compile(r"[\w.+-]{1,40}( and [\w.+-]{1,40}){0,3}")
_QUOTES: Final = str.maketrans(dict.fromkeys('“”„‟«»"', "'"))
_IPTC: Final = {
    "trainedAlgorithmicMedia": "made by a trained network",
    "compositeWithTrainedAlgorithmicMedia": "made of pictures and of what a trained network made",
    "algorithmicMedia": "made by a program",
    "compositeSynthetic": "made of several pictures, some of them synthetic",
}


def made(credentials: Credentials) -> str:
    """“Made with Talking Portraits 1.2 from one photograph on 29 November 2026 by the engine warp”, without a stop."""
    when = f" on {_day(credentials.signed_at)}" if credentials.signed_at is not None else ""
    statement = credentials.statement
    if statement is None:
        return f"Made with {quoted(credentials.tool) if credentials.tool else TOOL}{when}"
    return f"Made with {TOOL} {statement.release}{_sources(statement)}{when} by the engine {_name(statement.engine)}"


def signed(credentials: Credentials) -> str:
    """Who vouches for it."""
    stamp = " A time-stamp server vouches for the date." if credentials.stamped else ""
    if credentials.known:
        return f"Signed with {quoted(credentials.signer)}, a certificate which this computer knows.{stamp}"
    return f"Signed with {quoted(credentials.signer)}, a certificate which this computer does not know: anybody can make one of that name.{stamp}"


def of_other_maker(credentials: Credentials) -> str:
    return f"Its credentials are those of {tool(credentials)}, not of {TOOL}."


def tool(credentials: Credentials) -> str:
    """Which program wrote them, as it calls itself."""
    return quoted(credentials.tool) if credentials.tool else "another program"


def quoted(text: str) -> str:
    """What a file or a certificate says of itself, as the words of others: on one line, in one pair of quotes, so that
    nobody takes them for what was found."""
    return f"“{shortened(' '.join(text.translate(_QUOTES).split()), _QUOTED_CHARACTERS)}”"


def further(statement: Statement) -> list[str]:
    """What else a statement says that a person wants to know."""
    told = ["Trained networks drew some of its pixels."] if statement.networks else []
    if statement.label:
        told.append(f"It shows the label {quoted(statement.label)}.")
    for consent, count in Counter(map(sentence, statement.consents)).items():
        told.append(consent if count == 1 else f"Of {count} people: {consent}")
    return told


def made_by_mark(mark: FrameMark, written: datetime) -> str:
    """As `made`, of a frame that says so itself, unsigned; the date is its file's."""
    if lacks_words(mark):
        return f"A frame of {TOOL} that no longer says what drew it"
    if not mark.release:
        return f"A frame of {TOOL} that names no engine, as a filmed shot's own frames do"
    photo, engine = " from a photograph" if mark.photo else "", _name(mark.engine)
    return f"Made with {TOOL} {_name(mark.release)}{photo} by the engine {engine} (its file is of {_day(written)})"


def lacks_words(mark: FrameMark) -> bool:
    """Whether somebody took out of a frame's file what it said of the program: all that was drawn say so."""
    return not mark.release and bool(mark.photo or mark.device)


def of_watermark(identifier: int | None) -> str:
    number = "" if identifier is None else f", with the number {watermark_text(identifier)}"
    return f"Its pixels carry the watermark of {TOOL}{number}"


def of_origin(origin: StatedOrigin) -> str:
    """What a file says of itself without any proof; empty where it says nothing."""
    if origin.release:
        return f"It says that it was made with {TOOL} {origin.release}; nothing proves that, nor that it was not altered since."
    kind = _IPTC.get(origin.source)
    by = f" with {quoted(origin.tool)}" if origin.tool else ""
    return f"It says that it was {kind}{by}; nothing proves that." if kind else ""


def watermark_text(identifier: int) -> str:
    """As people and programs read it: eight hex digits."""
    return f"{identifier:08x}"


def _name(text: str) -> str:
    """An engine or a release, as it is where it looks like one."""
    return legible(text) if _NAME.fullmatch(text) else quoted(text)


def _sources(statement: Statement) -> str:
    photos = sum(source.kind is SourceKind.REFERENCE for source in statement.sources)
    told = [] if statement.plate is None else ["a filmed shot"]
    if photos:
        told.append("one photograph" if photos == 1 else f"{photos} photographs")
    return f" from {' and '.join(told)}" if told else ""


def _day(time: datetime) -> str:
    return spelled_date(time.astimezone(UTC).date().isoformat())
