# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that ship: whole, small enough, and they change what they shall."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.engines.warp import WarpEngine
from portrait_server.networks.painters import load

from tests.posing import blinking, speaking, turned

MOST_BYTES = 10e6


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return find_weights()


def test_they_are_whole_small_and_have_a_card(shipped: Path) -> None:
    painters, info = load(shipped)
    assert sum(file.stat().st_size for file in shipped.parent.iterdir()) <= MOST_BYTES
    assert info.licence == "GPL-3.0-or-later"
    card = (shipped.parent / "README.md").read_text("utf-8").replace(",", "")
    steps = re.findall(r"step (\d+)", info.note)
    assert len(steps) == 2 and all(step in card for step in steps)
    assert all(sum(p.numel() for p in painter.parameters()) > 3e5 for painter in painters.children())


def test_they_change_the_face_and_leave_rest_and_background_alone(shipped: Path, photo: np.ndarray) -> None:
    from portrait_server.detectors.mediapipe_detector import MediaPipeDetector

    (face,) = MediaPipeDetector().detect(photo)
    points, size = face.points, (512, 512)
    engine, warp = FewshotEngine("cpu", shipped), WarpEngine()
    rows = np.stack([points, turned(speaking(points, 0.12), yaw=8), blinking(points)])
    drawn = engine.render(engine.prepare([Reference(photo, points)]), rows, size, False)
    draft = warp.render(warp.prepare([Reference(photo, points)]), rows, size, False)
    np.testing.assert_array_equal(drawn[0], photo)
    for made, before, least in zip(drawn[1:], draft[1:], (0.3, 0.1), strict=True):
        off = np.abs(made.astype(int) - before)
        low, high = points[:68, :2].min(0).astype(int), points[:68, :2].max(0).astype(int)
        assert off[low[1] : high[1], low[0] : high[0]].mean() > least, "something is mended"
        assert off[:100, 400:].max() == 0, "the background is the photo's"
        assert off.mean() < 8, "and nothing is torn"
