# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service has done since it was started, for whoever asks for its statistics."""

from __future__ import annotations

import time

from portrait_shared.errors import ErrorCode, PortraitError


class Counters:
    """Totals since the start. Used by the service's own thread alone."""

    def __init__(self) -> None:
        self._totals = dict.fromkeys(("frames_drawn", "batches", "largest_batch", "bad_messages", "images_received"), 0)
        self._started = time.monotonic()

    def drew(self, frames: int) -> None:
        """A batch was drawn for a client that still waits for it."""
        self._totals["frames_drawn"] += frames
        self._totals["batches"] += 1
        self._totals["largest_batch"] = max(self._totals["largest_batch"], frames)

    def refused(self, error: PortraitError) -> None:
        self._totals["bad_messages"] += error.code == ErrorCode.BAD_MESSAGE

    def received_image(self) -> None:
        self._totals["images_received"] += 1

    def totals(self) -> dict[str, int | float]:
        return {**self._totals, "uptime_seconds": time.monotonic() - self._started}
