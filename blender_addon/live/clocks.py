# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of a live performance: the sender's clock to ours, and ours to the scene's frames. Knows nothing of bpy."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

_BIN_SECONDS: Final = 2.0
_MOST_BINS: Final = 300
_MOST_UNEQUAL_RATES: Final = 1e-2  # timecodes of 29.97 that count as 30 are 1e-3 off; what is further off is no clock
_JUMP_SECONDS: Final = 5.0  # longer than a network holds packets back: the sender's clock was set anew
_WINDOW_SECONDS: Final = 4.0
_MOVED_SECONDS: Final = 0.5
_RECENT: Final = 9


def sent_at(arrived: Sequence[float] | np.ndarray, seconds: Sequence[float] | np.ndarray) -> np.ndarray:
    """When samples were sent, as our clock has it: the sender's own distances, and the least delay of the way.

    A network holds packets back, and never brings one before it was sent. So the least difference between the two
    clocks within a few seconds tells how they lie to each other, and how that changes while they run unequally. Where the
    sender's clock begins anew, as when its program was started again, it is compared anew.

    Args:
        arrived: (N,) rising seconds of our clock.
        seconds: (N,) the sender's; NaN where it told none: that sample was sent when it came.

    Returns:
        (N,) seconds of our clock, none later than it arrived.
    """
    arrived = np.asarray(arrived, np.float64)
    sent = arrived.copy()
    told = np.flatnonzero(np.isfinite(np.asarray(seconds, np.float64)))
    if not len(told):
        return sent
    ours, theirs = arrived[told], np.asarray(seconds, np.float64)[told]
    delay = ours - theirs
    starts = np.flatnonzero((np.abs(np.diff(delay)) > _JUMP_SECONDS) | (np.diff(theirs) < -_JUMP_SECONDS)) + 1
    for part in np.split(np.arange(len(told)), starts):
        line = _least(theirs[part], delay[part])
        if line is not None:
            offset, slope = line
            sent[told[part]] = theirs[part] + offset + slope * (theirs[part] - theirs[part[0]])
    return np.minimum(sent, arrived)


def _least(at: np.ndarray, delay: np.ndarray) -> tuple[float, float] | None:
    """The line below the delays: its height at the first, and its slope; None where the clocks run too unequally."""
    at = at - at[0]
    span = float(at[-1])
    count = int(np.clip(span / _BIN_SECONDS, 1, _MOST_BINS))
    number = np.minimum((at / max(span, 1e-9) * count).astype(int), count - 1)
    order = np.lexsort((delay, number))
    lowest = order[np.flatnonzero(np.diff(number[order], prepend=-1))]
    x, y = at[lowest], delay[lowest]
    slope = 0.0
    if len(x) > 2:
        first, second = np.triu_indices(len(x), 1)
        apart = x[second] - x[first]
        far = apart > span / 4  # of neighbours the trembling tells more than the slope does
        slope = float(np.median((y[second] - y[first])[far] / apart[far])) if far.any() else 0.0
    if abs(slope) > _MOST_UNEQUAL_RATES:
        return None
    return float(np.percentile(y - slope * x, 5)), slope


class SceneClock:
    """Which frame of the scene is heard when: from the frames that Blender showed, and when it showed them.

    While the scene plays in time with its sound, Blender shows the frame that is heard. A frame is shown up to half of
    one early or late, and later where drawing takes long, so what counts is the middle of some seconds. The sound
    device's clock and ours may run unequally: each few seconds count for themselves.
    """

    def __init__(self, fps: float) -> None:
        """Args:
        fps: the scene's frames per second; above 0.
        """
        self.fps = fps
        self._times: list[float] = []
        self._frames: list[float] = []
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def __len__(self) -> int:
        return len(self._times)

    def note(self, now: float, frame: float) -> bool:
        """Takes down that a frame is shown; whether it follows from those before. A frame that does not, because the
        user went elsewhere or the range began again, is not taken down.

        Args:
            now: seconds of `time.monotonic`.
        """
        lead = frame - self.fps * now
        if self._recent and abs(lead - float(np.median(self._recent))) > _MOVED_SECONDS * self.fps:
            return False
        self._recent.append(lead)
        self._times.append(now)
        self._frames.append(frame)
        return True

    def frame_now(self, now: float) -> float:
        """The scene's frame, with its part, at a time since the last few frames: quick, and less exact than `frames_at`.
        Minus infinity before the first frame."""
        return float(self.fps * now + np.median(self._recent)) if self._recent else -np.inf

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """The scene's frames, with their parts, at some of our times.

        Args:
            times: (N,) seconds of `time.monotonic`.

        Raises:
            ValueError: no frame was taken down.
        """
        if not self._times:
            raise ValueError("no frame was taken down")
        at, frames = np.array(self._times), np.array(self._frames)
        lead = frames - self.fps * at
        count = max(1, round((at[-1] - at[0]) / _WINDOW_SECONDS))
        edges = np.linspace(at[0], at[-1], count + 1)
        number = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, count - 1)
        known = np.unique(number)
        middles = np.array([np.mean(at[number == each]) for each in known])
        leads = np.array([np.median(lead[number == each]) for each in known])
        return np.asarray(self.fps * np.asarray(times) + np.interp(times, middles, leads))


class SteadyClock:
    """The scene's frames where nothing plays: from a frame on, as fast as the scene would."""

    def __init__(self, fps: float, now: float, frame: float) -> None:
        self.fps = fps
        self._now, self._frame = now, frame

    def frame_now(self, now: float) -> float:
        """As `SceneClock.frame_now`."""
        return self._frame + self.fps * (now - self._now)

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """As `SceneClock.frames_at`."""
        return np.asarray(self._frame + self.fps * (np.asarray(times) - self._now))
