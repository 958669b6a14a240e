# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of 16 bits a channel: read with all their bits, drawn with them, and never 8 bits by another name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.engines.warp_portrait import WarpPortrait
from portrait_server.media.images import decode_image, eight_bit, read_image
from portrait_server.media.picture_profiles import ADOBE_GAMMA, ADOBE_RGB, REC709, matrix_profile
from portrait_server.media.png import encode_png
from portrait_shared.client.client import Client
from portrait_shared.frames.frame_marks import mark_of
from portrait_shared.protocol.references import ReferenceImage

from tests.posing import looking, speaking, turned

SIDE = 192
ACES = ((0.32168, 0.33767), (0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.077))
BACKGROUND = (slice(0, 50), slice(160, SIDE))
HEIGHT, WIDTH = 40, 60


def ramp(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width, 3) uint16, hardly two levels alike."""
    levels = np.linspace(0, 65535, height * width).reshape(height, width)
    return np.stack([levels, levels[::-1], np.roll(levels, 7, 1)], -1).astype(np.uint16)


def file_of(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    order = {2: lambda x: x, 3: lambda x: x[..., ::-1]}.get(pixels.ndim) if pixels.shape[-1] != 4 else None
    return cv2.imencode(suffix, order(pixels) if order else pixels[..., [2, 1, 0, 3]])[1].tobytes()


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    return png[:33] + struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) + png[33:]


def with_profile(png: bytes, profile: bytes) -> bytes:
    return with_chunk(png, b"iCCP", b"p\0\0" + zlib.compress(profile))


# Reading


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["rgb", "rgba", "grey"])
def test_all_bits_are_read(suffix: str, kind: str, tmp_path: Path) -> None:
    alpha = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    pixels = {"rgb": ramp(), "rgba": np.dstack([ramp(), alpha]), "grey": ramp()[..., 0]}[kind]
    (tmp_path / f"a{suffix}").write_bytes(file_of(pixels, suffix))
    deep = read_image(tmp_path / f"a{suffix}", 16)
    np.testing.assert_array_equal(deep, pixels if kind != "grey" else np.dstack([pixels] * 3))
    np.testing.assert_array_equal(eight_bit(deep), read_image(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_they_stand_upright(orientation: int) -> None:
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
    png = with_chunk(file_of(ramp()), b"eXIf", exif)
    deep = decode_image(png, ".png", depth=16)
    assert len(np.unique(deep)) > 2000
    np.testing.assert_array_equal(eight_bit(deep), decode_image(png, ".png"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_stand_upright(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(ramp()[..., 2]).save(path, tiffinfo={0x0112: orientation})
    deep = read_image(path, 16)
    assert len(np.unique(deep)) > 2000
    np.testing.assert_array_equal(eight_bit(deep), read_image(path))


def srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_bits_go_through_the_stated_colours() -> None:
    linear = decode_image(with_profile(file_of(ramp()), matrix_profile(REC709, 1.0)), ".png", depth=16)
    assert np.abs(linear - 65535 * srgb(ramp() / 65535)).max() <= 20  # profiles round their matrix
    grey = np.repeat(ramp()[..., :1], 3, 2)
    adobe = decode_image(with_profile(file_of(grey), matrix_profile(ADOBE_RGB, ADOBE_GAMMA)), ".png", depth=16)
    assert np.abs(adobe - 65535 * srgb((grey / 65535) ** ADOBE_GAMMA)).max() <= 20
    vivid = with_profile(file_of(ramp()), matrix_profile(ADOBE_RGB, ADOBE_GAMMA))
    deep, shallow = decode_image(vivid, ".png", depth=16), decode_image(vivid, ".png")
    assert np.abs(eight_bit(deep).astype(int) - shallow).mean() < 0.5 and len(np.unique(deep)) > 2000


def test_dark_places_keep_their_bits_in_wide_linear_colours() -> None:
    """There a level of 8 bits is many of sRGB, and such files are what 16 bits are for."""
    dark = np.random.default_rng(3).integers(0, 3000, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    dark[0, 0] = (255, 0, 0)  # nothing in 8 bits
    png = with_profile(file_of(dark), matrix_profile(ACES, 1.0))
    deep, shallow = decode_image(png, ".png", depth=16), decode_image(png, ".png")
    assert np.abs(eight_bit(deep).astype(int) - shallow).max() > 20, "the low bytes show"
    assert (deep % 257 == 0).mean() < 0.5 and len(np.unique(deep)) > 1000
    coarse = with_profile(file_of((dark >> 8) * 257), matrix_profile(ACES, 1.0))
    assert np.abs(eight_bit(decode_image(coarse, ".png", depth=16)).astype(int) - shallow).max() <= 1


def test_what_has_8_bits_is_spread_over_16(tmp_path: Path) -> None:
    Image.fromarray(eight_bit(ramp())).save(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", 16), read_image(tmp_path / "a.jpg").astype(int) * 257)


def test_a_server_reads_and_takes_them(client: Client) -> None:
    content = file_of(ramp())
    deep = client.read_picture(content, ".png", 16)
    np.testing.assert_array_equal(deep, ramp())
    assert client.read_picture(content, ".png").dtype == np.uint8
    assert ReferenceImage(deep).digest != ReferenceImage(eight_bit(deep)).digest


# Drawing


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """(SIDE, SIDE, 3) uint16: an astronaut in a light that changes across the picture, by steps of 16 bits."""
    small = cv2.resize(skimage.data.astronaut()[:384, :384], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    light = np.linspace(-4000, 4000, SIDE * SIDE).reshape(SIDE, SIDE, 1)
    return np.clip(cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1) * 257 + light, 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def points(photo: np.ndarray) -> np.ndarray:
    detector = MediaPipeDetector()
    (face,) = detector.detect(eight_bit(photo))
    detector.close()
    return face.points


@pytest.fixture(scope="module")
def poses(points: np.ndarray) -> np.ndarray:
    return np.stack([points, turned(points, yaw=20), looking(speaking(points, 0.3), 0.2)])


def check_frames(frames: np.ndarray, shallow: np.ndarray, photo: np.ndarray, most: float) -> None:
    """Frames of 16 bits beside those of the same photo in 8: rest first, then other poses."""
    assert frames.dtype == np.uint16 and shallow.dtype == np.uint8
    np.testing.assert_array_equal(frames[0], photo, "at rest it is the photo")
    for frame, other in zip(frames, shallow, strict=True):
        np.testing.assert_array_equal(frame[BACKGROUND], photo[BACKGROUND], "still is still, to the last bit")
        apart = np.abs(frame / 257 - other)
        # What a turned head uncovers is made of other pieces of the photo where these are off by a level.
        assert apart.mean() < 0.6 and (apart < most).mean() > 0.99
    for frame in frames[1:]:
        moved = (frame != photo).any(-1)
        assert moved.sum() > 1000
        for channel in range(3):
            levels = frame[moved][:, channel]
            assert len(np.unique(levels)) > 1000, "more than 8 bits can tell"
            assert (levels % 257 == 0).mean() < 0.05, "and not spread from 8"


def test_the_warp_draws_in_16_bits(
    engine: WarpEngine, portrait: WarpPortrait, photo: np.ndarray, points: np.ndarray, poses: np.ndarray
) -> None:
    size = (SIDE, SIDE)
    shallow = engine.prepare([Reference(eight_bit(photo), points)])
    frames = engine.render(portrait, poses, size, False)
    check_frames(frames, engine.render(shallow, poses, size, False), photo, most=4)
    np.testing.assert_array_equal(frames, engine.render(portrait, poses, size, False))


def test_a_matte_has_16_bits_too(engine: WarpEngine, portrait: WarpPortrait, poses: np.ndarray) -> None:
    for frame in engine.render(portrait, poses, (SIDE, SIDE), True):
        assert frame.dtype == np.uint16 and frame.shape[2] == 4
        assert frame[..., 3].min() == 0 and frame[..., 3].max() == 65535
        assert len(np.unique(frame[..., 3])) > 256


def test_other_sizes_and_transparent_photos(engine: WarpEngine, photo: np.ndarray, points: np.ndarray) -> None:
    alpha = np.full((SIDE, SIDE), 65535, np.uint16)
    alpha[:30] = np.linspace(0, 65535, SIDE)
    portrait = engine.prepare([Reference(np.dstack([photo, alpha]), points)])
    target = turned(points, yaw=15)[None]
    for matte in (False, True):
        frame = engine.render(portrait, target, (96, 96), matte)[0]
        assert frame.shape == (96, 96, 4) and frame.dtype == np.uint16
        assert len(np.unique(frame[..., 0])) > 2000


def test_eight_bits_are_drawn_as_ever(engine: WarpEngine, poses: np.ndarray, points: np.ndarray) -> None:
    """The type alone decides: a photo of whole levels gives whole levels, and nothing of 16 bits is on their way."""
    photo = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    scene = engine.prepare([Reference(photo, points)]).scene((SIDE, SIDE))
    layers = (scene.photo, scene.person, scene.plate, scene.matte, scene.eyes[0].texture)
    assert {layer.dtype for layer in layers} == {np.dtype(np.uint8)} and scene.rest.dtype == np.int16


# Writing


def test_a_file_of_16_bits_is_sealed(portrait: WarpPortrait, engine: WarpEngine, poses: np.ndarray) -> None:
    frame = engine.render(portrait, poses[1:2], (SIDE, SIDE), False)[0]
    data = encode_png(frame, "c" * 64, "warp")
    assert data[24] == 16 and data[25] == 2, "bits and kind in the header"
    np.testing.assert_array_equal(decode_image(data, ".png", depth=16), frame)
    mark = mark_of(data)
    assert mark is not None and mark.digest == "c" * 64
    assert mark_of(data[:-100]) is None, "cut short"
    altered = frame.copy()
    altered[0, 0, 0] ^= 1
    other = encode_png(altered, "c" * 64, "warp")
    at = data.index(b"IDAT") - 4
    forged = data[:at] + other[other.index(b"IDAT") - 4 :]
    assert mark_of(forged) is None, "the lowest bit of one pixel was altered"


def test_a_server_draws_them(client: Client, photo: np.ndarray, points: np.ndarray, poses: np.ndarray) -> None:
    deep = client.prepare([ReferenceImage(photo, points)], engine="warp")
    shallow = client.prepare([ReferenceImage(eight_bit(photo), points)], engine="warp")
    (raw,) = client.render(deep, poses[1:2], [1], encoding="raw")
    (png,) = client.render(deep, poses[1:2], [1])
    assert raw.data.dtype == np.uint16
    np.testing.assert_array_equal(decode_image(png.data, ".png", depth=16), raw.data)
    assert client.frame_digest(deep, poses[1]) == raw.digest != client.frame_digest(shallow, poses[1])
    (plain,) = client.render(shallow, poses[1:2], [1], encoding="raw")
    assert plain.data.dtype == np.uint8
