# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of Live Link Face (and of programs that send like it), as Unreal's open AppleARKit plug-in reads them.

A byte for the version, 6; the device's and the subject's name, each a length of 4 bytes and its letters; the time as
frame number, part of a frame, and the rate's two numbers; a count of values, 61; the values. All big-endian.
"""

from __future__ import annotations

import struct
from typing import Final

from ...rig.blendshapes import ARKIT_NAMES
from .face_packet import FacePacket, Gaze, angles, plain_name, weight

APP: Final = "Live Link Face"
VERSION: Final = 6
_MAX_NAME_BYTES: Final = 256  # as in the plug-in
_TIME: Final = struct.Struct(">ifii")
_MAX_RATE: Final = 1000.0
_DAY_SECONDS: Final = 86_400

# The plug-in's order differs from that of recordings (ARKIT_NAMES) in these two pairs.
_SWAPPED: Final = {"jawRight": "jawLeft", "jawLeft": "jawRight", "mouthRight": "mouthLeft", "mouthLeft": "mouthRight"}
NAMES: Final = tuple(_SWAPPED.get(name, name) for name in ARKIT_NAMES)
"""The 52 controls in the order of a packet."""

ANGLES: Final = (
    "headYaw", "headPitch", "headRoll", "leftEyeYaw", "leftEyePitch", "leftEyeRoll", "rightEyeYaw", "rightEyePitch",
    "rightEyeRoll",
)  # fmt: skip
"""What follows them: radians, as in recordings."""


class NotLiveLink(Exception):
    """It is no packet of Live Link Face; the text says what speaks against it."""


class LiveLinkFace:
    """Reads the packets of one sender."""

    def __init__(self) -> None:
        self._gaze = Gaze()

    def read(self, data: bytes) -> FacePacket:
        """One packet. Fewer values than 61 are those at the beginning of the list; none at all is a sign of life.

        Raises:
            NotLiveLink: it cannot be read.
        """
        if not data or data[0] < VERSION:
            raise NotLiveLink(f"version {data[0]}" if data else "empty")
        at = 1
        _device, at = _name(data, at)
        subject, at = _name(data, at)
        sender = plain_name(subject)
        if at == len(data):
            return FacePacket(APP, sender, sees_face=False)
        if at + _TIME.size > len(data):
            raise NotLiveLink("cut off in its time")
        seconds, timecode, days = _time(*_TIME.unpack_from(data, at))
        at += _TIME.size
        count = data[at] if at < len(data) else 0
        at += 1
        if not count:
            return FacePacket(APP, sender, seconds=seconds, timecode=timecode, days=days, sees_face=False)
        if at + 4 * count > len(data):
            raise NotLiveLink("cut off in its values")
        values = struct.unpack_from(f">{count}f", data, at)
        weights = {}
        for name, value in zip(NAMES, values, strict=False):
            found = weight(value)
            if found is not None:
                weights[name] = found
        turned = dict(zip(ANGLES, values[len(NAMES) :], strict=False))
        if len(turned) == len(ANGLES):
            eyes = {side: (turned[f"{side.lower()}EyePitch"], turned[f"{side.lower()}EyeYaw"]) for side in _SIDES}
            self._gaze.fill(weights, eyes)
        head = angles(turned["headPitch"], turned["headYaw"], turned["headRoll"]) if len(turned) >= 3 else None
        return FacePacket(APP, sender, weights, head, seconds, timecode, days)


_SIDES: Final = ("Left", "Right")


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A text and where it ends."""
    if at + 4 > len(data):
        raise NotLiveLink("cut off in a name")
    (length,) = struct.unpack_from(">i", data, at)
    end = at + 4 + length
    if not 0 <= length <= _MAX_NAME_BYTES or end > len(data):
        raise NotLiveLink("a name of no sensible length")
    return data[at + 4 : end].decode("utf-8", "replace"), end


def _time(frame: int, part: float, numerator: int, denominator: int) -> tuple[float | None, str, tuple[float, ...]]:
    """Seconds, timecode, and how long a day of this clock may be; None and nothing for no sensible time."""
    if numerator <= 0 or denominator <= 0 or not 0.0 <= part < 2.0:
        return None, "", ()
    rate = numerator / denominator
    if frame < 0 or not 1.0 <= rate <= _MAX_RATE:
        return None, "", ()
    nominal = round(rate)
    drops = denominator == 1001 and nominal % 30 == 0
    # A timecode without drop runs longer than a day at 29.97; which of the two a count of frames is, it does not say.
    days = {nominal * _DAY_SECONDS / rate}
    if drops:
        days.add((nominal * _DAY_SECONDS - nominal // 15 * (1440 - 144)) / rate)
    return (frame + part) / rate, _timecode(frame, part, nominal, drops), tuple(sorted(days))


def _timecode(frame: int, part: float, nominal: int, drops: bool) -> str:
    """As recordings have it; counts of 29.97 and 59.94 are written as drop-frame, which keeps to the clock."""
    label = frame
    if drops:  # SMPTE ST 12-1: the first numbers of each minute but every tenth are skipped
        skipped = nominal // 15
        tens, rest = divmod(frame, 600 * nominal - 9 * skipped)
        minutes = 0 if rest < 60 * nominal else 1 + (rest - 60 * nominal) // (60 * nominal - skipped)
        label = frame + skipped * (9 * tens + minutes)
    seconds, number = divmod(label, nominal)
    last = ";" if drops else ":"
    thousandths = min(int(part % 1.0 * 1000), 999)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{last}{number:02d}.{thousandths:03d}"
