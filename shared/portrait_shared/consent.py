# SPDX-License-Identifier: GPL-3.0-or-later
"""On what ground a person's likeness is animated: a record that a person makes, and what credentials tell of it.

A record is the word of whoever makes it, and nothing here invents one: where nobody said anything, its ground is `NONE`,
and that is told too. One record is of one person.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.whole_files import open_without_waiting, parse_json, read_bounded, write_whole

FORMAT: Final = "talking-portraits consent 1"
PERSON_CHARACTERS: Final = 200
SCOPE_CHARACTERS: Final = 400
_MAX_BYTES: Final = 16_000
_REMEDY: Final = "Write the record anew with `portrait consent`."
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SALT: Final = re.compile(r"[0-9a-f]{32}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Ground(StrEnum):
    """Why the person may be animated. The names are in files: add, never rename."""

    NONE = "none"
    ONESELF = "oneself"
    WRITTEN = "written"
    DECEASED = "deceased"
    ARTWORK = "artwork"


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise _bad(f"{name} is {described(value)}, not a text")
    if len(value) > limit:
        raise _bad(f"{name} is longer than {limit} characters")
    if _CONTROL.search(value):
        raise _bad(f"{name} holds characters that cannot be printed")


def _check_form(name: str, value: object, form: re.Pattern[str], what: str, may_be_empty: bool) -> None:
    if not isinstance(value, str) or not (form.fullmatch(value) or (may_be_empty and not value)):
        raise _bad(f"{name} is {described(value)}, not {what}")


def _check_date(name: str, value: object, may_be_empty: bool) -> None:
    _check_form(name, value, _DATE, "a date as 2027-12-31", may_be_empty)
    if value:
        try:
            datetime.date.fromisoformat(str(value))
        except ValueError as error:
            raise _bad(f"{name} is {value}, a day that no calendar has") from error


def _bad(why: str, path: Path | None = None) -> PortraitError:
    what = "The record of consent" if path is None else f"The record of consent {path}"
    return PortraitError(ErrorCode.BAD_CONFIGURATION, f"{what} cannot be used: {why}.", _REMEDY)


@dataclass(frozen=True)
class Consent:
    """A record of consent.

    Attributes:
        ground: see `Ground`; with `NONE` there is nothing else.
        person: whose likeness it is, as the user names them; may be empty.
        document: SHA-256 (hex) of a file that holds the consent; empty where there is none.
        scope: what the likeness may be used for, in the user's words; may be empty.
        until: the last day on which it may be used, YYYY-MM-DD; empty where there is no end.
        recorded: the day on which the record was made, YYYY-MM-DD.
        child: whether the person is a child, for whom those responsible consent.
        salt: 32 random hex digits (`new_salt`), because of which nobody can guess the person's name from `digest`.

    Raises:
        PortraitError: BAD_CONFIGURATION for anything else.
    """

    ground: Ground = Ground.NONE
    person: str = ""
    document: str = ""
    scope: str = ""
    until: str = ""
    recorded: str = ""
    child: bool = False
    salt: str = ""

    def __post_init__(self) -> None:
        if self.ground not in list(Ground):
            raise _bad(f"its ground is {described(self.ground)}, not one of {', '.join(Ground)}")
        object.__setattr__(self, "ground", Ground(self.ground))
        if not isinstance(self.child, bool):
            raise _bad(f"child is {described(self.child)}, not true or false")
        _check_text("person", self.person, PERSON_CHARACTERS)
        _check_text("scope", self.scope, SCOPE_CHARACTERS)
        if self.ground is Ground.NONE:
            if any((self.person, self.document, self.scope, self.until, self.recorded, self.child, self.salt)):
                raise _bad("it names no ground, but says more")
            return
        _check_form("document", self.document, _SHA256, "a SHA-256", may_be_empty=True)
        _check_form("salt", self.salt, _SALT, "32 hex digits", may_be_empty=False)
        _check_date("until", self.until, may_be_empty=True)
        _check_date("recorded", self.recorded, may_be_empty=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the record's canonical JSON, by which its keeper can prove what it said."""
        return hashlib.sha256(self._json(separators=(",", ":"))).hexdigest()

    @property
    def public(self) -> dict[str, str]:
        """What credentials tell of it where nothing personal is asked for: no name, and no free text."""
        if self.ground is Ground.NONE:
            return {"ground": str(Ground.NONE)}
        told = {"ground": str(self.ground), "until": self.until, "document": self.document, "digest": self.digest}
        return {name: value for name, value in told.items() if value}

    def ended(self, on: datetime.date) -> bool:
        """Whether its last day was before a date."""
        return bool(self.until) and datetime.date.fromisoformat(self.until) < on

    def save(self, path: Path) -> None:
        """Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
        write_whole(path, self._json(indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Consent:
        """Raises: PortraitError: FILE_MISSING; BAD_CONFIGURATION, saying what is wrong."""
        try:
            record = parse_json(read_bounded(path, _MAX_BYTES))
        except OSError as error:
            raise unreadable_file(path, error) from error
        except ValueError as error:
            raise _bad("it is no JSON", path) from error
        if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
            raise _bad(f"it does not say {FORMAT!r}", path)
        if unknown := sorted(record.keys() - cls.__dataclass_fields__.keys()):
            raise _bad(f"it says {described(unknown[0])}, which this release does not know", path)
        return cls(**record)

    def _json(self, **style: Any) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, sort_keys=True, **style).encode()


NO_CONSENT: Final = Consent()
"""Nobody has recorded anything."""


def today() -> str:
    """For `Consent.recorded`: the day, UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def new_salt() -> str:
    """For `Consent.salt`: another one each time."""
    return secrets.token_hex(16)


def document_digest(path: Path) -> str:
    """SHA-256 (hex) of a file, of any size, that holds somebody's consent.

    Raises:
        PortraitError: FILE_MISSING.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise unreadable_file(path, error) from error


def unreadable_file(path: Path, error: OSError | ValueError) -> PortraitError:
    """A record, or a document, that is not there or cannot be read."""
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return _bad("it is too large", path)
    why = getattr(error, "strerror", None) or str(error)
    return PortraitError(ErrorCode.FILE_MISSING, f"Cannot read {path}: {why}.", "Check the path.")


def checked_public(told: object) -> dict[str, str]:
    """What credentials, or a peer, tell of a consent: `Consent.public` as it was.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(told, Mapping) or not all(isinstance(value, str) for value in told.values()):
        raise ValueError("a consent that is no table of texts")
    if not {"ground"} <= told.keys() <= {"ground", "until", "document", "digest"} or told["ground"] not in list(Ground):
        raise ValueError("a consent of another form")
    if not all(_SHA256.fullmatch(told.get(name, "0" * 64)) for name in ("document", "digest")):
        raise ValueError("a consent whose hashes are none")
    if "until" in told:
        try:
            _check_date("until", told["until"], may_be_empty=False)
        except PortraitError as error:
            raise ValueError("a consent whose end is no date") from error
    return dict(told)


def sentence(public: Mapping[str, str]) -> str:
    """What a `Consent.public` says, to people."""
    ground = public["ground"]
    if ground == Ground.NONE:
        return "No consent of the person shown is on record."
    says = {
        Ground.ONESELF: "it shows themselves",
        Ground.WRITTEN: "the person shown agreed in writing",
        Ground.DECEASED: "the person shown died long ago",
        Ground.ARTWORK: "it shows a work of art or an invented face",
    }[Ground(ground)]
    end = f", until {spelled_date(public['until'])}" if public.get("until") else ""
    document = f" (a document with SHA-256 {public['document']})" if public.get("document") else ""
    return f"Its maker states that {says}{document}{end}."


def spelled_date(text: str) -> str:
    """“1 May 2027” of 2027-05-01."""
    date = datetime.date.fromisoformat(text)
    return f"{date.day} {date:%B %Y}"
