# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that crosses rooms: a stable code, a sentence for a person, and what would fix it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final

MESSAGE_CHARACTERS: Final = 400
REMEDY_CHARACTERS: Final = 1200
"""More than a message's, because a remedy may quote the last lines of a log."""
SYSTEM_REMEDY: Final = "Check that path, its disk, and that you may read and write there; then run it again."
"""What to do about a `system_refusal`."""
_FEW_VALUES = 8
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line feeds, and those that turn the direction of writing."""


class ErrorCode(StrEnum):
    """Stable names that scripts may test for. They are part of the protocol: add, never rename."""

    BAD_IMAGE = "bad_image"
    BAD_AUDIO = "bad_audio"
    IMAGE_TOO_LARGE = "image_too_large"
    NO_FACE = "no_face"
    NO_SUCH_FACE = "no_such_face"
    BAD_CONFIGURATION = "bad_configuration"
    BAD_TRACK = "bad_track"
    BAD_POINTS = "bad_points"
    SIZE_MISMATCH = "size_mismatch"
    UNKNOWN_ENGINE = "unknown_engine"
    UNKNOWN_DETECTOR = "unknown_detector"
    WEIGHTS_MISSING = "weights_missing"
    BAD_WEIGHTS = "bad_weights"
    UNKNOWN_REFERENCE = "unknown_reference"
    UNKNOWN_PORTRAIT = "unknown_portrait"
    DEVICE_UNAVAILABLE = "device_unavailable"
    BAD_MESSAGE = "bad_message"
    VERSION_MISMATCH = "version_mismatch"
    SERVER_UNAVAILABLE = "server_unavailable"
    SERVER_LOST = "server_lost"
    SERVER_STOPPING = "server_stopping"
    NOT_ALLOWED = "not_allowed"
    BUSY = "busy"
    CANCELLED = "cancelled"
    OUTPUT_NOT_WRITABLE = "output_not_writable"
    DISK_FULL = "disk_full"
    FILE_MISSING = "file_missing"
    SIGNING_FAILED = "signing_failed"
    LIVE_UNAVAILABLE = "live_unavailable"
    SCENE = "scene"
    INTERNAL = "internal"


class PortraitError(Exception):
    """Something a person can mend.

    Attributes:
        code: which kind of failure, stable between releases.
        message: one sentence, what is wrong; shortened to `MESSAGE_CHARACTERS`, whatever a damaged file made of it.
        remedy: one sentence, what to do about it; may be empty when nothing can be done.
    """

    def __init__(self, code: ErrorCode, message: str, remedy: str = "") -> None:
        self.code = ErrorCode(code)
        self.message = shortened(message, MESSAGE_CHARACTERS)
        self.remedy = shortened(remedy, REMEDY_CHARACTERS)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


def shortened(text: str, limit: int) -> str:
    """A `legible` text of at most `limit` characters, without its middle where it was longer. Lone surrogates, as in a file's
    name that is not UTF-8, become question marks."""
    text = legible(text.encode("utf-8", "replace").decode())
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]} … {text[len(text) - (limit - head - 3) :]}"


def legible(text: str) -> str:
    """A text that says what it seems to say: what would move a terminal's cursor or turn the direction of writing, as in
    names and files of others, becomes question marks."""
    return _COMMANDS.sub("?", text)


def system_refusal(error: OSError) -> str:
    """What the system has refused, in one short sentence."""
    what = error.strerror or str(error) or type(error).__name__
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return shortened(f"{names}: {what}." if names else f"{what}.", MESSAGE_CHARACTERS)


def first_line(error: BaseException) -> str:
    """What another library's error says, in a line without its stop; the error's name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def described(value: Any) -> str:
    """A value for a message: itself where it is small, else what kind of thing it is."""
    import numpy as np  # here, because Blender loads this module as it starts (`blender_addon/startup.py`), and numpy later

    if isinstance(value, np.ndarray):
        if value.size <= _FEW_VALUES and value.dtype.kind in "biufc":
            return shortened(repr(value.tolist()), 100)
        return f"an array of {shortened(str(value.dtype), 40)} with shape {shortened(str(value.shape), 60)}"
    if isinstance(value, (str, bytes, int, float, bool, type(None))):
        return shortened(repr(value[:100] if isinstance(value, (str, bytes)) else value), 100)
    return f"a {type(value).__name__}"
