# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of the project: style, types, room walls, tests, and the extension in other Blenders.

python tests/run_all.py              what CI runs: the oldest and the newest Blender
python tests/run_all.py --all        every Blender

As many at a time as there are processors; what each writes comes in one piece when it has ended.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TESTS = PROJECT / "tests"
BIN = Path(sys.executable).parent
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from tests.blender.versions import BLENDERS, OLDEST_AND_NEWEST, SKIPPED  # noqa: E402
from tests.server.pythons import NEWEST  # noqa: E402

# Folders of tests that have to be there, each in a process of its own; those that take longest begin first, and others
# that are there last.
SUITES = (
    "server/service",
    "blender",
    "server/training",
    "server/engines",
    "soak",
    "end_to_end",
    "server/corpora",
    "server/detectors",
    "server/drawing",
    "server/evaluation",
    "server/networks",
    "server/commands",
    "server/geometry",
    "server/kernels",
    "server/media",
    "server/speech",
    "shared",
    "house",
    "tour",
)
PYTEST = (sys.executable, "-m", "pytest", "--whole-files", "-p", "no:cacheprovider")
_SERVERS = "servers_environment"
"""The mark of the extension's tests that need the server's packages too."""
_REST = "tests/blender, what other Blenders run"
"""Run here where no other Blender is to be had."""
_one_prints_at_a_time = threading.Lock()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="test the extension in every supported Blender")
    parser.add_argument("--jobs", type=int, default=processors(), help="how many at a time (%(default)s)")
    options = parser.parse_args()
    steps = all_steps([blender.version for blender in BLENDERS] if options.all else OLDEST_AND_NEWEST)
    started = time.monotonic()
    jobs = max(1, options.jobs)
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = dict(zip(steps, pool.map(partial(run, jobs=jobs), steps, steps.values()), strict=True))
    if all(outcome == "skipped" for name, outcome in outcomes.items() if name.startswith("Blender ")):
        outcomes[_REST] = run(_REST, [*PYTEST, "-m", f"not {_SERVERS}", *files_of("blender")])
    print(f"== all: {len(outcomes)} steps, {time.monotonic() - started:.0f} s")
    failed = [*missing_suites(), *(name for name, outcome in outcomes.items() if outcome.startswith("FAILED"))]
    if skipped := [name for name, outcome in outcomes.items() if outcome == "skipped"]:
        print("SKIPPED:", ", ".join(skipped))
    if failed:
        print("FAILED:", ", ".join(failed))
    return 1 if failed else 0


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_steps(blenders: Sequence[str]) -> dict[str, list[str]]:
    """Commands by name, in the order in which they begin."""
    python = sys.executable
    tests = {f"tests/{suite}": [*PYTEST, *files] for suite in suites() if (files := files_of(suite))}
    # The other Blenders' environments run the rest.
    tests["tests/blender"] = [*PYTEST, "-m", _SERVERS, *(file for file in files_of("blender") if _marked(file))]
    others = {f"Blender {version}": [python, "tests/blender/versions.py", version] for version in blenders}
    pythons = {f"Python {version}": [python, "tests/server/pythons.py", version, "--", "-q"] for version in NEWEST}
    longest, *rest = tests
    return {
        longest: tests[longest],
        **others,
        **pythons,
        **{name: tests[name] for name in rest},
        "mypy": [python, "-m", "mypy"],
        "import-linter": [str(BIN / "lint-imports"), "--no-cache"],
        "ruff": [str(BIN / "ruff"), "check", "."],
        "ruff format": [str(BIN / "ruff"), "format", "--check", "."],
    }


def files_of(suite: str) -> list[str]:
    """Its own, without those of suites in folders of it."""
    return [path.relative_to(PROJECT).as_posix() for path in sorted((TESTS / suite).glob("test_*.py"))]


def _marked(file: str) -> bool:
    return f"pytest.mark.{_SERVERS}" in (PROJECT / file).read_text(encoding="utf-8")


def suites() -> list[str]:
    """Those that have to be there, and those that are there besides."""
    there = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    return [*SUITES, *sorted(there - set(SUITES))]


def missing_suites() -> list[str]:
    """Those that have to be there and are not, in words."""
    return [f"tests/{suite} has no tests" for suite in SUITES if not files_of(suite)]


def run(name: str, command: list[str], jobs: int = 1) -> str:
    """What became of it: "ok", "skipped" or "FAILED …"."""
    started = time.monotonic()
    _say(f"== {name} …")
    # Each meets its own servers alone. A file, not a pipe: a server that a test left behind would hold a pipe open.
    with tempfile.TemporaryDirectory(prefix="tp-run-") as runtime, tempfile.TemporaryFile() as output:
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "XDG_RUNTIME_DIR": runtime,
            # Small networks gain nothing by more threads than there are processors for each of the steps, and those
            # that wait for work would take the processor from another step's.
            "OMP_NUM_THREADS": str(max(1, processors() // jobs)),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        status = subprocess.call(
            command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    outcome = "ok" if status == 0 else "skipped" if status == SKIPPED else f"FAILED (status {status})"
    _say(f"{said}== {name}: {outcome}, {time.monotonic() - started:.0f} s\n")
    return outcome


def _say(text: str) -> None:
    with _one_prints_at_a_time:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
