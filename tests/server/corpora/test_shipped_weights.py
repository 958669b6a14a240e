# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that ship: whole, small enough, and better than the draft they mend on heads they never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_server.corpora.rendered import heads
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.engines.warp import WarpEngine
from portrait_server.networks import weights_file
from portrait_server.training.measurement import HeldOut

from tests.posing import blinking, speaking, turned

MOST_BYTES = 40e6
STRANGERS = 4711  # seed of who the people are


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return find_weights()


def test_they_are_whole_small_and_have_a_card(shipped: Path) -> None:
    networks, info = weights_file.load(shipped)
    assert sum(file.stat().st_size for file in shipped.parent.iterdir()) <= MOST_BYTES
    assert info.licence == "GPL-3.0-or-later" and info.configuration.copies and info.configuration.side == 256
    assert str(info.step) in (shipped.parent / "README.md").read_text("utf-8").replace(",", "")
    assert sum(p.numel() for p in networks.parameters()) > 1e6


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


def test_they_are_better_than_the_draft_on_heads_they_never_saw(
    shipped: Path, head: HeadModel, photo_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights learnt from the people of one seed and were chosen by those of another: these are of a third.

    Their skin is that of one photograph, which no corpus of training holds.
    """
    assert STRANGERS not in (heads._SEED, heads._HELD_OUT_SEED)
    monkeypatch.setattr(heads, "_HELD_OUT_SEED", STRANGERS)
    if len(head.names) < 10:
        pytest.skip("nobody takes an egg for a face")
    networks, info = weights_file.load(shipped)
    samples = HeldOut(
        RenderedHeads(head, photo_shards, detected=True, held_out=True),
        16,
        info.configuration.side,
        torch.device("cpu"),
    )
    from portrait_server.training.learner import references_of

    made = samples.measure(lambda batch: networks(references_of(batch), batch.target_points).image)
    draft = samples.measure(lambda batch: batch.draft[:, :3])
    for column in ("picture", "face", "mouth", "eyes"):
        assert made[column] < draft[column], column
    assert made["face"] < 0.92 * draft["face"]
