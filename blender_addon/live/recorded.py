# SPDX-License-Identifier: GPL-3.0-or-later
"""What was recorded: all that live sources sent, in numbers, at scene frames. Knows nothing of bpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ..importers.timecode import is_timecode, rate_of
from ..rig.blendshapes import ARKIT_NAMES
from .clocks import sent_at
from .source import Sample

HEAD_ANGLES: Final = ("headPitch", "headYaw", "headRoll")
HEAD_PLACES: Final = ("headX", "headY", "headZ")
"""What `Sample.sliders` call the head handle's turns, radians, and its shifts to the picture's right, up and towards the
viewer, in parts of the face's width."""


@dataclass(frozen=True)
class Part:
    """What one source sent.

    Attributes:
        title: what the source is called.
        frames: (N,) float64 rising scene frames, with their parts.
        columns: {an ARKit name, a slider's, or one of `HEAD_ANGLES` and `HEAD_PLACES`: (N,) float32}.
        points: (N, 70, 3) float32 pixels of the performer's picture; None from what sends none.
        neutral: (70, 3) the performer at rest; None where `points` is.
        straight: pitch, yaw, roll of a head that looks straight ahead, radians.
        timecode: of the first sample that had one; `timecode_frame` is the frame at which it lies, and `timecode_rate`
            how many frames a second of the timecodes counts.
    """

    title: str
    frames: np.ndarray
    columns: Mapping[str, np.ndarray]
    points: np.ndarray | None = None
    neutral: np.ndarray | None = None
    straight: tuple[float, float, float] = (0.0, 0.0, 0.0)
    timecode: str = ""
    timecode_frame: float = 0.0
    timecode_rate: int = 30

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Recorded:
    """A performance as it was recorded.

    Attributes:
        fps: the scene's frames per second then.
        parts: one for each source that sent anything.
        notes: what the user should know, in sentences.
    """

    fps: float
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def samples(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last frame, with their parts."""
        return min(part.frames[0] for part in self.parts), max(part.frames[-1] for part in self.parts)

    @property
    def timecode(self) -> str:
        """Of the source that tells one; empty where none does."""
        return next((part.timecode for part in self.parts if part.timecode), "")


def part_of(
    title: str, samples: Sequence[Sample], frames_at: Callable[[np.ndarray], np.ndarray], delay_seconds: float = 0.0,
    neutral: np.ndarray | None = None, straight: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Part | None:  # fmt: skip
    """All that one source sent, at scene frames; None where it sent nothing of use.

    Args:
        samples: in the order of the sender's clock.
        frames_at: from seconds of our clock, (N,), to scene frames.
        delay_seconds: how long the source takes to see the performer: its samples are put so much earlier.
        neutral, straight: see `Part`.
    """
    samples = [sample for sample in samples if _says(sample, neutral)]
    if not samples:
        return None
    seconds = [np.nan if sample.seconds is None else sample.seconds for sample in samples]
    # The order is the sender's: what arrives late for its time must not make our clock run backwards.
    arrived = np.array([sample.arrived for sample in samples])
    frames = np.asarray(frames_at(sent_at(arrived, seconds) - delay_seconds), np.float64)
    order = np.argsort(frames, kind="stable")
    frames, samples = frames[order], [samples[row] for row in order]
    shown = next((row for row, sample in enumerate(samples) if is_timecode(sample.timecode)), None)
    points = None
    if neutral is not None:
        rows = [sample.points for sample in samples if sample.points is not None]
        if len(rows) == len(samples):
            points = np.asarray(rows, np.float32)
    return Part(
        title, frames, _columns(samples), points, neutral if points is not None else None, straight,
        samples[shown].timecode if shown is not None else "", float(frames[shown]) if shown is not None else 0.0,
        rate_of([sample.timecode for sample in samples]),
    )  # fmt: skip


def _says(sample: Sample, neutral: np.ndarray | None) -> bool:
    if sample.points is not None and neutral is not None:
        return True
    return bool(sample.weights or sample.sliders) or sample.head is not None


def values_of(sample: Sample) -> dict[str, float]:
    """All numbers of a sample by their column's name, points apart."""
    values = dict(sample.weights)
    if sample.head is not None:
        values.update(zip(HEAD_ANGLES, sample.head, strict=True))
    values.update(sample.sliders)
    return values


def _columns(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """(N,) float32 each: where a sample does not tell, what was told last, and before the first time what comes first."""
    rows = [values_of(sample) for sample in samples]
    columns = {}
    for name in _names(rows):
        column = np.array([row.get(name, np.nan) for row in rows], np.float64)
        told = np.flatnonzero(np.isfinite(column))
        if not len(told):
            continue
        last = np.maximum.accumulate(np.where(np.isfinite(column), np.arange(len(column)), told[0]))
        column = column[last]
        if name in ARKIT_NAMES:
            column = np.clip(column, 0.0, 1.0)
        columns[name] = (np.unwrap(column) if name in HEAD_ANGLES else column).astype(np.float32)
    return columns


def _names(rows: Iterable[Mapping[str, float]]) -> list[str]:
    """Names in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))
