# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers send."""

# ruff: noqa: RUF009 - `checked` makes dataclass fields

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import MAX_PERSONAL_BYTES, PersonalFile, TunedPerson
from portrait_shared.protocol.client_messages import MAX_MANIFEST_BYTES
from portrait_shared.protocol.fields import (
    Array,
    Blob,
    checked,
    digest,
    flag,
    listing,
    mapping,
    name,
    number,
    one_of,
    optional,
    scalar,
    text,
    whole,
)
from portrait_shared.protocol.framing import bad_message
from portrait_shared.protocol.message import LANDMARKS, PIXELS, Message
from portrait_shared.statement import MAX_WEIGHTS

_FILE = Blob(nullable=True)
_PICTURE = dataclasses.replace(PIXELS, nullable=False)
_POINTS = Array("<f4", (LANDMARKS, (3, 3)))
_MESH = Array("<f4", ((478, 478), (3, 3)), nullable=True)
_figures = mapping(name, number, 16)


@dataclass(frozen=True, eq=False)
class Welcome(Message, kind="welcome"):
    """Answers `Hello`: who the server is."""

    version: str = checked(text(32))
    pid: int = checked(whole(0, 2**32))
    device: str = checked(text(256))
    engines: Mapping[str, str] = checked(mapping(name, text(128), 64))
    default_engine: str = checked(name)
    detectors: tuple[str, ...] = checked(listing(name, 0, 64))
    default_detector: str = checked(text(64))
    log: str = checked(text(4096))


@dataclass(frozen=True, eq=False)
class ReferenceState(Message, kind="reference_state"):
    """Answers `OfferReference` and `OfferPersonal`: whether the server has it; if not, it wants it."""

    known: bool = checked(flag)


@dataclass(frozen=True, eq=False)
class PictureRead(Message, kind="picture"):
    """Answers `ReadPicture`.

    Attributes:
        pixels: (H, W, 3 or 4) uint8 or uint16, as asked for: upright, sRGB, with straight alpha where a pixel is not opaque.
    """

    pixels: np.ndarray = checked(_PICTURE)


@dataclass(frozen=True, eq=False)
class Detected(Message, kind="detected"):
    """Answers `Detect`."""

    detector: str = checked(name)
    face_count: int = checked(whole(1, 10_000))
    points: np.ndarray = checked(_POINTS)
    mesh478: np.ndarray | None = checked(_MESH, None)


@dataclass(frozen=True, eq=False)
class Prepared(Message, kind="prepared"):
    """Answers `Prepare`.

    Attributes:
        weights: SHA-256 of the files of the networks that draw; none where geometry alone does.
    """

    portrait: str = checked(digest)
    engine: str = checked(name)
    batch_size: int = checked(whole(1, 4096))
    weights: tuple[str, ...] = checked(listing(digest, 0, MAX_WEIGHTS), (), added=True)


@dataclass(frozen=True, eq=False)
class Progress(Message, kind="progress"):
    """Where a request stands: waiting behind others, or being worked on."""

    state: str = checked(one_of("queued", "running"))
    ahead: int = checked(whole(0, 1_000_000), 0)


@dataclass(frozen=True, eq=False)
class TuningProgress(Message, kind="adapt_progress"):
    """How far tuning has come.

    Attributes:
        steps: at most; tuning ends earlier where it no longer helps.
        score: the mean held-out error now, 0 to 1.
        seconds_left: at most, None before that is known.
    """

    step: int = checked(whole(0, 1_000_000))
    steps: int = checked(whole(1, 1_000_000))
    score: float = checked(number)
    seconds_left: float | None = checked(optional(number), None)


@dataclass(frozen=True, eq=False)
class Tuned(Message, kind="adapted"):
    """Answers `Tune` with the fields of a `TunedPerson`, whose personal file is the `content`."""

    kept: bool = checked(flag)
    step: int = checked(whole(0, 1_000_000))
    before: Mapping[str, float] = checked(_figures)
    after: Mapping[str, float] = checked(_figures)
    content: bytes | memoryview = checked(Blob(limit=MAX_PERSONAL_BYTES))

    @classmethod
    def of(cls, request: int, tuned: TunedPerson) -> Tuned:
        return cls(request, tuned.kept, tuned.step, tuned.before, tuned.after, tuned.personal.content)

    def as_result(self) -> TunedPerson:
        return TunedPerson(PersonalFile(bytes(self.content)), self.kept, self.step, self.before, self.after)


@dataclass(frozen=True, eq=False)
class RenderedFrame(Message, kind="frame"):
    """One frame of a render: a finished file, PNG or OpenEXR, or an array."""

    number: int = checked(whole(-(2**31), 2**31 - 1))
    digest: str = checked(digest)
    png: bytes | memoryview | None = checked(_FILE, None)
    pixels: np.ndarray | None = checked(PIXELS, None)
    exr: bytes | memoryview | None = checked(_FILE, None, added=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(each is not None for each in (self.png, self.pixels, self.exr)) != 1:
            raise bad_message("`frame` holds a PNG file, pixels or an OpenEXR file.")


@dataclass(frozen=True, eq=False)
class Done(Message, kind="done"):
    """Ends a render: all its frames were sent. Or ends a render or a tuning that was cancelled."""

    cancelled: bool = checked(flag)


@dataclass(frozen=True, eq=False)
class Echoed(Message, kind="echoed"):
    """Answers `Echo`."""


@dataclass(frozen=True, eq=False)
class Ping(Message, kind="ping"):
    """Needs no answer. Nobody sends it any more, but older servers of this protocol version do."""


@dataclass(frozen=True, eq=False)
class Stats(Message, kind="stats_reply"):
    """Answers `AskStats`: counters of the server and of each job."""

    counters: Mapping[str, Any] = checked(mapping(name, scalar, 64))
    jobs: tuple[Mapping[str, Any], ...] = checked(listing(mapping(name, scalar, 16), 0, 128))


@dataclass(frozen=True, eq=False)
class Signed(Message, kind="signed"):
    """Answers `SignSequence`: the file ``frames.c2pa``."""

    manifest: bytes | memoryview = checked(Blob(limit=MAX_MANIFEST_BYTES))


@dataclass(frozen=True, eq=False)
class Stopping(Message, kind="stopping"):
    """Answers `Shutdown`."""


@dataclass(frozen=True, eq=False)
class Error(Message, kind="error"):
    """A request failed."""

    code: str = checked(one_of(*(code.value for code in ErrorCode)))
    message: str = checked(text(2000))
    remedy: str = checked(text(2000))

    @classmethod
    def of(cls, request: int, error: PortraitError) -> Error:
        return cls(request, error.code.value, error.message[:2000], error.remedy[:2000])

    def as_exception(self) -> PortraitError:
        return PortraitError(ErrorCode(self.code), self.message, self.remedy)
