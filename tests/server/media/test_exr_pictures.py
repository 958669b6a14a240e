# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenEXR files as pictures: those of another program, OpenImageIO, and those of this one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO
import pytest
from portrait_server.media.exr import encode_exr
from portrait_server.media.images import decode_image, is_picture, read_image
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import COLORSPACES

HEIGHT, WIDTH = 300, 41  # more rows than are turned into sRGB at a time
REC709 = [0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290]
AP1 = [0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767]
# From linear Rec.709 to AP1 by Bradford's method, as the ACES project publishes it.
TO_AP1 = np.array([[0.61310, 0.33952, 0.04738], [0.07019, 0.91635, 0.01345], [0.02062, 0.10957, 0.86981]])


def codes(channels: int = 3) -> np.ndarray:
    """(H, W, C) from 0 to 1, sRGB."""
    return np.random.default_rng(5).uniform(0, 1, (HEIGHT, WIDTH, channels))


def light(code: np.ndarray) -> np.ndarray:
    """By IEC 61966-2-1."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def spec(pixels: np.ndarray, kind: str = "float", **attributes: Any) -> Any:
    made = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    for name, value in attributes.items():
        if name == "chromaticities":
            made.attribute(name, "float[8]", value)
        else:
            made.attribute(name, value)
    return made


def write(path: Path, pixels: np.ndarray, made: Any = None) -> Path:
    made = made or spec(pixels)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output.open(str(path), made) and output.write_image(pixels.astype(np.float32)), output.geterror()
    output.close()
    return path


def refused(path: Path, code: ErrorCode = ErrorCode.BAD_IMAGE) -> PortraitError:
    with pytest.raises(PortraitError) as raised:
        read_image(path)
    assert raised.value.code is code and raised.value.remedy and str(path) in raised.value.message
    return raised.value


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "zip", "piz"])
@pytest.mark.parametrize("kind", ["half", "float"])
def test_light_of_another_program_is_srgb_of_both_depths(tmp_path: Path, kind: str, compression: str) -> None:
    shown = codes()
    path = write(tmp_path / "a.exr", light(shown), spec(shown, kind, compression=compression))
    assert is_picture(path)
    deep, shallow = read_image(path, 16), read_image(path)
    assert (deep.dtype, shallow.dtype) == (np.uint16, np.uint8) and deep.shape == (HEIGHT, WIDTH, 3)
    # A half has 11 bits, of light: within 2 ** -12 of the value and, by sRGB's slope, of no more than that of the code.
    np.testing.assert_allclose(deep / 65535, shown, atol=1e-5 if kind == "float" else 2**-11)
    np.testing.assert_array_equal(np.abs(shallow - deep / 257) <= 0.51, True)
    np.testing.assert_array_equal(decode_image(path.read_bytes(), "", depth=16), deep)


def test_each_code_of_8_bits_comes_back(tmp_path: Path) -> None:
    shown = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    path = write(tmp_path / "a.exr", light(shown / 255), spec(shown, "half"))
    np.testing.assert_array_equal(read_image(path), shown)


def test_chromaticities_are_heeded(tmp_path: Path) -> None:
    shown = codes()
    path = write(tmp_path / "a.exr", light(shown) @ TO_AP1.T, spec(shown, chromaticities=AP1))
    assert OpenEXR.File(str(path), header_only=True).header()["chromaticities"] == pytest.approx(AP1)
    np.testing.assert_allclose(read_image(path, 16) / 65535, shown, atol=2e-3)  # the matrix is published with 5 digits
    stated = write(tmp_path / "b.exr", light(shown), spec(shown, chromaticities=REC709))
    np.testing.assert_array_equal(read_image(stated, 16), read_image(write(tmp_path / "c.exr", light(shown)), 16))


def test_codes_are_no_light_where_the_file_says_so(tmp_path: Path) -> None:
    shown, path = codes().astype(np.float32), tmp_path / "a.exr"
    for space in ("srgb_rec709_display", "lin_rec709_scene", "g24_rec2020_display"):
        header = {"type": OpenEXR.scanlineimage, "colorInteropID": space}
        stored = light(shown) if space.startswith("lin") else shown
        planes = {each: stored[..., at].astype(np.float32) for at, each in enumerate("RGB")}
        OpenEXR.File(header, planes).write(str(path))
        if space.startswith("g24"):
            assert "not scene-linear" in refused(path).message
        else:
            np.testing.assert_allclose(read_image(path, 16) / 65535, shown, atol=1e-5)


@pytest.mark.parametrize("stated", [[0.0] * 8, [0.3, 0.3] * 4, [0.64, 0, 0.3, 0, 0.15, 0, 0.3, 0]])
def test_chromaticities_of_no_colours_are_refused(tmp_path: Path, stated: list[float]) -> None:
    path = write(tmp_path / "a.exr", codes(), spec(codes(), chromaticities=stated))
    assert "chromaticities" in refused(path).message


def test_what_is_too_bright_dark_or_no_number_is_clipped(tmp_path: Path) -> None:
    values = np.array([[1.5, 1, 60000], [-1, 0, -0.001], [np.inf, -np.inf, np.nan]]).reshape(3, 1, 3)
    for chromaticities in (REC709, AP1):
        made = spec(values, "half", chromaticities=chromaticities)
        shown = read_image(write(tmp_path / "a.exr", values, made), 16)
        if chromaticities == REC709:
            np.testing.assert_array_equal(shown[:, 0], [[65535] * 3, [0] * 3, [65535, 0, 0]])
        else:
            np.testing.assert_array_equal(shown[0, 0], [0, 0, 65535], "blue beyond all else")


def test_alpha_becomes_straight_and_none_is_kept_where_all_is_opaque(tmp_path: Path) -> None:
    shown = codes(4)
    shown[..., 3] = 0.25 + 0.75 * shown[..., 3]
    premultiplied = np.dstack([light(shown[..., :3]) * shown[..., 3:], shown[..., 3]])
    np.testing.assert_allclose(read_image(write(tmp_path / "a.exr", premultiplied), 16) / 65535, shown, atol=2e-5)
    premultiplied[..., 3] = 1
    assert read_image(write(tmp_path / "b.exr", premultiplied)).shape == (HEIGHT, WIDTH, 3)
    clear = read_image(write(tmp_path / "c.exr", np.zeros((2, 2, 4))))
    np.testing.assert_array_equal(clear, 0)
    assert clear.shape == (2, 2, 4)


def test_the_display_window_is_the_picture(tmp_path: Path) -> None:
    shown = codes(4)
    shown[..., 3] = 1
    for channels in (3, 4):
        part = light(shown[..., :channels])
        part[..., 3:] = 1
        made = spec(part)
        made.full_x, made.full_y, made.full_width, made.full_height = -3, -5, WIDTH + 9, HEIGHT + 8
        small = read_image(write(tmp_path / "a.exr", part, made), 16)
        assert small.shape == (HEIGHT + 8, WIDTH + 9, channels)
        inner = small[5 : 5 + HEIGHT, 3 : 3 + WIDTH]
        np.testing.assert_allclose(inner / 65535, shown[..., :channels], atol=1e-5)
        inner[:] = 0
        np.testing.assert_array_equal(small, 0, "around it")
        made.x = made.y = -2
        made.full_x, made.full_y, made.full_width, made.full_height = 0, 0, WIDTH - 10, HEIGHT - 20
        cropped = read_image(write(tmp_path / "b.exr", part, made), 16)
        np.testing.assert_allclose(cropped / 65535, shown[2 : HEIGHT - 18, 2 : WIDTH - 8, :3], atol=1e-5)


def test_windows_apart_leave_it_black(tmp_path: Path) -> None:
    made = spec(codes())
    made.x, made.full_width, made.full_height = 1000, 20, 10
    shown = read_image(write(tmp_path / "a.exr", codes(), made))
    assert shown.shape == (10, 20, 3) and not shown.any()


def test_tiles_are_read(tmp_path: Path) -> None:
    shown = codes()
    made = spec(shown)
    made.tile_width = made.tile_height = 16
    path = write(tmp_path / "a.exr", light(shown), made)
    assert OpenEXR.File(str(path), header_only=True).header()["type"] == OpenEXR.tiledimage
    np.testing.assert_allclose(read_image(path, 16) / 65535, shown, atol=1e-5)


def write_three_parts(path: Path) -> np.ndarray:
    """Depth, the picture, whose codes are returned, and black."""
    shown = np.round(15 * codes()) / 15  # which compresses: the bytes of noise are stored as they are
    depth, other = np.zeros((HEIGHT, WIDTH, 1)), np.zeros((HEIGHT, WIDTH, 3))
    specs = [spec(depth), spec(shown), spec(other)]
    specs[0].channelnames = ("Z",)
    for name, made in zip(("depth", "beauty", "albedo"), specs, strict=True):
        made.attribute("oiio:subimagename", name)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output.open(str(path), tuple(specs)) and output.write_image(depth.astype(np.float32))
    for made, pixels in zip(specs[1:], (light(shown), other), strict=True):
        assert output.open(str(path), made, "AppendSubimage") and output.write_image(pixels.astype(np.float32))
    output.close()
    assert len(OpenEXR.File(str(path)).parts) == 3
    return shown


def test_the_first_part_with_colours_is_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    shown = write_three_parts(path)
    np.testing.assert_allclose(read_image(path, 16) / 65535, shown, atol=1e-5)


def test_no_other_part_is_taken_for_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    write_three_parts(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = b"\xff" * 100
    path.write_bytes(content)
    assert "cannot be decoded" in refused(path).message


def test_a_deep_file_is_refused(tmp_path: Path) -> None:
    made = OpenImageIO.ImageSpec(4, 4, 4, "half")
    made.deep = True
    samples = OpenImageIO.DeepData()
    samples.init(16, 4, ("half",) * 4, ("R", "G", "B", "A"))
    output = OpenImageIO.ImageOutput.create(str(tmp_path / "a.exr"))
    assert output.open(str(tmp_path / "a.exr"), made) and output.write_deep_image(samples)
    output.close()
    error = refused(tmp_path / "a.exr")
    assert "deep" in error.message and "Flatten" in error.remedy


def test_other_channels_are_no_picture(tmp_path: Path) -> None:
    layered = spec(codes())
    layered.channelnames = ("ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B")
    assert "without channels R, G and B" in refused(write(tmp_path / "a.exr", codes(), layered)).message
    assert "not MultiLayer" in refused(write(tmp_path / "a.exr", codes(), layered)).remedy
    whole = {name: np.zeros((3, 5), np.uint32) for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, whole).write(str(tmp_path / "b.exr"))
    assert "whole numbers" in refused(tmp_path / "b.exr").message


def test_pixels_that_are_not_square_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", codes(), spec(codes(), PixelAspectRatio=2.0))
    assert "2.00 times as wide" in refused(path).message


def patched(path: Path, name: str, at: int, values: list[int]) -> None:
    """Other whole numbers in a file's header, so many bytes behind a name."""
    content = bytearray(path.read_bytes())
    place = content.index(name.encode() + b"\0") + len(name) + 1 + at
    content[place : place + 4 * len(values)] = np.array(values, "<i4").tobytes()
    path.write_bytes(content)


def test_colours_of_fewer_pixels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", np.zeros((8, 8, 3)))
    patched(path, "R", 8, [2, 2])
    assert OpenEXR.File(str(path), header_only=True).header()["channels"][2].xSampling == 2
    assert "fewer pixels" in refused(path).message


@pytest.mark.parametrize("window", ["displayWindow", "dataWindow"])
def test_too_large_ones_are_refused_before_they_are_decoded(tmp_path: Path, window: str) -> None:
    path = write(tmp_path / "a.exr", codes())
    patched(path, window, len("box2i") + 5 + 8, [29_999, 29_999])
    assert "30000x30000" in refused(path, ErrorCode.IMAGE_TOO_LARGE).message


def test_a_file_of_very_many_channels_is_refused(tmp_path: Path) -> None:
    made = spec(np.zeros((4, 4, 12)))
    made.channelnames = ("R", "G", "B", *(f"albedo{number}.X" for number in range(9)))
    path = write(tmp_path / "a.exr", np.zeros((4, 4, 12)), made)
    assert read_image(path).shape == (4, 4, 3)
    patched(path, "dataWindow", len("box2i") + 5 + 8, [6999, 6999])
    assert "588,000,000 samples" in refused(path, ErrorCode.IMAGE_TOO_LARGE).message


def test_no_part_of_a_file_is_taken_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", codes(4), spec(codes(4), compression="zip"))
    content = path.read_bytes()
    for length in [5, 100, *np.linspace(300, len(content) - 1, 12, dtype=int)]:
        path.write_bytes(content[:length])
        error = refused(path)
        assert "damaged or incomplete" in error.message and "once more" in error.remedy, length


@pytest.mark.parametrize("colorspace", COLORSPACES)
def test_a_layered_frame_comes_back_in_its_colours(tmp_path: Path, colorspace: str) -> None:
    rng = np.random.default_rng(4)
    frame = rng.integers(0, 256, (37, 53, 4)).astype(np.float32)
    frame[..., 3] = np.maximum(frame[..., 3], 40)
    path = tmp_path / "0001.exr"
    path.write_bytes(encode_exr(frame, ("rgba",), colorspace, "c" * 64, "warp"))
    # Of wider primaries, half floats leave a little of one colour in others, most of all in their shadows.
    atol = 0.6 if colorspace == "rec709" else 3
    np.testing.assert_allclose(read_image(path, 16) / 257, frame, atol=atol)
    path.write_bytes(encode_exr(frame[..., :1], ("matte",), colorspace, "c" * 64, "warp"))
    assert "without channels" in refused(path).message


def test_bytes_are_not_taken_for_a_name(tmp_path: Path) -> None:
    content = io.BytesIO()
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {name: np.zeros((3, 5), np.float16) for name in "RGB"}).write(content)
    assert decode_image(content.getvalue(), ".exr").shape == (3, 5, 3)
    with pytest.raises(PortraitError, match="this file"):
        decode_image(content.getvalue()[:50], ".exr")
