# SPDX-License-Identifier: GPL-3.0-or-later
"""What `portrait controls` prints, a line of JSON at a time, and how these lines are read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError, shortened

VERSION: Final = 1
MAX_LINE_CHARACTERS: Final = 8000
"""Of one line, without its end; longer ones are refused before they are read."""
NAME_CHARACTERS: Final = 100
"""Of a device or a control, at most."""
MAX_MOVED: Final = 64
"""Controls in one line, at most."""
MIDI: Final = "midi"
PAD: Final = "pad"
_SIGNED: Final = ("pitch bend", "left x", "left y", "right x", "right y", "axis ", "hat ")
_KEYS: Final = ("note ", "button ", "pad ", "paddle ")
_KEY_NAMES: Final = frozenset(
    ("a", "b", "x", "y", "back", "guide", "start", "left stick", "right stick", "left shoulder", "right shoulder", "misc",
     "touchpad")
)  # fmt: skip


@dataclass(frozen=True)
class ControlsBegun:
    """The first line."""

    version: int = VERSION


@dataclass(frozen=True)
class ControlDevice:
    """A device that is there now, or is not any more.

    Attributes:
        device: its name; of several with one name the second is called “… 2”.
        kind: `MIDI` or `PAD`.
        here: whether it is heard; else it was unplugged.
    """

    device: str
    kind: str
    here: bool = True


@dataclass(frozen=True)
class ControlsMoved:
    """What was moved on one device, each with where it is now.

    Attributes:
        device: as `ControlDevice` tells it.
        seconds: when it was heard, of this machine's `time.monotonic`, the same for all processes.
        values: {control: 0 to 1, or -1 to 1 of those that `is_signed` names}. Up and right are above 0.
    """

    device: str
    seconds: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class ControlsTold:
    """What cannot be heard, and what to do about it; all else goes on."""

    message: str
    remedy: str


ControlLine = ControlsBegun | ControlDevice | ControlsMoved | ControlsTold


def is_signed(control: str) -> bool:
    """Whether a control rests in the middle of -1 to 1, as sticks do; else it goes from 0 to 1."""
    return control.startswith(_SIGNED)


def is_key(control: str) -> bool:
    """Whether a control is pressed and let go, rather than moved."""
    return control.startswith(_KEYS) or control in _KEY_NAMES


def line_of(said: ControlLine) -> str:
    """One line, without its end."""
    values: dict[str, Any]
    if isinstance(said, ControlsBegun):
        values = {"version": said.version}
    elif isinstance(said, ControlDevice):
        values = {"device": said.device, "kind": said.kind, "here": said.here}
    elif isinstance(said, ControlsMoved):
        moved = {name: round(value, 4) for name, value in said.values.items()}
        values = {"device": said.device, "seconds": round(said.seconds, 6), "moved": moved}
    else:
        values = {"message": said.message, "remedy": said.remedy}
    return json.dumps(values, separators=(",", ":"))


def read_line(line: str) -> ControlLine:
    """What a line tells.

    Raises:
        PortraitError: BAD_MESSAGE where it is not one of these; VERSION_MISMATCH.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise _bad("a line is too long")
    try:
        told = json.loads(line)
        if "version" in told:
            if told["version"] != VERSION:
                raise PortraitError(
                    ErrorCode.VERSION_MISMATCH, "`portrait controls` is of another release than this program.",
                    "Install the server and the extension of one release.",
                )  # fmt: skip
            return ControlsBegun()
        if "message" in told:
            return ControlsTold(_text(told["message"]), _text(told["remedy"]))
        if "moved" in told:
            return ControlsMoved(_name(told["device"]), _number(told["seconds"], 0, math.inf), _moved(told["moved"]))
        if type(told["here"]) is not bool:
            raise TypeError("neither there nor not")
        return ControlDevice(_name(told["device"]), _name(told["kind"]), told["here"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _bad(f"it says {shortened(line, 100)!r}") from error


def _moved(values: Any) -> dict[str, float]:
    if not 0 < len(values) <= MAX_MOVED:
        raise ValueError("nothing, or too much")
    return {_name(name): _number(value, -1 if is_signed(name) else 0, 1) for name, value in values.items()}


def _number(value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError("no such number")
    return float(value)


def _name(value: Any) -> str:
    if not 0 < len(_text(value)) <= NAME_CHARACTERS:
        raise ValueError("no name")
    return str(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value


def _bad(why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_MESSAGE, f"`portrait controls` says what cannot be read: {why}.",
        "Install the server and the extension of one release.",
    )  # fmt: skip
