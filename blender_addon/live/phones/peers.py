# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is heard: the phone that was chosen, or the first from near by that sends a face; all others are only named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .addresses import is_near
from .face_packet import FacePacket
from .formats import Decoder, NotUnderstood
from .stream import Counts, Stream

_MAX_OTHERS: Final = 8
_LOOK_SECONDS: Final = 0.5
_LOOKS_A_SECOND: Final = 500.0
_LOOKS_BESIDE: Final = 20.0
_FORGET_SECONDS: Final = 10.0


@dataclass
class Other:
    """Somebody who sends and is not heard.

    Attributes:
        address: theirs.
        name, app: what they call themselves, "" where they did not say, or sent nothing that is understood.
        last, looked: when they sent, and when it was last looked at what; seconds of our clock.
        strange: what their packets look like, where none was understood.
    """

    address: str
    last: float
    looked: float = float("-inf")
    name: str = ""
    app: str = ""
    strange: str = ""
    decoder: Decoder = field(default_factory=Decoder)

    @property
    def title(self) -> str:
        """What a button says."""
        return f"{self.name or self.app or 'Phone'} ({self.address})"


class Peers:
    """Decides packet by packet. Not for several threads at once.

    Attributes:
        chosen: the address that alone is heard, "" as long as there is none.
        stream: what it sends; None as long as nobody is heard.
    """

    def __init__(self, counts: Counts, chosen: str = "") -> None:
        self.chosen = chosen
        self.stream = Stream(counts) if chosen else None
        self._counts = counts
        self._others: dict[str, Other] = {}
        self._looks, self._looks_at = _LOOKS_BESIDE, 0.0

    def receive(self, address: str, data: bytes, now: float) -> bool:
        """Takes a packet; whether it came from the one who is heard."""
        if self.stream is not None and address == self.chosen:
            try:
                self.stream.receive(data, now)
            except NotUnderstood:
                return True
            return True
        self._look_at(address, data, now)
        if self.stream is not None and address == self.chosen:
            return True
        self._counts.strangers += 1
        return False

    def choose(self, address: str) -> None:
        """Hears this one from now on, and nobody else."""
        other = self._others.pop(address, None)
        if address == self.chosen:
            return
        self.chosen = address
        self.stream = Stream(self._counts)
        if other is not None:
            self.stream.name, self.stream.app = other.name, other.app

    def others(self, now: float) -> list[Other]:
        """Those who sent something within the last seconds and are not heard, the first first."""
        return [other for other in self._others.values() if now - other.last < _FORGET_SECONDS]

    def phones(self, now: float) -> list[Other]:
        """Those of the others that send faces."""
        return [other for other in self.others(now) if other.app]

    def _look_at(self, address: str, data: bytes, now: float) -> None:
        """Names a sender, and begins to hear them if they are the first. What is looked at has a bound a second."""
        other = self._others.get(address)
        if other is None:
            if len(self._others) >= _MAX_OTHERS and not self._forget(now):
                return
            other = self._others[address] = Other(address, now)
        other.last = now
        waits = self.stream is None
        if not waits and now - other.looked < _LOOK_SECONDS:
            return
        most = _LOOKS_A_SECOND if waits else _LOOKS_BESIDE
        self._looks = min(self._looks + (now - self._looks_at) * most, most)
        self._looks_at = now
        if self._looks < 1.0:
            return
        self._looks -= 1.0
        other.looked = now
        try:
            faces = other.decoder.read(data)
        except NotUnderstood as error:
            other.strange = str(error)
            return
        other.strange = ""
        if faces:
            other.app, other.name = faces[-1].app, faces[-1].sender or other.name
        if waits and faces and is_near(address):
            self._begin(other, faces, hash(data), now)

    def _begin(self, other: Other, faces: list[FacePacket], content: int, now: float) -> None:
        del self._others[other.address]
        self.chosen = other.address
        self.stream = Stream(self._counts, other.decoder)
        self._counts.packets += 1
        self.stream.take_faces(faces, content, now)

    def _forget(self, now: float) -> bool:
        """Makes a place; whether there is one. Whoever sends faces keeps theirs longer than who does not."""
        for address, other in self._others.items():
            if now - other.last > (_FORGET_SECONDS if other.app else 1.0):
                del self._others[address]
                return True
        for address, other in self._others.items():
            if not other.app:
                del self._others[address]
                return True
        return False
