# SPDX-License-Identifier: GPL-3.0-or-later
"""iFacialMocap and Facemotion3d: a line of text for each moment, as their makers publish it for developers.

`jawOpen-12|eyeBlink_L-7|…|=head#-21.5,-6.0,-6.6,-0.03,-0.10,-0.66|rightEye#6.0,2.4,0.3|leftEye#6.0,-1.7,-0.2|`: controls
from 0 to 100, with `&` for `-` in their second version; angles in degrees about ARKit's axes, the head's place behind.
The apps begin to send when they were asked, or to an address that was typed into them.
"""

from __future__ import annotations

import math
from typing import Final

from .face_packet import FacePacket, Gaze, angles, arkit_name, weight

MOCAP: Final = "iFacialMocap"
MOTION: Final = "Facemotion3d"
PORT: Final = 49983
"""Where the apps send to, and where iFacialMocap listens."""

_MOTION_PORT: Final = 49993
_MAX_PARTS: Final = 256
_MAX_NUMBER_LETTERS: Final = 24

HELLOS: Final = (
    (PORT, b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719|sendDataVersion=v2"),
    (_MOTION_PORT, b"FACEMOTION3D_OtherStreaming"),
)
"""(The port on the phone, what asks it to send)."""


class NotFacialMocap(Exception):
    """It is no line of these apps."""


class FacialMocap:
    """Reads the packets of one sender."""

    def __init__(self) -> None:
        self._gaze = Gaze()

    def read(self, data: bytes) -> FacePacket:
        """One packet.

        Raises:
            NotFacialMocap: it cannot be read.
        """
        try:
            parts = data.decode("ascii").split("|", _MAX_PARTS)
        except UnicodeDecodeError:
            raise NotFacialMocap("not plain text") from None
        if len(parts) > _MAX_PARTS:
            raise NotFacialMocap("too many parts")
        weights: dict[str, float] = {}
        turns: dict[str, tuple[float, ...]] = {}
        app, sees_face = MOCAP, True
        for part in parts:
            name, separator, numbers = part.strip().lstrip("=").partition("#")
            if separator:
                turns[name] = tuple(_number(number) for number in numbers.split(",")[:6])
                continue
            mark = "&" if "&" in part else "-"
            name, separator, number = part.partition(mark)
            app = MOTION if name.startswith("FM_") else app
            if name == "trackingStatus":
                sees_face = number != "0"
            control, value = arkit_name(name), weight(_number(number) / 100) if separator else None
            if control is not None and value is not None:
                weights[control] = value
        if not weights and "head" not in turns:
            raise NotFacialMocap("none of its names")
        if not sees_face:
            return FacePacket(app, sees_face=False)
        eyes = {}
        for side in ("Left", "Right"):
            eye = turns.get(f"{side.lower()}Eye", ())
            if len(eye) >= 2 and all(map(math.isfinite, eye[:2])):
                eyes[side] = (math.radians(eye[0]), math.radians(eye[1]))
        self._gaze.fill(weights, eyes)
        head = turns.get("head", ())
        return FacePacket(app, "", weights, angles(*map(math.radians, head[:3])) if len(head) >= 3 else None)


def _number(text: str) -> float:
    """A number, or one that is none: `nan`."""
    try:
        return float(text) if len(text) <= _MAX_NUMBER_LETTERS else math.nan
    except ValueError:
        return math.nan
