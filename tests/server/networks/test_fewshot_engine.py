# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine fewshot with tiny weights: the same bytes however it is asked, whoever is shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_portrait import FewshotPortrait
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE, find_weights
from portrait_server.engines.loaded_engines import LoadedEngines
from portrait_server.engines.registry import create_engine
from portrait_server.engines.warp import WarpEngine
from portrait_server.networks.personal import Personal, PersonalPainter, to_file
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import MAX_REFERENCES

from tests.posing import blinking, moved, speaking, turned
from tests.two_people import two_people

SIZE = (256, 256)


@pytest.fixture(scope="module")
def engine(weights: Path) -> FewshotEngine:
    return FewshotEngine("cpu", weights)


@pytest.fixture(scope="module")
def quiet_engine(quiet_weights: Path) -> FewshotEngine:
    """An engine whose painters add nothing to the draft."""
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
    """At rest all of them; where painters have painted, in levels between those of 8 bits; and further photos may have 8."""
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


def test_the_outline_is_the_warp_s_whatever_is_painted(
    engine: FewshotEngine, portrait: FewshotPortrait, astronaut: Reference, track: np.ndarray
) -> None:
    warp = WarpEngine()
    drafts = warp.render(warp.prepare([astronaut]), track, SIZE, True)
    frames = engine.render(portrait, track, SIZE, True)
    assert np.array_equal(frames[..., 3], drafts[..., 3])
    assert np.abs(frames[1].astype(int) - drafts[1]).max() > 8


def test_its_own_points_give_the_photo_back(quiet_engine: FewshotEngine, astronaut: Reference) -> None:
    portrait = quiet_engine.prepare([astronaut])
    frame = quiet_engine.render(portrait, astronaut.points[None], (512, 512), False)[0]
    assert np.abs(frame.astype(int) - astronaut.image).max() <= 3


def test_every_reference_tells_of_the_person(engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    """Its size does not matter, nor its order behind the first one, which is drawn."""
    shape = (300, 300)
    small = Reference(cv2.resize(astronaut.image, shape, interpolation=cv2.INTER_AREA), astronaut.points * 300 / 512)
    other = Reference(255 - astronaut.image[:, ::-1], turned(astronaut.points, yaw=10))

    def drawn(*references: Reference) -> np.ndarray:
        return engine.render(engine.prepare(references), track[1:2], SIZE, False)[0].astype(int)

    one = drawn(astronaut)
    # But for a pixel or two where near skin ends: there the last bits of a shift say which side is seen.
    assert (np.abs(drawn(astronaut, small) - one).max(-1) > 2).mean() < 1e-4
    assert np.abs(drawn(astronaut, other) - one).max() > 3
    assert np.abs(drawn(astronaut, other, small) - drawn(astronaut, small, other)).max() <= 1


def test_as_many_references_as_there_may_be(engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    portrait = engine.prepare([astronaut] * MAX_REFERENCES)
    frames = engine.render(portrait, track[1:2], SIZE, False)
    alone = engine.render(engine.prepare([astronaut]), track[1:2], SIZE, False)
    assert np.abs(frames.astype(int) - alone).max() <= 1


@pytest.mark.parametrize("size", [(24, 24), (64, 40), (1024, 1024)])
def test_frames_of_any_size(engine: FewshotEngine, portrait: FewshotPortrait, track: np.ndarray,
                            size: tuple[int, int]) -> None:  # fmt: skip
    """Each shows the same painting, however fine."""
    frame = engine.render(portrait, track[1:2], size, False)[0]
    assert frame.shape == (size[1], size[0], 3)
    usual = engine.render(portrait, track[1:2], (512, 512), False)[0]
    small = (24, 24)
    one, other = (cv2.resize(f, small, interpolation=cv2.INTER_AREA).astype(int) for f in (frame, usual))
    assert np.abs(one - other).mean() < 4


def test_transparency_and_points_without_depth(engine: FewshotEngine, astronaut: Reference, track: np.ndarray) -> None:
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :60] = 0
    portrait = engine.prepare([Reference(np.dstack([astronaut.image, alpha]), astronaut.points[:, :2])])
    frames = engine.render(portrait, track[:, :, :2], SIZE, False)
    assert frames.shape == (5, 256, 256, 4)
    assert frames[:, :, 5, 3].max() == 0 and frames[:, 60, 128, 3].min() > 250


def personal(engine: FewshotEngine, checksum: str, length: int | None = None) -> PersonalFile:
    painters = {
        part: PersonalPainter(torch.full((length or painter.style.out_features,), 0.5), {})
        for part, painter in engine.painters.named_children()
    }
    return to_file(Personal(painters, checksum))


def test_a_personal_file_changes_the_frames_and_the_fingerprint(
    engine: FewshotEngine, astronaut: Reference, track: np.ndarray
) -> None:
    before = engine.render(engine.prepare([astronaut]), track[1:2], SIZE, False)
    tuned = engine.tuned(personal(engine, engine.checksum))
    assert tuned.fingerprint != engine.fingerprint
    assert np.abs(tuned.render(tuned.prepare([astronaut]), track[1:2], SIZE, False).astype(int) - before).max() > 1
    assert np.array_equal(engine.render(engine.prepare([astronaut]), track[1:2], SIZE, False), before)


def test_a_personal_file_for_other_weights_is_refused(engine: FewshotEngine) -> None:
    for file in (personal(engine, engine.checksum, 3), personal(engine, "0" * 64)):
        with pytest.raises(PortraitError) as caught:
            engine.tuned(file)
        assert caught.value.code is ErrorCode.BAD_WEIGHTS


def test_only_the_first_of_several_people_is_drawn_as_tuned(engine: FewshotEngine) -> None:
    picture = two_people(overlapping=False)[0]
    found = sorted(create_detector("mediapipe").detect(picture), key=lambda face: face.points[0, 0])
    first, second = (face.points.astype(np.float32) for face in found)
    tuned, size = engine.tuned(personal(engine, engine.checksum)), picture.shape[1::-1]
    rows, others = np.stack([speaking(first, 0.1)] * 2), OtherFaces(np.stack([second, speaking(second, 0.1)])[:, None])
    plain, own = (
        made.render(made.prepare([Reference(picture, first)], second[None]), rows, size, False, None, others).astype(
            int
        )
        for made in (engine, tuned)
    )
    middle = picture.shape[1] // 2
    assert (plain[:, :, :middle] != own[:, :, :middle]).any((1, 2, 3)).all()
    np.testing.assert_array_equal(plain[:, :, middle:], own[:, :, middle:])


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


def test_workers_are_single_threaded_and_whoever_made_the_engine_is_not(weights: Path) -> None:
    torch.set_num_threads(2)
    try:
        workers = FewshotEngine("cpu", weights)._workers
        assert list(workers.map(lambda _: torch.get_num_threads(), range(8))) == [1] * 8
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_missing_weights_are_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none.safetensors"))
    with pytest.raises(PortraitError) as caught:
        create_engine("fewshot", "cpu")
    assert caught.value.code is ErrorCode.WEIGHTS_MISSING
    assert "warp" in caught.value.remedy and "portrait train" in caught.value.remedy


def test_the_environment_names_the_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    assert find_weights() == weights
    assert create_engine("fewshot", "cpu").name == "fewshot"


def test_a_server_that_was_to_load_one_engine_has_no_other() -> None:
    engines = LoadedEngines("cpu", "warp")
    assert set(engines.fingerprints) == {"warp"}
    with pytest.raises(PortraitError, match="no engine named 'fewshot'") as caught:
        engines.get("fewshot")
    assert caught.value.code is ErrorCode.UNKNOWN_ENGINE
    assert "warp" in caught.value.remedy and "without --engine" in caught.value.remedy


def test_damaged_weights_leave_the_other_engine_at_work(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.read_bytes()[:1000])
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(path))
    engines = LoadedEngines("cpu")
    assert set(engines.fingerprints) == {"warp"} and engines.get("warp").name == "warp"
    with pytest.raises(PortraitError) as caught:
        engines.get("fewshot")
    assert caught.value.code is ErrorCode.BAD_WEIGHTS
