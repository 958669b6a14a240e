# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a video in any order are those that it shows one after another, to the bit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from portrait_server.media.movie_frames import MovieFrames, PlateReader
from portrait_server.media.video import VideoReader
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import turn_display, write_video

COUNT = 40


def frames(count: int = COUNT) -> list[np.ndarray]:
    """A square that moves over coloured noise."""
    rng = np.random.default_rng(1)
    ground = np.repeat(np.repeat(rng.integers(30, 200, (16, 24, 3), np.uint8), 4, 0), 4, 1)
    found = []
    for number in range(count):
        frame = ground.copy()
        frame[20:40, number : number + 20] = (250, 20 + 5 * number, 10)
        found.append(frame)
    return found


def check_any_order(path: Path, fewer: int = 0) -> MovieFrames:
    """Compares frames asked for forwards, backwards and at random with those in order."""
    with PlateReader(path) as video:
        wanted = list(video)
    with VideoReader(path) as video:
        for plate, shown in zip(wanted, video, strict=True):
            assert np.abs(plate[..., :3].astype(int) - shown).mean() < 12
    rng = np.random.default_rng(2)
    with MovieFrames(path) as movie:
        assert movie.frame_count == len(wanted)
        orders = [range(len(wanted)), range(len(wanted) - 1, -1, -7), rng.integers(0, len(wanted), 25).tolist()]
        for order in orders:
            for number in order:
                np.testing.assert_array_equal(movie.frame(number), wanted[number], f"frame {number}")
        with pytest.raises(IndexError):
            movie.frame(len(wanted))
    return movie


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "12", "bf": "3"}),
        ("a.mkv", "libx264", {"g": "12", "bf": "2", "x264-params": "open-gop=1"}),
        ("a.mov", "mpeg4", {"g": "10", "bf": "2"}),
        ("a.ts", "libx264", {"g": "9", "bf": "2"}),
        ("a.avi", "mpeg4", {"g": "10"}),
        ("a.mp4", "libx264", {"g": "1"}),
        ("a.mov", "mjpeg", {}),
        ("a.mp4", "libx264", {"g": "1", "bf": "0"}),
        ("a.mp4", "libx265", {"g": "12", "x265-params": "log-level=none:open-gop=1"}),
        ("a.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime"}),
    ],
)
def test_any_order_gives_the_same_frames(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    kind = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    movie = check_any_order(write_video(tmp_path / name, frames(), codec=codec, pixel_format=kind, options=options))
    assert movie.notes == []


@pytest.mark.parametrize(("codec", "read"), [("prores_ks", 0), ("libx264", 1)])
def test_frames_that_the_file_lists_are_not_looked_for(
    tmp_path: Path, codec: str, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "yuv420p" if codec == "libx264" else "yuv422p10le"
    path = write_video(tmp_path / "a.mov", frames(), codec=codec, pixel_format=kind)
    looked: list[MovieFrames] = []
    packets = MovieFrames._packets
    monkeypatch.setattr(MovieFrames, "_packets", lambda movie: looked.append(movie) or packets(movie))
    check_any_order(path)
    assert len(looked) == read


def test_a_variable_rate(tmp_path: Path) -> None:
    steps = np.array([0.02, 0.02, 0.08, 0.05, 0.03] * 8)
    path = write_video(tmp_path / "a.mkv", frames(), times=np.cumsum(steps).tolist(), options={"g": "11", "bf": "2"})
    assert "variable rate" in check_any_order(path).notes[0]


def test_fields_are_woven_alike_wherever_decoding_begins(tmp_path: Path) -> None:
    options = {"g": "12", "bf": "2", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    path = write_video(tmp_path / "a.mp4", frames(), options=options)
    assert "interlaced" in check_any_order(path).notes[0]


def test_turned_with_oblong_pixels(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames(), aspect=Fraction(4, 3), options={"g": "12"})
    turn_display(path, 90)
    movie = check_any_order(path)
    assert "square" in movie.notes[0]


def test_a_picture_that_plays(tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in frames(8)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    check_any_order(tmp_path / "a.webp")


def test_a_file_cut_short_ends_where_it_ends(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", frames(), options={"g": "6", "bf": "2"})
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 2 // 3])
    with PlateReader(whole) as video:
        wanted = list(video)
    assert 5 < len(wanted) < COUNT
    with MovieFrames(whole) as movie:
        for number in (len(wanted) - 4, 3, len(wanted) - 5):
            np.testing.assert_array_equal(movie.frame(number), wanted[number])


def test_a_damaged_frame_is_the_one_before_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames(12), codec="png", pixel_format="rgb24")
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    at = content.index(packets[5])
    content[at + 8 : at + 60] = b"\0" * 52
    path.write_bytes(content)
    check_any_order(path)


def test_sixteen_bits_keep_what_ten_have(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(60, 70, 96)[None, :, None], 64, 0).repeat(3, 2)
    path = write_video(tmp_path / "a.mov", [ramp.astype(np.uint8)] * 3, codec="prores_ks", pixel_format="yuv422p10le")
    with MovieFrames(path, 16) as deep, MovieFrames(path) as shallow:
        assert deep.frame(1).dtype == np.uint16
        np.testing.assert_allclose(deep.frame(1) / 257, shallow.frame(1), atol=0.51)
        assert any("--depth 16" in note for note in shallow.notes) and deep.notes == []


def test_high_range_has_the_same_colours_in_sixteen_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        frame = av.VideoFrame.from_ndarray(frames(1)[0], format="rgb24").reformat(format="yuv420p10le")
        for number in range(3):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with MovieFrames(path) as shallow, MovieFrames(path, 16) as deep:
        assert any("dynamic range" in note for note in shallow.notes)
        np.testing.assert_allclose(deep.frame(0) / 257, shallow.frame(0), atol=1.5)


def test_transparency_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgba"
        wanted = [
            np.dstack([frame, np.full((64, 96), 10 * number, np.uint8)]) for number, frame in enumerate(frames(4))
        ]
        for number, pixels in enumerate(wanted):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with MovieFrames(path) as movie:
        for number in (3, 0, 2):
            np.testing.assert_array_equal(movie.frame(number), wanted[number])
        assert any("transparency" in note for note in movie.notes)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(PortraitError) as raised:
        MovieFrames(tmp_path / "a.mp4")
    assert raised.value.code is ErrorCode.BAD_IMAGE
