# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording from the count-in to its end: what is heard meanwhile, and where it lies in the scene. Knows nothing of bpy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import numpy as np

from .clocks import SceneClock, SteadyClock
from .pose import Performer
from .recorded import Recorded, part_of
from .source import Sample

MOST_SAMPLES: Final = 432_000
"""Two hours at 60 a second, all sources together."""
_SETTLING_SECONDS: Final = 2.0  # sound devices begin late: until then Blender shows the first frame
_GAP_SECONDS: Final = 0.5
_EARLY_FRAMES: Final = 1e-3
_AFTER_LAST_FRAMES: Final = 0.4


class Phase(Enum):
    """Where a recording stands."""

    COUNTING = "counts in"
    ROLLING = "rolls"
    RECORDING = "records"
    DONE = "is done"


class Playback(Protocol):
    """What lets the scene play."""

    def start(self, frame: int) -> None:
        """Plays from a frame on, in time with the sound.

        Raises:
            PortraitError: it cannot.
        """

    def plays(self) -> bool:
        """Whether it still plays: the user may have stopped it."""

    def stop(self) -> None:
        """Stops it, and puts back what `start` changed."""


@dataclass(frozen=True)
class Plan:
    """What is to be recorded.

    Attributes:
        frame: the first frame that is recorded.
        last: the last one; None to go on until it is stopped.
        fps: the scene's frames per second.
        beats, beat_seconds: the count-in.
        pre_roll: how many frames are played before `frame`.
        delay_seconds: see `part_of`.
    """

    frame: int
    last: int | None
    fps: float
    beats: int = 0
    beat_seconds: float = 1.0
    pre_roll: int = 0
    delay_seconds: float = 0.0


class Recorder:
    """Records what sources send, from its making on, until it is stopped, the range ends or playback does.

    Attributes:
        why: why it ended, a sentence; empty where the user stopped it.
    """

    def __init__(self, plan: Plan, playback: Playback | None, now: float) -> None:
        """Args:
        playback: plays the scene; None where time goes on by itself.
        now: seconds of `time.monotonic`, as everywhere below.
        """
        self.plan = plan
        self.phase = Phase.COUNTING
        self.why = ""
        self._playback = playback
        self._began = now
        self._rolled = math.inf
        self._stopped = math.inf
        self._clock: SceneClock | SteadyClock = SceneClock(plan.fps)
        self._heard: dict[str, list[Sample]] = {}
        self._count = 0

    @property
    def is_done(self) -> bool:
        return self.phase is Phase.DONE

    @property
    def samples(self) -> int:
        """How many have come."""
        return self._count

    def beats_left(self, now: float) -> int:
        """What the count-in shows: the number of beats before it begins; 0 once it has."""
        if self.phase is not Phase.COUNTING:
            return 0
        return max(0, math.ceil(self.plan.beats - (now - self._began) / self.plan.beat_seconds - 1e-6))

    def seconds(self, now: float) -> float:
        """How long it has been recording."""
        if self.phase is Phase.RECORDING and math.isfinite(self._rolled):
            return now - self._rolled
        return 0.0

    def tick(self, now: float) -> None:
        """Goes on with the time.

        Raises:
            PortraitError: the scene cannot play; the recording is over then.
        """
        if self.phase is Phase.COUNTING and now - self._began >= self.plan.beats * self.plan.beat_seconds:
            self._roll(now)
        elif self.phase in (Phase.ROLLING, Phase.RECORDING):
            if self._playback is not None and not self._playback.plays():
                self.stop(now, "The scene stopped playing.")
            elif self._is_past_end(now):
                self.stop(now, "The scene's frame range ended.")
        if self._count >= MOST_SAMPLES:
            self.stop(now, "The take is as long as a take can be: begin another one.")

    def note_frame(self, now: float, frame: int) -> None:
        """Blender has gone to a frame of the scene."""
        if self.phase not in (Phase.ROLLING, Phase.RECORDING) or not isinstance(self._clock, SceneClock):
            return
        if not self._clock.note(now, frame):
            if now - self._rolled > _SETTLING_SECONDS:
                ended = self._is_past_end(now + 1 / self.plan.fps)  # then Blender begins again at the first frame
                self.stop(now, "The scene's frame range ended." if ended else "The scene went to another frame.")
                return
            self._clock = SceneClock(self.plan.fps)
            self._clock.note(now, frame)
        if frame >= self.plan.frame:
            self.phase = Phase.RECORDING

    def hear(self, title: str, samples: Sequence[Sample]) -> None:
        """Takes what a source, known by its title, has sent since the last call; also after the end, when what came until
        then may still be on its way."""
        self._heard.setdefault(title, []).extend(samples)
        self._count += len(samples)

    def stop(self, now: float, why: str = "") -> None:
        """Ends it; what was heard stays."""
        if self.phase is Phase.DONE:
            return
        self.phase, self.why, self._stopped = Phase.DONE, why, now
        if self._playback is not None and math.isfinite(self._rolled):
            self._playback.stop()

    def recorded(self, performers: Mapping[str, Performer], notes: Sequence[str] = ()) -> Recorded | None:
        """What was recorded so far: every sample that came while the scene was at one of the plan's frames, until it
        was stopped; None where there is none.

        Args:
            performers: by their source's title.
        """
        if not math.isfinite(self._rolled) or (isinstance(self._clock, SceneClock) and not len(self._clock)):
            return None
        parts = []
        gaps: list[str] = []
        for title, heard in self._heard.items():
            arrived = np.array([sample.arrived for sample in heard])
            at = self._clock.frames_at(arrived)
            inside = at >= self.plan.frame - _EARLY_FRAMES
            if self.plan.last is not None:  # Blender may have stood still, and met its end late
                inside &= at <= self.plan.last + _AFTER_LAST_FRAMES
            inside &= (arrived <= self._stopped) & (arrived >= self._rolled)
            performer = performers[title]
            chosen = [sample for sample, wanted in zip(heard, inside, strict=True) if wanted]
            part = part_of(
                title, chosen, self._clock.frames_at, self.plan.delay_seconds, performer.neutral, performer.straight
            )
            if part is not None:
                parts.append(part)
                gaps += _gaps(title, part.frames, self.plan.fps)
        return Recorded(self.plan.fps, tuple(parts), (*notes, *gaps)) if parts else None

    def _is_past_end(self, now: float) -> bool:
        """Whether the last frame was heard; a little later Blender would begin again at the first."""
        return self.plan.last is not None and self._clock.frame_now(now) >= self.plan.last + _AFTER_LAST_FRAMES

    def _roll(self, now: float) -> None:
        self._rolled = now
        if self._playback is None:
            self._clock, self.phase = SteadyClock(self.plan.fps, now, self.plan.frame), Phase.RECORDING
            return
        self.phase = Phase.ROLLING
        try:
            self._playback.start(self.plan.frame - self.plan.pre_roll)
        except Exception:
            self.phase, self._stopped = Phase.DONE, now
            raise


def _gaps(title: str, frames: np.ndarray, fps: float) -> list[str]:
    waits = np.diff(frames) / fps
    if not len(waits) or waits.max() <= _GAP_SECONDS:
        return []
    at = int(waits.argmax())
    return [f"{title} sent nothing for {waits[at]:.1f} s from frame {math.floor(frames[at])} on."]
