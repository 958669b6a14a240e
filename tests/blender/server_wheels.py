# SPDX-License-Identifier: GPL-3.0-or-later
"""Small wheels that stand for the server and what it needs, and a place to install them into: by the real uv."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

from blender_addon.installation.choices import Choice
from blender_addon.installation.environments import Installed
from blender_addon.installation.installing import Installation
from tests.package_index import Index, make_wheel
from tests.waiting import PATIENCE_SECONDS

RELEASE = "0.1.0"
_MAIN = f"""
import sys
def main():
    if sys.argv[1] == "--version":
        print("Talking Portraits {RELEASE}")
    elif sys.argv[1] == "doctor":
        print(" MISSING  System libraries: libEGL.so.1\\n          -> sudo apt-get install libegl1")
        return 1
"""
_TORCH = "__version__ = '2.9.0+cpu'\n"
BIG = random.Random(1).randbytes(3_000_000)
"""More than what uv says nothing about."""


def server_wheel(folder: Path, release: str = RELEASE, main: str = _MAIN) -> Path:
    return make_wheel(
        folder, "talking-portraits", release, {"portrait_server/__init__.py": main.replace(RELEASE, release)},
        needs=["torch>=2.6,<3", "small-one"], extras={"speech": ["small-two"], "live": []},
        scripts={"portrait": "portrait_server:main"},
    )  # fmt: skip


def needed_wheels(folder: Path, torch: str = _TORCH) -> list[Path]:
    return [
        make_wheel(folder, "torch", "2.9.0", {"torch/__init__.py": torch, "torch/weights.bin": BIG}),
        make_wheel(folder, "small-one", "1.0", {"small_one.py": "x = 1\n"}),
        make_wheel(folder, "small-two", "1.0", {"small_two/__init__.py": "x = 2\n"}),
    ]


@dataclass
class Place:
    """Where a test installs.

    Attributes:
        folder: the extension's own.
        index: what packages come from.
        wheels: the folder that they were made in.
    """

    folder: Path
    index: Index
    wheels: Path

    @property
    def choice(self) -> Choice:
        return Choice("cpu", self.index.address, python=sys.executable)

    @property
    def folder_choice(self) -> Choice:
        return Choice("cpu", wheels=self.wheels, python=sys.executable)

    def begin(self, choice: Choice | None = None, repair: bool = False) -> Installation:
        installation = Installation(self.folder)
        installation.start(self.choice if choice is None else choice, repair)
        return installation

    def run(self, choice: Choice | None = None, repair: bool = False) -> Installation:
        installation = self.begin(choice, repair)
        assert installation.join(PATIENCE_SECONDS), installation.last_lines
        return installation

    def install(self, choice: Choice | None = None, repair: bool = False) -> Installed:
        installation = self.run(choice, repair)
        assert installation.error is None, (installation.error, installation.last_lines)
        assert installation.result is not None
        return installation.result
