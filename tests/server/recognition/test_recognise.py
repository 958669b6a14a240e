# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two pictures show one person: descriptors of faces, and where they tell nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.identity import find_identity
from portrait_server.media.images import read_image
from portrait_server.media.png import encode_png
from portrait_server.recognition.describing import described
from portrait_server.recognition.descriptor import CHIP_SIDE, chip_of
from portrait_server.recognition.photograph import is_photograph
from portrait_server.recognition.recognise import THRESHOLD, Look, compared, together, turn_of, why_not_seen
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.identity import FrameIdentity, Identity, Verdict
from portrait_shared.track import LandmarkTrack

from tests import paths
from tests.server.drawn_faces import coloured

_STEPS = 4


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    made = create_detector("mediapipe")
    yield made
    made.close()


@pytest.fixture(scope="module")
def astronaut(detector: Detector) -> tuple[np.ndarray, np.ndarray]:
    image = skimage.data.astronaut()
    return image, detector.detect(image)[0].points


def distance(one: np.ndarray, other: np.ndarray) -> float:
    first, second = described([one, other], 2)
    assert first is not None and second is not None
    return float(np.linalg.norm(first - second))


def test_a_chip_is_the_same_face_however_the_picture_is_turned(astronaut: tuple[np.ndarray, np.ndarray]) -> None:
    image, points = astronaut
    turn = cv2.getRotationMatrix2D((220, 120), 30, 0.8)
    turned = cv2.warpAffine(image, turn, image.shape[1::-1])
    moved = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    upright, again = chip_of(image, points), chip_of(turned, moved)
    assert upright.shape == (CHIP_SIDE, CHIP_SIDE, 3)
    assert np.abs(upright.astype(int) - again)[30:120, 30:120].mean() < 8
    assert distance(upright, again) < THRESHOLD / 2


def test_processes_describe_as_one_does(
    astronaut: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = chip_of(*astronaut)
    chips = [np.roll(chip, step, axis=1) for step in range(_STEPS)]
    asked = [None, *chips, None]
    alone = list(described(asked, 2))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("portrait_server.recognition.describing.usable_cores", lambda: 2)
    together_ = list(described(iter(asked), 48))
    assert together_[0] is None and together_[-1] is None
    np.testing.assert_array_equal(np.stack(alone[1:-1]), np.stack(together_[1:-1]))


def test_people_are_told_apart(detector: Detector) -> None:
    folder = paths.london_faces()
    if folder is None:
        pytest.skip("the faces of London are not there")
    names = ("001-neutral", "001-smile", "003-neutral")
    images = [read_image(folder / f"{name}.jpg") for name in names]
    chips = [chip_of(image, detector.detect(image)[0].points) for image in images]
    looks = [Look(descriptor) for descriptor in described(chips, len(chips))]
    assert compared(looks[:1], looks[1], "a").verdict is Verdict.RECOGNISED
    assert compared(looks[:1], looks[2], "a").verdict is Verdict.NOT_RECOGNISED
    both = compared(looks[1:], looks[0], "a")
    assert both.verdict is Verdict.RECOGNISED, "one reference that is alike is enough"


def test_a_photograph_is_told_from_a_drawing(astronaut: tuple[np.ndarray, np.ndarray]) -> None:
    drawn = coloured()
    assert is_photograph(*astronaut)
    assert not is_photograph(drawn.image, drawn.points)


@pytest.mark.parametrize("name", ["mona_lisa", "lady_agnew", "girl_with_a_pearl_earring"])
def test_a_painting_is_no_photograph(name: str, detector: Detector) -> None:
    folder = paths.portraits()
    if folder is None:
        pytest.skip("the paintings are not there")
    image = read_image(folder / f"{name}.jpg")
    assert not is_photograph(image, detector.detect(image)[0].points)


def test_where_a_descriptor_tells_nothing(astronaut: tuple[np.ndarray, np.ndarray]) -> None:
    _, points = astronaut
    assert why_not_seen(points) == ""
    assert "small" in why_not_seen(points * 0.1)
    middle = points[:68].mean(0)
    for degrees in (20, 50):
        angle = np.radians(degrees)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        turned = (points - middle) @ turn.T + middle
        assert abs(abs(turn_of(turned)[0] - turn_of(points)[0]) - degrees) < 8
    assert "turned" in why_not_seen(turned)


def test_a_frame_is_as_good_as_its_worst_face() -> None:
    good, far = FrameIdentity("a", Verdict.RECOGNISED, 0.2), FrameIdentity("a", Verdict.NOT_RECOGNISED, 0.7)
    unknown = FrameIdentity("a", Verdict.CANNOT_TELL, None, "why")
    assert together([good, far, unknown]) is far
    assert together([good, unknown]) is unknown
    nothing = [Look(None, "a painting")]
    assert compared(nothing, Look(np.zeros(128)), "a") == FrameIdentity("a", Verdict.CANNOT_TELL, None, "a painting")


def test_what_is_known_of_other_references_or_other_pixels_is_no_answer(
    astronaut: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    image, points = astronaut
    small = image[:320, 64:384]
    landmarks = (points - (64, 0, 0))[None].astype(np.float32)
    track = LandmarkTrack(landmarks, (320, 320))
    track.save(tmp_path / "track.npz")
    for name, shown in (("photo.png", small), ("nobody.png", np.full_like(small, 99))):
        cv2.imwrite(str(tmp_path / name), shown[..., ::-1])
    (tmp_path / "0001.png").write_bytes(encode_png(small, "a" * 64, "warp"))

    def asked(name: str) -> Verdict:
        request = FrameRequest(
            tracks=(tmp_path / "track.npz",), references=(tmp_path / name,), reference_points=(tmp_path / "track.npz",)
        )
        return find_identity(request, tmp_path, [1, 2]).frames[1].verdict

    assert asked("photo.png") is asked("photo.png") is Verdict.RECOGNISED
    assert asked("nobody.png") is not Verdict.RECOGNISED
    assert asked("photo.png") is Verdict.RECOGNISED
    whole = (tmp_path / "0001.png").read_bytes()
    (tmp_path / "0001.png").write_bytes(whole[:-40] + bytes(28) + whole[-12:])
    assert asked("photo.png") is Verdict.CANNOT_TELL, "its digest is as it was, its pixels are not"
    (tmp_path / "0001.png").unlink()
    with pytest.raises(PortraitError) as missing:
        asked("photo.png")
    assert missing.value.code is ErrorCode.FILE_MISSING


def test_what_was_found_is_kept_and_counted(tmp_path: Path) -> None:
    frames = {
        1: FrameIdentity("aa", Verdict.RECOGNISED, 0.25),
        2: FrameIdentity("bb", Verdict.NOT_RECOGNISED, 0.75),
        3: FrameIdentity("cc", Verdict.CANNOT_TELL, None, "the face is too small"),
        4: FrameIdentity("dd", Verdict.RECOGNISED, 0.125),
    }
    found = Identity("a measure", 0.54, frames)
    found.save(tmp_path / "identity.json")
    assert Identity.load(tmp_path / "identity.json") == found
    assert found.share == 0.5 and found.only([1, 4, 9]).share == 1
    assert found.in_words == (
        "The person is recognised in 2 of 4 frames; not in 2; it cannot be told of 3: the face is too small."
    )
    for damaged in (b"", b"[]", b"{}", b'{"measure":"a","threshold":1,"frames":[{"frame":1}]}', b"\xff" * 9):
        (tmp_path / "identity.json").write_bytes(damaged)
        assert Identity.load(tmp_path / "identity.json") is None
