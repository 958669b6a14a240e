# SPDX-License-Identifier: GPL-3.0-or-later
"""What a farm's manager reads on a task's standard output: how far it is, which files it wrote, why it failed.

Open Job Description reads `openjd_progress`, `openjd_status` and `openjd_fail`. Flamenco reads what Blender prints: the
file in quotes, which it shows as a preview, and a time or a note for each frame, by which it counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import PortraitError

from portrait_server.farm.verifying import Finding, FrameVerdict

REPORTS: Final = ("openjd", "flamenco")


def tell_frames(frames: Iterable[StoredFrame], total: int, report: str) -> int:
    """Lines for each frame as soon as its file is there; the exit status, 0 only if there are `total`.

    Args:
        report: who reads them, of `REPORTS`.
    """
    tell = _tell_openjd if report == "openjd" else _tell_flamenco
    done, before = 0, time.monotonic()
    for done, frame in enumerate(frames, 1):
        now = time.monotonic()
        tell(frame, done, total, now - before)
        before = now
    return 0 if done == total else 1


def tell_verified(verdicts: Sequence[FrameVerdict], words: str) -> None:
    """Tells Open Job Description how many frames of a task that verifies them are valid, and which are not.

    Args:
        words: lines on all of them, see `in_words`.
    """
    valid = sum(verdict.finding is Finding.VALID for verdict in verdicts)
    print(f"openjd_progress: 100.0\nopenjd_status: {valid} of {len(verdicts)} frames are valid", flush=True)
    if valid < len(verdicts):
        _tell_failed("; ".join(line for line in words.splitlines() if not line.startswith(Finding.VALID)))


@contextmanager
def telling_failure(report: str | None) -> Iterator[None]:
    """Says to a manager that reads it why a task fails; the error goes on.

    Args:
        report: who reads it, of `REPORTS`, or None.
    """
    try:
        yield
    except PortraitError as error:
        if report == "openjd":
            _tell_failed(str(error))
        raise


def _tell_failed(why: str) -> None:
    print(f"openjd_fail: {' '.join(why.split())}", flush=True)


def _tell_openjd(frame: StoredFrame, done: int, total: int, _seconds: float) -> None:
    state = "drawn" if frame.drawn else "was there"
    print(
        f"openjd_progress: {100 * done / total:.1f}\n"
        f"openjd_status: Frame {frame.number} {state} ({done} of {total})\n"
        f"Saved: {frame.path}",
        flush=True,
    )


def _tell_flamenco(frame: StoredFrame, _done: int, _total: int, seconds: float) -> None:
    if frame.drawn:
        minutes, rest = divmod(seconds, 60)
        print(f"Time: {minutes:02.0f}:{rest:05.2f} (frame {frame.number})")
    else:
        print(f"skipping existing frame {frame.number}")
    print(f"Saved: '{frame.path}'", flush=True)
