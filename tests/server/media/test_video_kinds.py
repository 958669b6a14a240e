# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container says beside its pixels: turned and mirrored, oblong pixels, several streams, rates, colours, names."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from portrait_server.media.video import VideoReader
from portrait_server.speech.audio import read_speech
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import set_display, write_film, write_video

WIDTH, HEIGHT = 96, 64
RED, GREEN, BLUE, BLACK = "red", "green", "blue", "black"


def quarters() -> np.ndarray:
    """Red and green above, blue and black below."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:32, :48], frame[:32, 48:], frame[32:, :48] = (230, 20, 20), (20, 230, 20), (20, 20, 230)
    return frame


def levels(count: int) -> list[np.ndarray]:
    return [np.full((HEIGHT, WIDTH, 3), 20 + 8 * number, np.uint8) for number in range(count)]


def read(path: Path) -> tuple[float, list[np.ndarray]]:
    with VideoReader(path) as video:
        return video.fps, list(video)


def numbers(frames: list[np.ndarray]) -> list[int]:
    return [round((float(frame.mean()) - 20) / 8) for frame in frames]


def corners(frame: np.ndarray) -> list[str]:
    def name(pixel: np.ndarray) -> str:
        return BLACK if pixel.max() < 120 else (RED, GREEN, BLUE)[int(pixel.argmax())]

    return [name(frame[y, x]) for y, x in ((8, 8), (8, -8), (-8, 8), (-8, -8))]


MATRICES = [
    ((1, 0, 0, 1), [RED, GREEN, BLUE, BLACK]),
    ((-1, 0, 0, 1), [GREEN, RED, BLACK, BLUE]),
    ((1, 0, 0, -1), [BLUE, BLACK, RED, GREEN]),
    ((-1, 0, 0, -1), [BLACK, BLUE, GREEN, RED]),
    ((0, 1, -1, 0), [BLUE, RED, BLACK, GREEN]),
    ((0, -1, 1, 0), [GREEN, BLACK, RED, BLUE]),
    ((0, 1, 1, 0), [RED, BLUE, GREEN, BLACK]),
    ((0, -1, -1, 0), [BLACK, GREEN, BLUE, RED]),
]


@pytest.mark.parametrize(("matrix", "wanted"), MATRICES)
@pytest.mark.parametrize("aspect", [None, Fraction(4, 3)])
def test_turned_mirrored_and_oblong_at_once(
    tmp_path: Path, matrix: tuple[int, int, int, int], wanted: list[str], aspect: Fraction | None
) -> None:
    path = write_video(tmp_path / "a.mp4", [quarters()] * 3, aspect=aspect)
    set_display(path, *matrix)
    shape = (HEIGHT, WIDTH if aspect is None else 128)
    for frame in read(path)[1]:
        assert corners(frame) == wanted
        assert frame.shape[:2] == (shape if matrix[0] else shape[::-1])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts", "a.avi"])
@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (128, 64)), (Fraction(8, 9), (96, 72)),
                                              (Fraction(2), (192, 64)), (Fraction(64, 45), (137, 64))])  # fmt: skip
def test_pixels_come_out_square(tmp_path: Path, name: str, aspect: Fraction, size: tuple[int, int]) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = write_video(tmp_path / name, [quarters()] * 12, aspect=aspect, codec=codec)
    for frame in read(path)[1]:
        assert frame.shape[1::-1] == size and corners(frame) == [RED, GREEN, BLUE, BLACK]


def test_an_absurd_shape_of_pixels_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [quarters()] * 3, aspect=Fraction(1000, 1))
    assert read(path)[1][0].shape[:2] == (HEIGHT, WIDTH)


def with_cover(path: Path, sound_only: bool) -> Path:
    """A cover picture comes first, larger than the film, as shops and podcasts write it."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        if sound_only:
            stream = container.add_stream("aac", rate=48_000, layout="mono")
        else:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 255, np.uint8), format="rgb24")
        picture.pts, picture.time_base = 0, Fraction(1)
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        if sound_only:
            block = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
            block.sample_rate = 48_000
            for part in av.AudioResampler("fltp", "mono", 48_000, 1024).resample(block):
                container.mux(stream.encode(part))
        else:
            for number, level in enumerate(levels(8)):
                frame = av.VideoFrame.from_ndarray(level, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    fps, frames = read(with_cover(tmp_path / "a.mp4", sound_only=False))
    assert fps == 25 and numbers(frames) == list(range(8)) and frames[0].shape[:2] == (HEIGHT, WIDTH)
    song = with_cover(tmp_path / "b.mp4", sound_only=True)
    with pytest.raises(PortraitError, match="no picture") as caught:
        read(song)
    assert caught.value.code is ErrorCode.BAD_IMAGE
    assert len(read_speech(song)) == pytest.approx(16_000, abs=1600)


@pytest.mark.parametrize("fps", [300, 480, 1000])
def test_high_speed_films_keep_their_rate(tmp_path: Path, fps: int) -> None:
    read_fps, frames = read(write_video(tmp_path / "a.mkv", levels(24), fps=fps))
    assert read_fps == pytest.approx(fps, rel=0.05)
    assert numbers(frames) == pytest.approx(list(range(len(frames))), abs=1) and 22 <= len(frames) <= 26


def test_a_header_that_states_its_ticks_is_counted_over(tmp_path: Path) -> None:
    """Screen recorders and browsers write 1000 frames a second where their clock has milliseconds."""
    path = write_video(tmp_path / "a.mp4", levels(20), fps=1000, times=[number / 25 for number in range(20)])
    fps, frames = read(path)
    assert fps == pytest.approx(25, rel=0.06) and len(frames) == pytest.approx(20, abs=2)


def test_the_first_picture_is_time_zero(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", levels(10), times=[7.2 + number / 25 for number in range(10)])
    assert numbers(read(path)[1]) == list(range(10))


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "http:x.mp4", "concat:y.mp4", "file:z.mp4", "-x.mp4", "p%03d.mp4", "data:,z.mp4", "a b'c\n.mp4"]
)
@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such names")
def test_a_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_film(tmp_path / "a.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        assert len(read(path)[1]) == 50
        assert len(read_speech(path)) > 0


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("space", "red", "blue", "told"), [
    (av.video.reformatter.Colorspace.ITU709, 0.2126, 0.0722, True),
    (av.video.reformatter.Colorspace.ITU601, 0.299, 0.114, True),
    (av.video.reformatter.Colorspace.BT2020, 0.2627, 0.0593, True),
    (av.video.reformatter.Colorspace.ITU601, 0.299, 0.114, False),
])  # fmt: skip
def test_colours_are_what_the_file_means(
    tmp_path: Path, pixel_format: str, full_range: bool, space: int, red: float, blue: float, told: bool
) -> None:
    if full_range and not told:
        return  # a range that nobody tells is the usual one
    path = flat_colour(tmp_path / "a.mkv", (160, 96), pixel_format, full_range, space if told else None, red, blue)
    assert np.abs(read(path)[1][1][48, 80].astype(int) - COLOUR).max() <= 3


def test_hd_that_does_not_tell_its_matrix_is_taken_for_hd(tmp_path: Path) -> None:
    path = flat_colour(tmp_path / "a.mkv", (1280, 720), "yuv420p", False, None, 0.2126, 0.0722)
    assert np.abs(read(path)[1][1][360, 640].astype(int) - COLOUR).max() <= 3


COLOUR = (220, 60, 40)


def flat_colour(
    path: Path, size: tuple[int, int], pixel_format: str, full_range: bool, space: int | None, red: float, blue: float
) -> Path:
    """One colour, by the formulas of ITU-R BT.601, BT.709 and BT.2020 with their weights of red and blue."""
    r, g, b = np.array(COLOUR) / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    parts = (luma, (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red)))
    low, scales = ((0, 128), (255, 255)) if full_range else ((16, 128), (219, 224))
    codes = (low[0] + scales[0] * parts[0], low[1] + scales[1] * parts[1], low[1] + scales[1] * parts[2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if space is not None:
            stream.codec_context.colorspace = space
            stream.codec_context.color_range = 2 if full_range else 1
        for number in range(3):
            frame = av.VideoFrame(*size, pixel_format)
            for plane, code in zip(frame.planes, codes, strict=True):
                if "10" in pixel_format:
                    plane.update(np.full(plane.buffer_size // 2, round(4 * code), np.uint16).tobytes())
                else:
                    plane.update(np.full(plane.buffer_size, round(code), np.uint8).tobytes())
            if space is not None:
                frame.colorspace, frame.color_range = space, 2 if full_range else 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_fields_become_whole_pictures(tmp_path: Path) -> None:
    """A bright bar moves to the right from field to field; woven together its edges are combs."""
    fields = []
    for number in range(24):
        field = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
        field[:, 8 + 3 * number : 20 + 3 * number] = 220
        fields.append(field)
    woven = [fields[0::2][n].copy() for n in range(12)]
    for number, frame in enumerate(woven):
        frame[1::2] = fields[2 * number + 1][1::2]
    path = write_video(tmp_path / "a.mp4", woven, options={"flags": "+ildct+ilme", "x264-params": "tff=1", "qp": "4"})
    fps, frames = read(path)
    assert fps == 25 and len(frames) == 12
    for frame in frames[2:-2]:
        rows = frame[..., 1].astype(int)
        comb = np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2)[8:-8]
        assert np.percentile(comb, 99) < 40


def test_one_damaged_packet_does_not_end_a_video(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", list(noise), codec="mjpeg", pixel_format="yuvj420p")
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    position, size = packets[8]
    at = data.index(b"\xff\xd8\xff", position)
    data[at : at + size - 64] = bytes(size - 64)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = read(path)[1]
    assert len(frames) == 20 and "damaged" in caplog.text


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_are_refused_or_read_never_worse(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    name, codec = (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"))[seed % 3]
    path = write_video(tmp_path / name, levels(6), codec=codec)
    data = bytearray(path.read_bytes())
    for place in rng.integers(0, len(data), 20):
        data[place] = rng.integers(256)
    if seed % 5 == 0:
        del data[len(data) // 2 : len(data) // 2 + 40]
    path.write_bytes(data)
    for attempt in (
        lambda: [None for _, _ in zip(VideoReader(path), range(300), strict=False)],
        lambda: read_speech(path),
    ):
        try:
            attempt()
        except PortraitError as error:
            assert len(error.message) < 600


def high_range(path: Path, transfer: int, colours: tuple[tuple[int, int, int], ...]) -> Path:
    """Stripes of 10-bit codes of R', G', B', full range, BT.2020."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "lossless=1:log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 96 * len(colours), 96, "yuv444p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 2
        for number in range(3):
            frame = av.VideoFrame(stream.width, stream.height, "yuv444p10le")
            planes = [np.zeros((96, plane.line_size // 2), np.uint16) for plane in frame.planes]
            for stripe, colour in enumerate(colours):
                r, g, b = np.array(colour) / 1023
                luma = 0.2627 * r + 0.678 * g + 0.0593 * b
                codes = (1023 * luma, 512 + 1023 * (b - luma) / 1.8814, 512 + 1023 * (r - luma) / 1.4746)
                for plane, code in zip(planes, codes, strict=True):
                    plane[:, 96 * stripe : 96 * stripe + 96] = round(code)
            for plane, values in zip(frame.planes, planes, strict=True):
                plane.update(values.tobytes())
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, transfer, 9, 2
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_high_dynamic_range_is_shown_on_an_ordinary_screen(tmp_path: Path) -> None:
    """By ITU-R BT.2408 white is at 58 % of PQ and 75 % of HLG, an 18 % grey card at 38 % of both."""
    for transfer in (16, 18):
        white = 593 if transfer == 16 else 767
        greys = tuple((code,) * 3 for code in (0, 389, white, 1000))
        path = high_range(tmp_path / f"{transfer}.mkv", transfer, (*greys, (white, 0, 0)))
        black, card, paper, lamp, red = read(path)[1][1][48, 48::96].astype(int)
        assert black.max() <= 2 and lamp.min() > 250
        assert 225 <= paper.min() <= paper.max() <= 250 and np.ptp(paper) <= 3
        assert 92 <= card.min() <= card.max() <= 125 and np.ptp(card) <= 3
        assert red[0] > 240 and red[1:].max() < 10


def test_what_one_may_not_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"of somebody else")

    def refused(*_: object, **__: object) -> None:  # as libav's reader is; the administrator may read all
        raise av.error.PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(av, "open", refused)
    for read in (VideoReader, read_speech):
        with pytest.raises(PortraitError, match="You may not read") as caught:
            read(path)
        assert "Ask its owner" in caught.value.remedy
