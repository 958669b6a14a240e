# SPDX-License-Identifier: GPL-3.0-or-later
"""What `portrait camera` prints, a line of JSON at a time, and how these lines are read."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError, shortened
from portrait_shared.landmarks import LANDMARK_COUNT

VERSION: Final = 1
MAX_LINE_CHARACTERS: Final = 8000
"""Of one line, without its end; longer ones are refused before they are read."""
_MAX_SIDE: Final = 1 << 16
_FLOATS: Final = np.dtype("<f4")


@dataclass(frozen=True)
class CameraOpened:
    """The first line.

    Attributes:
        camera: its name.
        size: (width, height) of its pictures, pixels.
        fps: frames a second that it promises; 0 where it does not tell.
        detector: what finds the face.
    """

    camera: str
    size: tuple[int, int]
    fps: float
    detector: str


@dataclass(frozen=True, eq=False)
class CameraSeen:
    """One frame that was looked at.

    Attributes:
        seconds: when it was taken, of this machine's `time.monotonic`, the same for all processes.
        size: (width, height) of the picture, pixels.
        points: (70, 3) float32 pixels of the picture as the camera sees it, not mirrored; None where there is no face.
    """

    seconds: float
    size: tuple[int, int]
    points: np.ndarray | None


@dataclass(frozen=True)
class CameraEnded:
    """The last line: why nothing more comes. `code` is empty where all went well."""

    code: str
    message: str
    remedy: str = ""


def line_of(said: CameraOpened | CameraSeen | CameraEnded) -> str:
    """One line, without its end."""
    values: dict[str, Any]
    if isinstance(said, CameraOpened):
        values = {
            "version": VERSION,
            "camera": said.camera,
            "size": said.size,
            "fps": said.fps,
            "detector": said.detector,
        }
    elif isinstance(said, CameraSeen):
        values = {"seconds": round(said.seconds, 6), "size": said.size, "face": said.points is not None}
        if said.points is not None:
            values["points"] = base64.b64encode(said.points.astype(_FLOATS).tobytes()).decode("ascii")
    else:
        values = {"ended": said.code, "message": said.message, "remedy": said.remedy}
    return json.dumps(values, separators=(",", ":"))


def read_line(line: str) -> CameraOpened | CameraSeen | CameraEnded:
    """What a line tells.

    Raises:
        PortraitError: BAD_MESSAGE where it is not one of these; VERSION_MISMATCH.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise _bad("a line is too long")
    try:
        told = json.loads(line)
        if "ended" in told:
            return CameraEnded(_text(told["ended"]), _text(told["message"]), _text(told["remedy"]))
        size = _size(told["size"])
        if "version" in told:
            if told["version"] != VERSION:
                raise PortraitError(
                    ErrorCode.VERSION_MISMATCH, "`portrait camera` is of another release than this program.",
                    "Install the server and the extension of one release.",
                )  # fmt: skip
            return CameraOpened(_text(told["camera"]), size, _number(told["fps"]), _text(told["detector"]))
        return CameraSeen(_number(told["seconds"]), size, _points(told["points"]) if told["face"] is True else None)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, binascii.Error) as error:
        raise _bad(f"it says {shortened(line, 100)!r}") from error


def _points(text: Any) -> np.ndarray:
    points = np.frombuffer(base64.b64decode(_text(text), validate=True), _FLOATS).reshape(LANDMARK_COUNT, 3)
    if not np.isfinite(points).all():
        raise ValueError("not finite")
    return points.astype(np.float32)


def _size(value: Any) -> tuple[int, int]:
    width, height = value
    if not (type(width) is type(height) is int and 0 < width < _MAX_SIDE and 0 < height < _MAX_SIDE):
        raise ValueError("no size")
    return width, height


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError("no number")
    return float(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value


def _bad(why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_MESSAGE, f"`portrait camera` says what cannot be read: {why}.",
        "Install the server and the extension of one release.",
    )  # fmt: skip
