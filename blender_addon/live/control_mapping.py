# SPDX-License-Identifier: GPL-3.0-or-later
"""From where controls are to what sliders and head get: range, direction, dead zone, curve, and easing over time. Knows
nothing of bpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portrait_shared.control_lines import is_signed

from ..rig.control_targets import target_of

_MOST_CONTROLS: Final = 4096
_SETTLED: Final = 1e-4


@dataclass(frozen=True)
class Row:
    """One row of a mapping; see `PORTRAIT_PG_control`. `device` is empty for all; `ease` is in seconds."""

    control: str
    target: str
    low: float
    high: float
    device: str = ""
    invert: bool = False
    dead_zone: float = 0.0
    curve: float = 1.0
    ease: float = 0.0

    def value(self, moved: float) -> float:
        """What the target gets where the control is so, as soon as it has eased there."""
        far = max(abs(moved) - self.dead_zone, 0.0) / max(1.0 - self.dead_zone, 1e-6)
        shaped = math.copysign(min(far, 1.0) ** self.curve, moved)
        part = (shaped + 1) / 2 if is_signed(self.control) else shaped
        return self.low + (self.high - self.low) * (1 - part if self.invert else part)


def first_range(target: str, control: str) -> tuple[float, float]:
    """The range that a control gets at first: a stick that moves a slider has it at rest in the middle."""
    found = target_of(target)
    if found is None:
        return 0.0, 1.0
    low = -found.high if is_signed(control) and not found.both_ways else found.low
    return low, found.high


class Mapping:
    """Follows controls in time: values ease towards where rows put them."""

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}
        self._values: dict[tuple[str, str], float] = {}
        self._eased: dict[tuple[int, str, str, str], float] = {}
        self._seconds = -math.inf

    def move(self, device: str, control: str, value: float) -> None:
        """A control is there now. Of more than 4096 controls the further ones are not heard."""
        key = (device, control)
        if key in self._values or len(self._values) < _MOST_CONTROLS:
            self._values[key] = self._newest[control] = value

    def advance(self, rows: Sequence[Row], seconds: float) -> dict[str, float]:
        """What sliders and head get at that moment, of those whose controls have been heard; where several rows move one
        thing, their sum.

        Args:
            seconds: since whenever; not earlier than the last.
        """
        passed = max(seconds - self._seconds, 0.0)
        self._seconds = max(seconds, self._seconds)
        eased: dict[tuple[int, str, str, str], float] = {}
        sums: dict[str, float] = {}
        highest: dict[str, float] = {}
        for number, row in enumerate(rows):
            target = target_of(row.target)
            there = self._values.get((row.device, row.control)) if row.device else self._newest.get(row.control)
            if target is None or there is None:
                continue
            key = (number, row.device, row.control, row.target)
            wanted = row.value(there)
            value = self._eased.get(key, row.value(0.0))
            value += (wanted - value) * (1.0 if row.ease <= 0 else 1.0 - math.exp(-passed / row.ease))
            eased[key] = wanted if abs(value - wanted) < _SETTLED else value
            for name, part in target.sliders(eased[key]).items():
                sums[name] = sums.get(name, 0.0) + part
                if target.most is not None:
                    highest[name] = target.most
        self._eased = eased
        return {name: min(max(total, 0.0), highest[name]) if name in highest else total for name, total in sums.items()}


class Learner:
    """Finds out which control somebody moves: the first that is moved far, or a key that is pressed."""

    FAR: Final = 0.3

    def __init__(self) -> None:
        self._from: dict[tuple[str, str], float] = {}

    def is_it(self, device: str, control: str, value: float, pressed: bool) -> bool:
        """Whether this move is meant.

        Args:
            pressed: whether it is a key.
        """
        if pressed:
            return value > 0
        key = (device, control)
        if len(self._from) >= _MOST_CONTROLS:
            return False
        # Sticks and triggers come back by themselves; faders, and the levers of other joysticks, may be anywhere.
        rests = (is_signed(control) and not control.startswith("axis ")) or control.endswith("trigger")
        return abs(value - self._from.setdefault(key, 0.0 if rests else value)) >= self.FAR
