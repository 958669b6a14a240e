# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine fewshot with tiny weights: the same bytes however it is asked, as sharp as the photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from portrait_server.corpora.draft import draw_draft, wide_side, widened
from portrait_server.drawing.frame import aligned_draft
from portrait_server.drawing.opening import patches_around
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine, FewshotPortrait
from portrait_server.engines.fewshot_frame import shift_person
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.alignment import aligned_transform, compose, crop, inverse, transform_points
from portrait_server.geometry.face_mesh import VERTEX_COUNT
from portrait_server.kernels.opencv import OpenCV
from portrait_server.networks.personal import Personal, to_file
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import MAX_REFERENCES

from tests.posing import blinking, face_size, moved, speaking, turned
from tests.server.moving import moved_to

SIZE = (256, 256)


@pytest.fixture(scope="module")
def engine(weights: Path) -> FewshotEngine:
    return FewshotEngine("cpu", weights)


@pytest.fixture(scope="module")
def quiet_engine(quiet_weights: Path) -> FewshotEngine:
    """An engine whose network adds nothing to the draft."""
    return FewshotEngine("cpu", quiet_weights)


@pytest.fixture(scope="module")
def portrait(engine: FewshotEngine, astronaut: Reference) -> FewshotPortrait:
    return engine.prepare([astronaut])


@pytest.fixture(scope="module")
def track(astronaut: Reference) -> np.ndarray:
    points = astronaut.points
    return np.stack([points, turned(points, yaw=12), blinking(points), speaking(points, 0.1), moved(points, 0.1)])


def test_the_same_bytes_whatever_the_batch(engine: FewshotEngine, portrait: FewshotPortrait, track: np.ndarray) -> None:
    together = engine.render(portrait, track, SIZE, True)
    assert together.shape == (5, 256, 256, 4) and together.dtype == np.uint8
    alone = np.concatenate([engine.render(portrait, track[i : i + 1], SIZE, True) for i in range(5)])
    backwards = engine.render(portrait, track[::-1].copy(), SIZE, True)[::-1]
    assert np.array_equal(together, alone) and np.array_equal(together, backwards)


def test_16_bits_come_through(engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    """At rest all of them; where the network has drawn, in levels between those of 8 bits; and further photos may have 8."""
    deep = (cv2.GaussianBlur(astronaut.image.astype(np.float32), (0, 0), 1) * 257).astype(np.uint16)
    shallow = Reference((deep >> 8).astype(np.uint8), astronaut.points)
    pairs = ([Reference(deep, astronaut.points), shallow], [shallow, shallow])
    size = (deep.shape[1], deep.shape[0])
    frames, others = (engine.render(engine.prepare(pair), track[:2], size, False) for pair in pairs)
    assert frames.dtype == np.uint16 and others.dtype == np.uint8
    assert np.array_equal(frames[0], deep)
    assert np.abs(frames[1] / 257 - others[1]).mean() < 0.7
    levels = frames[1][(frames[1] != deep).any(-1)]
    assert len(np.unique(levels[:, 0])) > 1000 and (levels % 257 == 0).mean() < 0.05


def test_the_same_bytes_from_another_engine(engine: FewshotEngine, weights: Path, portrait: FewshotPortrait,
                                            astronaut: Reference, track: np.ndarray) -> None:  # fmt: skip
    other = FewshotEngine("cpu", weights)
    assert other.fingerprint == engine.fingerprint
    again = other.render(other.prepare([astronaut]), track[1:3], SIZE, False)
    assert np.array_equal(again, engine.render(portrait, track[1:3], SIZE, False))


def test_the_fingerprint_follows_the_weights(engine: FewshotEngine, quiet_engine: FewshotEngine) -> None:
    assert engine.fingerprint != quiet_engine.fingerprint


def test_the_weights_reach_the_frames(engine: FewshotEngine, quiet_engine: FewshotEngine, portrait: FewshotPortrait,
                                      astronaut: Reference, track: np.ndarray) -> None:  # fmt: skip
    quiet = quiet_engine.render(quiet_engine.prepare([astronaut]), track[1:2], SIZE, False)
    assert np.abs(engine.render(portrait, track[1:2], SIZE, False).astype(int) - quiet).max() > 8


def test_what_is_mended_is_the_warp(quiet_engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    warp = WarpEngine()
    drafts = warp.render(warp.prepare([astronaut]), track, SIZE, True)
    assert np.array_equal(quiet_engine.render(quiet_engine.prepare([astronaut]), track, SIZE, True), drafts)


def test_the_outline_is_the_warp_s_whatever_the_network_draws(
    engine: FewshotEngine, portrait: FewshotPortrait, astronaut: Reference, track: np.ndarray
) -> None:
    warp = WarpEngine()
    drafts = warp.render(warp.prepare([astronaut]), track, SIZE, True)
    frames = engine.render(portrait, track, SIZE, True)
    assert np.array_equal(frames[..., 3], drafts[..., 3])
    assert np.abs(frames[1].astype(int) - drafts[1]).max() > 8


@pytest.mark.parametrize("target", ["yaw", "roll", "shift"])
def test_drafts_are_the_same_in_training(target: str, quiet_engine: FewshotEngine, astronaut: Reference) -> None:
    points = astronaut.points
    goal = {"yaw": turned(points, yaw=35), "roll": turned(points, roll=15), "shift": moved(points, 0.3)}[target]
    photo = quiet_engine.prepare([astronaut]).photos[0]
    scene, side = photo.scene((512, 512)), 128
    before, after = aligned_transform(points, side), aligned_transform(goal, side)
    (drawn,) = aligned_draft(OpenCV(), scene, moved_to(scene, goal), after[None], side)
    frame, size = widened(before, side), wide_side(side)
    found = photo.mesh.vertices[:VERTEX_COUNT].copy()
    learnt = draw_draft(
        crop(astronaut.image, frame, size), crop(np.round(photo.matte * 255).astype(np.uint8), frame, size),
        transform_points(before, points), transform_points(before, found), transform_points(after, goal),
        compose(after, inverse(before)),
    )  # fmt: skip
    off = np.abs(drawn.astype(int) - learnt.picture)
    assert off[..., :3].mean() < 4 and off[..., 3].mean() < 3
    edge = np.concatenate([off[:8].ravel(), off[-8:].ravel(), off[:, :8].ravel(), off[:, -8:].ravel()])
    assert edge.mean() < 4, "what lies around the head is elsewhere"


def test_its_own_points_give_the_photo_back(quiet_engine: FewshotEngine, astronaut: Reference) -> None:
    portrait = quiet_engine.prepare([astronaut])
    frame = quiet_engine.render(portrait, astronaut.points[None], (512, 512), False)[0]
    assert np.abs(frame.astype(int) - astronaut.image).max() <= 3


def sharpness(frame: np.ndarray, points: np.ndarray) -> float:
    """Variance of the Laplacian over the face."""
    inside = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(points[:68, :2]).astype(np.int32)), 1)
    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[inside > 0].var())


def test_a_large_frame_is_as_sharp_as_its_photo(quiet_engine: FewshotEngine, astronaut: Reference) -> None:
    target = turned(moved(astronaut.points, 0.05), yaw=8)
    portrait = quiet_engine.prepare([astronaut])
    frame = quiet_engine.render(portrait, target[None], (512, 512), False)[0]
    blurred = cv2.resize(cv2.resize(frame, (128, 128), interpolation=cv2.INTER_AREA), (512, 512))
    photo = sharpness(astronaut.image, astronaut.points)
    assert sharpness(frame, target) > 0.7 * photo
    assert sharpness(blurred, target) < 0.3 * photo  # what 64 pixels of network could show


def test_the_face_goes_where_the_points_are_and_the_rest_stays(
    quiet_engine: FewshotEngine, astronaut: Reference
) -> None:
    target = moved(astronaut.points, 0.12)
    step = round(0.12 * face_size(astronaut.points))
    portrait = quiet_engine.prepare([astronaut])
    frame = quiet_engine.render(portrait, target[None], (512, 512), False)[0].astype(int)
    low, high = astronaut.points[17:68, :2].min(0).astype(int), astronaut.points[17:68, :2].max(0).astype(int)
    before = astronaut.image[low[1] : high[1], low[0] : high[0]].astype(int)
    after = frame[low[1] : high[1], low[0] + step : high[0] + step]
    assert np.abs(after - before).mean() < 8
    far = np.s_[380:, :]
    assert np.abs(frame[far] - astronaut.image[far]).max() <= 3


def test_the_matte_moves_with_the_head(quiet_engine: FewshotEngine, astronaut: Reference) -> None:
    portrait = quiet_engine.prepare([astronaut])
    matte = quiet_engine.render(portrait, np.stack([astronaut.points, moved(astronaut.points, 0.3)]), SIZE, True)[
        ..., 3
    ]
    nose = astronaut.points[30, :2] / 2
    top = round(float(nose[1]) - 0.2 * face_size(astronaut.points))
    assert (matte[:, round(float(nose[1])), round(float(nose[0]))] > 240).all()
    columns = (matte[:, top] > 127) * np.arange(256)
    middle = [row[row > 0].mean() for row in columns]
    assert middle[1] - middle[0] == pytest.approx(0.3 * face_size(astronaut.points) / 2, rel=0.35)


def test_several_references_of_other_sizes_are_merged(
    quiet_engine: FewshotEngine, astronaut: Reference, track: np.ndarray
) -> None:
    small = Reference(
        cv2.resize(astronaut.image, (300, 300), interpolation=cv2.INTER_AREA), astronaut.points * 300 / 512
    )
    dark = Reference((astronaut.image * 0.5).astype(np.uint8), astronaut.points)

    def drawn(references: list[Reference]) -> np.ndarray:
        return quiet_engine.render(quiet_engine.prepare(references), track[1:2], SIZE, False)[0].astype(int)

    one = drawn([astronaut])
    assert np.abs(drawn([astronaut, small]) - one).mean() < 1.5
    x, y = (track[1, 30, :2] / 2).round().astype(int)
    face = np.s_[y - 10 : y + 10, x - 10 : x + 10]
    assert drawn([astronaut, dark])[face].mean() == pytest.approx(0.75 * one[face].mean(), rel=0.05)


def test_transparency_and_points_without_depth(engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :60] = 0
    portrait = engine.prepare([Reference(np.dstack([astronaut.image, alpha]), astronaut.points[:, :2])])
    frames = engine.render(portrait, track[:, :, :2], SIZE, False)
    assert frames.shape == (5, 256, 256, 4)
    assert frames[:, :, 5, 3].max() == 0 and frames[:, 60, 128, 3].min() > 250


def test_a_personal_file_changes_the_frames_and_the_fingerprint(
    engine: FewshotEngine, astronaut: Reference, track: np.ndarray
) -> None:
    before = engine.render(engine.prepare([astronaut]), track[1:2], SIZE, False)
    style = torch.full((engine.networks.generator.project.out_features,), 0.5)
    tuned = engine.tuned(to_file(Personal(style, {}, engine.checksum)))
    assert tuned.fingerprint != engine.fingerprint
    assert np.abs(tuned.render(tuned.prepare([astronaut]), track[1:2], SIZE, False).astype(int) - before).max() > 1
    assert np.array_equal(engine.render(engine.prepare([astronaut]), track[1:2], SIZE, False), before)


def test_a_personal_file_for_other_weights_is_refused(engine: FewshotEngine) -> None:
    for style, checksum in ((torch.zeros(3), engine.checksum), (torch.zeros(240), "0" * 64)):
        with pytest.raises(PortraitError) as caught:
            engine.tuned(to_file(Personal(style, {}, checksum)))
        assert caught.value.code is ErrorCode.BAD_WEIGHTS


def test_wild_points_do_no_harm(engine: FewshotEngine, portrait: FewshotPortrait, astronaut: Reference) -> None:
    points = astronaut.points
    wild = np.stack([points + 5000, points * 30, points * [-1, 1, 1], points * [1, -1, 1], np.round(points / 90) * 90])
    frames = engine.render(portrait, wild.astype(np.float32), SIZE, True)
    assert frames.shape == (5, 256, 256, 4)


def test_too_many_references_and_bad_points_are_refused(engine: FewshotEngine, portrait: FewshotPortrait,
                                                        astronaut: Reference) -> None:  # fmt: skip
    for references in ([], [astronaut] * (MAX_REFERENCES + 1)):
        with pytest.raises(PortraitError) as caught:
            engine.prepare(references)
        assert caught.value.code is ErrorCode.BAD_IMAGE
    with pytest.raises(PortraitError) as caught:
        engine.render(portrait, np.full((1, 70, 3), np.nan, np.float32), SIZE, False)
    assert caught.value.code is ErrorCode.BAD_POINTS


def test_an_outline_that_hides_what_is_behind_stays_whole_when_it_is_shifted(
    quiet_engine: FewshotEngine, astronaut: Reference
) -> None:
    scene = quiet_engine.prepare([astronaut]).at((512, 512)).scene
    draft = moved_to(scene, turned(astronaut.points, yaw=30))
    folds = draft.field.folds
    assert folds is not None
    everywhere = patches_around(np.array([[[0, 0], [511, 511]]]), 0, (512, 512))
    shift = np.full((1, 512, 512, 2), 0.4, np.float32)
    shifted = replace(draft, person=draft.person.copy())
    shift_person(OpenCV(), scene, shifted, everywhere, np.eye(2, 3)[None], shift)
    (person,) = shifted.person
    simply = cv2.warpAffine(draft.person[0], np.array([[1, 0, 0.4], [0, 1, 0.4]]), (512, 512),
                            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)  # fmt: skip
    assert np.abs(person.astype(int) - simply)[folds[0] > 0].max() < 40, "dots along the outline"
    assert not np.array_equal(person, simply)


def test_what_lies_behind_the_person_in_another_photo_stays_there(
    quiet_engine: FewshotEngine, astronaut: Reference
) -> None:
    matte = quiet_engine.prepare([astronaut]).photos[0].matte[..., None]
    magenta = np.uint8(matte * astronaut.image + (1 - matte) * [255, 0, 255])
    other = Reference(magenta, astronaut.points)
    target = turned(astronaut.points, yaw=15)[None]
    same, elsewhere = (
        quiet_engine.render(quiet_engine.prepare([astronaut, second]), target, (512, 512), False)[0].astype(int)
        for second in (astronaut, other)
    )
    assert np.abs(same - elsewhere).max() < 60 and (np.abs(same - elsewhere).max(-1) > 20).sum() < 60


def test_workers_are_single_threaded_and_whoever_made_the_engine_is_not(weights: Path) -> None:
    torch.set_num_threads(2)
    try:
        workers = FewshotEngine("cpu", weights)._workers
        assert list(workers.map(lambda _: torch.get_num_threads(), range(8))) == [1] * 8
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
