# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of frames, and of what is made of them: what drew them, from what, on what ground.

It travels in messages and lies in files, so all of it is bounded. Nothing in it tells of a person, a path or a computer
unless the user asked for it: sources are hashes, a consent is its public part.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.consent import NO_CONSENT, checked_public
from portrait_shared.files.whole_files import parse_json

TOOL: Final = "Talking Portraits"
MAX_STATEMENT_BYTES: Final = 2**20
MAX_SOURCES: Final = 33
MAX_CONSENTS: Final = 16
MAX_WEIGHTS: Final = 8
MAX_THUMBNAIL_BYTES: Final = 16_000
_NAME_CHARACTERS: Final = 200
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RELEASE: Final = re.compile(r"[0-9A-Za-z.+-]{1,40}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_WATERMARK: Final = 2**32 - 1


class SourceKind(StrEnum):
    """What a source was to the frames. The names are in files: add, never rename."""

    REFERENCE = "reference"
    PLATE = "plate"


class Hashed(StrEnum):
    """What a source's hash is over. The names are in files: add, never rename."""

    PIXELS = "pixels"
    """`portrait_shared.digest.image_digest` of what was read."""
    FILE = "file"
    """The file's bytes."""
    SEQUENCE = "sequence"
    """`portrait_shared.shots.ShotIdentity.digest` of a sequence: names and contents."""


@dataclass(frozen=True)
class Source:
    """A picture or a shot that frames were made of.

    Attributes:
        digest: SHA-256, hex. hashed: what it is over.
        name: its file's, without the folder; empty unless the user asked for it.
        thumbnail: a small JPEG; empty unless the user asked for it.

    Raises:
        ValueError: anything else.
    """

    kind: SourceKind
    digest: str
    hashed: Hashed = Hashed.PIXELS
    name: str = ""
    thumbnail: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", SourceKind(self.kind))
        object.__setattr__(self, "hashed", Hashed(self.hashed))
        _check_digest("a source", self.digest)
        _check_text("a source's name", self.name, _NAME_CHARACTERS)
        if "/" in self.name or "\\" in self.name:
            raise ValueError("a source's name holds a path")
        if type(self.thumbnail) is not bytes or len(self.thumbnail) > MAX_THUMBNAIL_BYTES:
            raise ValueError(f"a thumbnail is not a picture of at most {MAX_THUMBNAIL_BYTES:,} bytes")
        if self.thumbnail and not self.thumbnail.startswith(b"\xff\xd8\xff"):
            raise ValueError("a thumbnail is no JPEG")

    def as_json(self) -> dict[str, str]:
        told = {**asdict(self), "thumbnail": base64.b64encode(self.thumbnail).decode()}
        return {name: str(value) for name, value in told.items() if value}

    @classmethod
    def of_json(cls, told: object) -> Source:
        """Raises: ValueError."""
        told = _table("a source", told, cls)
        if not {"kind", "digest"} <= told.keys():
            raise ValueError("a source that leaves something out")
        return cls(**{**told, "thumbnail": base64.b64decode(_text_of(told, "thumbnail"), validate=True)})


@dataclass(frozen=True)
class Statement:
    """What is said of some frames.

    Attributes:
        engine: its name. fingerprint: its fingerprint, see `portrait_shared.digest`; empty where it is not known.
        networks: whether trained networks drew some of the pixels; else geometry alone moved the sources' own.
        sources: references in their order, or the plate first.
        weights: SHA-256 (hex) of the networks' weights.
        personal: SHA-256 (hex) of the personal file that tuned them; empty where none did.
        consents: `Consent.public` of each person shown whose face was moved; at least one, and one that says that
            nothing is on record is said too.
        watermark: the identifier in the pixels, 32 bits; None where they carry none.
        label: what the visible label says; empty where there is none.
        release: of the project, that drew them.

    Raises:
        ValueError: anything else.
    """

    engine: str
    fingerprint: str
    networks: bool
    sources: tuple[Source, ...] = ()
    weights: tuple[str, ...] = ()
    personal: str = ""
    consents: tuple[Mapping[str, str], ...] = (NO_CONSENT.public,)
    watermark: int | None = None
    label: str = ""
    release: str = __version__

    def __post_init__(self) -> None:
        _check_text("the engine", self.engine, 64)
        _check_text("the fingerprint", self.fingerprint, 300)
        _check_text("the label", self.label, _NAME_CHARACTERS)
        if type(self.networks) is not bool:
            raise ValueError("whether networks drew is not true or false")
        for name, most in (("sources", MAX_SOURCES), ("weights", MAX_WEIGHTS), ("consents", MAX_CONSENTS)):
            if type(getattr(self, name)) is not tuple or len(getattr(self, name)) > most:
                raise ValueError(f"its {name} are not a list of at most {most}")
        if not all(isinstance(source, Source) for source in self.sources):
            raise ValueError("a source is none")
        for digest in (*self.weights, *([self.personal] if self.personal else [])):
            _check_digest("weights", digest)
        if not self.consents:
            raise ValueError("nothing is said of consent")
        object.__setattr__(self, "consents", tuple(checked_public(each) for each in self.consents))
        if self.watermark is not None and not (
            type(self.watermark) is int and 0 <= self.watermark <= _MAX_WATERMARK
        ):  # fmt: skip
            raise ValueError("the watermark's identifier is not a number of 32 bits")
        if type(self.release) is not str or not _RELEASE.fullmatch(self.release):
            raise ValueError("the release is none")

    @property
    def plate(self) -> Source | None:
        """The filmed shot whose frames were changed; None where photos were moved."""
        return next((source for source in self.sources if source.kind is SourceKind.PLATE), None)

    def as_json(self) -> dict[str, Any]:
        """Tables, lists, texts and numbers alone; what is empty is left out."""
        told = {
            "engine": self.engine, "fingerprint": self.fingerprint, "networks": self.networks,
            "sources": [source.as_json() for source in self.sources], "weights": list(self.weights),
            "personal": self.personal, "consents": [dict(each) for each in self.consents],
            "watermark": self.watermark, "label": self.label, "release": self.release,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value not in ("", [], None) or name == "fingerprint"}

    def to_text(self) -> str:
        """Canonical JSON: equal statements give equal texts."""
        return json.dumps(self.as_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def of_json(cls, told: object) -> Statement:
        """Raises: ValueError: anything but what `as_json` gives."""
        told = _table("a statement", told, cls)
        lists: dict[str, tuple[Any, ...]] = {
            name: _list_of(told, name) for name in ("sources", "weights", "consents") if name in told
        }
        if "sources" in lists:
            lists["sources"] = tuple(Source.of_json(each) for each in lists["sources"][: MAX_SOURCES + 1])
        if not {"engine", "fingerprint", "networks"} <= told.keys():
            raise ValueError("a statement that leaves something out")
        return cls(**{**told, **lists})

    @classmethod
    def parse(cls, text: str | bytes) -> Statement:
        """Raises: ValueError: anything but what `to_text` gives."""
        if len(text) > MAX_STATEMENT_BYTES:
            raise ValueError("a statement that is too long")
        return cls.of_json(parse_json(text))


def _check_digest(what: str, value: object) -> None:
    if type(value) is not str or not _SHA256.fullmatch(value):
        raise ValueError(f"the hash of {what} is no SHA-256")


def _check_text(what: str, value: object, limit: int) -> None:
    if type(value) is not str or len(value) > limit or _CONTROL.search(value):
        raise ValueError(f"{what} is not a text of at most {limit} characters")


def _table(what: str, told: object, cls: type[Source] | type[Statement]) -> dict[str, Any]:
    if not isinstance(told, Mapping) or not told.keys() <= {each.name for each in fields(cls)}:
        raise ValueError(f"{what} that this release does not know")
    return dict(told)


def _text_of(told: Mapping[str, Any], name: str) -> str:
    if type(value := told.get(name, "")) is not str:
        raise ValueError(f"{name} is no text")
    return value


def _list_of(told: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    if type(value := told[name]) is not list:
        raise ValueError(f"{name} is no list")
    return tuple(value)
