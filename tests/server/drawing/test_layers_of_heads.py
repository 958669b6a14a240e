# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth, motion and confidence of layered frames against rendered heads, of which all three are known."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from portrait_server.engines import warp
from portrait_server.engines.base import Reference
from portrait_shared.errors import PortraitError

from tests.server.drawing import whole_heads

HAIRS = ("short02", "long01")
TURNS = ("-30 0", "30 0", "0 -20", "0 20")
HAIR, CLOTH = 5, 6  # of `Part`
LAYERS = ("rgba", "depth", "forward", "confidence")
PICTURE, DEPTH, FORWARD, CONFIDENCE = slice(0, 3), 4, slice(5, 7), 7

Truth = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def turned() -> list[tuple[Truth, str, np.ndarray]]:
    """Of each head and turn: what is known, the turn's name, and the frame (S, S, 8), followed by the photo itself."""
    reason = whole_heads.missing()
    if reason:
        pytest.skip(reason)
    try:
        heads = list(whole_heads.exact_heads(HAIRS))
    except PortraitError as error:
        pytest.skip(str(error))
    found = []
    for truth in heads:
        engine = warp.WarpEngine()
        reference = Reference(truth["0 0 picture"], truth["0 0 points"].astype(np.float32))
        with patch.object(warp, "person_matte", lambda image, *_: truth["matte"]):  # noqa: B023
            portrait = engine.prepare([reference])
        points = np.stack([truth[f"{turn} points"] for turn in TURNS] + [truth["0 0 points"]] * len(TURNS))
        body = np.zeros((len(points), 2), np.float32)  # the rendered bodies stay
        # Their skins' own light turns with them, see `whole_heads`.
        with patch.object(warp, "lit", lambda kernels, scene, moved: moved):
            frames = engine.render_layers(
                portrait, points.astype(np.float32), reference.image.shape[1::-1], False, LAYERS, body
            )
        found += [(truth, turn, frame) for turn, frame in zip(TURNS, frames, strict=True)]
    return found


def face_of(truth: Truth, turn: str) -> np.ndarray:
    """(S, S) bool: skin, eyes and mouth."""
    part = truth[f"{turn} part"]
    return (part >= 0) & (part != HAIR) & (part != CLOTH)


def test_depth_is_the_faces_relief(turned: list[tuple[Truth, str, np.ndarray]]) -> None:
    errors = []
    for truth, turn, frame in turned:
        points, rest = truth[f"{turn} points"], truth[f"{turn} rest"]
        x, y = np.round(points[:68, :2]).astype(int).T
        there = truth[f"{turn} part"][y, x] >= 0
        places = np.concatenate([rest, np.ones((*rest.shape[:2], 1))], -1)
        known = np.linalg.lstsq(places[y, x][there], points[:68, 2][there], rcond=None)[0]
        depth = places @ known / np.linalg.norm(truth["0 0 points"][16] - truth["0 0 points"][0])
        face = face_of(truth, turn) & (frame[..., DEPTH] != 0)
        off = (frame[..., DEPTH] - depth)[face]
        errors.append(np.abs(off - np.median(off)).mean())
        assert np.corrcoef(frame[..., DEPTH][face], depth[face])[0, 1] > 0.9, turn
    assert np.mean(errors) < 0.09, errors  # face widths; measured 0.07


def test_forward_is_where_each_pixel_lies_in_the_next_frame(turned: list[tuple[Truth, str, np.ndarray]]) -> None:
    shares = []
    for truth, turn, frame in turned:
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        known = truth[f"{turn} flow"] - np.stack([x, y], -1)
        face = face_of(truth, turn) & truth[f"{turn} seen"]
        off = np.linalg.norm(frame[..., FORWARD] * (1, -1) - known, axis=-1)[face]
        shares.append(np.median(off) / np.median(np.linalg.norm(known, axis=-1)[face]))
    assert np.mean(shares) < 0.05, shares  # of the way


def test_confidence_tells_what_the_photo_shows_and_where_the_frame_errs(
    turned: list[tuple[Truth, str, np.ndarray]],
) -> None:
    shown, hidden, sure, unsure = [], [], [], []
    for truth, turn, frame in turned:
        part, seen, confidence = truth[f"{turn} part"], truth[f"{turn} seen"], frame[..., CONFIDENCE]
        head = (part >= 0) & (part != CLOTH)
        error = np.abs(frame[..., PICTURE] - truth[f"{turn} picture"]).mean(-1)
        shown.append(confidence[head & seen].mean())
        hidden.append(confidence[head & ~seen].mean())
        sure.append(error[head & (confidence > 0.8)].mean())
        unsure.append(error[head & (confidence < 0.2)].mean())
    assert np.mean(shown) > 1.5 * np.mean(hidden), (shown, hidden)  # 0.69 and 0.41 were measured
    assert np.mean(sure) < 0.85 * np.mean(unsure), (sure, unsure)  # 12.6 and 15.1 of 255
