# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process holds while a soak runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

WARM_SHARE = 0.25
"""Of a run; until then caches and allocators may fill."""
_SAMPLES = 40


class Usage(NamedTuple):
    """What a process holds: resident memory in MiB, open files and sockets, threads."""

    mib: float
    descriptors: int
    threads: int


def usage(pid: int) -> Usage:
    """What a process holds now. Needs Linux's /proc."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Usage(int(status["VmRSS"].split()[0]) / 1024, descriptors, int(status["Threads"]))


@dataclass
class Gauge:
    """Looks at a process some forty times in a run, and says what it sees.

    Attributes:
        pid: the process.
        total: of what the run counts.
        what: it counts.
    """

    pid: int
    total: int
    what: str
    samples: list[tuple[int, Usage]] = field(default_factory=list)

    def note(self, done: int) -> None:
        """Looks, where it is time to."""
        if not self.samples or done >= self.total or done - self.samples[-1][0] >= self.total / _SAMPLES:
            now = usage(self.pid)
            self.samples.append((done, now))
            print(
                f"{done} {self.what}: {now.mib:.0f} MiB, {now.descriptors} descriptors, {now.threads} threads",
                flush=True,
            )

    def growth(self) -> Usage:
        """By how much the middle of the last third's looks exceeds that of the time from warm to there: what is held for a
        moment, such as large frames, is no growth."""
        warm = [now for done, now in self.samples if WARM_SHARE * self.total <= done < 2 / 3 * self.total]
        late = [now for done, now in self.samples if done >= 2 / 3 * self.total]
        assert warm and late, "too few looks"
        mib, descriptors, threads = (
            median(now[index] for now in late) - median(now[index] for now in warm) for index in range(3)
        )
        print(f"growth: {mib:+.1f} MiB, {descriptors:+.0f} descriptors, {threads:+.0f} threads", flush=True)
        return Usage(mib, int(descriptors), int(threads))
