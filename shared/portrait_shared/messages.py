# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message of the protocol: one dataclass each, checked where it is made and where it arrives."""

# ruff: noqa: RUF009 - `checked` makes dataclass fields

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.fields import (
    Array,
    Blob,
    checked,
    digest,
    flag,
    listing,
    mapping,
    name,
    one_of,
    optional,
    scalar,
    text,
    whole,
)
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.protocol import MAX_REQUEST_ID, Buffer, bad_message, pack, unpack
from portrait_shared.references import MAX_IMAGE_PIXELS, MAX_REFERENCES
from portrait_shared.track import MAX_SIDE_PIXELS

MAX_FRAMES = 100_000
"""Of one render: 84 MB of points, more than an hour at 25 frames/s."""
MAX_WINDOW = 256

_SIDE = (1, MAX_SIDE_PIXELS)
_LANDMARKS = (LANDMARK_COUNT, LANDMARK_COUNT)
_PIXELS = Array("|u1", (_SIDE, _SIDE, (3, 4)), nullable=True)
_PNG = Blob(nullable=True)
_POINTS = Array("<f4", (_LANDMARKS, (3, 3)))
_MESH = Array("<f4", ((478, 478), (3, 3)), nullable=True)
_REFERENCE_POINTS = Array("<f4", ((1, MAX_REFERENCES), _LANDMARKS, (3, 3)))
_FRAME_POINTS = Array("<f4", ((1, MAX_FRAMES), _LANDMARKS, (2, 3)))
_FRAME_NUMBERS = Array("<i4", ((1, MAX_FRAMES),))
_size = listing(whole(1, MAX_SIDE_PIXELS), 2, 2)
_job = whole(1, MAX_REQUEST_ID)

TYPES: dict[str, type[Message]] = {}


@dataclass(frozen=True, eq=False)
class Message:
    """A request, or an answer that carries the request's id.

    Attributes:
        request: the id; 0 where a message answers none.
    """

    type: ClassVar[str]
    request: int

    def __init_subclass__(cls, kind: str) -> None:
        cls.type = kind
        TYPES[kind] = cls

    def __post_init__(self) -> None:
        if type(self.request) is not int or not 0 <= self.request <= MAX_REQUEST_ID:
            raise bad_message(f"`{self.type}`: the request id is out of range.")
        for item in dataclasses.fields(self)[1:]:
            try:
                value = item.metadata["check"](getattr(self, item.name))
            except ValueError as error:
                raise bad_message(f"`{self.type}`: `{item.name}` {error}.") from error
            object.__setattr__(self, item.name, value)

    def encode(self) -> list[Buffer]:
        """The message's parts: header, then buffers, which are not copied."""
        fields: dict[str, Any] = {}
        buffers: list[Buffer] = []
        for item in dataclasses.fields(self)[1:]:
            value, check = getattr(self, item.name), item.metadata["check"]
            if isinstance(check, (Array, Blob)) and value is not None:
                fields[item.name] = value.shape if isinstance(check, Array) else len(value)
                buffers.append(value.data if isinstance(check, Array) else value)
            else:
                fields[item.name] = value
        return [pack(self.type, self.request, fields), *buffers]


def decode(parts: Sequence[Buffer]) -> Message:
    """The message that arrived; arrays lie on the buffers, not copied.

    Raises:
        PortraitError: BAD_MESSAGE, VERSION_MISMATCH.
    """
    envelope = unpack(parts)
    kind = TYPES.get(envelope.type)
    if kind is None:
        raise bad_message(f"There is no message type `{envelope.type[:64]}`.")
    values = dict(envelope.fields)
    buffers = list(envelope.buffers)
    for item in dataclasses.fields(kind)[1:]:
        check, value = item.metadata["check"], values.get(item.name)
        if not isinstance(check, (Array, Blob)) or value is None:
            continue
        if not buffers:
            raise bad_message(f"`{kind.type}`: the buffer of `{item.name}` is missing.")
        buffer = buffers.pop(0)
        try:
            values[item.name] = check.from_buffer(value, buffer) if isinstance(check, Array) else buffer
        except ValueError as error:
            raise bad_message(f"`{kind.type}`: `{item.name}` {error}.") from error
    if buffers:
        raise bad_message(f"`{kind.type}` has {len(buffers)} buffers too many.")
    try:
        return kind(envelope.request, **values)
    except TypeError as error:
        raise bad_message(f"`{kind.type}` has unknown or missing fields.") from error


# From client to server


@dataclass(frozen=True, eq=False)
class Hello(Message, kind="hello"):
    """The first message of a client."""

    client: str = checked(text(64))
    version: str = checked(text(32))


@dataclass(frozen=True, eq=False)
class OfferReference(Message, kind="reference"):
    """Offers an image by its content hash; with `image`, hands it over. Answered by `ReferenceState`."""

    digest: str = checked(digest)
    size: tuple[int, int] = checked(_size)
    image: np.ndarray | None = checked(_PIXELS, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size[0] * self.size[1] > MAX_IMAGE_PIXELS:
            raise PortraitError(ErrorCode.IMAGE_TOO_LARGE, f"The image has {self.size[0]}x{self.size[1]} pixels.")
        if self.image is not None and self.image.shape[1::-1] != self.size:
            raise bad_message("`reference`: the image has another size than its offer.")


@dataclass(frozen=True, eq=False)
class Detect(Message, kind="detect"):
    """Asks for the landmarks of a reference. Answered by `Detected`.

    Attributes:
        face: counted from 1 at the picture's left; 0 or None for the largest.
    """

    reference: str = checked(digest)
    detector: str | None = checked(optional(name), None)
    face: int | None = checked(optional(whole(-10_000, 10_000)), None)


@dataclass(frozen=True, eq=False)
class Prepare(Message, kind="prepare"):
    """Asks for a portrait. Answered by `Prepared`."""

    engine: str | None = checked(optional(name))
    references: tuple[str, ...] = checked(listing(digest, 1, MAX_REFERENCES))
    points: np.ndarray = checked(_REFERENCE_POINTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.points) != len(self.references):
            raise bad_message("`prepare`: each reference needs its points.")


@dataclass(frozen=True, eq=False)
class Render(Message, kind="render"):
    """Asks for frames; `window` is the credit to begin with. Answered by `Frame`s and `Done`."""

    portrait: str = checked(digest)
    size: tuple[int, int] = checked(_size)
    matte: bool = checked(flag)
    encoding: str = checked(one_of("png", "raw"))
    window: int = checked(whole(1, MAX_WINDOW))
    numbers: np.ndarray = checked(_FRAME_NUMBERS)
    points: np.ndarray = checked(_FRAME_POINTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.points) != len(self.numbers):
            raise bad_message("`render`: each frame needs its number and its points.")
        if self.size[0] * self.size[1] > MAX_IMAGE_PIXELS:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE, f"Frames of {self.size[0]}x{self.size[1]} pixels are too large.",
                f"Ask for at most {MAX_IMAGE_PIXELS // 10**6} million pixels.",
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Credit(Message, kind="credit"):
    """`count` frames of a render were consumed: as many more may come."""

    job: int = checked(_job)
    count: int = checked(whole(1, MAX_WINDOW))


@dataclass(frozen=True, eq=False)
class Cancel(Message, kind="cancel"):
    """Stops a render; frames under way are thrown away."""

    job: int = checked(_job)


@dataclass(frozen=True, eq=False)
class Echo(Message, kind="echo"):
    """Asks for `Echoed`: at once, or through the queue of engine work."""

    through_engine: bool = checked(flag, False)


@dataclass(frozen=True, eq=False)
class AskStats(Message, kind="stats"):
    """Asks for `Stats`."""


@dataclass(frozen=True, eq=False)
class Shutdown(Message, kind="shutdown"):
    """Asks the server to stop. Answered by `Stopping`."""


# From server to client


@dataclass(frozen=True, eq=False)
class Welcome(Message, kind="welcome"):
    """Answers `Hello`: who the server is."""

    version: str = checked(text(32))
    pid: int = checked(whole(0, 2**32))
    device: str = checked(name)
    engines: Mapping[str, str] = checked(mapping(name, text(128), 64))
    default_engine: str = checked(name)
    detectors: tuple[str, ...] = checked(listing(name, 0, 64))
    default_detector: str = checked(text(64))
    log: str = checked(text(4096))


@dataclass(frozen=True, eq=False)
class ReferenceState(Message, kind="reference_state"):
    """Answers `OfferReference`: whether the server has the image; if not, it wants it."""

    known: bool = checked(flag)


@dataclass(frozen=True, eq=False)
class Detected(Message, kind="detected"):
    """Answers `Detect`."""

    detector: str = checked(name)
    face_count: int = checked(whole(1, 10_000))
    points: np.ndarray = checked(_POINTS)
    mesh478: np.ndarray | None = checked(_MESH, None)


@dataclass(frozen=True, eq=False)
class Prepared(Message, kind="prepared"):
    """Answers `Prepare`."""

    portrait: str = checked(digest)
    engine: str = checked(name)
    batch_size: int = checked(whole(1, 4096))


@dataclass(frozen=True, eq=False)
class Progress(Message, kind="progress"):
    """Where a request stands: waiting behind others, or being worked on."""

    state: str = checked(one_of("queued", "running"))
    ahead: int = checked(whole(0, 1_000_000), 0)


@dataclass(frozen=True, eq=False)
class RenderedFrame(Message, kind="frame"):
    """One frame of a render: either a finished PNG file or an array."""

    number: int = checked(whole(-(2**31), 2**31 - 1))
    digest: str = checked(digest)
    png: bytes | memoryview | None = checked(_PNG, None)
    pixels: np.ndarray | None = checked(_PIXELS, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.png is None) == (self.pixels is None):
            raise bad_message("`frame` holds a PNG file or pixels.")


@dataclass(frozen=True, eq=False)
class Done(Message, kind="done"):
    """Ends a render: all its frames were sent, or it was cancelled."""

    cancelled: bool = checked(flag)


@dataclass(frozen=True, eq=False)
class Echoed(Message, kind="echoed"):
    """Answers `Echo`."""


@dataclass(frozen=True, eq=False)
class Ping(Message, kind="ping"):
    """Tries whether a client is still there; needs no answer."""


@dataclass(frozen=True, eq=False)
class Stats(Message, kind="stats_reply"):
    """Answers `AskStats`: counters of the server and of each job."""

    counters: Mapping[str, Any] = checked(mapping(name, scalar, 64))
    jobs: tuple[Mapping[str, Any], ...] = checked(listing(mapping(name, scalar, 16), 0, 128))


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
