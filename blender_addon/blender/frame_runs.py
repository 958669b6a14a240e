# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame numbers as stretches without gaps. Knows nothing of bpy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def frame_runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) of each stretch without gaps; the frames must rise."""
    gaps = [(one, other) for one, other in pairwise(frames) if other > one + 1]
    ends = [*frames[:1], *(end for gap in gaps for end in gap), *frames[-1:]]
    return list(zip(ends[::2], ends[1::2], strict=True))
