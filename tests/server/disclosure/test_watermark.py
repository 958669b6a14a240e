# SPDX-License-Identifier: GPL-3.0-or-later
"""The watermark: what it changes of a frame, that nobody sees it, and what it is still read after."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import av
import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.disclosure import watermark_pattern as pattern
from portrait_server.disclosure.find_watermark import find_in_frames, find_watermark
from portrait_server.disclosure.watermark import Watermark, activity_of

_IDENTIFIER = 0x1234ABCD


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    """About where the astronaut is."""
    weight = np.zeros((512, 512), np.float32)
    for center, axes in (((224, 120), (90, 110)), ((224, 420), (200, 230))):
        cv2.ellipse(weight, center, axes, 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(weight, (0, 0), 3)


@pytest.fixture(scope="module")
def watermark(photo: np.ndarray, person: np.ndarray) -> Watermark:
    return Watermark((512, 512), _IDENTIFIER, person, activity_of(photo))


@pytest.fixture(scope="module")
def marked(photo: np.ndarray, watermark: Watermark) -> np.ndarray:
    return watermark.apply(photo)


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize(
    "attack",
    [
        lambda image: image,
        lambda image: _jpeg(image, 70),
        lambda image: _scaled(image, 0.5),
        lambda image: _scaled(image, 1.5),
        lambda image: image[60:367, 70:377],
        lambda image: image[:, ::-1],
        lambda image: image.astype(np.uint16) * 257,
    ],
    ids=["nothing", "jpeg", "half", "larger", "crop", "mirror", "16 bits"],
)
def test_it_is_read_after(marked: np.ndarray, attack: Callable[[np.ndarray], np.ndarray]) -> None:
    found = find_watermark(attack(marked))
    assert found is not None
    assert found.identifier == _IDENTIFIER


def test_it_is_read_in_a_movie_of_low_quality(photo: np.ndarray, watermark: Watermark) -> None:
    frames = [watermark.apply(np.roll(photo, round(3 * math.sin(number)), axis=1)) for number in range(6)]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as movie:
        stream = movie.add_stream("libx264", rate=25, options={"crf": "28", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for frame in frames:
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        movie.mux(stream.encode())
    file.seek(0)
    with av.open(file) as movie:
        found = find_in_frames(frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0))
    assert found is not None
    assert found.identifier == _IDENTIFIER


def test_its_scale_is_told(marked: np.ndarray) -> None:
    as_it_is, smaller = find_watermark(marked), find_watermark(_scaled(marked, 0.6))
    assert as_it_is is not None and smaller is not None
    assert smaller.scale / as_it_is.scale == pytest.approx(0.6, rel=0.02)


@pytest.mark.parametrize("kind", ["photo", "flat", "tiles", "grey", "one channel", "tiny"])
def test_nothing_is_found_where_there_is_none(photo: np.ndarray, marked: np.ndarray, kind: str) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image = {
        "photo": photo,
        "flat": np.full((300, 300, 3), 120, np.uint8),
        "tiles": np.tile(cv2.GaussianBlur(noise, (0, 0), 2), (6, 6, 1)),
        "grey": np.repeat(marked.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
        "one channel": marked[..., 0],
        "tiny": marked[:30, :30],
    }[kind]
    assert find_watermark(image) is None


def test_another_identifier_is_another(photo: np.ndarray, person: np.ndarray) -> None:
    found = find_watermark(Watermark((512, 512), 0xFFFFFFFF, person, activity_of(photo)).apply(photo))
    assert found is not None
    assert found.identifier == 0xFFFFFFFF


def test_it_is_faint(photo: np.ndarray, marked: np.ndarray, person: np.ndarray) -> None:
    squares = (photo.astype(np.float64) - marked) ** 2
    over_the_person = (squares.mean(axis=2) * person).sum() / person.sum()
    assert 10 * math.log10(255**2 / over_the_person) >= 42
    assert np.array_equal(marked[person == 0], photo[person == 0])


def test_it_is_fainter_on_flat_skin() -> None:
    skin = np.full((512, 512, 3), (224, 172, 140), np.uint8)
    marked = Watermark((512, 512), _IDENTIFIER, np.ones((512, 512), np.float32), activity_of(skin)).apply(skin)
    change = marked.astype(np.float64) - skin
    assert 10 * math.log10(255**2 / (change**2).mean()) >= 48
    brightness = change @ (0.299, 0.587, 0.114)
    assert np.abs(brightness).max() <= 1


def test_it_does_not_flicker(photo: np.ndarray, watermark: Watermark) -> None:
    calm = np.clip(photo, 40, 200)
    other = np.ascontiguousarray(calm[::-1])
    changes = [watermark.apply(frame).astype(int) - frame for frame in (calm, other)]
    assert np.array_equal(changes[0], changes[1])


def test_every_depth_gets_the_same(photo: np.ndarray, watermark: Watermark) -> None:
    calm = np.clip(photo, 40, 200)
    of_8 = watermark.apply(calm).astype(np.float64)
    of_16 = watermark.apply(calm.astype(np.uint16) * 257) / 257
    of_floats = watermark.apply((calm / 255).astype(np.float32)) * 255
    assert np.abs(of_16 - of_8).max() <= 0.51
    assert np.abs(of_floats - of_8).max() <= 0.51


def test_black_and_white_do_not_come_round_again(watermark: Watermark) -> None:
    for level in (0, 255):
        marked = watermark.apply(np.full((512, 512, 3), level, np.uint8))
        assert np.abs(marked.astype(int) - level).max() < 20


def test_alpha_stays_and_nothing_transparent_is_marked(photo: np.ndarray, watermark: Watermark) -> None:
    alpha = np.zeros((512, 512, 1), np.uint8)
    alpha[200:] = 100
    frame = np.concatenate([photo, alpha], axis=2)
    marked = watermark.apply(frame)
    assert np.array_equal(marked[..., 3], frame[..., 3])
    assert np.array_equal(marked[:200], frame[:200])
    assert not np.array_equal(marked[200:], frame[200:])


def test_what_was_marked_once_is_found_for_ever() -> None:
    assert pattern.message(_IDENTIFIER) == (681, 3285, 1195, 291)
    assert pattern.read_message(pattern.message(_IDENTIFIER)) == _IDENTIFIER
    turns = np.round(np.angle(pattern.phasors(_IDENTIFIER)) / np.pi * 1000).astype(int)
    assert turns[:: pattern.COUNT // 8].tolist() == [-250, -750, -712, 750, -471, 250, 250, -349]


@pytest.mark.parametrize("identifier", [-1, 1 << 32])
def test_an_identifier_has_32_bits(identifier: int, person: np.ndarray) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        Watermark((512, 512), identifier, person)
