# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait shot-frame`: one frame of a shot as a picture, and what the shot is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.media.images import read_image


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """Four pictures, each of one grey of its own."""
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"sc.{index + 7:04d}.png"), np.full((24, 32, 3), 40 * index, np.uint8))
    return folder


def test_a_frame_is_the_shots_own(shot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "frame.png"
    assert main(["shot-frame", str(shot), "--index", "2", "--output", str(output)]) == 0
    assert (read_image(output) == 80).all()
    assert "Shot: 4 frames, 25.000000 fps, 32x24" in capsys.readouterr().out.splitlines()


def test_a_frame_behind_the_end_is_refused(shot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "frame.png"
    assert main(["shot-frame", str(shot), "--index", "4", "--output", str(output)]) == 1
    assert "4 frames" in capsys.readouterr().err
    assert not output.exists()
