# SPDX-License-Identifier: GPL-3.0-or-later
"""What one packet of any app says about a face, and what apps have in common: names, bounds, gaze from eye angles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ...rig.blendshapes import ARKIT_NAMES

NAME_CHARACTERS: Final = 40
"""A longer name of a phone is cut."""

_GAZE_FULL_RADIANS: Final = math.radians(30.0)  # an eye turned so far is at ARKit's weight 1, as in recordings
_ARKIT_BY_LETTERS: Final = {name.lower(): name for name in ARKIT_NAMES}


@dataclass(frozen=True)
class FacePacket:
    """One moment of a face, as an app sent it.

    Attributes:
        app: which app or protocol it is, as its users call it.
        sender: the phone's or the performer's name, "" where the app tells none.
        weights: {ARKit name: 0 to 1}.
        head: pitch, yaw, roll in radians: right-handed turns about ARKit's x (the person's own left), y (up) and z (out
            of the face), the roll first, as the head handle's x, y, z; None where none was sent.
        seconds: the sender's own clock; None where it tells none.
        timecode: `HH:MM:SS:FF.FFF`, or with `;FF` where the count skips numbers; "" where there is none.
        days: the lengths, in seconds, that a day of this clock may have: at its end the clock begins at 0 again.
        sees_face: False for a sign of life of a phone that sees no face.
    """

    app: str
    sender: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    head: tuple[float, float, float] | None = None
    seconds: float | None = None
    timecode: str = ""
    days: tuple[float, ...] = ()
    sees_face: bool = True


def arkit_name(name: str) -> str | None:
    """ARKit's name for one written in any case, with `_L` and `_R` or with spaces; None for what is none of the 52."""
    return _arkit_name(name) if len(name) <= NAME_CHARACTERS else None


@lru_cache(maxsize=512)
def _arkit_name(name: str) -> str | None:
    letters = name.strip().lower()
    for short, side in (("_l", "left"), ("_r", "right")):
        if letters.endswith(short):
            letters = letters.removesuffix(short) + side
    return _ARKIT_BY_LETTERS.get(letters.replace("_", "").replace(" ", ""))


def weight(value: float) -> float | None:
    """A control's value, clipped to 0 … 1; None for what is no number."""
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else None


def angles(pitch: float, yaw: float, roll: float) -> tuple[float, float, float] | None:
    """Three angles in radians, each brought to -π … π; None where one is no number, or is no angle of a head."""
    turned = (pitch, yaw, roll)
    if not all(math.isfinite(angle) and abs(angle) <= 4 * math.pi for angle in turned):
        return None
    first, second, third = (math.remainder(angle, math.tau) for angle in turned)
    return first, second, third


def plain_name(text: str) -> str:
    """A name that came from outside: printable, without ends of lines, not long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * NAME_CHARACTERS])
    return " ".join(shown.split())[:NAME_CHARACTERS].strip()


def head_of_quaternion(x: float, y: float, z: float, w: float) -> tuple[float, float, float] | None:
    """Pitch, yaw, roll (radians, see `FacePacket.head`) of a turn in ARKit's axes; None for what is none."""
    length = math.sqrt(x * x + y * y + z * z + w * w) if max(map(abs, (x, y, z, w)), default=0.0) < 1e6 else 0.0
    if not math.isfinite(length) or length < 1e-3:
        return None
    x, y, z, w = x / length, y / length, z / length, w / length
    # The turn is roll, then pitch, then yaw: R = Ry Rx Rz; R12 = -sin(pitch), R02 and R22 hold the yaw, R10, R11 the roll.
    sine = min(max(2 * (w * x - y * z), -1.0), 1.0)
    if abs(sine) > 0.999999:
        return math.copysign(math.pi / 2, sine), math.atan2(2 * (w * y - x * z), 1 - 2 * (y * y + z * z)), 0.0
    yaw = math.atan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    roll = math.atan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return math.asin(sine), yaw, roll


class Gaze:
    """Gaze from the eyes' angles, of a sender that leaves ARKit's gaze controls at 0 or out."""

    def __init__(self) -> None:
        self._sent: set[str] = set()

    def fill(self, weights: dict[str, float], eyes: Mapping[str, tuple[float, float]]) -> None:
        """Adds gaze controls of each eye for which the sender never sent one that is not 0.

        Args:
            weights: of a packet; changed.
            eyes: {"Left" or "Right": (pitch, yaw)} in radians; ARKit's axes: down and to the person's own left are
                positive.
        """
        for side, inward in (("Left", -1.0), ("Right", 1.0)):
            names = [f"eyeLook{way}{side}" for way in ("In", "Out", "Down", "Up")]
            if any(weights.get(name) for name in names):
                self._sent.add(side)
            if side in self._sent or side not in eyes:
                continue
            pitch, yaw = (angle / _GAZE_FULL_RADIANS for angle in eyes[side])
            for name, value in zip(names, (inward * yaw, -inward * yaw, pitch, -pitch), strict=True):
                found = weight(value)
                if found is not None:
                    weights[name] = found
