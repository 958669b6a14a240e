# SPDX-License-Identifier: GPL-3.0-or-later
"""What a live source is: it is started, asked again and again for what has come, and stopped. Knows nothing of bpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One moment of a performance, as it came.

    Attributes:
        arrived: when it came here, seconds of `time.monotonic`.
        seconds: the sender's own clock, rising, from wherever it begins; None where it tells none.
        timecode: the sender's, as Live Link Face writes it (`HH:MM:SS:FF.FFF`), empty where it tells none.
        weights: {ARKit name: 0 to 1}, those that were sent.
        head: pitch, yaw, roll in radians, as the head handle's x, y, z; None where none was sent.
        points: (70, 3) pixels of the performer's picture, from a camera; None from what sends weights.
        sliders: {name of a slider or head axis of the rig: its value}, from controllers; see `controls`.
    """

    arrived: float
    seconds: float | None = None
    timecode: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    head: tuple[float, float, float] | None = None
    points: np.ndarray | None = None
    sliders: Mapping[str, float] = field(default_factory=dict)


class LiveSource(Protocol):
    """Where live samples come from.

    Attributes:
        title: what the user calls it, such as “Phone”.
        line: how it is doing, a sentence for the panel: waiting for a phone at …, hears Anna's iPhone at 60/s, has heard
            nothing for 3 s.
        problem: what is wrong and what to do about it, empty where nothing is; it may pass by itself.
        ended: whether nothing will come any more, as from a camera that was unplugged; `problem` then says why.
    """

    title: str
    line: str
    problem: str
    ended: bool

    def start(self) -> None:
        """Begins to listen; a thread of its own does so, which touches nothing of Blender's.

        Raises:
            PortraitError: it cannot, as where another program has the port or the camera; with the remedy.
        """

    def take(self) -> list[Sample]:
        """All that has come since the last call, in the order of the sender's clock; never waits."""

    def stop(self) -> None:
        """Ends it, and gives back port or camera. May be called again, and from any thread."""
