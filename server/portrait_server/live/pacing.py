# SPDX-License-Identifier: GPL-3.0-or-later
"""When pictures are due that are sent at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """Counts from the first question on. Whoever is late is due at once, but what was missed is not made up for."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._clock = 1 / fps, clock
        self._began: float | None = None
        self._slot = 0

    def wait_seconds(self) -> float:
        """Until the next picture is due; 0 where it is."""
        now = self._clock()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + self._slot * self._interval - now)

    def sent(self) -> None:
        """The picture that was due has been sent: the next one is due at the next time that lies ahead."""
        if self._began is None:
            self._began = self._clock()
        passed = int((self._clock() - self._began) / self._interval)
        self._slot = max(self._slot + 1, passed)
