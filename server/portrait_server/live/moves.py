# SPDX-License-Identifier: GPL-3.0-or-later
"""What was moved on controllers and is not told yet: of each control the newest, however fast it is moved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from portrait_shared.control_lines import MAX_MOVED, ControlsMoved, is_key

LINES_PER_SECOND: Final = 120
_APART_SECONDS: Final = 1 / (LINES_PER_SECOND - 1)  # the first after a rest comes at once, and counts too


@dataclass(frozen=True)
class Move:
    """One control of one device, as `ControlsMoved` has them."""

    device: str
    control: str
    value: float
    seconds: float


@dataclass
class _Waiting:
    """What is to be told of one device; `later` holds keys that were let go before their press was told."""

    now: dict[str, Move] = field(default_factory=dict)
    later: dict[str, Move] = field(default_factory=dict)


class Moves:
    """Gives one line at a time, `LINES_PER_SECOND` at most, of devices by turns. A key's press is told however short it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = 0.0
        self._waiting: dict[str, _Waiting] = {}
        self._told: dict[tuple[str, str], float] = {}

    def put(self, move: Move) -> None:
        """Takes the place of what was heard of that control before."""
        waiting = self._waiting.setdefault(move.device, _Waiting())
        before = waiting.now.get(move.control)
        if before is not None and is_key(move.control) and before.value > 0 and move.control not in waiting.later:
            if move.value == 0:
                waiting.later[move.control] = move
                return
        elif move.control in waiting.later:
            waiting.later[move.control] = move
            return
        waiting.now[move.control] = move

    def forget(self, device: str) -> None:
        """It was unplugged: what it sent last is not told any more."""
        self._waiting.pop(device, None)
        for key in [key for key in self._told if key[0] == device]:
            del self._told[key]

    def line(self) -> ControlsMoved | None:
        """What is due to be told now; None where nothing is."""
        now = self._clock()
        if now < self._due:
            return None
        for device in list(self._waiting):
            waiting = self._waiting.pop(device)
            moved = dict(list(waiting.now.items())[:MAX_MOVED])
            left = {name: move for name, move in waiting.now.items() if name not in moved}
            for name in moved:
                if name in waiting.later:
                    left[name] = waiting.later.pop(name)
            if left:
                self._waiting[device] = _Waiting(left, waiting.later)  # at the end: others come first
            values = {name: move.value for name, move in moved.items() if self._is_news(move)}
            if values:
                self._due = max(self._due + _APART_SECONDS, now)
                return ControlsMoved(device, max(moved[name].seconds for name in values), values)
        return None

    def _is_news(self, move: Move) -> bool:
        key, value = (move.device, move.control), round(move.value, 4)
        if self._told.get(key) == value:
            return False
        self._told[key] = value
        return True
