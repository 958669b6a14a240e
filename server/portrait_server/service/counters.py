# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service has done since it was started, for whoever asks for its statistics or gathers its metrics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import Error, Message, RenderedFrame

BATCH_FRAMES: Final = (1, 2, 4, 8, 16, 32, 64)
RENDER_SECONDS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)

Outcome = Literal["done", "failed", "cancelled"]
"""Of a render; `cancelled` is also one whose client has left."""


@dataclass(frozen=True)
class Distribution:
    """How values were spread.

    Attributes:
        up_to: (bound, how many values were no larger), by rising bounds; the last is infinite.
        total: of all values.
    """

    up_to: tuple[tuple[float, int], ...]
    total: float


@dataclass(frozen=True)
class State:
    """What the service has done and does at one moment: the service's own thread makes it, any thread may read it.

    Attributes:
        counters: totals since the start and what is held now, by the names of `stats_reply`.
        renders: how many ended how.
        errors: what clients were told, by code.
        batch_frames: frames of each batch.
        render_seconds: from a render's request to its last frame, of those that are done.
    """

    counters: dict[str, int | float | str]
    renders: dict[Outcome, int]
    errors: dict[str, int]
    batch_frames: Distribution
    render_seconds: Distribution


class Counters:
    """Totals since the start. Used by the service's own thread alone.

    Args:
        devices: the names of those that draw, whose frames are counted apart where there are several.
    """

    def __init__(self, devices: Sequence[str] = ()) -> None:
        self._totals: dict[str, int | float] = dict.fromkeys(
            ("frames_drawn", "frames_sent", "batches", "largest_batch", "bad_messages", "images_received"), 0
        )
        self._totals["drawing_seconds"] = 0.0
        self._of_devices = dict.fromkeys(devices if len(devices) > 1 else (), 0)
        self._started = time.monotonic()
        self._errors: Counter[str] = Counter()
        self._renders: dict[Outcome, int] = {"done": 0, "failed": 0, "cancelled": 0}
        self._batch_frames = _Tally(BATCH_FRAMES)
        self._render_seconds = _Tally(RENDER_SECONDS)

    def drew(self, frames: int, seconds: float, device: str) -> None:
        """A batch was drawn, in so many seconds of a thread, on a device, for a client that still waits for it."""
        if device in self._of_devices:
            self._of_devices[device] += frames
        self._totals["frames_drawn"] += frames
        self._totals["drawing_seconds"] += seconds
        self._totals["batches"] += 1
        self._totals["largest_batch"] = max(self._totals["largest_batch"], frames)
        self._batch_frames.add(frames)

    def sent(self, message: Message) -> None:
        """A client is told something."""
        if isinstance(message, RenderedFrame):
            self._totals["frames_sent"] += 1
        elif isinstance(message, Error):
            self._errors[message.code] += 1

    def render_ended(self, outcome: Outcome, seconds: float) -> None:
        """A render ended so many seconds after it was asked for."""
        self._renders[outcome] += 1
        if outcome == "done":
            self._render_seconds.add(seconds)

    def refused(self, error: PortraitError) -> None:
        self._totals["bad_messages"] += error.code == ErrorCode.BAD_MESSAGE

    def received_image(self) -> None:
        self._totals["images_received"] += 1

    def state(self, held: dict[str, int | float | str]) -> State:
        """All of it, and what is held now."""
        of_devices = {f"frames_drawn.{device}": count for device, count in self._of_devices.items()}
        counters = {**self._totals, **of_devices, "uptime_seconds": time.monotonic() - self._started, **held}
        return State(
            counters, dict(self._renders), dict(self._errors), self._batch_frames.told(), self._render_seconds.told()
        )


class _Tally:
    """Counts values by their sizes."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, float("inf"))
        self._counts = [0] * len(self._bounds)
        self._total = 0.0

    def add(self, value: float) -> None:
        self._counts[next(index for index, bound in enumerate(self._bounds) if value <= bound)] += 1
        self._total += value

    def told(self) -> Distribution:
        return Distribution(tuple(zip(self._bounds, accumulate(self._counts), strict=True)), self._total)
