# SPDX-License-Identifier: GPL-3.0-or-later
"""Timecodes of a recording's rows (SMPTE ST 12-1) to seconds. Knows nothing of bpy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

_TIMECODE: Final = re.compile(r"\s*(\d{1,3})[:;](\d{1,3})[:;](\d{1,3})([:;])(\d{1,4})(?:[.,](\d{1,12}))?\s*", re.ASCII)
_NOMINAL_RATES: Final = (24, 25, 30, 48, 50, 60, 100, 120, 240)
_USUAL_ROWS_A_SECOND: Final = 60.0  # what ARKit's face tracking gives
_NTSC: Final = 1001 / 1000
_ROW_RATES: Final = (24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 100, 120000 / 1001, 120, 240)


def is_timecode(text: str) -> bool:
    """Whether it is `HH:MM:SS:FF`, with a part of a frame (`.500` or `,500`) or without; `;FF` is drop-frame."""
    return _TIMECODE.fullmatch(text) is not None


def seconds_of_timecodes(timecodes: Sequence[str]) -> tuple[float, np.ndarray]:
    """Rows a second, and each row's seconds from the earliest one.

    The frames of a second are counted at the nominal rate that the turns of the seconds show; a take that meets none is
    taken for one of about 60 rows a second. Drop-frame codes run at 1000/1001 of it and skip numbers on all minutes but
    the tenth ones; others are taken to run at the nominal rate, for nothing in them tells 23.976 from 24. Rows that share
    a timecode are spread over it. A take may pass midnight.

    Args:
        timecodes: N texts for which `is_timecode` holds.

    Returns:
        frames per second; (N,) float64.
    """
    matches = [match for text in timecodes if (match := _TIMECODE.fullmatch(text)) is not None]
    whole = np.array([[int(match.group(part)) for part in (1, 2, 3, 5)] for match in matches], np.int64)
    frames = whole[:, 3] + np.array([float(f"0.{match.group(6) or 0}") for match in matches])
    seconds = whole[:, :3] @ np.array((3600, 60, 1))
    drop = any(match.group(4) == ";" for match in matches)
    if len(frames) > 1 and np.ptp(seconds) == 0 and np.ptp(frames) == 0:
        return _USUAL_ROWS_A_SECOND, np.arange(len(frames)) / _USUAL_ROWS_A_SECOND  # a clock that never ran
    frames = frames + _within_same(seconds, frames)
    nominal = _nominal_rate(seconds, frames)
    rate = nominal / _NTSC if drop else float(nominal)
    skipped = _skipped(nominal) if drop else 0
    counted = _counted(seconds, frames, nominal, skipped)
    day = 86_400 * nominal - skipped * (1440 - 144)
    from_first = (counted - counted[0] + day / 2) % day - day / 2
    times = (from_first - from_first.min()) / rate
    return _rows_a_second(times, rate), times


def seconds_between(first: str, second: str, rate: int) -> float:
    """How much later a timecode is than another, seconds, below 0 where it is earlier.

    Args:
        first, second: texts for which `is_timecode` holds; drop-frame where either is.
        rate: how many frames a second counts.
    """
    matches = [match for text in (first, second) if (match := _TIMECODE.fullmatch(text)) is not None]
    drop = any(match.group(4) == ";" for match in matches)
    whole = np.array([[int(match.group(part)) for part in (1, 2, 3, 5)] for match in matches], np.int64)
    frames = whole[:, 3] + np.array([float(f"0.{match.group(6) or 0}") for match in matches])
    counted = _counted(whole[:, :3] @ np.array((3600, 60, 1)), frames, rate, _skipped(rate) if drop else 0)
    return float(counted[1] - counted[0]) / (rate / _NTSC if drop else rate)


def rate_of(timecodes: Sequence[str]) -> int:
    """How many frames a second of some timecodes counts: the least usual rate that has all their frames' numbers."""
    highest = max((int(match.group(5)) for text in timecodes if (match := _TIMECODE.fullmatch(text))), default=0)
    return next((rate for rate in (24, 25, 30, 50, 60, 120, 240) if rate > highest), highest + 1)


def _counted(seconds: np.ndarray, frames: np.ndarray, nominal: int, skipped: int) -> np.ndarray:
    """(N,) frames since 00:00:00:00.

    Args:
        skipped: how many numbers drop-frame leaves out on most minutes.
    """
    minutes = seconds // 60
    return np.asarray(seconds * nominal + frames - skipped * (minutes - minutes // 10))


def _skipped(nominal: int) -> int:
    return round(nominal / 15)  # 2 numbers of 30, 4 of 60


def _within_same(seconds: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(N,) parts of a frame that spread neighbouring rows of one timecode until the next one."""
    parts = np.zeros(len(frames))
    first = np.concatenate(([0], np.flatnonzero((np.diff(seconds) != 0) | (np.diff(frames) != 0)) + 1, [len(frames)]))
    for start, stop in itertools.pairwise(first.tolist()):
        until = frames[stop] - frames[start] if stop < len(frames) and seconds[stop] == seconds[start] else 1.0
        parts[start:stop] = np.arange(stop - start) / (stop - start) * min(max(until, 0.0), 1.0)
    return parts


def _nominal_rate(seconds: np.ndarray, frames: np.ndarray) -> int:
    """How many frames the timecode counts in a second."""
    possible = [rate for rate in _NOMINAL_RATES if rate > np.floor(frames.max())] or [int(frames.max()) + 1]
    later, steps = np.diff(seconds), np.diff(frames)
    forward = steps[(later == 0) & (steps > 0)]
    step = float(np.median(forward)) if len(forward) else 1.0
    turns = (later == 1) | (later == -86_399)
    if turns.any():
        counted = float(np.median(step - steps[turns]))  # from one turn to the next; a few may have lost rows
        return min(possible, key=lambda rate: abs(rate - counted))
    usual = [rate for rate in possible if rate <= _USUAL_ROWS_A_SECOND] or possible[:1]
    return min(usual, key=lambda rate: abs(rate / step - _USUAL_ROWS_A_SECOND))


def _rows_a_second(times: np.ndarray, rate: float) -> float:
    steps = np.diff(np.sort(times))
    steps = steps[steps > 0]
    if not len(steps):
        return rate
    measured = 1 / float(np.median(steps))
    # Parts of a frame tremble: over the whole take they hardly count. A step may stand for several, whose rows are lost.
    measured = float(np.maximum(np.round(steps * measured), 1).sum() / steps.sum())
    if abs(measured / rate - 1) <= float(np.ptp(steps) / steps.sum()):  # the trembling hides a smaller difference
        return rate
    nearest = min((*_ROW_RATES, rate), key=lambda known: abs(known / measured - 1))
    return nearest if abs(nearest / measured - 1) < 0.01 else measured
