# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed sequences: one file of credentials that names the hash of every frame beside it, and what became of these."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import credentials_path, file_digest, is_frame
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES

from portrait_server.provenance.credentials import Credentials
from portrait_server.provenance.reading import read_sequence
from portrait_server.provenance.verdicts import Finding, Verdict

LIST_ENDING: Final = credentials_path(Path()).name
"""What the names of signed lists end with."""


@dataclass(frozen=True)
class SignedFrames:
    """What a signed list says of the frames beside it.

    Attributes:
        path: the list's file.
        credentials: its own; None where it cannot be read as the list of a sequence.
        digests: SHA-256 (hex) of each frame's file, by its name.
        why: it cannot be read, in words.
    """

    path: Path
    credentials: Credentials | None
    digests: Mapping[str, str]
    why: str = ""

    @classmethod
    def read(cls, path: Path, trusted: bytes) -> SignedFrames:
        try:
            found = read_sequence(path, trusted)
        except PortraitError as error:
            if error.code is ErrorCode.BAD_CONFIGURATION:  # in the certificates of those who are trusted
                raise
            return cls(path, None, {}, error.message)
        if found is None:
            return cls(path, None, {}, "They are not those of a sequence of frames.")
        credentials, digests = found
        # Nothing outside the folder is read, whatever a list names.
        return cls(path, credentials, {name: digest for name, digest in digests.items() if Path(name).name == name})

    @property
    def holds(self) -> bool:
        """Whether frames may be judged by it."""
        return self.credentials is not None and self.credentials.ours and self.credentials.hold

    @property
    def files(self) -> list[Path]:
        """Those that it names, whether they are there or not; none where it does not hold."""
        return [self.path.parent / name for name in self.digests] if self.holds else []

    def verdict(self) -> Verdict:
        """On the list itself."""
        if self.credentials is None:
            return Verdict(self.path, Finding.DAMAGED, f"Its credentials are damaged. {self.why}")
        verdict = Verdict.by_credentials(self.path, self.credentials)
        if not self.holds:
            return verdict
        count = len(self.digests)
        return replace(verdict, words=f"The signed list of {count} frame{'' if count == 1 else 's'}. {verdict.words}")

    def verdict_on(self, path: Path) -> Verdict | None:
        """On a file beside it; None where it says nothing of that file."""
        expected = self.digests.get(path.name)
        if not self.holds or self.credentials is None or not (expected or self._is_like_those_signed(path)):
            return None
        try:
            digest = file_digest(read_bounded(path, MAX_FRAME_BYTES))
        except FileNotFoundError:
            return Verdict(path, Finding.MISSING, f"It is missing: {self.path.name} names it.", self.credentials)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ELOOP):
                return Verdict.altered(path, self.credentials, "it is no frame's file any more.")
            return Verdict(path, Finding.UNREADABLE, f"It cannot be read: {error.strerror or error}.")
        if digest == expected:
            return Verdict.by_credentials(path, self.credentials)
        if (signed_as := self._names.get(digest)) is not None:
            why = f"it is what was signed as {signed_as}; frames were swapped, copied or renamed."
        elif expected is not None:
            why = f"it is not the file that {self.path.name} names."
        else:
            why = f"{self.path.name} does not name it; it was rendered, or put there, after that was signed."
            return Verdict(path, Finding.ALTERED, f"Added: {why}")
        return Verdict.altered(path, self.credentials, why)

    @cached_property
    def _names(self) -> dict[str, str]:
        return {digest: name for name, digest in self.digests.items()}

    @cached_property
    def _suffixes(self) -> frozenset[str]:
        return frozenset(Path(name).suffix for name in self.digests)

    def _is_like_those_signed(self, path: Path) -> bool:
        return path.suffix in self._suffixes and is_frame(path.name)
