# SPDX-License-Identifier: GPL-3.0-or-later
"""Zips of the extension for the tests: built, and a Python that has no more of their packages than Blender's own."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_NETWORK = re.compile(r"name resolution|NewConnectionError|Network is unreachable|ProxyError|timed out|PIP_NO_INDEX")
# The builder in Blender 4 packs wheels twice, so the environments of those (versions.py) have another Python build.
BUILD_PYTHON = os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON", sys.executable)
HERE = {("Linux", "x86_64"): "linux-x64", ("Darwin", "arm64"): "macos-arm64", ("Windows", "AMD64"): "windows-x64"}.get(
    (platform.system(), platform.machine()), "linux-x64"
)


def build(output: Path, *arguments: str, root: Path = ROOT, **how: Any) -> list[Path]:
    done = subprocess.run(
        [BUILD_PYTHON, str(root / "build_addon.py"), "--output", str(output), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **how,
    )
    if done.returncode and NO_NETWORK.search(done.stdout):
        pytest.skip("the package index, from which the bundled wheels come, cannot be reached")
    assert done.returncode == 0, done.stdout
    return sorted(output.glob("*.zip"))


def manifest_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return tomllib.loads(archive.read("blender_manifest.toml").decode())


def place_bare_site(folder: Path) -> Path:
    """This environment's packages without those that the extension brings: as in Blender's own Python."""
    folder.mkdir()
    brought = ("zmq", "pyzmq", "msgpack", "portrait", "__editable__", "talking_portraits")
    for entry in Path(sysconfig.get_paths()["platlib"]).iterdir():
        if entry.suffix != ".pth" and not entry.name.startswith(brought):
            (folder / entry.name).symlink_to(entry)
    return folder


def in_blender(code: str, *arguments: str, home: Path, bare_site: Path) -> str:
    """Runs a script in this Blender, with `home` as its user's folder, and returns what it printed.

    The script finds the bare packages in its first argument.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(bare_site), *arguments],  # -S: only the bare packages are seen
        env={**environment, "BLENDER_USER_RESOURCES": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout
