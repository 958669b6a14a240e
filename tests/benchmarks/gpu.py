#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine with a GPU draws, tunes and learns a second, in one command of at most eight minutes.

    python3.11 server/set_up.py install
    .venv/bin/python tests/benchmarks/gpu.py --output FOLDER
    .venv/bin/python tests/benchmarks/gpu.py --output FOLDER --device cuda:all --sections serving   # on all GPUs
    .venv/bin/python tests/benchmarks/gpu.py --output FOLDER --device cpu --short   # a rehearsal without a GPU

Prints each figure as soon as it is known, and keeps all in FOLDER/gpu.json and, as tables, in FOLDER/gpu.md. A section
that fails, crashes or takes longer than it may is reported red, and the next one begins. With --resume, sections that
FOLDER holds already are not measured again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from portrait_shared.devices import device_names, parse_device  # noqa: E402

from tests.benchmarks.gpu_sections.machine import conditions  # noqa: E402
from tests.benchmarks.gpu_sections.material import Plan  # noqa: E402
from tests.benchmarks.gpu_sections.report import Report, Row, Section  # noqa: E402

HERE = "tests.benchmarks"
MINUTES = 8.0
_LEAST_SECONDS = 3.0  # a section that has less than this left is not begun


@dataclass(frozen=True)
class Task:
    """A section that can be measured.

    Attributes:
        module, function: what yields rows, given the plan; loaded by the process that measures alone.
        limit_s: how long it may take.
    """

    title: str
    module: str
    function: str
    limit_s: float


TASKS = {
    "machine": Task("The machine", f"{HERE}.gpu_sections.machine", "machine", 60),
    "engines": Task("The engines", f"{HERE}.gpu_sections.drawing", "engines", 90),
    "serving": Task("Through the server", f"{HERE}.gpu_sections.serving", "serving", 150),
    "equality": Task("Device and processor draw the same", f"{HERE}.gpu_sections.equality", "equality", 90),
    "networks": Task("The networks alone", f"{HERE}.gpu_sections.drawing", "networks", 60),
    "training": Task("Training", f"{HERE}.gpu_sections.learning", "training", 60),
    "tuning": Task("Tuning to a person", f"{HERE}.gpu_sections.learning", "tuning", 90),
    "long": Task("A long render", f"{HERE}.gpu_sections.serving", "long_render", 90),
    "host": Task("Python and NumPy beside the device", f"{HERE}.host_profile", "host_profile", 60),
}
"""What is measured, in this order: what matters most comes first."""


def main() -> int:
    asked = arguments()
    plan = Plan(device_names(asked.device)[0].replace(":all", ":0"), asked.short, asked.device)
    deadline = time.monotonic() + 60 * asked.minutes
    report = Report(asked.output, f"gpu.py --device {asked.device}{' --short' * asked.short}", resume=asked.resume)
    measurer = Measurer(plan)
    try:
        for name in asked.sections:
            if (kept := report.sections.get(name)) is not None and kept.state == "done":
                print(f"{kept.title}: kept from before")
            else:
                measure(report, measurer, name, TASKS[name], deadline)
    finally:
        measurer.end()
    reds = [f"{name}: {row.what}" for name in asked.sections for row in report.sections[name].rows if row.red]
    print(f"\n{asked.output / 'gpu.md'} holds the tables." + "".join(f"\nRED {red}" for red in reds))
    return 1 if reds else 0


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--device", type=parse_device, default="cuda",
                        help="what draws; of several (cuda:0,cuda:1; cuda:all) all draw for the server, the first in the "
                             "other sections (default: cuda)")  # fmt: skip
    parser.add_argument(
        "--short", action="store_true", help="a rehearsal: everything runs, nothing long enough to count"
    )
    parser.add_argument("--resume", action="store_true", help="measure only what FOLDER lacks")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all of it (%(default)s)")
    parser.add_argument(
        "--sections", nargs="+", choices=TASKS, default=list(TASKS), metavar="NAME", help=", ".join(TASKS)
    )
    return parser.parse_args(given)


def measure(report: Report, measurer: Measurer, name: str, task: Task, deadline: float) -> None:
    """One section, kept and printed row by row, until `deadline` (`time.monotonic`) at most."""
    begun = time.monotonic()
    limit = min(begun + task.limit_s, deadline)
    section = Section(task.title, "failed", 0.0)
    print(f"\n{task.title}", flush=True)
    if limit - begun < _LEAST_SECONDS:
        section.state = "no time"
        add(section, Row("not measured", note="the time was over; --resume measures what is missing", red=True))
    else:
        for row in measurer.rows(task, limit):
            add(section, row)
            section.seconds = time.monotonic() - begun
            report.put(name, section)
        section.state = "done" if measurer.ended_well else "failed"
        section.conditions = conditions()
    section.seconds = time.monotonic() - begun
    report.put(name, section)


def add(section: Section, row: Row) -> None:
    section.rows.append(row)
    print(row.as_line(), flush=True)


class Measurer:
    """A process that measures one section after another; a new one takes over where it crashes or must be ended.

    Attributes:
        ended_well: whether the newest section came to its end by itself.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self.ended_well = False

    def rows(self, task: Task, limit: float) -> Iterator[Row]:
        """A section's rows as they come; a red one where it does not end by itself before `limit` (`time.monotonic`)."""
        self.ended_well = False
        pipe = self._running()
        pipe.send(task)
        while pipe.poll(max(0.0, limit - time.monotonic())):
            try:
                row = pipe.recv()
            except EOFError:
                assert self._process is not None
                self._process.join()
                yield Row("crashed", note=f"the process ended with status {self._process.exitcode}", red=True)
                self.end()
                return
            if row is None:
                self.ended_well = True
                return
            yield row
            if row.what == FAILED:
                return
        self.end()  # by force: what hangs in a driver does not hear of time
        yield Row("stopped", note="it took longer than it may", red=True)

    def end(self) -> None:
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None

    def _running(self) -> Connection:
        if self._pipe is None:
            self._pipe, theirs = self._context.Pipe()
            self._process = self._context.Process(target=work, args=(theirs, self._plan), daemon=False)
            self._process.start()
            theirs.close()
        return self._pipe


FAILED = "failed"
"""What the last row of a section is called in which an error was raised."""


def work(pipe: Connection, plan: Plan) -> None:
    """What the measuring process does: for each task that comes, its rows, then None or a row FAILED."""
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            for row in getattr(import_module(task.module), task.function)(plan):
                pipe.send(row)
            pipe.send(None)
        except ImportError as error:
            remedy = "`python3.11 server/set_up.py install` brings what the project needs"
            pipe.send(Row(FAILED, note=f"not measured, something is missing: {error}; {remedy}", red=True))
        except Exception as error:  # noqa: BLE001 - told as a row; the other sections shall be measured all the same
            traceback.print_exc()
            pipe.send(Row(FAILED, note=f"{type(error).__name__}: {error}", red=True))


if __name__ == "__main__":
    sys.exit(main())
