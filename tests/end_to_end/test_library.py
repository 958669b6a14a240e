# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of docs/library.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_shared.track import LandmarkTrack

_PAGE = Path(__file__).parents[2] / "docs" / "library.md"
_WRITES_FILES, _GIVES_PIXELS = re.findall(r"^```python\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.M | re.S)
_NEEDS_NOTHING_ELSE = "import sys\nassert not {'portrait_server', 'torch', 'cv2', 'bpy'} & sys.modules.keys()\n"
_SIDE = 160


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a program runs: with a photo, and nobody's server in its way."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none"))  # servers start faster
    photo = cv2.resize(skimage.data.astronaut()[:256, 96:352], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "photo.png"), photo[..., ::-1])
    return tmp_path


def said(program: str, folder: Path) -> str:
    """What it prints."""
    command = [sys.executable, "-c", program + _NEEDS_NOTHING_ELSE]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def test_files_are_those_of_the_command(folder: Path) -> None:
    assert main(["landmarks", str(folder / "photo.png"), "--output", str(folder / "photo.npz")]) == 0
    rest = LandmarkTrack.load(folder / "photo.npz")
    LandmarkTrack(rest.points + np.linspace(0, 5, 3)[:, None, None], rest.size, start=7).save(folder / "track.npz")
    printed = said(_WRITES_FILES, folder)
    assert printed.split() == [os.path.join("frames", f"{number:04d}.png") for number in (7, 8, 9)]

    words = ["--reference", folder / "photo.png", "--track", folder / "track.npz", "--output", folder / "command"]
    assert main(["render", *map(str, words)]) == 0
    for path in (folder / "command").glob("*.png"):
        assert path.read_bytes() == (folder / "frames" / path.name).read_bytes()


def test_pixels_come_back_as_an_array(folder: Path) -> None:
    assert said(_GIVES_PIXELS, folder).startswith(f"({_SIDE}, {_SIDE}, 3) uint8 ")
