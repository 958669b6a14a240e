# SPDX-License-Identifier: GPL-3.0-or-later
"""What photographs say of themselves: turned, in a colour space, deep, transparent, in tiles, in a sequence."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from portrait_server.media.images import decode_image, is_animated_picture, is_picture, read_image
from portrait_server.media.picture_profiles import (
    ADOBE_RGB,
    D65,
    REC709,
    Primaries,
    matrix_profile,
    of_code_points,
    srgb_curve,
)
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES

WIDTH, HEIGHT = 40, 24
P3: Primaries = (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def colours() -> np.ndarray:
    """(24, 40, 3) uint8: smooth, moderate enough to lie in sRGB whatever space they are said to be of."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([90 + x * 3, 80 + y * 4, 160 - x * 2], axis=2).astype(np.uint8)


def xyz_of(primaries: Primaries) -> np.ndarray:
    """(3, 3): RGB to XYZ under the colours' own white."""
    white, *rgb = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in primaries)
    columns = np.stack(rgb, axis=1)
    return columns * np.linalg.solve(columns, white)


def as_srgb(values: np.ndarray, primaries: Primaries, linear: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What colours of a space under D65 are in sRGB, reckoned by hand."""
    light = linear(values / 255.0) @ (np.linalg.inv(xyz_of(REC709)) @ xyz_of(primaries)).T
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_light(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


def refused(path: Path) -> PortraitError:
    with pytest.raises(PortraitError) as caught:
        read_image(path)
    assert caught.value.code is ErrorCode.BAD_IMAGE and caught.value.remedy
    return caught.value


# Profiles


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif", "heic"])
def test_display_p3_is_converted_in_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    lossy = suffix in ("jpg", "avif", "heic")
    options = {"quality": 100} if lossy else {"lossless": True} if suffix == "webp" else {}
    options |= {"subsampling": "4:4:4"} if suffix in ("jpg", "avif") else {"chroma": 444} if suffix == "heic" else {}
    pillow_heif.register_heif_opener()
    profile = matrix_profile(P3, srgb_curve())
    path = saved(tmp_path, Image.fromarray(colours()), f"a.{suffix}", icc_profile=profile, **options)
    expected = as_srgb(colours(), P3, srgb_light)
    assert np.abs(expected - colours()).max() > 12
    assert np.abs(read_image(path) - expected).max() <= (8 if lossy else 2)


@pytest.mark.parametrize(("primaries", "gamma"), [(P3, 2.2), (ADOBE_RGB, 2.2), (REC709, 2.2), (REC709, 1.0)])
def test_a_profile_is_what_it_does_not_what_it_is_called(tmp_path: Path, primaries: Primaries, gamma: float) -> None:
    profile = matrix_profile(primaries, gamma).replace(b"Stated by the picture", b"sRGB IEC61966-2.1    ")
    path = saved(tmp_path, Image.fromarray(colours() // 2), "a.png", icc_profile=profile)
    expected = as_srgb(colours() // 2, primaries, lambda values: values**gamma)
    assert np.abs(read_image(path) - expected).max() <= 2


def test_a_profile_that_is_srgb_by_another_name_changes_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", icc_profile=matrix_profile(REC709, srgb_curve()))
    np.testing.assert_array_equal(read_image(path), colours())


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey: the white point and one curve."""
    profile = bytearray(matrix_profile(REC709, gamma))
    profile[16:20] = b"GRAY"
    return bytes(profile).replace(b"rTRC", b"kTRC")


def test_grey_profiles_with_and_without_alpha_and_depth(tmp_path: Path) -> None:
    grey, alpha = colours()[..., 0] // 2, colours()[..., 1]
    linear = np.dstack([as_srgb(np.dstack([grey] * 3), REC709, lambda values: values)])
    plain = read_image(saved(tmp_path, Image.fromarray(grey), "l.png", icc_profile=grey_profile(1.0)))
    assert np.abs(plain - linear).max() <= 2
    image = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    clear = read_image(saved(tmp_path, image, "la.png", icc_profile=grey_profile(1.0)))
    assert np.abs(clear[..., :3] - linear).max() <= 2
    np.testing.assert_array_equal(clear[..., 3], alpha)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert np.abs(read_image(saved(tmp_path, deep, "deep.png", icc_profile=grey_profile(1.0))) - linear).max() <= 2


def test_a_colour_profile_on_a_grey_picture_is_used(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    path = saved(tmp_path, Image.fromarray(grey), "a.png", icc_profile=matrix_profile(ADOBE_RGB, 1.0))
    expected = as_srgb(np.dstack([grey] * 3), REC709, lambda values: values)
    assert np.abs(read_image(path) - expected).max() <= 2


def test_a_profile_of_other_colours_than_the_picture_is_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", icc_profile=grey_profile(1.0))
    np.testing.assert_array_equal(read_image(path), colours())


def test_lab(tmp_path: Path) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(colours()), srgb, lab, outputMode="LAB")
    assert image is not None
    for name, options in (("bare.tif", {}), ("named.tif", {"icc_profile": ImageCms.ImageCmsProfile(lab).tobytes()})):
        assert np.abs(read_image(saved(tmp_path, image, name, **options)).astype(int) - colours()).max() <= 4


def test_palette_with_a_profile(tmp_path: Path) -> None:
    image = Image.fromarray(colours()).quantize(200)
    expected = as_srgb(np.asarray(image.convert("RGB")), P3, srgb_light)
    path = saved(tmp_path, image, "a.png", icc_profile=matrix_profile(P3, srgb_curve()))
    assert np.abs(read_image(path) - expected).max() <= 2


# What states colours without a profile


def with_chunk(png: Path, kind: bytes, data: bytes) -> Path:
    """Puts a chunk behind the PNG's header."""
    content = png.read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    png.write_bytes(content[:33] + chunk + content[33:])
    return png


def chromaticities(primaries: Primaries) -> bytes:
    return struct.pack(">8I", *(round(value * 100_000) for corner in primaries for value in corner))


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_gamma_of_a_png(tmp_path: Path, gamma: float) -> None:
    path = saved(tmp_path, Image.fromarray(colours() // 2), "a.png")
    with_chunk(path, b"gAMA", struct.pack(">I", round(100_000 / gamma)))
    assert np.abs(read_image(path) - as_srgb(colours() // 2, REC709, lambda values: values**gamma)).max() <= 2
    with_chunk(path, b"sRGB", b"\0")
    np.testing.assert_array_equal(read_image(path), colours() // 2)


def test_chromaticities_of_a_png(tmp_path: Path) -> None:
    path = with_chunk(saved(tmp_path, Image.fromarray(colours()), "a.png"), b"cHRM", chromaticities(P3))
    assert np.abs(read_image(path) - as_srgb(colours(), P3, srgb_light)).max() <= 2


@pytest.mark.parametrize("corner", [(1 / 3, 1 / 3), (0.00001, 0.00001), (0.9, 0.9)])
def test_chromaticities_that_span_no_colours_leave_what_else_is_told(
    tmp_path: Path, corner: tuple[float, float]
) -> None:
    path = saved(tmp_path, Image.fromarray(colours() // 2), "a.png")
    with_chunk(path, b"cHRM", chromaticities((corner,) * 4))
    np.testing.assert_array_equal(read_image(path), colours() // 2)
    with_chunk(path, b"gAMA", struct.pack(">I", 100_000))
    assert np.abs(read_image(path) - as_srgb(colours() // 2, REC709, lambda values: values)).max() <= 2


def test_the_usual_gamma_and_chromaticities_are_srgb(tmp_path: Path) -> None:
    path = with_chunk(saved(tmp_path, Image.fromarray(colours()), "a.png"), b"gAMA", struct.pack(">I", 45455))
    with_chunk(path, b"cHRM", chromaticities(((0.3127, 0.329), (0.64, 0.33), (0.3, 0.6), (0.15, 0.06))))
    np.testing.assert_array_equal(read_image(path), colours())


def test_code_points_of_a_png(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.png", icc_profile=matrix_profile(ADOBE_RGB, 2.2))
    with_chunk(path, b"cICP", bytes((12, 13, 0, 1)))
    assert np.abs(read_image(path) - as_srgb(colours(), P3, srgb_light)).max() <= 2
    with_chunk(path, b"cICP", bytes((1, 13, 0, 1)))  # now the first one, and the profile still has no say
    np.testing.assert_array_equal(read_image(path), colours())


def test_code_points_of_avif(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours()), "a.avif", quality=100, subsampling="4:4:4")
    content = path.read_bytes()
    at = content.index(b"colrnclx") + 8
    path.write_bytes(content[:at] + struct.pack(">HH", 12, 13) + content[at + 4 :])
    assert np.abs(read_image(path) - as_srgb(colours(), P3, srgb_light)).max() <= 8


def test_code_points_of_heic(tmp_path: Path) -> None:
    file = pillow_heif.from_pillow(Image.fromarray(colours()))
    path = tmp_path / "a.heic"
    file.save(path, quality=100, chroma=444, color_primaries=12, transfer_characteristics=13)
    assert np.abs(read_image(path) - as_srgb(colours(), P3, srgb_light)).max() <= 8


def test_white_paper_of_hdr_pictures_is_white_and_the_middle_is_where_the_standards_say() -> None:
    """BT.2408: 203 cd/m², the value .58 of PQ and .75 of HLG, is white paper; a grey card of 26 is .38 and .38."""
    for transfer, white, card in ((16, 0.58, 0.38), (18, 0.75, 0.38)):
        profile = of_code_points(9, transfer)
        assert profile is not None
        levels = np.array([[white, card]]) * 255
        image = Image.fromarray(np.repeat(levels.round().astype(np.uint8)[..., np.newaxis], 3, axis=2))
        buffer = io.BytesIO()
        image.save(buffer, "PNG", icc_profile=profile)
        pixels = decode_image(buffer.getvalue(), ".png")
        assert pixels[0, 0].min() >= 245
        # 26 of 203 is .128 of light, which sRGB stores as 100.
        assert np.abs(pixels[0, 1].astype(int) - 100).max() <= 12


@pytest.mark.parametrize("said", ["space", "interoperability"])
def test_adobe_rgb_by_exif_alone(tmp_path: Path, said: str) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2} if said == "space" else {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    path = saved(tmp_path, Image.fromarray(colours()), "_DSC0001.jpg", quality=100, subsampling=0, exif=exif)
    expected = as_srgb(colours(), ADOBE_RGB, lambda values: values ** (563 / 256))
    assert np.abs(expected - colours()).max() > 12
    assert np.abs(read_image(path) - expected).max() <= 8


# Turns


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_every_kind_of_file_is_turned_once(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    pixels = read_image(saved(tmp_path, Image.fromarray(colours()), f"a.{suffix}", exif=exif, **options))
    assert np.abs(pixels.astype(int) - np.rot90(colours(), -1)).max() <= (6 if suffix == "jpg" else 0)


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_pictures_that_turn_by_their_container_are_turned_once(tmp_path: Path, suffix: str) -> None:
    """EXIF repeats the turn there, for programs that read it alone."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"chroma": 444} if suffix == "heic" else {"subsampling": "4:4:4"}
    path = saved(tmp_path, Image.fromarray(colours()), f"a.{suffix}", exif=exif.tobytes(), quality=100, **options)
    assert b"irot" in path.read_bytes()
    pixels = read_image(path)
    assert pixels.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(pixels.astype(int) - np.rot90(colours(), -1)).max() <= 8


def test_a_turn_that_xmp_alone_tells(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    path = saved(tmp_path, Image.fromarray(colours()), "a.jpg", quality=100, subsampling=0, xmp=xmp)
    assert np.abs(read_image(path).astype(int) - np.rot90(colours(), -1)).max() <= 6


# HEIC


def test_a_heic_in_tiles_is_read_whole(tmp_path: Path) -> None:
    big = np.tile(colours(), (13, 10, 1))[:300, :350]
    path = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_pillow(Image.fromarray(big)).save(path, quality=95, chroma=444, tile_size=128)
    assert is_picture(path)
    pixels = read_image(path)
    assert pixels.shape == (300, 350, 3)
    assert np.abs(pixels.astype(int) - big).mean() < 3


def test_heic_with_alpha_and_with_ten_bits(tmp_path: Path) -> None:
    alpha = np.repeat(np.linspace(0, 255, WIDTH).astype(np.uint8)[np.newaxis], HEIGHT, axis=0)
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(np.dstack([colours(), alpha]))).save(path, quality=100, chroma=444)
    pixels = read_image(path)
    assert np.abs(pixels[..., 3].astype(int) - alpha).max() <= 4
    deep = colours().astype(np.uint16) * 257
    file = pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), deep.tobytes())
    file.save(path, quality=100, chroma=444)
    assert pillow_heif.open_heif(path).info["bit_depth"] == 10
    assert np.abs(read_image(path).astype(int) - colours()).max() <= 8


# Depth and alpha


def test_sixteen_bit_tiff_of_either_byte_order(tmp_path: Path) -> None:
    deep = colours()[..., 0].astype(np.uint16) * 257
    little = Image.fromarray(deep)
    big = Image.frombytes("I;16B", (WIDTH, HEIGHT), deep.astype(">u2").tobytes())
    for name, image in (("little.tif", little), ("big.tif", big)):
        np.testing.assert_array_equal(read_image(saved(tmp_path, image, name))[..., 0], colours()[..., 0])


def tiff(width: int, height: int, bits: list[int], photometric: int, data: bytes, *extra: tuple[int, int]) -> bytes:
    """A little-endian TIFF of one strip; `extra` are further tags of one short value."""
    body = data + bytes(len(data) % 2)
    depth_at = 8 + len(body)
    depth = struct.pack(f"<{len(bits)}H", *bits) + bytes(2 * (len(bits) % 2))
    depth_value = struct.pack("<HH", bits[0], 0) if len(bits) == 1 else struct.pack("<HH", *bits[:2])
    if len(bits) > 2:
        depth_value = struct.pack("<I", depth_at)
    shorts = {256: width, 257: height, 259: 1, 262: photometric, 277: len(bits), 278: height, **dict(extra)}
    entries = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in shorts.items()}
    entries[258] = struct.pack("<HHI", 258, 3, len(bits)) + depth_value
    entries[273] = struct.pack("<HHII", 273, 4, 1, 8)
    entries[279] = struct.pack("<HHII", 279, 4, 1, len(data))
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return b"II*\0" + struct.pack("<I", depth_at + len(depth)) + body + depth + directory


def test_premultiplied_alpha_of_tiff_becomes_straight(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for depth, scale in ((8, 1), (16, 257)):
        stored = np.array([[[100, 50, 25, 128], [60, 60, 60, 255]]], np.uint16) * scale
        data = stored.astype("u1" if depth == 8 else "<u2").tobytes()
        path.write_bytes(tiff(2, 1, [depth] * 4, 2, data, (338, 1)))
        pixels = read_image(path)
        np.testing.assert_allclose(pixels[0, 0], [199, 99, 49, 128], atol=2)
        np.testing.assert_array_equal(pixels[0, 1], [60, 60, 60, 255])
    path.write_bytes(tiff(2, 1, [8, 8], 1, bytes((100, 128, 60, 255)), (338, 1)))
    np.testing.assert_allclose(read_image(path)[0, 0], [199, 199, 199, 128], atol=2)


def test_grey_tiff_whose_white_is_0(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for depth, scale in ((8, 1), (16, 257)):
        stored = (np.array([[0, 55, 255]]) * scale).astype("u1" if depth == 8 else "<u2")
        path.write_bytes(tiff(3, 1, [depth], 0, stored.tobytes()))
        np.testing.assert_array_equal(read_image(path)[0, :, 0], [255, 200, 0])


def test_twelve_bits_reach_white(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(4, 1, [12], 1, int("000400800fff", 16).to_bytes(6, "big")))
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [0, 64, 128, 255])


def test_sixteen_bit_grey_with_a_clear_value(tmp_path: Path) -> None:
    values = np.array([[1000, 30000, 65535]], np.uint16)
    path = saved(tmp_path, Image.fromarray(values), "a.png")
    with_chunk(path, b"tRNS", struct.pack(">H", 30000))
    np.testing.assert_array_equal(read_image(path)[0, :, 3], [255, 0, 255])


def test_several_pictures_in_one_photograph_give_the_first(tmp_path: Path) -> None:
    first, second = Image.fromarray(colours()), Image.fromarray(255 - colours())
    saved(tmp_path, first, "a.mpo", save_all=True, append_images=[second])
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), [np.asarray(image)[..., ::-1] for image in (first, second)])
    for name in ("a.mpo", "a.tif"):
        path = tmp_path / name
        with Image.open(path) as image:
            assert image.n_frames == 2
        assert is_picture(path)
        assert np.abs(read_image(path).astype(int) - colours()).max() <= 12


# Pictures that play


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_what_plays_is_a_video_and_what_does_not_is_a_picture(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), level, np.uint8)) for level in (60, 200)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 40}
    moving = saved(tmp_path, frames[0], f"moving.{suffix}", **options)
    still = saved(tmp_path, frames[0], f"still.{suffix}")
    assert is_picture(still) and not is_picture(moving)
    assert is_animated_picture(moving) and not is_animated_picture(still)
    assert np.abs(read_image(moving).astype(int) - 60).max() <= 2
    nameless = tmp_path / "nameless"
    nameless.write_bytes(moving.read_bytes())
    assert not is_picture(nameless)


# What is refused, and how


def test_radiance_s_light_is_refused(tmp_path: Path) -> None:
    for name in ("a.hdr", "a.png", "a"):
        path = tmp_path / name
        path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n")
        assert is_picture(path), "no video, as which it would be refused in other words"
        assert "floating-point" in refused(path).message


def test_raw_photographs_are_not_taken_for_their_thumbnails(tmp_path: Path) -> None:
    thumbnail = saved(tmp_path, Image.fromarray(colours()), "a.tif", tiffinfo={254: 1})
    assert "raw" in refused(thumbnail).message
    named = saved(tmp_path, Image.fromarray(colours()), "b.tif").rename(tmp_path / "IMG_0001.NEF")
    assert is_picture(named) and "raw" in refused(named).message
    named.write_bytes(b"not even a TIFF")
    assert is_picture(named) and "raw" in refused(named).message


def test_whatever_a_decoder_raises_becomes_one_kind_of_error(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    pillow_heif.register_heif_opener()
    for suffix in ("avif", "heic", "tif", "webp"):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = saved(tmp_path, Image.fromarray(colours()), f"a.{suffix}", exif=exif)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[generator.integers(0, len(whole), 5)] = generator.integers(0, 255, 5)
            try:
                decode_image(damaged.tobytes(), f".{suffix}")
            except PortraitError as error:
                assert error.code in (ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE)
                assert len(error.message) < 400


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_cut_off_files_are_refused(tmp_path: Path, suffix: str) -> None:
    pillow_heif.register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = saved(tmp_path, Image.fromarray(noise), f"a.{suffix}").read_bytes()
    for length in np.linspace(8, len(whole) * 0.9, 12, dtype=int):
        with pytest.raises(PortraitError, match="this file"):
            decode_image(whole[:length], f".{suffix}")


def test_every_name_that_a_browser_shows_is_one_of_a_reader(tmp_path: Path) -> None:
    """By writing such a file and reading it; of a PSD, which nothing here writes, by the name alone."""
    pillow_heif.register_heif_opener()
    known = Image.registered_extensions()
    for suffix in PICTURE_SUFFIXES:
        path = tmp_path / f"a{suffix}".upper()
        if suffix == ".psd":
            assert known[suffix] == "PSD"
            continue
        if suffix == ".exr":
            continue  # see test_exr_pictures.py
        image = Image.fromarray(colours()).convert("1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB")
        image.save(path, known[suffix] if suffix != ".hif" else "HEIF")
        assert is_picture(path), suffix
        assert read_image(path).shape == (HEIGHT, WIDTH, 3), suffix


def test_content_without_a_name_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), colours()[..., ::-1])
    np.testing.assert_array_equal(decode_image(path.read_bytes(), ".png"), colours())
    with pytest.raises(PortraitError, match="empty"):
        decode_image(b"", ".png")
