# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking videos: found in VoxCeleb's layout, frames of one person, references and target of one video."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.corpora.build import Built, build
from portrait_server.corpora.shards import Shard
from portrait_server.corpora.videos import TalkingVideos, Videos, _chosen
from portrait_server.detectors.registry import create_detector
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import write_video

CLIPS = {"id1/aaa/00001.mp4": 0, "id1/aaa/00002.mp4": 0, "id1/bbb/00001.mp4": 1, "id2/ccc/00001.mp4": 2}
"""Each video has its own order of colours, to know it by."""
FRAMES = 6


def clip(photo: np.ndarray, colors: int, first: int) -> list[np.ndarray]:
    """The photograph growing as it sways, its colours exchanged."""
    frames = []
    for number in range(first, first + FRAMES):
        turn = cv2.getRotationMatrix2D((224, 120), 6 * np.sin(number), 0.85 + 0.01 * number)
        turn[:, 2] += [-64, 8]
        moved = cv2.warpAffine(photo, turn, (320, 256), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.roll(moved, colors, axis=2))
    return frames


@pytest.fixture(scope="module")
def built(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    folder, output = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("video-shards")
    for name, colors in CLIPS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, clip(photo, colors, first=FRAMES * int(name[-5])))
    write_video(folder / "id2" / "ccc" / "00002.mp4", [np.full((128, 128, 3), 90, np.uint8)] * 4)
    (folder / "id2" / "ccc" / "00003.mp4").write_bytes(b"no video")
    return build(Videos(folder), output), output


def hue_order(picture: np.ndarray) -> tuple[int, ...]:
    """The channels of the suit, an orange one, from the brightest: it tells the video."""
    return tuple(np.argsort(-picture[-30:].reshape(-1, 3).mean(0)))


def test_clips_become_frames_and_others_are_left_out(built: tuple[Built, Path]) -> None:
    result, output = built
    assert result.sources == len(CLIPS) and result.faces == FRAMES * len(CLIPS)
    assert set(result.skipped) == {"id2/ccc/00002.mp4", "id2/ccc/00003.mp4"}
    (shard,) = (Shard(path) for path in output.glob("*.shard"))
    assert sorted(shard.sources) == sorted(CLIPS)
    assert shard.entries["frame"][:FRAMES].tolist() == list(range(FRAMES))


def test_a_sample_is_of_one_video(built: tuple[Built, Path]) -> None:
    corpus = TalkingVideos(built[1], augmented=False)
    assert corpus.identities == 3
    orders: dict[int, set[tuple[int, ...]]] = {}
    for seed in range(12):
        sample = corpus.sample(np.random.default_rng(seed), 4, 96)
        pictures = [sample.target, *sample.references]
        orders.setdefault(sample.identity, set()).update(hue_order(picture) for picture in pictures)
        assert all(np.abs(picture.astype(int) - sample.target).max() > 5 for picture in sample.references)
        assert sample.matte is not None and sample.matte.mean() > 40
    assert len(orders) == 3 and all(len(order) == 1 for order in orders.values())
    assert len(set.union(*orders.values())) == 3


def test_a_clip_may_be_an_identity(built: tuple[Built, Path]) -> None:
    assert TalkingVideos(built[1], augmented=False, clips=True).identities == 4


def test_more_references_than_frames_repeat_but_never_show_the_target(built: tuple[Built, Path]) -> None:
    corpus = TalkingVideos(built[1], augmented=False)
    sample = corpus.sample(np.random.default_rng(1), 32, 64)
    assert sample.references.shape == (32, 64, 64, 3)
    assert all(not np.array_equal(picture, sample.target) for picture in sample.references)


def test_samples_depend_on_the_generator_alone(built: tuple[Built, Path]) -> None:
    one, other = (TalkingVideos(built[1]).sample(np.random.default_rng(5), 2, 64) for _ in range(2))
    assert np.array_equal(one.references, other.references) and np.array_equal(one.target_points, other.target_points)


@pytest.mark.parametrize("count", [2, 47, 48, 49, 95, 96, 1000])
def test_frames_are_spread_over_the_whole_clip(count: int) -> None:
    chosen = _chosen(count)
    numbers = [number for number in range(count + 50) if number in chosen]
    gaps = np.diff(numbers)
    assert len(numbers) == min(count, 48)
    assert (numbers[0], numbers[-1]) == (0, count - 1)
    assert gaps.max() - gaps.min() <= 1


def test_of_a_clip_of_95_frames_the_end_is_seen_too(photo: np.ndarray, tmp_path: Path) -> None:
    """What the file tells of its length is what is counted on."""
    write_video(tmp_path / "long.mp4", (clip(photo, 0, 1) * 16)[:95])
    with closing(create_detector("mediapipe")) as detector:
        numbers = [number for number, _ in Videos(tmp_path).faces("long.mp4", detector)]
    assert len(numbers) == 48 and (numbers[0], numbers[-1]) == (0, 94)


def test_a_frame_whose_face_is_too_small_is_left_out_alone(photo: np.ndarray, tmp_path: Path) -> None:
    near = clip(photo, 0, 1)
    small = [_further_away(frame, 0.55) for frame in near]
    write_video(tmp_path / "walk.mp4", [*near[:2], small[2], *near[3:]])
    write_video(tmp_path / "far.mp4", small)
    with closing(create_detector("mediapipe")) as detector:
        assert detector.detect(small[2]), "the same person, but too small"
        numbers = [number for number, _ in Videos(tmp_path).faces("walk.mp4", detector)]
        assert numbers == [0, 1, 3, 4, 5]
        with pytest.raises(PortraitError, match="too small") as raised:
            list(Videos(tmp_path).faces("far.mp4", detector))
        assert raised.value.code == ErrorCode.NO_FACE


def _further_away(frame: np.ndarray, scale: float) -> np.ndarray:
    """The picture smaller, about its middle, in grey."""
    height, width = frame.shape[:2]
    shrink = cv2.getRotationMatrix2D((width / 2, height / 2), 0, scale)
    return cv2.warpAffine(frame, shrink, (width, height), flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
