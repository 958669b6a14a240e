# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of an image sequence Blender shows at which frame, in Blender's own settings. Knows nothing of bpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..blender.frame_runs import frame_runs

_NEVER: Final = 1_048_574  # the last frame a scene can have: a sequence that starts there holds its first picture
# Blender cuts the fraction off a driven whole number. Between two frames the value must stay on the earlier one's.
_SUBFRAME: Final = 1 / 64
_CONSTANT, _LINEAR = 0, 1

Key = tuple[float, float, int]
"""A key of the driver: (scene frame, value of the offset, interpolation as Blender numbers it)."""


@dataclass(frozen=True)
class Reel:
    """How Blender plays the files of one sequence.

    File played = clamp(scene frame - start + 1, 0, duration) + offset, where `keys` drive the offset if there are any.

    Attributes:
        first: number of the first frame's file, which names the sequence.
        start, duration, offset: of Blender's image user.
        keys: of the driver; empty where the files have no gaps.
    """

    first: int
    start: int
    duration: int
    offset: int
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, there: list[int]) -> Reel:
        """For the numbers of files that are there, rising: all 0 or more, or all below 0."""
        runs = frame_runs(there)
        if there[0] < 0:
            # Blender takes the minus sign for a part of the name, and so counts these files backwards.
            return cls(there[0], _NEVER, 1, -there[0], tuple(_keys_of_backward(runs)))
        first, last = there[0], there[-1]
        if len(runs) > 1:
            # The driver gives the whole number, and the sequence itself stands still: Blender may draw before it has
            # evaluated the driver, and a sequence that had moved on by itself would then ask for a file that is missing.
            return cls(first, _NEVER, 1, first, tuple(_keys_of_gaps(runs)))
        # Starting one frame late makes the clamp at 0 the first file, so that it is held before the range instead of
        # a file that does not exist.
        return cls(first, first + 1 if last > first else _NEVER, max(last - first, 1), first, ())

    def moved(self, frames: int) -> Reel:
        """The same files, each shown so many scene frames later."""
        start = self.start if self.start == _NEVER else self.start + frames
        return replace(self, start=start, keys=tuple((at + frames, value, kind) for at, value, kind in self.keys))


def _keys_of_gaps(runs: list[tuple[int, int]]) -> Iterable[Key]:
    """The offset rises with the frame in each run, and is held between runs."""
    for first, last in runs:
        if last > first:
            yield first, first + _SUBFRAME, _LINEAR
        yield last, last + _SUBFRAME, _CONSTANT


def _keys_of_backward(runs: list[tuple[int, int]]) -> Iterable[Key]:
    """The offset falls as the frame rises in each run, and is held between runs."""
    for first, last in runs:
        yield from _falling(first, last, -first)
        yield last, -last, _CONSTANT


def _falling(start: int, end: int, value: int) -> Iterable[Key]:
    """Keys of a whole number that is `value` at frame `start` and one less at each frame up to `end`.

    Cutting the fraction off takes a number above 0 down and one below 0 up: each part needs keys of its own.
    """
    zero = min(end, start + max(value, 0))
    if zero > start:
        yield start, value + 1 - _SUBFRAME, _LINEAR
        yield zero - _SUBFRAME, value - (zero - start) + 1, _CONSTANT
    if zero < end:
        yield zero, value - (zero - start), _LINEAR
        yield end - _SUBFRAME, value - (end - start) + _SUBFRAME, _CONSTANT
