# SPDX-License-Identifier: GPL-3.0-or-later
"""The warp engine on real clips: no worse than a plain 3-D warp in any column, and better in mouth and eyes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine

from tests.paths import real_clips

CLIPS = real_clips()
SCORER = CLIPS.parents[1] / "tools" / "score_clips.py" if CLIPS else Path("score_clips.py")
# A thin-plate spline through the reference's dense mesh, posed in 3-D, its points' residuals and the border.
PLAIN_WARP = dict(head=0.0462, face=0.0311, mouth=0.0401, eyes=0.0543, ssim=0.706, id=0.353, lmk=2.73, flicker=0.0329)


@pytest.mark.skipif(CLIPS is None or not SCORER.is_file(), reason="the real clips are not beside the repository")
def test_no_worse_than_a_plain_warp(tmp_path: Path) -> None:
    assert CLIPS is not None
    engine = WarpEngine()
    for clip in sorted(path.parent for path in CLIPS.glob("*/track.npz")):
        (tmp_path / clip.name).mkdir()
        with np.load(clip / "track.npz") as track:
            points, (width, height) = track["points"], map(int, track["size"])
        photo = cv2.cvtColor(cv2.imread(str(clip / "0001.jpg")), cv2.COLOR_BGR2RGB)
        portrait = engine.prepare([Reference(photo, points[0])])
        for number, row in enumerate(points, 1):
            frame = engine.render(portrait, row[None], (width, height), False)[0]
            cv2.imwrite(str(tmp_path / clip.name / f"{number:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    table = tmp_path / "scores.json"
    done = subprocess.run(
        [sys.executable, str(SCORER), str(CLIPS), str(tmp_path), "--json", str(table)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    mean = json.loads(table.read_text())["mean"]
    worse = {
        column: (mean[column], limit)
        for column, limit in PLAIN_WARP.items()
        if (mean[column] < limit if column == "ssim" else mean[column] > limit)
    }
    assert not worse, done.stdout
    assert mean["mouth"] < PLAIN_WARP["mouth"] and mean["eyes"] < PLAIN_WARP["eyes"]
