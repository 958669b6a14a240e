# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound and picture of one file share one clock, whose zero is the first picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.media.video import VideoReader
from portrait_server.speech.audio import RATE, read_speech

from tests.server.video_files import write_film


def tone_heard(path: Path, start: float = 0.0, end: float | None = None) -> tuple[float, float]:
    """From when to when the tone is loud, seconds."""
    loud = np.flatnonzero(np.abs(read_speech(path, start, end)) > 3000) / RATE
    return float(loud[0]) + start, float(loud[-1]) + start


def light_seen(path: Path) -> tuple[float, float]:
    with VideoReader(path) as video:
        white = [number for number, frame in enumerate(video) if frame.mean() > 128]
        return white[0] / video.fps, (white[-1] + 1) / video.fps


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.mp4", ("libx264", "aac")),
        ("a.mov", ("libx264", "pcm_s16le")),
        ("a.mkv", ("libx264", "libopus")),
        ("a.ts", ("libx264", "mp2")),
        ("a.avi", ("mpeg4", "mp2")),
    ],
)
def test_the_tone_is_heard_while_the_light_is_seen(tmp_path: Path, name: str, codecs: tuple[str, str]) -> None:
    path = write_film(tmp_path / name, codecs=codecs)
    assert light_seen(path) == pytest.approx((0.4, 1.0), abs=0.001)
    assert tone_heard(path) == pytest.approx((0.4, 1.0), abs=0.05)


@pytest.mark.parametrize("offset", ["1.04", "60", "36000"])
def test_what_time_the_file_begins_is_of_no_matter(tmp_path: Path, offset: str) -> None:
    path = write_film(tmp_path / "a.mts", codecs=("libx264", "mp2"), container_options={"output_ts_offset": offset})
    assert light_seen(path) == pytest.approx((0.4, 1.0), abs=0.001)
    assert tone_heard(path) == pytest.approx((0.4, 1.0), abs=0.05)
    assert tone_heard(path, 0.4, 1.5) == pytest.approx((0.4, 1.0), abs=0.05)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize(("picture_at", "sound_at"), [(0.0, 0.4), (0.4, 0.0), (3.0, 3.4), (3.4, 3.0)])
def test_what_begins_later_stays_later(tmp_path: Path, name: str, picture_at: float, sound_at: float) -> None:
    tone = (max(picture_at, sound_at) + 0.2, max(picture_at, sound_at) + 0.8)
    path = write_film(tmp_path / name, picture_at=picture_at, sound_at=sound_at, tone=tone)
    shown = (tone[0] - picture_at, tone[1] - picture_at)
    assert light_seen(path) == pytest.approx(shown, abs=0.001)
    assert tone_heard(path) == pytest.approx(shown, abs=0.05)


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", picture_at=0.8, sound_at=0.0, tone=(0.0, 1.2))
    assert tone_heard(path) == pytest.approx((0.0, 0.4), abs=0.05)


def test_lost_sound_moves_nothing_after_it(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", codecs=("libx264", "pcm_s16le"), tone=(1.5, 1.8), gap=(0.3, 1.0))
    assert tone_heard(path) == pytest.approx((1.5, 1.8), abs=0.03)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.mp3", "libmp3lame"), ("a.flac", "flac"),
                                             ("a.ogg", "libopus"), ("a.wav", "pcm_s16le"), ("a.ac3", "ac3"),
                                             ("a.au", "pcm_s16be")])  # fmt: skip
def test_a_sound_alone_begins_with_its_first_sample(tmp_path: Path, name: str, codec: str) -> None:
    path = write_film(tmp_path / name, picture_at=None, codecs=("", codec))
    assert tone_heard(path) == pytest.approx((0.4, 1.0), abs=0.03)


@pytest.mark.parametrize(("picture_at", "sound_at"), [(0.0, 0.4), (0.4, 0.0), (3.0, 3.4)])
def test_a_sound_strip_begins_with_its_first_sample(tmp_path: Path, picture_at: float, sound_at: float) -> None:
    path = write_film(tmp_path / "a.mkv", picture_at=picture_at, sound_at=sound_at, tone=(4.0, 4.6), seconds=5.0)
    loud = np.flatnonzero(np.abs(read_speech(path, from_first_sound=True)) > 3000) / RATE
    assert (loud[0], loud[-1]) == pytest.approx((4.0 - sound_at, 4.6 - sound_at), abs=0.05)


def test_a_time_before_the_beginning_is_the_beginning(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.wav", picture_at=None, codecs=("", "pcm_s16le"))
    np.testing.assert_array_equal(read_speech(path, -3.0, 1.0), read_speech(path, 0.0, 1.0))


@pytest.mark.parametrize("command", ["visemes", "landmarks"])
@pytest.mark.parametrize("time", ["nan", "inf", "soon"])
def test_what_is_no_time_is_refused(
    tmp_path: Path, command: str, time: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "a.mp4", "--output", str(tmp_path / "a.out"), "--from", time])
    assert caught.value.code == 2 and "--from" in capsys.readouterr().err
