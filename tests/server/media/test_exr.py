# SPDX-License-Identifier: GPL-3.0-or-later
"""Layered frames as OpenEXR files, read back by OpenEXR's own package and by OpenImageIO."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO
import pytest
from portrait_server.media.exr import encode_exr
from portrait_shared import __version__
from portrait_shared.frames.exr_header import Attribute, leading_attributes, pixel_seal, with_attributes
from portrait_shared.frames.frame_files import copy_equal_frames, frame_path, frames_in, valid_frames
from portrait_shared.frames.frame_marks import FrameMark, glance, mark_of, marked, read_mark, timed_exr
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import COLORSPACES, LAYERS, USUAL, channels_of

DIGEST = "c" * 64
SIDES = 37, 53  # more lines than a chunk of 16 has, and not a multiple of it
# From linear Rec.709 to AP1 by Bradford's method, as the ACES project publishes it, and by ITU-R BT.2087 to BT.2020.
TO_ACESCG = [[0.61310, 0.33952, 0.04738], [0.07019, 0.91635, 0.01345], [0.02062, 0.10957, 0.86981]]
TO_REC2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]


def a_frame(layers: tuple[str, ...] = USUAL) -> np.ndarray:
    """(H, W, K) float32, as engines draw it."""
    rng = np.random.default_rng(4)
    channels = channels_of(layers)
    frame = rng.uniform(-3, 3, (*SIDES, len(channels))).astype(np.float32)
    for number, channel in enumerate(channels):
        if channel in ("R", "G", "B", "A", "matte.A"):
            frame[..., number] = rng.integers(0, 256, SIDES)
    return frame


def read(data: bytes) -> dict[str, np.ndarray]:
    part = OpenEXR.File(io.BytesIO(data), separate_channels=True)
    return {name: channel.pixels for name, channel in part.channels().items()}


def light(codes: np.ndarray) -> np.ndarray:
    """Linear light of sRGB's codes from 0 to 255, by IEC 61966-2-1."""
    value = codes.astype(float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("layers", [USUAL, ("rgba",), ("matte", "depth"), LAYERS])
def test_another_program_reads_what_was_drawn(tmp_path: Path, layers: tuple[str, ...]) -> None:
    frame = a_frame(layers)
    path = tmp_path / "0001.exr"
    path.write_bytes(encode_exr(frame, layers, "rec709", DIGEST, "warp"))
    file = OpenImageIO.ImageInput.open(str(path))
    spec, pixels = file.spec(), file.read_image("float")
    file.close()
    names = channels_of(layers)
    assert sorted(spec.channelnames) == sorted(names) and (spec.height, spec.width) == SIDES
    formats = dict(zip(spec.channelnames, map(str, spec.channelformats or [spec.format] * len(names)), strict=True))
    assert formats == {name: "float" if name == "depth.Z" else "half" for name in names}
    assert spec.getattribute("compression") == "zip"
    for name in set(names) - {"R", "G", "B"}:
        drawn = frame[..., names.index(name)] / (255 if name in ("A", "matte.A") else 1)
        exact = drawn.astype(np.float32 if name == "depth.Z" else np.float16).astype(np.float32)
        np.testing.assert_array_equal(pixels[..., spec.channelnames.index(name)], exact, err_msg=name)


def test_colours_are_linear_and_premultiplied() -> None:
    frame = a_frame()
    read_back = read(encode_exr(frame, USUAL, "rec709", DIGEST, "warp"))
    for number, name in enumerate("RGB"):
        expected = light(frame[..., number]) * frame[..., 3] / 255
        np.testing.assert_allclose(read_back[name], expected, rtol=6e-4, atol=1e-7)  # 11 bits of a half


@pytest.mark.parametrize("bits", [8, 16])
def test_each_code_of_an_opaque_photo_has_its_own_light(bits: int) -> None:
    codes = np.linspace(0, 255, 1 << bits)
    frame = np.full((1 << bits - 8, 256, 4), 255, np.float32)
    frame[..., :3] = codes.reshape(-1, 256, 1)
    read_back = read(encode_exr(frame, ("rgba",), "rec709", DIGEST, "warp"))["G"]
    np.testing.assert_array_equal(read_back.ravel(), light(codes).astype(np.float32).astype(np.float16))


@pytest.mark.parametrize(("colorspace", "matrix"), [("acescg", TO_ACESCG), ("rec2020", TO_REC2020)])
def test_other_spaces_have_their_matrix_and_say_so(colorspace: str, matrix: list[list[float]]) -> None:
    frame = np.zeros((4, 1, 4), np.float32)
    frame[..., 3] = 255
    frame[:3, 0, :3] = 255 * np.eye(3)
    frame[3, 0, :3] = 255
    data = encode_exr(frame, ("rgba",), colorspace, DIGEST, "warp")
    pixels = np.stack([read(data)[name][:, 0] for name in "RGB"], -1).astype(float)
    np.testing.assert_allclose(pixels[:3].T, matrix, atol=6e-4)
    np.testing.assert_allclose(pixels[3], 1, atol=6e-4)
    stated = np.frombuffer(leading_attributes(data)[0]["chromaticities"].value, "<f4")
    published = {
        "acescg": [0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767],
        "rec2020": [0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290],
    }
    np.testing.assert_allclose(stated, published[colorspace], atol=1e-6)
    named = {"acescg": "lin_ap1_scene", "rec2020": "lin_rec2020_scene"}
    assert leading_attributes(data)[0]["colorInteropID"].value.decode() == named[colorspace]


def test_every_space_has_primaries() -> None:
    for colorspace in COLORSPACES:
        assert encode_exr(a_frame(), USUAL, colorspace, DIGEST, "warp")


def test_the_same_frame_gives_the_same_bytes_and_says_what_it_is() -> None:
    frame = a_frame()
    data = encode_exr(frame, USUAL, "rec709", DIGEST, "warp")
    assert data == encode_exr(frame, USUAL, "rec709", DIGEST, "warp")
    header = OpenEXR.File(io.BytesIO(data), header_only=True).header()
    assert header["DigitalSourceType"].endswith("/compositeSynthetic")
    assert "Talking Portraits" in header["software"] and "(warp)" in header["software"]
    assert header["talking-portraits:digest"] == DIGEST and mark_of(data) == FrameMark(
        DIGEST, release=__version__, engine="warp"
    )


def test_it_is_marked_with_its_photo_and_its_time() -> None:
    data = encode_exr(a_frame(), USUAL, "rec709", DIGEST, "warp")
    times = FrameTimes(23.976, "01:00:00:00", first=1)
    stamped = timed_exr(marked(data, "b" * 64), times, 26)
    header = OpenEXR.File(io.BytesIO(stamped)).header()
    assert header["framesPerSecond"] == Fraction(24000, 1001)
    code = header["timeCode"]
    assert (code.hours, code.minutes, code.seconds, code.frame) == (1, 0, 1, 1)
    assert mark_of(stamped) == FrameMark(DIGEST, "b" * 64, release=__version__, engine="warp")
    for name, pixels in read(data).items():
        np.testing.assert_array_equal(read(stamped)[name], pixels)
    assert timed_exr(timed_exr(stamped, times, 7), times, 26) == stamped


def test_what_was_altered_counts_no_more() -> None:
    data = encode_exr(a_frame(), USUAL, "rec709", DIGEST, "warp")
    attributes, end = leading_attributes(data)
    chunks = end + 1 + 8 * 3
    for place in (chunks + 20, len(data) - 1, data.index(attributes["chromaticities"].value), end + 3):
        altered = bytearray(data)
        altered[place] ^= 1
        assert mark_of(bytes(altered)) is None, place
    assert mark_of(data + b"\0") is None
    assert mark_of(with_attributes(data, {"comments": Attribute.text("said later")})) == FrameMark(
        DIGEST, release=__version__, engine="warp"
    )


def test_no_part_of_a_file_is_a_frame() -> None:
    data = encode_exr(a_frame(), USUAL, "rec709", DIGEST, "warp")
    for length in [*range(0, 2000, 7), *range(2000, len(data), 997)]:
        assert mark_of(data[:length]) is None, length


def test_garbage_is_no_frame_and_costs_nothing() -> None:
    data = encode_exr(a_frame(), USUAL, "rec709", DIGEST, "warp")
    rng = np.random.default_rng(1)
    for _ in range(300):
        broken = bytearray(data[: rng.integers(8, 1200)])
        for place in rng.integers(4, len(broken), 3):
            broken[place] = rng.integers(256)
        assert mark_of(bytes(broken)) is None
    with pytest.raises(ValueError, match="not an OpenEXR file"):
        pixel_seal(b"\x89PNG\r\n\x1a\n")


def test_files_of_a_folder_are_found_by_their_kind(tmp_path: Path) -> None:
    data = marked(encode_exr(a_frame(), USUAL, "rec709", DIGEST, "warp", "cpu x"), "b" * 64)
    path = frame_path(tmp_path, -3, "anna.", ".exr")
    assert path.name == "anna.-0003.exr"
    path.write_bytes(data)
    assert frames_in(tmp_path, "anna.", ".exr") == [-3] and frames_in(tmp_path, "anna.") == []
    assert glance(path) == read_mark(path) == FrameMark(DIGEST, "b" * 64, "cpu x", __version__, "warp")
    assert [*valid_frames(tmp_path, {-3: DIGEST, 4: DIGEST}, "anna.", ".exr")] == [-3]
    times = FrameTimes(25, "00:00:00:00", first=0)
    copied = copy_equal_frames(
        tmp_path, {4: DIGEST}, "anna.", ".exr", lambda file, number: timed_exr(file, times, number)
    )
    assert copied == valid_frames(tmp_path, {4: DIGEST}, "anna.", ".exr") and [*copied] == [4]
    code = OpenEXR.File(str(tmp_path / "anna.0004.exr"), header_only=True).header()["timeCode"]
    assert code.frame == 4
