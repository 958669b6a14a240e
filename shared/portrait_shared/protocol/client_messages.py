# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients send."""

# ruff: noqa: RUF009 - `checked` makes dataclass fields

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from portrait_shared.disclosure import MAX_DISCLOSURE_CHARACTERS, Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import COLORSPACES, FOLLOWING, LAYERS, in_order
from portrait_shared.other_faces import MAX_OTHER_FACES, OtherFaces
from portrait_shared.personal import MAX_PERSONAL_BYTES
from portrait_shared.protocol.fields import (
    Array,
    Blob,
    checked,
    depth,
    digest,
    flag,
    listing,
    name,
    one_of,
    optional,
    text,
    whole,
)
from portrait_shared.protocol.framing import MAX_REQUEST_ID, bad_message
from portrait_shared.protocol.message import LANDMARKS, PIXELS, Message
from portrait_shared.protocol.references import MAX_IMAGE_PIXELS, MAX_REFERENCES
from portrait_shared.statement import MAX_STATEMENT_BYTES
from portrait_shared.track import MAX_SIDE_PIXELS

MAX_FRAMES = 100_000
"""Of one render: 84 MB of points, more than an hour at 25 frames/s."""
MAX_WINDOW = 256
MAX_SENT_FILE_BYTES = 256_000_000
"""Of a picture's file that is sent to be read: as large as the largest picture it may hold."""
MAX_SUFFIX_CHARACTERS = 16
MAX_NAMES_BYTES = 32_000_000
"""Of the names of a sequence's frames."""
MAX_MANIFEST_BYTES = 64_000_000
"""Of a sequence's signed manifest: some hundred for each frame."""

_REFERENCE_POINTS = Array("<f4", ((1, MAX_REFERENCES), LANDMARKS, (3, 3)))
_FRAME_POINTS = Array("<f4", ((1, 2 * MAX_FRAMES), LANDMARKS, (2, 3)))
_FRAME_BODY = Array("<f4", ((1, 2 * MAX_FRAMES), (2, 2)), nullable=True)
_OTHER_FACES = (1, MAX_OTHER_FACES)
_REFERENCE_OTHERS = Array("<f4", (_OTHER_FACES, LANDMARKS, (3, 3)), nullable=True)
_FRAME_OTHERS = Array("<f4", ((1, 2 * MAX_FRAMES), _OTHER_FACES, LANDMARKS, (2, 3)), nullable=True)
_FRAME_OTHER_BODIES = Array("<f4", ((1, 2 * MAX_FRAMES), _OTHER_FACES, (2, 2)), nullable=True)
_FRAME_HASHES = Array("|u1", ((1, MAX_FRAMES), (32, 32)))
_FRAME_NUMBERS = Array("<i4", ((1, MAX_FRAMES),))
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f]{1,255}")
_size = listing(whole(1, MAX_SIDE_PIXELS), 2, 2)
_job = whole(1, MAX_REQUEST_ID)


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
    image: np.ndarray | None = checked(PIXELS, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size[0] * self.size[1] > MAX_IMAGE_PIXELS:
            raise PortraitError(ErrorCode.IMAGE_TOO_LARGE, f"The image has {self.size[0]}x{self.size[1]} pixels.")
        if self.image is not None and self.image.shape[1::-1] != self.size:
            raise bad_message("`reference`: the image has another size than its offer.")


@dataclass(frozen=True, eq=False)
class ReadPicture(Message, kind="read_picture"):
    """Asks what picture a file holds; nothing of it is kept. Answered by `PictureRead`.

    Attributes:
        suffix: of the file's name, with its dot, or empty: a kind of file without a mark is known by it alone.
        content: the file's bytes. There is no path: the server opens no file for a client.
        depth: bits a channel of the answer's pixels, 8 or 16.
    """

    suffix: str = checked(text(MAX_SUFFIX_CHARACTERS))
    content: bytes | memoryview = checked(Blob(limit=MAX_SENT_FILE_BYTES))
    depth: int = checked(depth, 8, added=True)


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
class OfferPersonal(Message, kind="personal"):
    """Offers a personal file by its SHA-256; with `content`, hands it over. Answered by `ReferenceState`."""

    digest: str = checked(digest)
    content: bytes | memoryview | None = checked(Blob(nullable=True, limit=MAX_PERSONAL_BYTES), None)


@dataclass(frozen=True, eq=False)
class Tune(Message, kind="adapt"):
    """Asks for tuning to the person on 1 to 32 references. Answered by `TuningProgress` and `Tuned`."""

    engine: str | None = checked(optional(name))
    references: tuple[str, ...] = checked(listing(digest, 1, MAX_REFERENCES))


@dataclass(frozen=True, eq=False)
class Prepare(Message, kind="prepare"):
    """Asks for a portrait. Answered by `Prepared`.

    Attributes:
        engine: None for the server's default, or with `personal` for the engine that can be tuned.
        personal: SHA-256 of a personal file that the server has been given.
        others: (F, 70, 3) points of further faces of the first reference, which are driven too.
    """

    engine: str | None = checked(optional(name))
    references: tuple[str, ...] = checked(listing(digest, 1, MAX_REFERENCES))
    points: np.ndarray = checked(_REFERENCE_POINTS)
    personal: str | None = checked(optional(digest), None)
    others: np.ndarray | None = checked(_REFERENCE_OTHERS, None, added=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.points) != len(self.references):
            raise bad_message("`prepare`: each reference needs its points.")


@dataclass(frozen=True, eq=False)
class Render(Message, kind="render"):
    """Asks for frames. Answered by `RenderedFrame`s and `Done`.

    Attributes:
        window: the credit to begin with.
        points: of each frame; with the layer `forward` then as many again, of those that follow.
        body: see `portrait_shared.body`, as many as `points`; None where it is the usual one in all frames.
        others: (N, F, 70, 2 or 3) points of the portrait's further faces, in the order in which it was prepared, as many
            as `points`.
        other_bodies: (N, F, 2) what `body` says, of each of them.
        layers: of layered frames, which ``exr`` files are; in the order of `portrait_shared.layers.LAYERS`.
        colorspace: that their colours are written in.
        disclosure: what they show of having been made, see `portrait_shared.disclosure.Disclosure.as_json`.
    """

    portrait: str = checked(digest)
    size: tuple[int, int] = checked(_size)
    matte: bool = checked(flag)
    encoding: str = checked(one_of("png", "raw", "exr"))
    window: int = checked(whole(1, MAX_WINDOW))
    numbers: np.ndarray = checked(_FRAME_NUMBERS)
    points: np.ndarray = checked(_FRAME_POINTS)
    body: np.ndarray | None = checked(_FRAME_BODY, None, added=True)
    others: np.ndarray | None = checked(_FRAME_OTHERS, None, added=True)
    other_bodies: np.ndarray | None = checked(_FRAME_OTHER_BODIES, None, added=True)
    layers: tuple[str, ...] = checked(listing(one_of(*LAYERS), 0, len(LAYERS)), (), added=True)
    colorspace: str = checked(one_of(*COLORSPACES), COLORSPACES[0], added=True)
    disclosure: str = checked(text(MAX_DISCLOSURE_CHARACTERS), "", added=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.layers) != (self.encoding == "exr") or in_order(self.layers) != self.layers:
            raise bad_message("`render`: layers, in their order, belong to the encoding `exr`, and to it alone.")
        if len(self.points) != len(self.numbers) * (1 if FOLLOWING.isdisjoint(self.layers) else 2):
            raise bad_message(
                "`render`: each frame needs its number and its points, or with `forward` two rows of them."
            )
        if self.body is not None and len(self.body) != len(self.points):
            raise bad_message("`render`: there must be as many rows of `body` as of `points`, or none.")
        self._check_others()
        try:
            Disclosure.from_json(self.disclosure)
        except PortraitError as error:
            raise bad_message(f"`render`: `disclosure`: {error.message}") from error
        if self.size[0] * self.size[1] > MAX_IMAGE_PIXELS:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE, f"Frames of {self.size[0]}x{self.size[1]} pixels are too large.",
                f"Ask for at most {MAX_IMAGE_PIXELS // 10**6} million pixels.",
            )  # fmt: skip

    @property
    def shown(self) -> Disclosure:
        """What `disclosure` tells."""
        return Disclosure.from_json(self.disclosure)

    @property
    def other_faces(self) -> OtherFaces | None:
        """`others` and `other_bodies`, where there are any."""
        return None if self.others is None else OtherFaces(self.others, self.other_bodies)

    def _check_others(self) -> None:
        if self.others is None:
            if self.other_bodies is not None:
                raise bad_message("`render`: there are `other_bodies` without `others`.")
            return
        if len(self.others) != len(self.points):
            raise bad_message("`render`: there must be as many rows of `others` as of `points`, or none.")
        if self.other_bodies is not None and self.other_bodies.shape[:2] != self.others.shape[:2]:
            raise bad_message("`render`: there must be a body for each of `others`, or none.")
        if len(self.numbers) * self.others.shape[1] > MAX_FRAMES:
            raise bad_message(f"`render`: frames times further faces may be {MAX_FRAMES} at most.")


@dataclass(frozen=True, eq=False)
class SignSequence(Message, kind="sign_sequence"):
    """Asks for the signed manifest of a sequence of frames' files. Answered by `Signed`.

    Attributes:
        hashes: (N, 32) SHA-256 of the first N files.
        names: of the files in UTF-8, each on a line of its own: those whose hashes are given, then those that lie beside
            them and stay as they are in the manifest before.
        statement: what is said of them, see `portrait_shared.statement.Statement.to_text`.
        title: what the file will be called.
        before: the manifest that was there; it counts where this server's user signed it, for frames of the same making.
        thumbnails: references, in the order of the statement's sources, whose small pictures go into it: of those that the
            server still has.
    """

    hashes: np.ndarray = checked(_FRAME_HASHES)
    names: bytes | memoryview = checked(Blob(limit=MAX_NAMES_BYTES))
    statement: bytes | memoryview = checked(Blob(limit=MAX_STATEMENT_BYTES))
    title: str = checked(text(255))
    before: bytes | memoryview | None = checked(Blob(nullable=True, limit=MAX_MANIFEST_BYTES), None)
    thumbnails: tuple[str, ...] = checked(listing(digest, 0, MAX_REFERENCES), ())

    def files(self) -> tuple[dict[str, str], list[str]]:
        """SHA-256 (hex) by name of the files whose hashes are given, and the names of the others. Not for a thread that must
        not wait.

        Raises:
            PortraitError: BAD_MESSAGE.
        """
        try:
            names = bytes(self.names).decode().split("\n")
        except UnicodeDecodeError as error:
            raise bad_message("`sign_sequence`: `names` are not UTF-8.") from error
        count = len(self.hashes)
        if not count <= len(names) <= 2 * MAX_FRAMES or len({*names}) != len(names):
            raise bad_message("`sign_sequence`: each hash needs a name, and no two may be alike.")
        if not all(map(_FILE_NAME.fullmatch, names)):
            raise bad_message("`sign_sequence`: `names` are of files, without a folder.")
        return {name: row.tobytes().hex() for name, row in zip(names, self.hashes, strict=False)}, names[count:]


@dataclass(frozen=True, eq=False)
class Credit(Message, kind="credit"):
    """`count` frames of a render were consumed: as many more may come."""

    job: int = checked(_job)
    count: int = checked(whole(1, MAX_WINDOW))


@dataclass(frozen=True, eq=False)
class Cancel(Message, kind="cancel"):
    """Stops a render or a tuning; what is under way is thrown away. Answered by `Done`, unless it had ended."""

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
