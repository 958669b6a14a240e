# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI and game controllers as a live source: the server's command hears them, a mapping makes sliders and head of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from portrait_shared.control_lines import ControlDevice, ControlLine, ControlsMoved, ControlsTold, is_key, read_line

from ..connection import server
from .command_source import CommandSource
from .control_mapping import Learner, Mapping, Row
from .source import Sample

TITLE: Final = "Controller"
_MOST_LINES: Final = 1200
"""Kept where nobody takes them: ten seconds."""
_HELD_SECONDS: Final = 1 / 30  # what stands still is said again, so that a take has no gap
_MOST_DEVICES: Final = 64
_NAMED: Final = 3


class Controls(CommandSource):
    """See `LiveSource`. Its samples have sliders, from the first time that a control of the mapping is moved.

    Attributes:
        title: as `LiveSource`.
        learning: the number of the row that waits for a control; None where none does.
    """

    title = TITLE

    def __init__(
        self, launch: server.Launch, rows: Callable[[], Sequence[Row]],
        learned: Callable[[int, str, str], None] = lambda number, device, control: None,
    ) -> None:  # fmt: skip
        """
        Args:
            rows: asked by `take` for the mapping as it is now.
            learned: told by `take` of the row that waited, and the device and control that were moved.
        """
        super().__init__(launch, ["controls"], read_line)
        self._rows, self._learned = rows, learned
        self.learning: int | None = None
        self._learner = Learner()
        self._mapping = Mapping()
        self._moved: deque[ControlsMoved] = deque(maxlen=_MOST_LINES)
        self._devices: dict[str, bool] = {}
        self._told: dict[str, str] = {}
        self._last = ""
        self._sent: dict[str, float] = {}
        self._sent_at = 0.0

    def learn(self, row: int | None) -> None:
        """The control that is moved next is this row's; None ends the waiting."""
        self.learning, self._learner = row, Learner()

    def take(self) -> list[Sample]:
        with self.lock:
            moved = list(self._moved)
            self._moved.clear()
        now = time.monotonic()
        rows = self._rows()
        samples: list[Sample] = []
        for line in moved:
            for control, value in line.values.items():
                rows = self._learn(line.device, control, value, rows)
                self._mapping.move(line.device, control, value)
                self._last = control
            self._add(samples, rows, now, line.seconds)
        self._add(samples, rows, now, now)
        return samples

    def _learn(self, device: str, control: str, value: float, rows: Sequence[Row]) -> Sequence[Row]:
        if self.learning is None or not self._learner.is_it(device, control, value, is_key(control)):
            return rows
        number, self.learning = self.learning, None
        self._learned(number, device, control)
        return self._rows()

    def _add(self, samples: list[Sample], rows: Sequence[Row], now: float, seconds: float) -> None:
        seconds = max(min(seconds, now), self._sent_at)
        sliders = self._mapping.advance(rows, seconds)
        if not sliders or (sliders == self._sent and seconds - self._sent_at < _HELD_SECONDS):
            return
        self._sent, self._sent_at = sliders, seconds
        samples.append(Sample(now, seconds, sliders=sliders))

    @property
    def line(self) -> str:
        if self.ended:
            return "Ended"
        here = self.devices
        if not here:
            return "Plug in or switch on a MIDI or game controller"
        if self.learning is not None:
            return "Move the control that is meant"
        names = ", ".join(f"“{name}”" for name in here[:_NAMED])
        more = f" and {len(here) - _NAMED} more" if len(here) > _NAMED else ""
        return f"Hears {names}{more}" + (f"; moved last: {self._last}" if self._last else "")

    @property
    def devices(self) -> list[str]:
        """Those that are heard now, by name."""
        with self.lock:
            return [name for name, here in self._devices.items() if here]

    def told_problem(self) -> str:
        if self._stream is not None and self._stream.error is not None:
            return ""  # why the command failed, which says more
        with self.lock:
            gone = [name for name, here in self._devices.items() if not here]
            told = list(self._told.values())
            none_here = not any(self._devices.values())
        if gone:
            return f"“{gone[-1]}” was unplugged: what it moved stays as it was. Plug it in again."
        return " ".join(told) if none_here else ""

    def hear(self, said: ControlLine) -> None:
        if isinstance(said, ControlsMoved):
            self._moved.append(said)
        elif isinstance(said, ControlDevice):
            if said.device in self._devices or len(self._devices) < _MOST_DEVICES:
                self._devices[said.device] = said.here
        elif isinstance(said, ControlsTold) and len(self._told) < _NAMED:
            self._told[said.message] = f"{said.message} {said.remedy}".strip()
