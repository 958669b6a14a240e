# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheels in the extension's zip: its own two, and those of other projects, exact by their hashes."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from release.merged_wheels import merge
from release.source import (
    ADDON,
    LICENCE,
    ROOT,
    SERVER,
    SHARED,
    BuildError,
    copy_tree,
    run,
    settle,
    source_time,
    version,
)
from release.systems import PYTHONS, System

BUNDLED_WHEELS = ROOT / "bundled_wheels.txt"
UV = "uv"
_SERVERS_FILES = ("pyproject.toml", "README.md")


def shared_wheel(folder: Path) -> Path:
    """Builds the wheel of `portrait_shared` into `folder`. Raises BuildError."""
    with tempfile.TemporaryDirectory() as temporary:
        # A copy: setuptools leaves build folders beside what it builds.
        source = copy_tree(SHARED, Path(temporary) / "shared")
        shutil.copy(LICENCE, source)
        return _built(source, folder, f"portrait_shared-{version()}-py3-none-any.whl")


def server_wheel(folder: Path) -> Path:
    """Builds the server's wheel into `folder`: `portrait_server` with its weights, and `portrait_shared`.

    The extension is not in it, though pyproject.toml installs it beside the server: the wheel lies in the extension's
    own zip, and `portrait demo`, which alone needs it, is for checkouts. Raises BuildError.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "project"
        source.mkdir()
        for name in _SERVERS_FILES:
            shutil.copy(ROOT / name, source)
        shutil.copy(LICENCE, source)
        copy_tree(SERVER, source / SERVER.relative_to(ROOT))
        copy_tree(SHARED / "portrait_shared", source / "shared" / "portrait_shared")
        project = source / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        project.write_text(re.sub(rf'^\s*"?{ADDON.name}[^\n]*\n', "", text, flags=re.MULTILINE), encoding="utf-8",
                           newline="\n")  # fmt: skip
        return _built(source, folder, f"talking_portraits-{version()}-py3-none-any.whl")


def _built(source: Path, folder: Path, name: str) -> Path:
    settle(source)
    run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)],
        f"The wheel {name} could not be built.",
        "Building needs pip (python -m ensurepip) and, for setuptools, a package index: see pip's message above.",
        {"SOURCE_DATE_EPOCH": str(source_time())},
        umask=0o022,  # setuptools writes the rights of its own files into the wheel
    )
    if not (folder / name).is_file():
        raise BuildError(f"pip made no {name}.", "Compare the names and versions in pyproject.toml with it.")
    return folder / name


def download(folder: Path, system: System) -> list[Path]:
    """Downloads the wheels of other projects for one system and all its Pythons into `folder`.

    Returns:
        The wheels, by their names. Raises BuildError.
    """
    tags = [word for tag in (system.tag, *system.further_tags) for word in ("--platform", tag)]
    what = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--requirement", str(BUNDLED_WHEELS)]
    for python in PYTHONS:
        run(
            [sys.executable, "-m", "pip", "download", "--dest", str(folder), *what, *tags,
             "--implementation", "cp", "--python-version", python],
            f"A wheel for {system.name} and Python {python} could not be had.",
            "Check the connection to the package index; offline, set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder of "
            f"the wheels; if a release has no such wheel, choose another in {BUNDLED_WHEELS.name}.",
        )  # fmt: skip
    return sorted(folder.glob("*.whl"))


def merged(downloaded: list[Path], folder: Path, system: System) -> dict[Path, list[Path]]:
    """One wheel of each project for all Pythons, made in `folder` from those that `download` gave; uv's is left out.

    Returns:
        Each wheel with those that it is made of. Raises BuildError.
    """
    projects: dict[str, list[Path]] = {}
    for wheel in downloaded:
        projects.setdefault(wheel.name.split("-")[0], []).append(wheel)
    return {merge(wheels, folder, system.tag): wheels for name, wheels in projects.items() if name != UV}
