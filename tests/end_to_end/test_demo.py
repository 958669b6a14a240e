# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait demo`: the scene, the frames, a movie that moves, and the contact sheet."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.cli import main
from portrait_server.media.images import read_image
from portrait_shared.frames.frame_marks import read_digest

SIDE = 256  # pixels of the photo: what ships, halved, for speed


def test_the_demo_makes_all_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = cv2.resize(skimage.data.astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    monkeypatch.setattr(skimage.data, "astronaut", lambda: smaller)  # all else is as it ships
    older = tmp_path / "portrait_frames" / "astronaut"
    older.mkdir(parents=True)
    (older / ".talking-portrait").write_text("of another demo")
    (older / "0001.png").write_bytes(b"of another demo")
    assert main(["demo", "--output", str(tmp_path)]) == 0
    named = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    assert Path(named["Scene"]).stat().st_size > 0
    frames = sorted(Path(named["Frames"]).glob("*.png"))
    assert [frame.name for frame in frames] == [f"{number:04d}.png" for number in range(1, 145)]
    assert all(read_digest(frame) for frame in frames)
    assert b"(fewshot)" in frames[59].read_bytes(), "the engine with weights drew it, and the frame says so"
    with av.open(named["Movie"]) as movie:
        assert "Synthetic" in movie.metadata["comment"]
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in movie.decode(video=0)]
    assert len(pictures) == 144
    assert np.abs(pictures[59] - pictures[0]).mean() > 1, "the head turns"
    below = slice(-SIDE // 8, None)
    assert np.abs(pictures[59][below] - pictures[0][below]).mean() < 1, "the rest of the picture stays still"
    assert read_image(Path(named["Contact sheet"])).shape == (4 * 256, 6 * 256, 3)
