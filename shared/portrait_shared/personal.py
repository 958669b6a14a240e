# SPDX-License-Identifier: GPL-3.0-or-later
"""A personal file: what tuning to one person has changed, to be rendered with (`Client.prepare`)."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.safetensors_header import read_header
from portrait_shared.files.whole_files import read_bounded, write_whole

PERSONAL_FORMAT: Final = "talking-portraits personal"
MAX_PERSONAL_BYTES: Final = 64_000_000
"""Some hundred times what tuning the largest networks makes."""


@dataclass(frozen=True, eq=False)
class PersonalFile:
    """The content of a personal file: safetensors.

    Raises:
        PortraitError: BAD_WEIGHTS for anything else. What its tensors hold is checked where they are used.
    """

    content: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", bytes(self.content))
        if (why := _what_is_wrong(self.content)) is not None:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS, f"The personal file {why}.", "Make the file again with `portrait adapt`."
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def load(cls, path: Path) -> PersonalFile:
        """Raises: PortraitError: FILE_MISSING; BAD_WEIGHTS."""
        try:
            content = read_bounded(path, MAX_PERSONAL_BYTES)
        except OSError as error:
            code = ErrorCode.BAD_WEIGHTS if error.errno == errno.EFBIG else ErrorCode.FILE_MISSING
            raise PortraitError(
                code, f"The personal file {path} cannot be read: {error.strerror}.", "Make it with `portrait adapt`."
            ) from error
        return cls(content)

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all. Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
        write_whole(path, self.content)


@dataclass(frozen=True, eq=False)
class TunedPerson:
    """What tuning came to.

    Attributes:
        personal: what to render with.
        kept: whether any tuned state was surely better than none; else `personal` changes nothing.
        step: after how many steps that state was reached; 0 where none was kept.
        before, after: figures of the untuned painters and of what is kept, by crops that had no part in choosing it: mean
            absolute errors from 0 to 1 of `mouth` and `eyes`, and of what their lips and lids open, `mouth_opening` and
            `eyes_opening`; `score`, the mean of these; `structure`, 1 − SSIM, and `softness`, the share of the photographs'
            gradients that is missing.
    """

    personal: PersonalFile
    kept: bool
    step: int
    before: Mapping[str, float]
    after: Mapping[str, float]


def _what_is_wrong(content: bytes) -> str | None:
    """Why a content is no safetensors file of ours, None where it looks like one."""
    if len(content) > MAX_PERSONAL_BYTES:
        return f"is larger than {MAX_PERSONAL_BYTES // 10**6} MB"
    try:
        header = read_header(content)
    except ValueError as error:
        return f"is damaged, or no safetensors file: {error}"
    if header.metadata.get("format") != PERSONAL_FORMAT:
        return "was not made by `portrait adapt`"
    return None
