# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered heads: flow, visibility and landmarks agree with each other and with the pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.corpora import detected
from portrait_server.corpora.rendered import heads
from portrait_server.corpora.rendered.head_model import HeadModel
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.rendered.lights import lamps
from portrait_server.corpora.rendered.performance import random_performance
from portrait_server.corpora.rendered.person import light_between_lips
from portrait_server.corpora.rendered.skins import fit_head
from portrait_server.corpora.sample import Sample
from portrait_server.geometry.pose import rotation_of
from portrait_shared.errors import ErrorCode, PortraitError

SIDE = 256
EVEN_LIGHT = lamps(np.eye(3), np.zeros((3, 3)), np.ones(3), np.ones(3), 1.0)


def drawn(corpus: RenderedHeads, seed: int, side: int = SIDE, references: int = 1) -> Sample:
    return corpus.sample(np.random.default_rng(seed), references, side)


def warped(sample: Sample) -> np.ndarray:
    return cv2.remap(sample.references[0], sample.flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def error_of(sample: Sample) -> np.ndarray:
    """(S, S) the mean absolute difference of colours between the warped reference and the target."""
    return np.abs(warped(sample).astype(int) - sample.target).mean(2)


@pytest.fixture
def evenly_lit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Light from everywhere: a colour then belongs to its point, whatever the pose."""
    monkeypatch.setattr(heads, "random_light", lambda rng: EVEN_LIGHT)


@pytest.mark.usefixtures("evenly_lit")
def test_flow_carries_the_reference_to_the_target(head: HeadModel) -> None:
    corpus = RenderedHeads(head, augmented=False)
    for seed in range(4):
        sample = drawn(corpus, seed)
        visible = sample.visibility > 0
        assert visible.mean() > 0.25
        assert error_of(sample)[visible].mean() < 3.5
        still = np.abs(sample.references[0].astype(int) - sample.target).mean(2)
        assert error_of(sample)[visible].mean() < 0.4 * still[visible].mean()


@pytest.mark.usefixtures("evenly_lit")
def test_what_is_hidden_in_the_reference_is_not_called_visible(head: HeadModel) -> None:
    corpus = RenderedHeads(head, augmented=False)
    hidden_errors, visible_errors = [], []
    for seed in range(4):
        sample = drawn(corpus, seed)
        hidden = (sample.visibility == 0) & (sample.matte == 255)
        hidden &= ((sample.flow >= 0) & (sample.flow <= SIDE - 1)).all(-1)
        hidden_errors.append(error_of(sample)[hidden])
        visible_errors.append(error_of(sample)[(sample.visibility > 0) & (sample.matte == 255)])
    assert len(np.concatenate(hidden_errors)) > 500
    assert np.concatenate(hidden_errors).mean() > 5 * np.concatenate(visible_errors).mean()


def test_the_same_pose_is_its_own_reference(head: HeadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = random_performance(np.random.default_rng(4))
    monkeypatch.setattr(heads, "random_performance", lambda *_: moment)
    sample = drawn(RenderedHeads(head, augmented=False), 0)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)
    person = sample.matte == 255
    assert np.abs(sample.flow - grid)[person].max() < 0.05
    assert (sample.visibility[person] == 255).mean() > 0.98
    off = np.abs(sample.references[0].astype(int) - sample.target)  # the reference is cut out of a wider frame
    assert off.max() <= 50 and off.mean() < 0.5


def test_landmarks_lie_where_the_flow_says(head: HeadModel) -> None:
    corpus = RenderedHeads(head, augmented=False)
    gaps = []
    for seed in range(6):
        sample = drawn(corpus, seed)
        at = sample.target_points[None, :68, :2]
        there = cv2.remap(sample.flow, at, None, cv2.INTER_LINEAR)[0]
        seen = cv2.remap(cv2.erode(sample.visibility, np.ones((5, 5))), at, None, cv2.INTER_NEAREST)[0] > 0
        # A landmark on the skin's far side shows something else in its place.
        gaps.append(np.linalg.norm(there - sample.reference_points[0, :68, :2], axis=1)[seen])
    together = np.concatenate(gaps)
    assert len(together) > 100
    assert np.median(together) < 0.6


def test_samples_depend_on_the_generator_alone(head: HeadModel) -> None:
    first, second = RenderedHeads(head), RenderedHeads(head)
    drawn(second, 11)
    one, other = drawn(first, 5, side=96, references=2), drawn(second, 5, side=96, references=2)
    for name in one.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "flow"), name
    assert not np.array_equal(one.target, drawn(first, 6, side=96).target)


def test_a_person_keeps_face_and_clothes(head: HeadModel) -> None:
    corpus = RenderedHeads(head, augmented=False)
    one, same, other = corpus.person(3), corpus.person(3), corpus.person(4)
    assert np.array_equal(one.rest, same.rest) and one.look == same.look
    assert one.look != other.look


def test_painted_eyes_count_less(head: HeadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = random_performance(np.random.default_rng(4))
    still = type(moment)({}, np.zeros((2, 2)), np.eye(3), np.eye(3), np.zeros(2))
    monkeypatch.setattr(heads, "random_performance", lambda *_: still)
    sample = drawn(RenderedHeads(head, augmented=False), 1)
    for pupil in sample.target_points[68:, :2].round().astype(int):
        assert sample.color_weight[pupil[1], pupil[0]] < 140
        assert sample.carried[pupil[1], pupil[0]] == 0
    nose = sample.target_points[30, :2].round().astype(int)
    assert sample.color_weight[nose[1], nose[0]] == 255 == sample.carried[nose[1], nose[0]]


def test_detected_landmarks_are_what_a_detector_finds(head: HeadModel, photo_shards: Path) -> None:
    if len(head.names) < 10:
        pytest.skip("nobody takes an egg for a face")
    exact, seen = (RenderedHeads(head, photo_shards, augmented=False, detected=chosen) for chosen in (False, True))
    gaps, offs, shares = [], [], []
    for seed in range(3):
        sample = drawn(seen, seed)
        for image, points in (
            (sample.target, sample.target_points),
            (sample.references[0], sample.reference_points[0]),
        ):
            again = detected.find(image, points)
            gaps.append(np.linalg.norm((again.points - points)[:68, :2], axis=1).mean())
        truth = drawn(exact, seed)
        offs.append(np.linalg.norm((truth.target_points - sample.target_points)[:68, :2], axis=1).mean())
        # The same head as the detector's points align it: flow, reference and target stay one.
        visible = sample.visibility > 0
        shares.append(error_of(sample)[visible].mean() / np.abs(
            sample.references[0].astype(int) - sample.target
        ).mean(2)[visible].mean())  # fmt: skip
    assert max(gaps) < 1.5, "found again where the sample says"
    assert min(offs) > 1.5, "a detector's landmarks are not the model's"
    assert np.mean(shares) < 0.8


def test_photographs_become_skin(head: HeadModel, photo_shards: Path) -> None:
    corpus = RenderedHeads(head, photo_shards, augmented=False)
    skins = [corpus.person(number).skin for number in range(8)]
    worn = [skin for skin in skins if skin is not None]
    assert worn and len(worn) < len(skins)
    assert worn[0].trust[head.landmarks[30]] > 0.9
    sample = drawn(corpus, 0, side=96)
    assert sample.target.shape == (96, 96, 3)


def test_a_head_is_fitted_to_its_own_landmarks(head: HeadModel) -> None:
    coefficients = np.zeros(len(head.identity))
    coefficients[:2] = 1.0, -0.8
    vertices = head.shaped(coefficients) + head.expression({"jawOpen": 0.4})
    points = 12 * vertices[head.landmarks] @ rotation_of(np.array([0.1, 0.3, 0.05])).T * [1, -1, -1] + [200, 150, 0]
    fit = fit_head(head, np.concatenate([points, points[:2]]))
    again = (
        fit.scale
        * (
            head.shaped(np.pad(fit.identity, (0, len(head.identity) - len(fit.identity))))
            + head.expression(dict(zip(head.names, fit.expression, strict=True)))
        )[head.landmarks]
        @ fit.rotation.T
        + fit.shift
    )
    gap = np.linalg.norm(again[:, :2] - (points * [1, -1, -1])[:, :2], axis=1)
    assert gap.mean() < 0.01 * np.ptp(points[:, 0])


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04"])
def test_a_file_that_is_no_head_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    path.write_bytes(content)
    with pytest.raises(PortraitError, match=r"head\.npz") as caught:
        HeadModel.load(path)
    assert caught.value.code == ErrorCode.BAD_IMAGE


def test_a_mouth_is_darker_inside_and_towards_its_corners() -> None:
    landmarks = np.zeros((70, 3))
    landmarks[[60, 64], 0] = -2.5, 2.5
    landmarks[[61, 62, 63, 65, 66, 67], 1] = 0.5, 0.5, 0.5, -0.5, -0.5, -0.5
    at = lambda x, behind: np.array([[x, 0.0, -0.6 - behind]])  # noqa: E731
    front, deep, beside, corner = (
        float(light_between_lips(at(*place), landmarks)[0]) for place in ((0, 0), (0, 3), (1.5, 0.5), (2.5, 0.5))
    )
    assert front > 0.95 > beside > corner and deep == pytest.approx(0.56 / np.hypot(0.56, 3.06))
    landmarks[[61, 62, 63], 1] = landmarks[[65, 66, 67], 1]
    assert light_between_lips(at(0, 0.5), landmarks)[0] < 0.15, "next to none through a shut mouth"
