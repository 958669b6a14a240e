# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame numbers as they are written on a command line: ``1-48``, ``3,7,10-12``, ``-10--1``, ``1-47:2``.

Standard library only.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Final

_PART: Final = re.compile(r"\s*(-?\d{1,9})\s*(?:-\s*(-?\d{1,9})\s*(?::\s*([1-9]\d{0,8}))?)?\s*")
_LOOKS_NEGATIVE: Final = re.compile(r"-\d[\d\s,:-]*")
_MOST_FRAMES: Final = 1_000_000
OPTION: Final = "--frames"


def parse_frames(text: str) -> list[int]:
    """The frames of ``1-48`` or ``3,7,10-12``, in order; a number below 0 keeps its sign: ``-10--1``, ``-10-5``.

    ``1-47:2`` is every second one, as Open Job Description writes them.

    Raises:
        argparse.ArgumentTypeError: it is neither, or is empty or absurdly long.
    """
    frames: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise argparse.ArgumentTypeError(
                f"“{part}” is neither a frame number nor a range such as 1-48 or, below 0, -10--1"
            )
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise argparse.ArgumentTypeError(f"the range {part.strip()} is empty: it ends before it starts")
        if last - first >= _MOST_FRAMES:
            raise argparse.ArgumentTypeError(f"the range {part.strip()} has more than {_MOST_FRAMES} frames")
        frames.update(range(first, last + 1, int(match[3] or 1)))
    return sorted(frames)


def ranges_of(frames: Iterable[int]) -> str:
    """Frames in order as short as `parse_frames` and Open Job Description read them: ``3,7,10-12``, ``1-47:2``.

    A shot of thousands of frames, every second of which is wanted, would not fit into a command line of Windows one by one.
    """
    runs: list[list[int]] = []
    for frame in frames:
        if runs and (len(runs[-1]) == 1 or frame - runs[-1][-1] == runs[-1][1] - runs[-1][0]):
            runs[-1].append(frame)
        elif runs and len(runs[-1]) == 2 and frame - runs[-1][1] < runs[-1][1] - runs[-1][0]:
            runs.append([runs[-1].pop(), frame])  # two far apart are no run: the second may begin one
        else:
            runs.append([frame])
    return ",".join(map(_run, runs))


def _run(frames: Sequence[int]) -> str:
    step = frames[1] - frames[0] if len(frames) > 1 else 1
    if len(frames) == 1 or (step > 1 and len(frames) == 2):
        return ",".join(map(str, frames))
    return f"{frames[0]}-{frames[-1]}" + (f":{step}" if step > 1 else "")


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``--frames -10--1`` as ``--frames=-10--1``: else it would be taken for an option."""
    found: list[str] = []
    for word in arguments:
        if found and found[-1] == OPTION and _LOOKS_NEGATIVE.fullmatch(word):
            found[-1] = f"{OPTION}={word}"
        else:
            found.append(word)
    return found
