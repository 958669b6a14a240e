# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples in the order in which they were sent: those that overtook others wait for them, a frame at most."""

from __future__ import annotations

import bisect
import math
from collections import deque
from statistics import median
from typing import Final, Generic, TypeVar

_USUAL_STEP_SECONDS: Final = 1 / 60
_LONGEST_WAIT_SECONDS: Final = 1 / 24
_IN_SEQUENCE: Final = 1.5
_LONG_GAP_SECONDS: Final = 2.0
_STEPS: Final = 15
_SETTLING: Final = 60
_MAX_HELD: Final = 64

Item = TypeVar("Item")


class Order(Generic[Item]):
    """A short queue in the order of moments. What follows in sequence passes at once.

    Attributes:
        late: how many came when a later one was gone already; they are left out.
        reordered: how many were put back into their place.
        lost: how many steps without a sample there were; gaps of seconds, and the first second after one, not counted,
            for moments settle then.
    """

    def __init__(self) -> None:
        self.late = self.reordered = self.lost = 0
        self._held: list[tuple[float, float, int, Item]] = []
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._released = -math.inf
        self._count = self._since_gap = 0

    @property
    def step(self) -> float:
        """Seconds from one sample to the next, as usual of late."""
        return median(self._steps) if self._steps else _USUAL_STEP_SECONDS

    def add(self, moment: float, arrived: float, item: Item) -> None:
        """One sample, sent at `moment` and come at `arrived`, seconds of our clock."""
        if moment <= self._released:
            self.late += 1
            return
        if self._held and moment < self._held[-1][0]:
            self.reordered += 1
        self._count += 1
        bisect.insort(self._held, (moment, arrived, self._count, item))

    def ready(self, now: float) -> list[Item]:
        """Those whose turn it is. A gap before one is waited for, for one step from when it came."""
        found = []
        wait = min(self.step, _LONGEST_WAIT_SECONDS)
        while self._held:
            moment, arrived, _, item = self._held[0]
            gap = moment - self._released
            in_sequence = gap <= _IN_SEQUENCE * self.step or not math.isfinite(gap) or gap > _LONG_GAP_SECONDS
            if not in_sequence and now - arrived < wait and len(self._held) < _MAX_HELD:
                break
            del self._held[0]
            self._since_gap += 1
            if not math.isfinite(gap) or gap > _LONG_GAP_SECONDS:
                self._since_gap = 0
            else:
                if self._since_gap > _SETTLING:
                    self.lost += max(round(gap / self.step) - 1, 0)
                self._steps.append(gap)
            self._released = moment
            found.append(item)
        return found
