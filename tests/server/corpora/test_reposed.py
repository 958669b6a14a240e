# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-posed photographs: the target is the photograph itself, the references lead back to it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Sample
from portrait_server.geometry.alignment import aligned_transform, crop, transform_points

SIDE = 160


def drawn(corpus: ReposedPhotos, seed: int, references: int = 1) -> Sample:
    return corpus.sample(np.random.default_rng(seed), references, SIDE)


def test_the_target_is_the_untouched_photograph(photo_shards: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    for seed in range(4):
        sample = drawn(corpus, seed)
        face = corpus.face(sample.identity)
        matrix = aligned_transform(face.points, SIDE)
        assert np.array_equal(sample.target, crop(face.image, matrix, SIDE))
        assert np.array_equal(sample.target_points, transform_points(matrix, face.points))
        assert np.array_equal(sample.matte, crop(face.matte, matrix, SIDE))
        for point, carried in ((68, 0), (69, 0), (30, 255)):
            x, y = sample.target_points[point, :2].round().astype(int)
            assert sample.carried[y, x] == carried, "eyeballs are drawn by themselves, the nose is not"


def test_references_are_others_and_lead_back_to_the_target(photo_shards: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    for seed in range(6):
        sample = drawn(corpus, seed)
        visible = sample.visibility > 0
        assert visible.mean() > 0.5
        back = cv2.remap(sample.references[0], sample.flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        error = np.abs(back.astype(int) - sample.target).mean(2)[visible].mean()
        apart = np.abs(sample.references[0].astype(int) - sample.target).mean(2)[visible].mean()
        assert error < 6
        assert error < 0.5 * apart


def test_landmarks_move_with_the_picture(photo_shards: Path) -> None:
    corpus = ReposedPhotos(photo_shards, augmented=False)
    gaps, motions = [], []
    for seed in range(6):
        sample = drawn(corpus, seed)
        at = sample.target_points[None, :, :2]
        there = cv2.remap(sample.flow, at, None, cv2.INTER_LINEAR)[0]
        seen = cv2.remap(cv2.erode(sample.visibility, np.ones((3, 3))), at, None, cv2.INTER_NEAREST)[0] > 0
        gaps.append(np.linalg.norm(there - sample.reference_points[0, :, :2], axis=1)[seen])
        motions.append(np.linalg.norm(sample.target_points[:, :2] - sample.reference_points[0, :, :2], axis=1)[seen])
    assert np.median(np.concatenate(gaps)) < 0.5
    assert np.median(np.concatenate(motions)) > 1.5  # three times as far as that


def test_samples_depend_on_the_generator_alone(photo_shards: Path) -> None:
    one, other = (drawn(ReposedPhotos(photo_shards), 7, references=3) for _ in range(2))
    for name in Sample.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "flow"), name
    assert not np.array_equal(one.references[0], one.references[1])


def test_augmentation_changes_colours_and_landmarks_a_little(photo_shards: Path) -> None:
    changed = ReposedPhotos(photo_shards)
    tremble = []
    for seed in range(10):
        sample = drawn(changed, seed)
        face = changed.face(sample.identity)
        matrix = aligned_transform(face.points, SIDE)
        straight = transform_points(matrix, face.points)
        options = (sample, sample.mirrored())
        tremble.append(min(np.abs(option.target_points - straight)[:, :2].mean() for option in options))
    assert 0 < np.mean(tremble) < 0.01 * SIDE


def test_some_samples_are_turned_around_and_judged_where_they_show_the_photograph(photo_shards: Path) -> None:
    corpus = ReposedPhotos(photo_shards)
    around = [s for s in (drawn(corpus, seed, references=2) for seed in range(12)) if s.color_weight is not None]
    assert 1 <= len(around) <= 10
    for sample in around:
        assert sample.flow is None and sample.draft is not None
        shown = sample.color_weight > 0
        assert shown.mean() > 0.5
        off = np.abs(sample.draft[..., :3].astype(int) - sample.target).mean(2)[shown].mean()
        apart = np.abs(sample.references[0].astype(int) - sample.target).mean(2)[shown].mean()
        assert off < apart, "the draft is no nearer to the target than the photograph is"


def test_the_way_from_a_copy_back_to_its_photograph_is_known_where_it_is_shown(photo_shards: Path) -> None:
    corpus = ReposedPhotos(photo_shards)
    around = [s for s in (drawn(corpus, seed, references=1) for seed in range(12)) if s.color_weight is not None]
    assert around
    for sample in around:
        shown = sample.visibility > 0
        assert shown.mean() > 0.5 and np.array_equal(sample.visibility, sample.color_weight)
        found = cv2.remap(sample.references[0], sample.flow, None, cv2.INTER_LINEAR)
        off = np.abs(found.astype(int) - sample.target).mean(2)[shown].mean()
        assert off < 6, "the photograph, looked up along the way, is not what the copy shows"


def test_detected_copies_are_aligned_by_what_is_detected_and_still_lead_back(photo_shards: Path) -> None:
    corpus, plain = (
        ReposedPhotos(photo_shards, augmented=False, detected=True),
        ReposedPhotos(photo_shards, augmented=False),
    )
    moved = 0.0
    for seed in range(4):
        sample, straight = drawn(corpus, seed), drawn(plain, seed)
        points = sample.reference_points[0]
        assert np.abs(aligned_transform(points, SIDE) - np.eye(2, 3)).max() < 0.02
        moved += np.abs(points - straight.reference_points[0]).max()
        visible = sample.visibility > 0
        assert visible.mean() > 0.5
        found = cv2.remap(sample.references[0], sample.flow, None, cv2.INTER_LINEAR)
        assert np.abs(found.astype(int) - sample.target).mean(2)[visible].mean() < 4
    assert moved > 0.5, "nothing was detected"
