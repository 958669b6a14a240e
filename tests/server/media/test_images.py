# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of picture file comes out as upright 8-bit sRGB, or as an error that says what to do."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from portrait_server.media.images import is_picture, opaque, read_image
from portrait_shared.errors import ErrorCode, PortraitError

WIDTH, HEIGHT = 40, 24


def colours() -> np.ndarray:
    """Smooth colours that differ in every channel and from corner to corner."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + x * 5, 30 + y * 8, 200 - x * 3], axis=2).astype(np.uint8)


def refusal(read: Callable[[], object], code: ErrorCode) -> PortraitError:
    with pytest.raises(PortraitError) as caught:
        read()
    assert caught.value.code is code
    assert caught.value.remedy
    return caught.value


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.tga", "a.ppm"])
def test_lossless_colours_are_exact(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, Image.fromarray(colours()), name, **options)
    np.testing.assert_array_equal(read_image(path), colours())


def test_jpeg_is_near(tmp_path: Path) -> None:
    pixels = read_image(saved(tmp_path, Image.fromarray(colours()), "a.jpg", quality=95, subsampling=0))
    assert np.abs(pixels.astype(int) - colours()).max() <= 8


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(grey), "a.png")), np.dstack([grey] * 3))


def test_black_and_white(tmp_path: Path) -> None:
    bits = colours()[..., 0] > 120
    pixels = read_image(saved(tmp_path, Image.fromarray(bits), "a.png"))
    np.testing.assert_array_equal(pixels, np.dstack([bits * 255] * 3))


def test_grey_with_alpha(tmp_path: Path) -> None:
    grey, alpha = colours()[..., 0], colours()[..., 1]
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    np.testing.assert_array_equal(read_image(saved(tmp_path, image, "a.png")), np.dstack([grey, grey, grey, alpha]))


def test_straight_alpha_is_kept_and_opaque_alpha_dropped(tmp_path: Path) -> None:
    clear = np.dstack([colours(), colours()[..., 1]])
    solid = np.dstack([colours(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(clear), "clear.png")), clear)
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(solid), "solid.png")), colours())


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    indices = (colours()[..., 0] > 120).astype(np.uint8)
    image = Image.fromarray(indices, "L")
    image.putpalette([10, 20, 30, 200, 150, 100], "RGB")
    expected = np.array([[10, 20, 30], [200, 150, 100]], np.uint8)[indices]
    np.testing.assert_array_equal(read_image(saved(tmp_path, image, "plain.png")), expected)
    clear = read_image(saved(tmp_path, image, "clear.png", transparency=0))
    np.testing.assert_array_equal(clear[..., 3], indices * 255)
    np.testing.assert_array_equal(clear[indices == 1][:, :3], expected[indices == 1])


def test_one_transparent_colour(tmp_path: Path) -> None:
    pixels = colours()
    path = saved(tmp_path, Image.fromarray(pixels), "a.png", transparency=tuple(int(v) for v in pixels[0, 0]))
    assert read_image(path)[0, 0, 3] == 0
    assert read_image(path)[5, 5, 3] == 255


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits(tmp_path: Path, suffix: str, channels: int) -> None:
    eight = np.dstack([colours(), colours()[..., 1]])[..., :channels].squeeze()
    deep = eight.astype(np.uint16) * 257
    path = tmp_path / f"a.{suffix}"
    order = {1: slice(None), 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert cv2.imwrite(str(path), deep if channels == 1 else np.ascontiguousarray(deep[..., order]))
    expected = np.dstack([eight] * 3) if channels == 1 else eight
    np.testing.assert_array_equal(read_image(path), expected)


def test_floating_point_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()[..., 0].astype(np.float32)), "a.tif")
    assert "floating-point" in refusal(lambda: read_image(path), ErrorCode.BAD_IMAGE).message


def test_cmyk_jpeg_has_the_right_colours(tmp_path: Path) -> None:
    """Photoshop and Pillow store CMYK inverted and mark it so with Adobe's segment."""
    path = saved(tmp_path, Image.fromarray(colours()).convert("CMYK"), "a.jpg", quality=97)
    assert b"Adobe" in path.read_bytes()
    assert Image.open(path).mode == "CMYK"
    assert np.abs(read_image(path).astype(int) - colours()).mean() < 4


def test_cmyk_tiff(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()).convert("CMYK"), "a.tif")
    assert np.abs(read_image(path).astype(int) - colours()).mean() < 2


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: np.rot90(a, 2)),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation(tmp_path: Path, orientation: int, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(path), turn(colours()))


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    np.testing.assert_array_equal(read_image(path), colours())


def wide_gamut_profile() -> bytes:
    """A matrix profile, its red primary far outside sRGB and its tone curve a plain gamma of 1.8."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        at = profile.index(tag)
        offset = struct.unpack(">I", profile[at + 4 : at + 8])[0]
        profile[offset : offset + 16] = b"curv" + bytes(4) + struct.pack(">IHH", 1, int(1.8 * 256), 0)
        profile[at + 8 : at + 12] = struct.pack(">I", 14)
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "gam8".encode("utf-16-be"))


def test_another_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", icc_profile=wide_gamut_profile())
    linear = (colours() / 255.0) ** 1.8
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(expected - colours()).max() > 10
    assert np.abs(read_image(path) - expected).max() <= 2


def test_profile_conversion_keeps_alpha(tmp_path: Path) -> None:
    clear = np.dstack([colours(), colours()[..., 1]])
    pixels = read_image(saved(tmp_path, Image.fromarray(clear), "a.png", icc_profile=wide_gamut_profile()))
    np.testing.assert_array_equal(pixels[..., 3], clear[..., 3])
    assert np.abs(pixels[..., :3].astype(int) - colours()).max() > 5


def test_srgb_and_damaged_profiles_change_nothing(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb.png", srgb), ("damaged.png", b"not a profile" * 20)):
        path = saved(tmp_path, Image.fromarray(colours()), name, icc_profile=profile)
        np.testing.assert_array_equal(read_image(path), colours())


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((HEIGHT, WIDTH, 3), level, np.uint8)) for level in (60, 200))
    path = saved(tmp_path, first, "a.gif", save_all=True, append_images=[second], duration=40)
    assert (read_image(path) == 60).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif", "bmp"])
def test_truncated_anywhere(tmp_path: Path, suffix: str) -> None:
    """A file cut off at any length is refused, never returned half grey; and no other error comes out."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = saved(tmp_path, Image.fromarray(noise), f"whole.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    for length in [*range(1, 64, 7), *np.linspace(64, len(whole) * 0.9, 12, dtype=int)]:
        cut.write_bytes(whole[:length])
        error = refusal(lambda: read_image(cut), ErrorCode.BAD_IMAGE)
        assert str(cut) in error.message


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    path = tmp_path / "a"
    for suffix in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "TGA", "PPM", "PSD", "JPEG2000"):
        buffer = io.BytesIO()
        if suffix == "PSD":
            buffer.write(b"8BPS\0\1" + bytes(200))
        else:
            Image.fromarray(colours()).save(buffer, suffix)
        whole = np.frombuffer(buffer.getvalue(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            damaged[generator.integers(0, len(damaged), 6)] = generator.integers(0, 255, 6)
            path.write_bytes(damaged.tobytes())
            try:
                pixels = read_image(path)
            except PortraitError:
                continue
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.size


def test_what_is_no_picture(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.png"
    empty.touch()
    text.write_text("hello")
    refusal(lambda: read_image(tmp_path / "absent.png"), ErrorCode.FILE_MISSING)
    assert "empty" in refusal(lambda: read_image(empty), ErrorCode.BAD_IMAGE).message
    refusal(lambda: read_image(text), ErrorCode.BAD_IMAGE)
    refusal(lambda: read_image(tmp_path), ErrorCode.BAD_IMAGE)


def test_postscript_is_never_run(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.eps")
    refusal(lambda: read_image(path), ErrorCode.BAD_IMAGE)


def huge_png(path: Path, width: int, height: int) -> Path:
    """A file of a few bytes that claims to be enormous; it could not be decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("size", [(16385, 10), (10, 16385), (8001, 8001), (12000, 12000), (100_000, 100_000)])
def test_enormous_pictures_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    error = refusal(lambda: read_image(huge_png(tmp_path / "a.png", *size)), ErrorCode.IMAGE_TOO_LARGE)
    assert "megapixels" in error.message


def test_long_thin_picture_within_the_limit(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (16384, 2), (1, 2, 3)), "a.png")
    assert read_image(path).shape == (2, 16384, 3)


def test_opaque_puts_transparency_over_grey() -> None:
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, :, :3] = 200
    image[0, :, 3] = (0, 128, 255)
    np.testing.assert_array_equal(opaque(image)[0, :, 0], [127, 164, 200])


def test_pictures_are_told_by_name_or_content(tmp_path: Path) -> None:
    png = saved(tmp_path, Image.fromarray(colours()), "a.png")
    nameless = tmp_path / "nameless"
    nameless.write_bytes(png.read_bytes())
    video = tmp_path / "b.mp4"
    video.write_bytes(b"\0\0\0\x20ftypisom" + bytes(64))
    assert is_picture(png)
    assert is_picture(nameless)
    assert not is_picture(video)


def with_scans(side: int, more: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    content = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(content, "JPEG", progressive=True)
    data = content.getvalue()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * more + data[-2:]


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for side, more in ((4000, 90), (16, 2000)):
        (tmp_path / "photo.jpg").write_bytes(with_scans(side, more))
        with pytest.raises(PortraitError) as caught:
            read_image(tmp_path / "photo.jpg")
        assert caught.value.code is ErrorCode.BAD_IMAGE and "scans" in caught.value.message
    (tmp_path / "photo.jpg").write_bytes(with_scans(1000, 0))
    assert read_image(tmp_path / "photo.jpg").shape == (1000, 1000, 3)
