# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found of a file: who made it, whether it is as it was made, and what that comes to for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from portrait_shared.frames.frame_marks import FrameMark

from portrait_server.provenance import telling
from portrait_server.provenance.credentials import Credentials, CredentialsState


class Finding(StrEnum):
    """The names are in what `portrait verify --json` writes: add, never rename."""

    UNALTERED = "unaltered"
    """It is ours, and as it was made."""
    ALTERED = "altered"
    """It is ours, and not as it was made."""
    DAMAGED = "damaged"
    """Its credentials are there, and cannot be read or do not hold."""
    MARKED = "marked"
    """Its pixels carry our watermark, and its credentials are gone."""
    MISSING = "missing"
    """A signed sequence names it, and it is not there."""
    STATED = "stated"
    """It says that it is ours, and nothing tells whether it is as it was made."""
    OTHER_MAKER = "other maker"
    """Its credentials are another program's."""
    UNTRUSTED = "untrusted"
    """It would be unaltered, but none of those who are trusted signed it, or a certificate that is not valid today."""
    NOTHING = "nothing"
    """It tells of nothing."""
    UNREADABLE = "unreadable"
    """It cannot be read."""


_NOT_AS_MADE: Final = (Finding.ALTERED, Finding.DAMAGED, Finding.MARKED, Finding.MISSING)
OURS, NOT_AS_MADE, TELLS_NOTHING = 0, 1, 2
"""What files come to together: all are ours and unaltered; some are not as they were made; some tell of nothing."""


@dataclass(frozen=True)
class Verdict:
    """What was found of one file.

    Attributes:
        words: the same for a person, in sentences; of a long list of files many are alike.
        credentials: that it carries, or that a signed sequence has for it; None where it is unsigned.
        release, engine: of this project, that made it; empty where it is not told.
        watermark: the identifier in its pixels; None where none was found, or none looked for.
    """

    path: Path
    finding: Finding
    words: str
    credentials: Credentials | None = None
    release: str = ""
    engine: str = ""
    watermark: int | None = None

    @classmethod
    def by_credentials(cls, path: Path, credentials: Credentials) -> Verdict:
        """What credentials tell of their file."""
        made, state = telling.made(credentials), credentials.state
        if credentials.ours and credentials.hold:
            told = [f"{made}; not altered since.", telling.signed(credentials)]
            if credentials.statement is not None:
                told += telling.further(credentials.statement)
            finding = Finding.UNALTERED if state is CredentialsState.VALID else Finding.UNTRUSTED
            return cls._signed(path, finding, " ".join(filter(None, (*told, credentials.why))), credentials)
        if credentials.hold:
            if credentials.statement is not None:
                words = f"{made}; altered since with {telling.tool(credentials)}, whose credentials hold."
                return cls._signed(path, Finding.ALTERED, words, credentials)
            return cls(path, Finding.OTHER_MAKER, telling.of_other_maker(credentials), credentials)
        by = made if credentials.ours else telling.of_other_maker(credentials).rstrip(".")
        if state is CredentialsState.ALTERED:
            return cls._signed(path, Finding.ALTERED, f"{by}; altered since. {credentials.why}", credentials)
        by = f"{by}, as they say. " if credentials.tool else ""
        return cls._signed(path, Finding.DAMAGED, f"{by}Its credentials are damaged. {credentials.why}", credentials)

    @classmethod
    def altered(cls, path: Path, credentials: Credentials, why: str) -> Verdict:
        """A file of a signed sequence that is not what was signed."""
        return cls._signed(path, Finding.ALTERED, f"{telling.made(credentials)}; altered since: {why}", credentials)

    @classmethod
    def by_mark(cls, path: Path, finding: Finding, words: str, mark: FrameMark) -> Verdict:
        """What a frame tells of itself, unsigned."""
        return cls(path, finding, words, None, mark.release, mark.engine)

    @classmethod
    def _signed(cls, path: Path, finding: Finding, words: str, credentials: Credentials) -> Verdict:
        statement = credentials.statement
        release, engine = ("", "") if statement is None else (statement.release, statement.engine)
        return cls(path, finding, words, credentials, release, engine)

    def as_json(self) -> dict[str, Any]:
        """What is not known is left out."""
        told: dict[str, Any] = {
            "file": str(self.path), "finding": str(self.finding), "words": self.words, "release": self.release,
            "engine": self.engine, "signed": self.credentials is not None,
        }  # fmt: skip
        if (signed := self.credentials) is not None:
            told |= {"tool": signed.tool, "signer": signed.signer, "signer_known": signed.known}
            if signed.signed_at is not None:
                told["time"] = signed.signed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                told["time_stamped"] = signed.stamped
            if signed.statement is not None:
                told["statement"] = signed.statement.as_json()
        if self.watermark is not None:
            told["watermark"] = telling.watermark_text(self.watermark)
        return {name: value for name, value in told.items() if value != ""}


def status_of(findings: Iterable[Finding]) -> int:
    """One of `OURS`, `NOT_AS_MADE`, `TELLS_NOTHING`: the second wins over the third, and no file at all tells nothing."""
    seen = set(findings)
    if seen.intersection(_NOT_AS_MADE):
        return NOT_AS_MADE
    return OURS if seen == {Finding.UNALTERED} else TELLS_NOTHING
