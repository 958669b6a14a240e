# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tests/phone.py` sends: performances, and how each app writes a moment of one. Imports nothing of the project."""

from __future__ import annotations

import csv
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PORTS = {"live-link": 11111, "vmc": 39539, "face-cap": 8080, "osc": 9000, "facial-mocap": 49983, "facemotion": 49983}
FORMATS = tuple(PORTS)

_EYES = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
NAMES = (
    *(f"eye{name}{side}" for side in ("Left", "Right") for name in _EYES),
    "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
"""In the order of Live Link Face's packets."""

FACE_CAP_NAMES = [
    "browInnerUp",
    "browDownLeft",
    "browDownRight",
    "browOuterUpLeft",
    "browOuterUpRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "jawOpen",
    "jawForward",
    "jawLeft",
    "jawRight",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    "mouthRollUpper",
    "mouthRollLower",
    "mouthShrugUpper",
    "mouthShrugLower",
    "mouthClose",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "tongueOut",
]

ANGLES = ("headYaw", "headPitch", "headRoll", "leftEyeYaw", "leftEyePitch", "leftEyeRoll", "rightEyeYaw",
          "rightEyePitch", "rightEyeRoll")  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """A face as it is once.

    Attributes:
        seconds: of the phone's clock.
        weights: {ARKit name: 0 to 1}.
        angles: {one of ANGLES: radians}.
    """

    seconds: float
    weights: Mapping[str, float]
    angles: Mapping[str, float] = field(default_factory=dict)

    @property
    def head(self) -> tuple[float, float, float]:
        """Pitch, yaw, roll in radians."""
        return self.angles.get("headPitch", 0.0), self.angles.get("headYaw", 0.0), self.angles.get("headRoll", 0.0)


def made_performance(seconds: float, rate: float = 60.0, start: float = 0.0) -> list[Moment]:
    """Somebody who talks, blinks and looks about; no two moments are alike."""
    moments = []
    for number in range(round(seconds * rate)):
        t = number / rate
        blink = max(0.0, 1.0 - abs(t % 3.1 - 1.0) * 12)
        talk = 0.5 - 0.5 * math.cos(t * 2 * math.pi * 3.3)
        weights = dict.fromkeys(NAMES, 0.0) | {
            "eyeBlinkLeft": blink, "eyeBlinkRight": blink, "jawOpen": 0.6 * talk, "mouthFunnel": 0.3 * (1 - talk),
            "mouthSmileLeft": 0.2 + 0.2 * math.sin(t), "mouthSmileRight": 0.25 + 0.2 * math.sin(t),
            "browInnerUp": 0.3 + 0.3 * math.sin(0.7 * t), "eyeLookOutLeft": max(0.0, 0.4 * math.sin(0.9 * t)),
            "eyeLookInLeft": max(0.0, -0.4 * math.sin(0.9 * t)), "jawLeft": 0.05, "mouthRight": 0.1,
            "tongueOut": number % 1000 / 1000,
        }  # fmt: skip
        head = {
            "headPitch": 0.15 * math.sin(0.8 * t),
            "headYaw": 0.4 * math.sin(0.5 * t),
            "headRoll": 0.1 * math.sin(t),
        }
        moments.append(Moment(start + t, weights, dict.fromkeys(ANGLES, 0.0) | head))
    return moments


def recorded_performance(path: Path) -> list[Moment]:
    """A take of Live Link Face, at the times that its timecodes say (60 rows a second where they count no parts)."""
    by_name = {name.lower(): name for name in (*NAMES, *ANGLES)}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    header = [name.strip().lower() for name in rows[0]]
    moments = []
    for number, row in enumerate(rows[1:]):
        if len(row) != len(header):
            continue
        values = {by_name[name]: float(cell) for name, cell in zip(header, row, strict=True) if name in by_name}
        weights = {name: value for name, value in values.items() if name in NAMES}
        turned = {name: value for name, value in values.items() if name in ANGLES}
        moments.append(Moment(_seconds(row[header.index("timecode")], number), weights, turned))
    return moments


def _seconds(timecode: str, number: int) -> float:
    match = re.fullmatch(r"(\d+)[:;](\d+)[:;](\d+)[:;](\d+)[.,](\d+)", timecode.strip())
    if match is None:
        return number / 60
    hours, minutes, seconds, frames = (int(part) for part in match.groups()[:4])
    return hours * 3600 + minutes * 60 + seconds + (frames + float(f"0.{match.group(5)}")) / 60


def live_link(moment: Moment, subject: str = "iPhone", rate: tuple[int, int] = (60, 1), count: int = 61) -> bytes:
    """A packet of version 6; `count` says how many of the 61 values it has."""
    frame = moment.seconds * rate[0] / rate[1]
    whole = math.floor(frame + 1e-6)
    values = [moment.weights.get(name, 0.0) for name in NAMES] + [moment.angles.get(name, 0.0) for name in ANGLES]
    device, name = b"A1B2C3D4-0000-1111-2222-333344445555", subject.encode()
    return (
        struct.pack(">B", 6)
        + struct.pack(f">i{len(device)}s", len(device), device)
        + struct.pack(f">i{len(name)}s", len(name), name)
        + struct.pack(">ifii", whole, max(frame - whole, 0.0), *rate)
        + struct.pack(f">B{count}f", count, *values[:count])
    )


def osc_message(address: str, *values: float | int | str) -> bytes:
    """A message of Open Sound Control: floats, whole numbers and texts."""
    tags = "".join("s" if isinstance(v, str) else "i" if isinstance(v, int) else "f" for v in values)
    body = b"".join(
        _padded(v.encode()) if isinstance(v, str) else struct.pack(">i" if isinstance(v, int) else ">f", v)
        for v in values
    )
    return _padded(address.encode()) + _padded(f",{tags}".encode()) + body


def osc_bundle(messages: Sequence[bytes], stamp: int = 1) -> bytes:
    """Messages of one moment; 1 is “immediately”."""
    parts = b"".join(struct.pack(">i", len(message)) + message for message in messages)
    return b"#bundle\0" + struct.pack(">Q", stamp) + parts


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def vmc_messages(moment: Moment) -> list[bytes]:
    """What a VMC sender with “perfect sync” says of one moment."""
    x, y, z, w = _quaternion(*moment.head)
    return [
        osc_message("/VMC/Ext/OK", 1),
        osc_message("/VMC/Ext/T", moment.seconds),
        osc_message("/VMC/Ext/Root/Pos", "root", *([0.0] * 6), 1.0),
        osc_message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, x, -y, -z, w),  # Unity's axes
        *(
            osc_message("/VMC/Ext/Blend/Val", name[0].upper() + name[1:], value)
            for name, value in moment.weights.items()
        ),
        osc_message("/VMC/Ext/Blend/Apply"),
    ]


def _quaternion(pitch: float, yaw: float, roll: float) -> tuple[float, float, float, float]:
    """x, y, z, w of a roll about z, then a pitch about x, then a yaw about y."""
    sx, cx, sy, cy = math.sin(pitch / 2), math.cos(pitch / 2), math.sin(yaw / 2), math.cos(yaw / 2)
    sz, cz = math.sin(roll / 2), math.cos(roll / 2)
    return (
        cy * sx * cz + sy * cx * sz,
        sy * cx * cz - cy * sx * sz,
        cy * cx * sz - sy * sx * cz,
        cy * cx * cz + sy * sx * sz,
    )


def face_cap_messages(moment: Moment) -> list[bytes]:
    """What Face Cap says of one moment, each a packet of its own."""
    degrees = [math.degrees(angle) for angle in moment.head]
    eyes = [
        osc_message(address, *(math.degrees(moment.angles.get(f"{side}Eye{turn}", 0.0)) for turn in ("Pitch", "Yaw")))
        for address, side in (("/ELR", "left"), ("/ERR", "right"))
    ]
    weights = [osc_message("/W", number, moment.weights.get(name, 0.0)) for number, name in enumerate(FACE_CAP_NAMES)]
    return [osc_message("/HT", 0.0, 0.0, -0.4), osc_message("/HR", *degrees), *eyes, *weights]


def facial_mocap(moment: Moment, facemotion: bool = False) -> bytes:
    """A line of iFacialMocap's first version, or of Facemotion3d."""
    mark = "&" if facemotion else "-"
    parts = []
    for name, value in moment.weights.items():
        short = re.sub("Left$", "_L", re.sub("Right$", "_R", name)) if len(name) > 10 else name
        parts.append(f"{name if facemotion else short}{mark}{round(100 * value)}")
    head = ",".join(f"{math.degrees(angle):.6f}" for angle in moment.head)
    turns = {side: [math.degrees(moment.angles.get(f"{side}Eye{turn}", 0.0)) for turn in ("Pitch", "Yaw", "Roll")]
             for side in ("right", "left")}  # fmt: skip
    eyes = [f"{side}Eye#{','.join(f'{angle:.6f}' for angle in turn)}" for side, turn in turns.items()]
    extra = ["FM_SAD&0"] if facemotion else []
    return "|".join([*parts, *extra, f"=head#{head},0.0,0.0,-0.5", *eyes, ""]).encode()


def packets_of(name: str, moment: Moment, subject: str = "iPhone") -> list[bytes]:
    """One moment in a format of `FORMATS`."""
    if name == "live-link":
        return [live_link(moment, subject)]
    if name == "vmc":
        return [osc_bundle(vmc_messages(moment))]
    if name == "face-cap":
        return face_cap_messages(moment)
    if name == "osc":
        return [osc_bundle([osc_message(f"/face/{key}", value) for key, value in moment.weights.items()])]
    return [facial_mocap(moment, facemotion=name == "facemotion")]
