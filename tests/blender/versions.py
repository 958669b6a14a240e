#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests/blender in several Blenders: `python tests/blender/versions.py 4.2 5.2`, or `--all`.

Each has an environment of its own, made on first use and kept in the user's cache. Tests that render use the server
of the environment that runs this. Arguments after `--` go to pytest. A Blender that cannot be had on this machine is
skipped, with the reason; where the environment variable CI is set, that is a failure. The status is 77 where all were
skipped. Several are tested at a time, each as soon as its environment is there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Blender:
    """A release of Blender: its Python, and the packages that its official builds have."""

    version: str
    python: str
    packages: tuple[str, ...]


BLENDERS = (
    Blender("4.2", "3.11", ("bpy>=4.2,<4.3", "numpy>=1.24,<1.25")),
    Blender("4.3", "3.11", ("bpy>=4.3,<4.4", "numpy>=1.24,<1.25")),
    Blender("4.4", "3.11", ("bpy>=4.4,<4.5", "numpy>=1.26,<2")),
    Blender("4.5", "3.11", ("bpy>=4.5,<4.6", "numpy>=1.26,<2")),
    Blender("5.0", "3.11", ("bpy>=5.0,<5.1", "numpy>=1.26,<2")),
    Blender("5.1", "3.13", ("bpy>=5.1,<5.2", "numpy>=2.2,<3")),
    Blender("5.2", "3.13", ("bpy>=5.2,<5.3", "numpy>=2.2,<3")),
)
SKIPPED = 77  # the status, as automake has it
OLDEST_AND_NEWEST = (BLENDERS[0].version, BLENDERS[-1].version)


def requirements(blender: Blender) -> list[str]:
    """What the environment holds: this Blender, what the extension bundles, and pytest, as the project states them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shared = tomllib.loads((ROOT / "shared" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bundled = [line for line in shared["dependencies"] if not line.startswith("numpy")]
    pytest = [line for line in project["optional-dependencies"]["test"] if line.startswith("pytest")]
    return [*blender.packages, *bundled, *pytest]


def candidates(version: str) -> Iterator[Path]:
    """Where a Python of that version may be: this one, one on the PATH, pyenv's."""
    yield Path(sys.executable)
    for name in (f"python{version}", f"python{version}.exe"):
        if found := shutil.which(name):
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for folder in sorted(pyenv.glob(f"versions/{version}.*"), reverse=True):
        yield folder / "bin" / "python"


def find_python(version: str) -> Path | None:
    question = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for python in candidates(version):
        if not python.is_file():
            continue
        # pyenv's shims are there for versions that then do not start
        answer = subprocess.run([str(python), "-c", question], capture_output=True, text=True)
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return python
    return None


def environment_python(blender: Blender, base: Path) -> Path:
    """The Python of the Blender's environment, which is made if it is not in the cache. Raises CalledProcessError."""
    wanted = requirements(blender)
    key = hashlib.sha256("\n".join([str(base.resolve()), *wanted]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talking-portraits-tests"
    folder = cache / f"bpy-{blender.version}-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        for stale in cache.glob(f"bpy-{blender.version}-*"):  # about 1 GB each
            shutil.rmtree(stale)
        print(f"versions: making {folder} for Blender {blender.version}", flush=True)
        subprocess.run([str(base), "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
        complete.touch()
    return python


def run_tests(blender: Blender, python: Path, pytest_arguments: Sequence[str]) -> int:
    """Pytest's exit status; what it writes comes in one piece when it has ended."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")]),
        "TALKING_PORTRAITS_BUILD_PYTHON": sys.executable,
    }
    server = Path(sys.executable).with_name("portrait.exe" if os.name == "nt" else "portrait")
    if "TALKING_PORTRAITS_SERVER" not in environment and server.is_file():
        environment["TALKING_PORTRAITS_SERVER"] = str(server)
    arguments = ["tests/blender", "-p", "no:cacheprovider", *pytest_arguments]
    command = [str(python), "-m", "pytest", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    print(f"versions: Blender {blender.version}\n{done.stdout}", flush=True)
    return done.returncode


_one_environment_at_a_time = threading.Lock()


class Outcome(NamedTuple):
    """What became of a Blender's tests."""

    state: Literal["passed", "skipped", "FAILED"]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else self.state


def test(blender: Blender, pytest_arguments: Sequence[str]) -> Outcome:
    base = find_python(blender.python)
    if base is None:
        return _lacking(f"no Python {blender.python} on the PATH or in pyenv")
    try:
        with _one_environment_at_a_time:
            python = environment_python(blender, base)
    except subprocess.CalledProcessError as error:
        return _lacking(f"no environment, see above; {error.cmd[0]} needs the package index and 1 GB of disk")
    status = run_tests(blender, python, pytest_arguments)
    return Outcome("passed") if status == 0 else Outcome("FAILED", f"pytest exit status {status}")


def _lacking(what: str) -> Outcome:
    """CI has every Python and every Blender; other machines need not."""
    return Outcome("FAILED" if os.environ.get("CI") else "skipped", what)


def main() -> int:
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [blender.version for blender in BLENDERS]
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(known)}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--oldest-and-newest", action="store_true", help=" and ".join(OLDEST_AND_NEWEST))
    which.add_argument("--all", action="store_true", help="every one of them")
    options = parser.parse_args(own)
    if unknown := set(options.versions) - set(known):
        parser.error(f"no such Blender: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted = known if options.all else OLDEST_AND_NEWEST if options.oldest_and_newest else options.versions
    if not wanted:
        parser.error("name versions, or give --oldest-and-newest or --all")

    pytest_arguments = sys.argv[len(own) + 2 :]
    chosen = [blender for blender in BLENDERS if blender.version in wanted]
    with ThreadPoolExecutor(min(len(chosen), os.cpu_count() or 1)) as pool:
        tested = pool.map(lambda blender: test(blender, pytest_arguments), chosen)
        outcomes = {blender.version: outcome for blender, outcome in zip(chosen, tested, strict=True)}
    print("versions:", "; ".join(f"Blender {version} {outcome}" for version, outcome in outcomes.items()))
    states = {outcome.state for outcome in outcomes.values()}
    return 1 if "FAILED" in states else SKIPPED if states == {"skipped"} else 0


if __name__ == "__main__":
    sys.exit(main())
