# SPDX-License-Identifier: GPL-3.0-or-later
"""When a packet was sent, on our clock: evenly spaced as the phone sent it, and without drift. Needs no clock itself.

What a packet says of its time and when it came differ by how the two clocks lie to each other and by how long it was on its
way. The shortest way of the last half minute is a good measure of the first: networks delay, never hasten.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

_JUMP_SECONDS: Final = 0.25
"""A packet that is so much too early says that the phone's clock was set."""

_LATE_JUMP_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 0.5
"""So do packets that all are so much too late, for so long: a slow network delays less, or not all of them."""

_BACK_SECONDS: Final = 1.0
_BLOCK_SECONDS: Final = 1.0
_BLOCKS: Final = 30
_SLEW: Final = 0.003
_FAST_SLEW: Final = 0.1  # a second, of what is missing
_YOUNG_SECONDS: Final = 1.0
_DAY_TOLERANCE_SECONDS: Final = 30.0
_LEAST_STEP_SECONDS: Final = 1e-6


@dataclass
class _Baseline:
    """How the clocks lie to each other: ours minus the sender's, as far as is known."""

    offset: float
    began: float
    last_sent: float
    last_arrived: float
    blocks: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_BLOCKS))
    late_since: float | None = None

    def follow(self, gap: float, arrived: float) -> None:
        """Takes one packet into account: `gap` is when it came minus when it says it was sent."""
        block = math.floor(arrived / _BLOCK_SECONDS)
        if self.blocks and self.blocks[-1][0] == block:
            gap = min(gap, self.blocks[-1][1])
            self.blocks[-1] = (block, gap)
        else:
            self.blocks.append((block, gap))
        target = min(least for number, least in self.blocks if number > block - _BLOCKS)
        if arrived - self.began < _YOUNG_SECONDS:
            self.offset = target
        else:
            passed, missing = min(max(arrived - self.last_arrived, 0.0), 1.0), target - self.offset
            most = passed * max(_SLEW, _FAST_SLEW * abs(missing))
            self.offset += min(max(missing, -most), most)

    def fits(self, sent: float, arrived: float) -> bool:
        return abs(arrived - sent - self.offset) < _JUMP_SECONDS and sent > self.last_sent - _BACK_SECONDS


class SenderClock:
    """The clock of one sender, for packets in the order in which they come.

    Attributes:
        restarts: how often the sender's clock was found to have been set, or to have begun anew.
    """

    def __init__(self) -> None:
        self.restarts = 0
        self._now: _Baseline | None = None
        self._former: _Baseline | None = None
        self._days = 0.0
        self._day = 0.0
        self._raw = math.nan
        self._step = self._spacing = 1 / 60
        self._same = 0
        self._moment = -math.inf

    def moment(self, seconds: float, arrived: float, days: tuple[float, ...] = ()) -> float:
        """When it was sent, on our clock: not later than it came, and rising with the sender's clock.

        Args:
            seconds: the sender's clock; equal ones are spread until the next, as a count of frames has them.
            arrived: ours, rising.
            days: see `FacePacket.days`.
        """
        sent = self._spread(self._unwrapped(seconds, arrived, days), arrived)
        now, gap = self._now, arrived - sent
        if now is None:
            return self._start(sent, arrived)
        if gap < now.offset - _JUMP_SECONDS or sent < now.last_sent - _BACK_SECONDS:
            return self._restart(sent, arrived)
        if gap > now.offset + _LATE_JUMP_SECONDS:
            now.late_since = arrived if now.late_since is None else now.late_since
            if arrived - now.late_since >= _LATE_SECONDS:
                return self._restart(sent, arrived)
        else:
            now.late_since = None
        now.follow(gap, arrived)
        now.last_arrived = max(arrived, now.last_arrived)
        moment = min(sent + now.offset, arrived)
        if sent <= now.last_sent:
            return moment
        now.last_sent = sent
        return self._risen(moment)

    def _risen(self, moment: float) -> float:
        """It, or a little later where it would not be after the one before, as where our clock ticks coarsely."""
        self._moment = max(moment, self._moment + _LEAST_STEP_SECONDS)
        return self._moment

    def _start(self, sent: float, arrived: float) -> float:
        self._now = _Baseline(arrived - sent, arrived, sent, arrived)
        self._now.follow(arrived - sent, arrived)
        return self._risen(arrived)

    def _restart(self, sent: float, arrived: float) -> float:
        """A clock that was set: what is certain is when the packet came. One packet astray changes nothing for the next."""
        self.restarts += 1
        former, self._former = self._former, self._now
        if former is not None and former.fits(sent, arrived):
            former.late_since = None
            former.last_sent, former.last_arrived = max(sent, former.last_sent), arrived
            self._now = former
            return self._risen(min(sent + former.offset, arrived))
        return self._start(sent, arrived)

    def _unwrapped(self, seconds: float, arrived: float, days: tuple[float, ...]) -> float:
        """The sender's clock without its turns at midnight."""
        sent = seconds + self._days
        now = self._now
        if now is None or not days:
            return sent
        expected = now.last_sent + max(arrived - now.last_arrived, 0.0)
        if sent < now.last_sent - min(days) / 2:
            day = min(days, key=lambda length: abs(sent + length - expected))
            if abs(sent + day - expected) < _DAY_TOLERANCE_SECONDS:
                self._days += day
                self._day = day
                return sent + day
        elif self._day and abs(sent - self._day - expected) < _DAY_TOLERANCE_SECONDS:
            return sent - self._day  # from before midnight, overtaken by the first of the new day
        return sent

    def _spread(self, sent: float, arrived: float) -> float:
        if self._now is not None:
            self._spacing += 0.05 * (min(arrived - self._now.last_arrived, 0.1) - self._spacing)
        if sent == self._raw:
            self._same += 1
            return sent + min(self._same * self._spacing, 0.9 * self._step)
        step = sent - self._raw
        self._step = step if 0 < step < 0.1 else self._step
        self._raw, self._same = sent, 0
        return sent


class ArrivalClock:
    """When packets were sent that tell no time: at even steps, as long as they come about so, led by the earliest."""

    _EARLY, _LATE, _PACE = 0.5, 0.02, 0.01

    def __init__(self) -> None:
        self._arrived = self._moment = -math.inf
        self._step, self._way = 1 / 60, 0.0
        self._steps: deque[float] = deque(maxlen=61)

    def moment(self, arrived: float) -> float:
        """Like `SenderClock.moment`."""
        passed = arrived - self._moment - self._way
        count = max(1, int(passed / self._step + 0.25)) if passed < 0.25 else 0  # more are late than lost
        error = arrived - (self._moment + count * self._step)
        if not count or abs(error) > 3 * self._step:
            moment, self._way = arrived, 0.0
        else:
            moment = min(arrived - error + (self._EARLY if error < 0 else self._LATE) * error, arrived)
            self._way += self._PACE * (arrived - moment - self._way)
            self._steps.append(arrived - self._arrived)
            self._step = min(max(median(self._steps), 0.004), 0.1)  # the middle one knows nothing of losses
        if moment <= self._moment:
            moment = self._moment + _LEAST_STEP_SECONDS
        self._arrived, self._moment = arrived, moment
        return moment
