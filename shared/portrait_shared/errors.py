# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that crosses rooms: a stable code, a sentence for a person, and what would fix it."""

from __future__ import annotations

from enum import StrEnum


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
    SCENE = "scene"
    INTERNAL = "internal"


class PortraitError(Exception):
    """Something a person can mend.

    Attributes:
        code: which kind of failure, stable between releases.
        message: one sentence, what is wrong.
        remedy: one sentence, what to do about it; may be empty when nothing can be done.
    """

    def __init__(self, code: ErrorCode, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = ErrorCode(code)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()
