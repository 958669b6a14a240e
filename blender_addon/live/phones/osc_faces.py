# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces over Open Sound Control: the VMC protocol, Face Cap, and whoever sends ARKit's names as addresses.

Such apps spread one moment over many messages, often over many packets. A moment is whole when the app says so (VMC's
*Apply*), when its bundle ends, when all is there that was there last time, or when a value comes for the second time.
"""

from __future__ import annotations

import math
from typing import Final

from . import osc
from .face_packet import FacePacket, Gaze, angles, arkit_name, head_of_quaternion, weight

VMC: Final = "VMC protocol"
FACE_CAP: Final = "Face Cap"
GENERIC: Final = "OSC"

_FACE_CAP_NAMES: Final = (
    "browInnerUp", "browDownLeft", "browDownRight", "browOuterUpLeft", "browOuterUpRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "jawOpen", "jawForward", "jawLeft", "jawRight", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthRollUpper", "mouthRollLower", "mouthShrugUpper", "mouthShrugLower", "mouthClose",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthStretchLeft", "mouthStretchRight", "tongueOut",
)  # fmt: skip
"""The order of Face Cap's published list."""

_APPLY: Final = "/VMC/Ext/Blend/Apply"
_MAX_SECONDS: Final = 1e9


class OscFaces:
    """Reads the packets of one sender."""

    def __init__(self) -> None:
        self._gaze = Gaze()
        self._moment = _Moment()
        self._before: frozenset[str] = frozenset()
        self._applies = False
        self._weights: dict[str, float] = {}

    def read(self, data: bytes) -> list[FacePacket]:
        """The moments that a packet completes: mostly one or none.

        Raises:
            NotOsc: it cannot be read.
        """
        packet = osc.read(data)
        found: list[FacePacket] = []
        for message in packet.messages:
            part = _part(message)
            if part is None:
                continue
            again = part.key in self._moment.parts
            if again and (bool(part.weights) or not self._applies):
                self._end(found)
            self._moment.add(part)
            if part.key == _APPLY:
                self._applies = True
                self._end(found)
            elif not (packet.bundled or self._applies) and self._moment.parts == self._before:
                self._end(found)
        if packet.bundled and not self._applies and self._moment.parts:
            if self._moment.seconds is None:
                self._moment.seconds = packet.seconds
            self._end(found)
        return found

    def _end(self, found: list[FacePacket]) -> None:
        """Closes the moment, where it says anything of a face. What a moment leaves out stays as it was."""
        moment, self._moment = self._moment, _Moment()
        self._before = frozenset(moment.parts)
        head = moment.head_angles()
        if not moment.weights and head is None and not moment.eyes:
            return
        self._weights |= moment.weights
        weights = dict(self._weights)
        self._gaze.fill(weights, moment.eyes)
        found.append(FacePacket(moment.app, "", weights, head, moment.seconds))


class _Part:
    """One message, as far as it says anything of a face. `key` is the same for what cannot be said twice in a moment."""

    def __init__(self, key: str, app: str) -> None:
        self.key = key
        self.app = app
        self.weights: dict[str, float] = {}
        self.turns: dict[str, tuple[float, ...]] = {}
        self.eyes: dict[str, tuple[float, float]] = {}
        self.seconds: float | None = None


class _Moment:
    """What has come of one moment."""

    def __init__(self) -> None:
        self.parts: set[str] = set()
        self.app = GENERIC
        self.weights: dict[str, float] = {}
        self.turns: dict[str, tuple[float, ...]] = {}
        self.eyes: dict[str, tuple[float, float]] = {}
        self.seconds: float | None = None

    def add(self, part: _Part) -> None:
        self.parts.add(part.key)
        self.app = part.app if part.app != GENERIC else self.app
        self.weights |= part.weights
        self.turns |= part.turns
        self.eyes |= part.eyes
        self.seconds = self.seconds if part.seconds is None else part.seconds

    def head_angles(self) -> tuple[float, float, float] | None:
        """The head's angles; VMC's are those of the neck and, on it, of the head."""
        if "degrees" in self.turns:
            pitch, yaw, roll = (math.radians(angle) for angle in self.turns["degrees"])
            return angles(pitch, yaw, roll)
        turn: tuple[float, ...] | None = None
        for bone in ("Neck", "Head"):
            if bone in self.turns:
                turn = self.turns[bone] if turn is None else _product(turn, self.turns[bone])
        turn = self.turns.get("quaternion", turn)
        return None if turn is None else head_of_quaternion(turn[0], turn[1], turn[2], turn[3])


def _part(message: osc.Message) -> _Part | None:
    if message.address.startswith("/VMC/"):
        return _vmc(message)
    part = _face_cap(message)
    return _generic(message) if part is None else part


def _vmc(message: osc.Message) -> _Part | None:
    """https://protocol.vmc.info: names in any case (“perfect sync”), bones in Unity's axes, the time since its start."""
    part = _Part(message.address, VMC)
    if message.address == _APPLY:
        return part
    if message.address == "/VMC/Ext/T":
        seconds = message.floats(1)
        part.seconds = seconds[0] if seconds and 0 <= seconds[0] < _MAX_SECONDS else None
        return part if part.seconds is not None else None
    if not message.values or not isinstance(message.values[0], str):
        return None
    name = message.values[0]
    part.key = f"{message.address} {name}"
    if message.address == "/VMC/Ext/Blend/Val":
        numbers, control = message.floats(1, 1), arkit_name(name)
        return _weighed(part, control, numbers[0]) if numbers and control else None
    if message.address == "/VMC/Ext/Bone/Pos" and name in ("Head", "Neck", "LeftEye", "RightEye"):
        numbers = message.floats(4, 4)
        if not numbers or not all(map(math.isfinite, numbers)):
            return None
        # Unity's x is the person's own right, ARKit's the own left: what is left of a turn are the signs of two axes.
        turn = (numbers[0], -numbers[1], -numbers[2], numbers[3])
        if name.endswith("Eye"):
            looked = head_of_quaternion(*turn)
            part.eyes = {} if looked is None else {name.removesuffix("Eye"): looked[:2]}
        else:
            part.turns = {name: turn}
        return part
    return None


def _face_cap(message: osc.Message) -> _Part | None:
    """https://www.bannaflak.com/face-cap/livemode.html: degrees; right-handed, as ARKit's own."""
    part = _Part(message.address, FACE_CAP)
    if message.address == "/W":
        numbers = message.floats(2)
        if not numbers or not numbers[0].is_integer() or not 0 <= numbers[0] < len(_FACE_CAP_NAMES):
            return None
        part.key = f"/W {int(numbers[0])}"
        return _weighed(part, _FACE_CAP_NAMES[int(numbers[0])], numbers[1])
    if message.address == "/HR":
        numbers = message.floats(3)
        part.turns = {"degrees": numbers} if numbers else {}
        return part if part.turns else None
    if message.address == "/HRQ":
        numbers = message.floats(4)
        part.turns = {"quaternion": numbers} if numbers else {}
        return part if part.turns else None
    if message.address in ("/ELR", "/ERR"):
        numbers = message.floats(2)
        if not numbers or not all(map(math.isfinite, numbers)):
            return None
        side = "Left" if message.address == "/ELR" else "Right"
        part.eyes = {side: (math.radians(numbers[0]), math.radians(numbers[1]))}
        return part
    return None


def _generic(message: osc.Message) -> _Part | None:
    """An address that ends in one of ARKit's names, with a number from 0 to 1."""
    control, numbers = arkit_name(message.address.rpartition("/")[2]), message.floats(1)
    return _weighed(_Part(f"control {control}", GENERIC), control, numbers[0]) if control and numbers else None


def _weighed(part: _Part, control: str, value: float) -> _Part | None:
    found = weight(value)
    if found is None:
        return None
    part.weights = {control: found}
    return part


def _product(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, float, float, float]:
    """The turn `second` in what `first` has turned, as quaternions x, y, z, w."""
    ax, ay, az, aw = first
    bx, by, bz, bw = second
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
