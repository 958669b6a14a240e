# SPDX-License-Identifier: GPL-3.0-or-later
"""From the packets of the phone that is heard to samples: read, put on our clock, in order, counted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ..source import Sample
from .clock import ArrivalClock, SenderClock
from .face_packet import FacePacket
from .formats import Decoder, NotUnderstood
from .order import Order

MAX_WAITING: Final = 7200
"""Samples kept for whoever does not ask, two minutes of them; then the oldest go."""

MAX_A_SECOND: Final = 250
"""Packets of faces that one phone may send; more are no phone's."""

_RATE_SECONDS: Final = 2.0
_REMEMBERED: Final = 64


@dataclass
class Counts:
    """What became of all packets since the start.

    Attributes:
        packets: of the phone that is heard.
        samples: what was made of them; the others had no face, or were parts of one.
        doubled: the same packet again.
        late: came when a later one had been passed on.
        reordered: came in another order than they were sent, and were put right.
        lost: missing, by the sender's clock.
        damaged: of the phone that is heard, and not understood.
        flooded: beyond what a phone sends.
        overflowed: samples that nobody asked for in time.
        strangers: packets of others.
        oversized: longer than any may be.
        restarts: how often the phone's clock began anew.
    """

    packets: int = 0
    samples: int = 0
    doubled: int = 0
    late: int = 0
    reordered: int = 0
    lost: int = 0
    damaged: int = 0
    flooded: int = 0
    overflowed: int = 0
    strangers: int = 0
    oversized: int = 0
    restarts: int = 0


class Stream:
    """One phone's samples. Not for several threads at once.

    Attributes:
        counts: shared with whoever counts the rest.
        name, app: what the phone calls itself, and its app, "" until it said so.
        last: when a packet came, and a face, seconds of `time.monotonic`.
    """

    def __init__(self, counts: Counts, decoder: Decoder | None = None) -> None:
        self.counts = counts
        self.name = self.app = ""
        self.last_packet = self.last_face = float("-inf")
        self._decoder = decoder or Decoder()
        self._clock = SenderClock()
        self._arrivals = ArrivalClock()
        self._order: Order[Sample] = Order()
        self._done = (0, 0, 0)
        self._waiting: deque[Sample] = deque()
        self._recent: deque[int] = deque(maxlen=_REMEMBERED)
        self._faces: deque[float] = deque(maxlen=round(_RATE_SECONDS * MAX_A_SECOND))
        self._budget = float(MAX_A_SECOND)
        self._budget_at = 0.0

    def receive(self, data: bytes, arrived: float) -> None:
        """Takes one packet, which came at `arrived`.

        Raises:
            NotUnderstood: it is of no format that is known.
        """
        self.counts.packets += 1
        try:
            faces = self._decoder.read(data)
        except NotUnderstood:
            self.counts.damaged += 1
            raise
        self.take_faces(faces, hash(data), arrived)

    def take_faces(self, faces: list[FacePacket], content: int, arrived: float) -> None:
        """Takes what was read of one packet already; `content` is a hash of it."""
        self.last_packet = arrived
        for number, face in enumerate(faces):
            self.app, self.name = face.app, face.sender or self.name
            if face.sees_face and self._is_new(face, content + number) and self._may_pass(arrived):
                self._add(face, arrived)

    def take(self, now: float) -> list[Sample]:
        """What has come, in order."""
        self._pass(now)
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def rate(self, now: float) -> float:
        """Faces a second, of late."""
        recent = [at for at in self._faces if at > now - _RATE_SECONDS]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0

    def _add(self, face: FacePacket, arrived: float) -> None:
        self.last_face = arrived
        self._faces.append(arrived)
        if face.seconds is None:
            moment = self._arrivals.moment(arrived)
        else:
            moment = self._clock.moment(face.seconds, arrived, face.days)
            self.counts.restarts = self._clock.restarts
        sample = Sample(arrived, moment, face.timecode, face.weights, face.head)
        self._order.add(moment, arrived, sample)
        self._pass(arrived)

    def _pass(self, now: float) -> None:
        passed = self._order.ready(now)
        self.counts.samples += len(passed)
        self._waiting.extend(passed)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.counts.overflowed += 1
        done = (self._order.late, self._order.reordered, self._order.lost)
        self.counts.late += done[0] - self._done[0]
        self.counts.reordered += done[1] - self._done[1]
        self.counts.lost += done[2] - self._done[2]
        self._done = done

    def _is_new(self, face: FacePacket, content: int) -> bool:
        """Whether it is no packet that came before. Without a clock two alike may be a face that holds still."""
        if face.seconds is None:
            return True
        if content in self._recent:
            self.counts.doubled += 1
            return False
        self._recent.append(content)
        return True

    def _may_pass(self, now: float) -> bool:
        self._budget = min(self._budget + (now - self._budget_at) * MAX_A_SECOND, float(MAX_A_SECOND))
        self._budget_at = now
        if self._budget < 1.0:
            self.counts.flooded += 1
            return False
        self._budget -= 1.0
        return True
