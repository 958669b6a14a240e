# SPDX-License-Identifier: GPL-3.0-or-later
"""The source that a release is built from: its folders and version, copies of it alike wherever they are made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDON = ROOT / "blender_addon"
SHARED = ROOT / "shared"
SERVER = ROOT / "server" / "portrait_server"
LICENCE = ROOT / "LICENSE"
MANIFEST = "blender_manifest.toml"
EARLIEST_ZIP_TIME = 315532800  # 1980-01-01, in seconds since 1970; a zip holds nothing earlier
_NOT_SHIPPED = ("__pycache__", "wheels", "bin", "licenses", ".*", "*.zip", "*.blend[1-9]", "*.egg-info", "build")
_LAST_LINES = 12


class BuildError(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}\n  Remedy: {remedy}")


def source_time() -> int:
    """The date of every file in a release, seconds since 1970: `SOURCE_DATE_EPOCH`, or 1980-01-01."""
    return max(int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST_ZIP_TIME)), EARLIEST_ZIP_TIME)


def version() -> str:
    """The release, such as "0.1.0". Raises BuildError where the source names none."""
    text = (SHARED / "portrait_shared" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise BuildError("portrait_shared names no version.", 'Add `__version__ = "…"` to its __init__.py.')
    return found[1]


def read_manifest() -> dict[str, object]:
    """The extension's manifest. Raises BuildError where it is not there, or names another version."""
    path = ADDON / MANIFEST
    if not path.is_file():
        raise BuildError(f"{path} is missing.", "Build from a complete checkout.")
    manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    if manifest.get("version") != version():
        raise BuildError(
            f"The manifest says version {manifest.get('version')}, portrait_shared says {version()}.",
            f"Set both to the same: {path} and {SHARED / 'portrait_shared' / '__init__.py'}.",
        )
    return manifest


def copy_tree(source: Path, target: Path) -> Path:
    """Copies what ships, with one time and one mode for every file: both end in zips and wheels."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
    settle(target)
    return target


def settle(folder: Path) -> None:
    """Gives every file in a folder the one time and the one mode."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (source_time(), source_time()))


def run(
    command: Sequence[str], failure: str, remedy: str, environment: dict[str, str] | None = None, umask: int = -1
) -> str:
    """Runs a program and returns what it printed. Raises BuildError with its last lines when it fails.

    Args:
        umask: what rights its files lack; this process's own umask where -1.
    """
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace", **(environment or {})}, umask=umask,
    )  # fmt: skip
    if done.returncode:
        last_lines = "\n".join(f"    {line}" for line in done.stdout.strip().splitlines()[-_LAST_LINES:])
        raise BuildError(f"{failure}\n{last_lines}", remedy)
    return done.stdout
