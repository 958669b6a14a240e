# SPDX-License-Identifier: GPL-3.0-or-later
"""Which app a packet is from, told by the packet itself."""

from __future__ import annotations

from typing import Final

from .face_packet import FacePacket
from .facial_mocap import MOCAP, MOTION, PORT, FacialMocap, NotFacialMocap
from .live_link_face import APP, VERSION, LiveLinkFace, NotLiveLink
from .osc import NotOsc
from .osc_faces import FACE_CAP, GENERIC, VMC, OscFaces

MAX_BYTES: Final = 16_384
"""A longer packet is none: Live Link Face sends some 320 bytes, iFacialMocap 1,000, a body over VMC 8,000."""

DEFAULT_PORTS: Final = {APP: 11111, MOCAP: PORT, MOTION: PORT, VMC: 39539, FACE_CAP: 8080, GENERIC: 9000}
"""{app or protocol: the port that it sends to unless told otherwise}."""


class NotUnderstood(Exception):
    """A packet of no format that is known; the text says what it looks like."""


class Decoder:
    """Reads what one sender sends, whatever it is."""

    def __init__(self) -> None:
        self._live_link = LiveLinkFace()
        self._osc = OscFaces()
        self._mocap = FacialMocap()

    def read(self, data: bytes) -> list[FacePacket]:
        """The moments that a packet completes, none where it is a part of one.

        Raises:
            NotUnderstood: it is nothing that is known.
        """
        if len(data) > MAX_BYTES:
            raise NotUnderstood("a packet that is too long")
        try:
            if data[:1] in (b"/", b"#"):
                return self._osc.read(data)
            if data[:1] < b"\t":
                return [self._live_link.read(data)]
            return [self._mocap.read(data)]
        except NotLiveLink as error:
            if 1 <= data[0] < VERSION if data else False:
                raise NotUnderstood(f"an older {APP} ({error})") from None
            raise NotUnderstood(f"no packet of {APP} ({error})") from None
        except NotOsc as error:
            raise NotUnderstood(f"no Open Sound Control ({error})") from None
        except NotFacialMocap as error:
            raise NotUnderstood(f"no text of {MOCAP} ({error})") from None
