# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies of rendered frames: pictures, alpha, sound, timecode and colours, as another program reads them."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.media.exr import encode_exr
from portrait_server.media.movie import Movie, MovieFrame
from portrait_server.media.movie_sound import Soundtrack
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import frame_path
from skimage.data import astronaut

HEIGHT, WIDTH, COUNT = 128, 256, 12
FILM = Fraction(24000, 1001)


def picture(number: int) -> np.ndarray:
    """(H, W, 3) uint8: a photo that moves by four pixels a frame, and a saturated patch."""
    image = np.roll(astronaut()[100:228, 100:356], 4 * number, 1)
    image[:32, :32] = (20, 90, 210)
    return image


def frames(
    folder: Path, *, alpha: bool = False, depth: int = 8, first: int = 1, count: int = COUNT
) -> list[MovieFrame]:
    paths = []
    for number in range(first, first + count):
        image = picture(number)
        if alpha:
            image = np.dstack([image, np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))])
        order = cv2.COLOR_RGBA2BGRA if alpha else cv2.COLOR_RGB2BGR
        image = cv2.cvtColor(image, order)
        paths.append(frame_path(folder, number))
        cv2.imwrite(str(paths[-1]), image if depth == 8 else image.astype(np.uint16) * 257)
    return [MovieFrame.of_file(path) for path in paths]


def tone(path: Path, seconds: float, starts: float = 0.0) -> Path:
    """A sound of 16 bits that is loud from a time on."""
    times = np.arange(round(44100 * seconds)) / 44100
    samples = np.where(times >= starts, np.sin(2 * np.pi * 440 * times) * 12000, 0).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(samples.tobytes())
    return path


def pictures_of(path: Path, kind: str = "rgb24") -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=kind) for frame in container.decode(video=0)]


def heard(path: Path) -> tuple[np.ndarray, int]:
    """The samples of one channel, and how many there are in a second."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", "mono", 48000)
        blocks = [part.to_ndarray()[0] for frame in container.decode(stream) for part in resampler.resample(frame)]
    return np.concatenate(blocks), 48000


@pytest.mark.parametrize(("codec", "name"), [("h264", "a.mp4"), ("h264", "a.mkv"), ("prores4444", "a.mov"),
                                             ("dnxhr", "a.mov"), ("dnxhr", "a.mxf")])  # fmt: skip
def test_pictures_come_back_in_their_colours(tmp_path: Path, codec: str, name: str) -> None:
    paths = frames(tmp_path)
    Movie(paths, Fraction(25), codec).write(tmp_path / name)
    shown = pictures_of(tmp_path / name)
    assert len(shown) == COUNT
    for number, image in enumerate(shown, 1):
        error = np.abs(image.astype(float) - picture(number))
        assert error.mean() < 3
        assert error[4:28, 4:28].mean() < 3  # a wrong matrix moves saturated colours most


def test_what_a_player_is_told(tmp_path: Path) -> None:
    Movie(frames(tmp_path), FILM, start=86400).write(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 13, 1, 1)
        assert stream.average_rate == FILM
        assert stream.frames == COUNT
        assert stream.metadata["timecode"] == "01:00:00:00"
        assert "Synthetic" in container.metadata["comment"]


@pytest.mark.parametrize("depth", [8, 16])
def test_prores_keeps_straight_alpha(tmp_path: Path, depth: int) -> None:
    Movie(frames(tmp_path, alpha=True, depth=depth), Fraction(25), "prores4444").write(tmp_path / "a.mov")
    shown = pictures_of(tmp_path / "a.mov", "rgba")
    assert np.abs(shown[0][..., 3].astype(float) - np.linspace(0, 255, WIDTH)).max() <= 2
    assert np.abs(shown[0][..., :3].astype(float) - picture(1)).mean() < 3  # also where nothing is seen of them


@pytest.mark.parametrize("codec", ["prores4444", "dnxhr"])
def test_soft_shades_of_sixteen_bits_show_no_steps(tmp_path: Path, codec: str) -> None:
    shades = np.tile(np.linspace(25000, 27000, WIDTH).astype(np.uint16)[:, None], (HEIGHT, 1, 3))
    cv2.imwrite(str(tmp_path / "0001.png"), shades)
    Movie([MovieFrame.of_file(tmp_path / "0001.png")], Fraction(25), codec).write(tmp_path / "a.mov")
    (shown,) = pictures_of(tmp_path / "a.mov", "gray16le")
    assert len(np.unique(shown[HEIGHT // 2])) > 2 * len(np.unique(shades >> 8))


@pytest.mark.parametrize(("codec", "name"), [("h264", "a.mp4"), ("prores4444", "a.mov")])
@pytest.mark.parametrize(("start", "begins"), [(0.0, 0.2), (0.1, 0.1), (-0.15, 0.35)])
def test_sound_is_heard_where_it_belongs(tmp_path: Path, codec: str, name: str, start: float, begins: float) -> None:
    sound = Soundtrack(tone(tmp_path / "s.wav", 3.0, starts=0.2), start)
    Movie(frames(tmp_path), Fraction(25), codec, sound=sound).write(tmp_path / name)
    samples, rate = heard(tmp_path / name)
    assert abs(len(samples) / rate - COUNT / 25) < 0.05
    assert abs(np.argmax(np.abs(samples) > 0.1) / rate - begins) < 0.03


def test_a_sound_that_ends_early_is_followed_by_silence(tmp_path: Path) -> None:
    Movie(frames(tmp_path), Fraction(25), "prores4444", sound=Soundtrack(tone(tmp_path / "s.wav", 0.2))).write(
        tmp_path / "a.mov"
    )
    samples, rate = heard(tmp_path / "a.mov")
    assert len(samples) == round(COUNT / 25 * rate)
    assert np.abs(samples[rate // 4 :]).max() < 0.01


def test_a_failure_leaves_the_movie_that_was_there(tmp_path: Path) -> None:
    paths, movie = frames(tmp_path), tmp_path / "a.mp4"
    Movie(paths, Fraction(25)).write(movie)
    before = movie.read_bytes()
    cv2.imwrite(str(tmp_path / paths[5].name), picture(1)[:64])
    with pytest.raises(PortraitError, match=r"0006\.png has 256x64 pixels") as caught:
        Movie(paths, Fraction(25)).write(movie)
    assert caught.value.code == ErrorCode.SIZE_MISMATCH
    assert movie.read_bytes() == before
    assert not list(tmp_path.glob(".portrait-*"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames(tmp_path, first=-2)
    words = ["movie", str(tmp_path), "--output", str(tmp_path / "a.mov"), "--fps", "29.97", "--frames", "-1-6"]
    assert main([*words, "--timecode", "00:01:00;02", "--progress"]) == 0
    assert "Progress: 8/8" in capsys.readouterr().out
    with av.open(str(tmp_path / "a.mov")) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
        assert container.streams.video[0].metadata["timecode"] == "00:01:00;02"
    assert np.abs(pictures_of(tmp_path / "a.mov")[0].astype(float) - picture(-1)).mean() < 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--codec", "prores4444", "--output", "a.mp4"], "cannot hold prores4444"),
        (["--output", "a.mp4", "--frames", "1-20"], "8 frames are not in"),
        (["--output", "a.mp4", "--prefix", "anna."], "No frames named anna.0001.png"),
        (["--output", "a.mp4", "--sound", "0001.png"], "Cannot read 0001.png as sound"),
        (["--output", "a.mp4", "--sound", "none.wav"], "There is no file none.wav"),
        (["--output", "none/a.mp4"], "Cannot write"),
        (["--output", "a.mp4", "--timecode", "soon"], "no timecode"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    frames(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["movie", ".", *words]) == 1
    assert says in capsys.readouterr().err
    assert not Path("a.mp4").exists()


def test_gaps_are_held_or_filled_by_the_shot(tmp_path: Path) -> None:
    """Frames 3 and 6 were rendered; the shot of eight pictures lies from frame 1 on."""
    shot, folder = tmp_path / "shot", tmp_path / "frames"
    for each in (shot, folder):
        each.mkdir()
    frames(shot, first=101, count=8)
    for number, other in ((3, 30), (6, 60)):
        cv2.imwrite(str(frame_path(folder, number)), cv2.cvtColor(picture(other), cv2.COLOR_RGB2BGR))
    words = ["movie", str(folder), "--output", str(tmp_path / "a.mp4")]
    assert main(words) == 1
    assert main([*words, "--hold"]) == 0
    assert [nearest(image, (30, 60)) for image in pictures_of(tmp_path / "a.mp4")] == [30, 30, 30, 60]
    assert main([*words, "--plate", str(shot), "--plate-start", "1"]) == 0
    shown = [nearest(image, (101, 102, 104, 105, 107, 108, 30, 60)) for image in pictures_of(tmp_path / "a.mp4")]
    assert shown == [101, 102, 30, 104, 105, 60, 107, 108]
    assert main([*words, "--plate", str(shot), "--plate-start", "1", "--as-filmed", "1-4", "--frames", "2-6"]) == 0
    shown = [nearest(image, (102, 103, 104, 105, 30, 60)) for image in pictures_of(tmp_path / "a.mp4")]
    assert shown == [102, 103, 104, 105, 60]


def nearest(image: np.ndarray, numbers: tuple[int, ...]) -> int:
    """Which of `picture`s an image is."""
    return min(numbers, key=lambda number: float(np.abs(image.astype(float) - picture(number)).mean()))


def test_a_gap_in_the_frames_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / frames(tmp_path)[4].name).unlink()
    assert main(["movie", str(tmp_path), "--output", str(tmp_path / "a.mp4")]) == 1
    assert "the first of them 5" in capsys.readouterr().err


def test_a_movie_of_layered_frames(tmp_path: Path) -> None:
    for number in range(1, 4):
        drawn = np.dstack([picture(number), np.full((HEIGHT, WIDTH), 255)]).astype(np.float32)
        frame_path(tmp_path, number, suffix=".exr").write_bytes(
            encode_exr(drawn, ("rgba",), "acescg", "c" * 64, "warp")
        )
    assert main(["movie", str(tmp_path), "--output", str(tmp_path / "a.mp4")]) == 0
    assert main(["movie", str(tmp_path), "--output", str(tmp_path / "b.mp4"), "--format", "png"]) == 1
    shown = pictures_of(tmp_path / "a.mp4")
    assert len(shown) == 3
    assert np.abs(shown[1].astype(float) - picture(2)).mean() < 3
