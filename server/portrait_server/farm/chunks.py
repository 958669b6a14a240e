# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that are still to be drawn, cut into chunks as workers ask for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_numbers import ranges_of

ATTEMPTS: Final = 3
"""How often a chunk is handed out, at most: one that ends its worker each time would end all of them."""
RETURNED_BYTES: Final = 512 << 20
"""What frames that workers send back may take together while they are on their way."""
_FIRST_FRAMES: Final = 4
_MOST_FRAMES: Final = 64
_CHUNK_SECONDS: Final = 10.0
"""How long a chunk is to take: what an interruption costs at most, and how often a bar moves."""


@dataclass(frozen=True)
class Chunk:
    """Frames that one worker draws at a time.

    Attributes:
        attempts: how often they were handed out before.
    """

    frames: tuple[int, ...]
    attempts: int = 0

    def __str__(self) -> str:
        return f"frame{'s' if len(self.frames) > 1 else ''} {ranges_of(self.frames)}"


class Chunks:
    """All that is left to do.

    Args:
        frames: their numbers, in the order in which they are to be drawn.
        workers: how many will ask.
    """

    def __init__(self, frames: Sequence[int], workers: int) -> None:
        self._frames = deque(frames)
        self._workers = max(1, workers)
        self._again: deque[Chunk] = deque()
        self._out = 0
        self._largest = 0

    @property
    def finished(self) -> bool:
        """Whether every frame was drawn."""
        return not (self._frames or self._again or self._out)

    @property
    def waiting(self) -> bool:
        """Whether there is a chunk to hand out."""
        return bool(self._frames or self._again)

    def next(self, seconds_a_frame: float | None, sent_back: bool) -> Chunk:
        """The next chunk for a worker. Chunks get smaller towards the end, so that all workers end together.

        Args:
            seconds_a_frame: how long that worker takes; None before its first chunk.
            sent_back: whether the frames come back as bytes: then only as many as may be on their way.
        """
        self._out += 1
        if self._again:
            return self._again.popleft()
        share = -(-len(self._frames) // (2 * self._workers))
        wish = _FIRST_FRAMES if seconds_a_frame is None else int(_CHUNK_SECONDS / max(seconds_a_frame, 1e-3))
        fits = _MOST_FRAMES
        if sent_back:
            fits = RETURNED_BYTES // self._workers // self._largest if self._largest else 1
        count = max(1, min(share, wish, fits, _MOST_FRAMES))
        return Chunk(tuple(self._frames.popleft() for _ in range(count)))

    def drawn(self, largest_bytes: int = 0) -> None:
        """A chunk is done.

        Args:
            largest_bytes: of its frames, where they were sent back.
        """
        self._out -= 1
        self._largest = max(self._largest, largest_bytes)

    def failed(self, chunk: Chunk, done: frozenset[int], why: PortraitError) -> None:
        """A chunk was not drawn to its end; what is missing of it goes to the next worker that asks.

        Args:
            done: frames of it that are there all the same.

        Raises:
            PortraitError: with the code of `why`, where it was handed out often enough; it names the chunk.
        """
        self._out -= 1
        left = tuple(number for number in chunk.frames if number not in done)
        if not left:
            return
        again = Chunk(left, chunk.attempts + 1)
        if again.attempts >= ATTEMPTS:
            raise PortraitError(
                ErrorCode(why.code), f"Drawing {again} failed {ATTEMPTS} times, at last so: {why.message}",
                why.remedy or "Frames that are there stay: render again when that is mended.",
            )  # fmt: skip
        self._again.append(again)
