# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job's frames are cut into chunks, handed out, and handed out again."""

from __future__ import annotations

import pytest
from portrait_server.farm.chunks import ATTEMPTS, RETURNED_BYTES, Chunk, Chunks
from portrait_shared.errors import ErrorCode, PortraitError

WHY = PortraitError(ErrorCode.SERVER_LOST, "its worker died.", "Give it more memory.")


def drain(chunks: Chunks, pace: float | None = 0.01, sent_back: bool = False) -> list[Chunk]:
    found = []
    while chunks.waiting:
        found.append(chunks.next(pace, sent_back))
        chunks.drawn()
    return found


@pytest.mark.parametrize(
    ("pace", "sent_back"), [(None, False), (0.0, False), (0.01, False), (3.0, True), (100.0, False)]
)
def test_every_frame_is_handed_out_once_in_order(pace: float | None, sent_back: bool) -> None:
    frames = [-3, *range(1, 200), 500]
    chunks = Chunks(frames, 3)
    assert [number for chunk in drain(chunks, pace, sent_back) for number in chunk.frames] == frames
    assert chunks.finished


def test_chunks_are_small_at_first_and_towards_the_end_so_that_all_workers_end_together() -> None:
    chunks = Chunks(range(400), 2)
    first = chunks.next(None, False)
    sizes = [len(chunk.frames) for chunk in drain(chunks)]
    assert len(first.frames) < max(sizes) and sizes[-1] == 1 and sizes == sorted(sizes, reverse=True)


def test_slow_workers_get_small_chunks() -> None:
    assert [len(Chunks(range(400), 2).next(pace, False).frames) for pace in (0.01, 2.0, 60.0)] == [64, 5, 1]


def test_frames_that_come_back_are_bounded_by_their_bytes() -> None:
    chunks = Chunks(range(400), 4)
    assert len(chunks.next(0.01, True).frames) == 1  # nobody knows yet how large they are
    chunks.drawn(RETURNED_BYTES // 40)
    assert len(chunks.next(0.01, True).frames) == 10
    assert len(chunks.next(0.01, False).frames) > 10


def test_a_chunk_that_fails_is_handed_out_again_without_what_is_there() -> None:
    chunks = Chunks(range(1, 5), 1)
    chunk = chunks.next(0.01, False)
    assert chunk.frames == (1, 2)
    chunks.failed(chunk, frozenset([1]), WHY)
    assert chunks.waiting and not chunks.finished
    assert chunks.next(0.01, False) == Chunk((2,), 1)
    chunks.failed(Chunk((2,), 1), frozenset([2]), WHY)
    assert [chunk.frames for chunk in drain(chunks)] == [(3,), (4,)] and chunks.finished


def test_a_chunk_that_fails_each_time_ends_the_job_and_is_named() -> None:
    chunks = Chunks(range(7, 11), 1)
    with pytest.raises(PortraitError, match="frames 7-8 failed 3 times, at last so: its worker died") as raised:
        for _ in range(ATTEMPTS):
            chunks.failed(chunks.next(0.01, False), frozenset(), WHY)
    assert raised.value.code is ErrorCode.SERVER_LOST and raised.value.remedy == WHY.remedy
