# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait landmarks` on photographs and videos: the track it writes, and what it says where it cannot."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from portrait_server.commands.landmarks import add_arguments, run
from portrait_server.detectors.cuts import ShotCuts
from portrait_server.media.video import VideoReader
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.shots import ShotIdentity, identify_shot
from portrait_shared.track import LandmarkTrack

from tests.server.video_files import write_video

FRAMES = 24
WITHOUT_FACE = {0, 1, 9, 10, 11, 23}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def alone(photo: np.ndarray) -> np.ndarray:
    """The photograph with its right part covered, so that others can be put there."""
    return np.ascontiguousarray(photo[:320, 100:420])


def shifts() -> np.ndarray:
    """(FRAMES, 2) where the face of the video is, pixels from its place in the photograph."""
    numbers = np.arange(FRAMES)
    return np.stack([1.5 * numbers, 4 * np.sin(numbers / 4)], axis=1)


@pytest.fixture(scope="module")
def video(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = []
    for number, (x, y) in enumerate(shifts()):
        moved = cv2.warpAffine(photo, np.float32([[1, 0, x], [0, 1, y]]), (512, 512), borderMode=cv2.BORDER_REFLECT)
        frames.append(np.full_like(photo, 90) if number in WITHOUT_FACE else moved)
    return write_video(tmp_path_factory.mktemp("video") / "moving.mp4", frames)


def landmarks(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(word) for word in ("--detector", "mediapipe", *words)]))


def refusal(code: ErrorCode, *words: object) -> PortraitError:
    with pytest.raises(PortraitError) as caught:
        landmarks(*words)
    assert caught.value.code is code
    assert caught.value.remedy
    return caught.value


def test_a_photograph(photo: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert landmarks(tmp_path / "a.png", "--output", tmp_path / "a.npz") == 0
    track = LandmarkTrack.load(tmp_path / "a.npz")
    assert track.points.shape == (1, 70, 3)
    assert (track.size, track.start) == ((512, 512), 1)
    assert track.extra["mesh478"].shape == (1, 478, 3)
    assert track.extra["detected"].tolist() == [True]
    np.testing.assert_allclose(track.points[0, 30, :2], (223, 126), atol=3)
    said = capsys.readouterr().out.splitlines()[-1]
    assert "mediapipe" in said
    assert str(tmp_path / "a.npz") in said


def test_points_are_pixels_of_the_upright_picture(photo: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.ascontiguousarray(np.rot90(photo[:, 50:450]))
    Image.fromarray(lying).save(tmp_path / "a.png", exif=exif)
    landmarks(tmp_path / "a.png", "--output", tmp_path / "a.npz")
    track = LandmarkTrack.load(tmp_path / "a.npz")
    assert track.size == (400, 512)
    np.testing.assert_allclose(track.points[0, 30, :2], (173, 126), atol=3)


def test_a_transparent_grey_picture(photo: np.ndarray, tmp_path: Path) -> None:
    grey = photo.mean(2).astype(np.uint8)
    alpha = np.zeros_like(grey)
    cv2.ellipse(alpha, (225, 120), (90, 110), 0, 0, 360, 255, -1)
    Image.fromarray(np.dstack([grey, alpha]), "LA").save(tmp_path / "a.png")
    assert landmarks(tmp_path / "a.png", "--output", tmp_path / "a.npz") == 0


def test_several_faces(photo: np.ndarray, alone: np.ndarray, tmp_path: Path) -> None:
    small = np.full_like(alone, 90)
    small[:224, :224] = cv2.resize(alone, (224, 224), interpolation=cv2.INTER_AREA)
    Image.fromarray(np.hstack([small, alone, small])).save(tmp_path / "a.png")
    places = []
    for words in ((), ("--face", 1), ("--face", 2), ("--face", 3)):
        landmarks(tmp_path / "a.png", "--output", tmp_path / "a.npz", *words)
        places.append(LandmarkTrack.load(tmp_path / "a.npz").points[0, 30, 0])
    np.testing.assert_allclose(places, [320 + 123, 0.7 * 123, 320 + 123, 640 + 0.7 * 123], atol=4)
    error = refusal(ErrorCode.NO_SUCH_FACE, tmp_path / "a.png", "--output", tmp_path / "b.npz", "--face", 4)
    assert "3 found" in error.message
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize("smooth", [False, True])
def test_a_video(video: Path, tmp_path: Path, smooth: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert landmarks(video, "--output", tmp_path / "a.npz", *(["--smooth"] if smooth else [])) == 0
    track = LandmarkTrack.load(tmp_path / "a.npz")
    assert track.points.shape == (FRAMES, 70, 3)
    assert (track.size, track.fps, track.start) == ((512, 512), 25.0, 1)
    detected = track.extra["detected"]
    assert {number for number in range(FRAMES) if not detected[number]} == WITHOUT_FACE
    assert track.extra["mesh478"].shape == (FRAMES, 478, 3)

    first, last = min(set(range(FRAMES)) - WITHOUT_FACE), max(set(range(FRAMES)) - WITHOUT_FACE)
    expected = shifts()
    for number in range(9, 12):  # interpolated between frames 8 and 12
        expected[number] = expected[8] + (number - 8) / 4 * (expected[12] - expected[8])
    expected[:first], expected[last:] = expected[first], expected[last]
    moved = track.points[:, :, :2].mean(1)
    error = moved - moved[first] - (expected - expected[first])
    assert np.abs(error).max() < (2.5 if smooth else 1.0)
    if not smooth:
        np.testing.assert_array_equal(track.points[0], track.points[first])
        np.testing.assert_array_equal(track.points[23], track.points[last])
        np.testing.assert_allclose(track.points[10], track.points[[8, 12]].mean(0), atol=1e-3)

    out, err = capsys.readouterr()
    assert f"{FRAMES - len(WITHOUT_FACE)} of {FRAMES} frames" in out.splitlines()[-1]
    assert f"{FRAMES}/{FRAMES}" in err


def test_a_rerun_gives_the_same_track(video: Path, tmp_path: Path) -> None:
    tracks = []
    for name in ("a.npz", "b.npz"):
        landmarks(video, "--output", tmp_path / name)
        tracks.append(LandmarkTrack.load(tmp_path / name).points)
    np.testing.assert_array_equal(*tracks)


def test_the_same_person_is_followed_when_another_becomes_larger(alone: np.ndarray, tmp_path: Path) -> None:
    """The face at the left starts as the larger one and shrinks; the other grows."""
    frames = []
    for number in range(12):
        frame = np.full((320, 640, 3), 90, np.uint8)
        for x, side in ((0, 300 - 12 * number), (320, 168 + 12 * number)):
            frame[:side, x : x + side] = cv2.resize(alone, (side, side), interpolation=cv2.INTER_AREA)
        frames.append(frame)
    path = write_video(tmp_path / "two.mp4", frames)
    for words, left in (((), True), (("--face", 1), True), (("--face", 2), False)):
        landmarks(path, "--output", tmp_path / "a.npz", *words)
        track = LandmarkTrack.load(tmp_path / "a.npz")
        assert track.extra["detected"].all()
        assert (track.points[:, 30, 0] < 320).all() == left
    refusal(ErrorCode.NO_SUCH_FACE, path, "--output", tmp_path / "a.npz", "--face", 3)


def test_a_video_without_any_face(tmp_path: Path) -> None:
    path = write_video(tmp_path / "empty.mp4", [np.full((96, 160, 3), 90, np.uint8)] * 5)
    error = refusal(ErrorCode.NO_FACE, path, "--output", tmp_path / "a.npz")
    assert str(path) in error.message
    assert not (tmp_path / "a.npz").exists()


def test_a_photograph_without_a_face(tmp_path: Path) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    assert (
        str(tmp_path / "a.png")
        in refusal(ErrorCode.NO_FACE, tmp_path / "a.png", "--output", tmp_path / "a.npz").message
    )


def test_bad_input_and_output(tmp_path: Path) -> None:
    picture, text = tmp_path / "a.png", tmp_path / "a.txt"
    Image.fromarray(skimage.data.astronaut()).save(picture)
    text.write_text("hello")
    output = tmp_path / "a.npz"
    refusal(ErrorCode.FILE_MISSING, tmp_path / "absent.png", "--output", output)
    refusal(ErrorCode.BAD_IMAGE, tmp_path, "--output", output)
    refusal(ErrorCode.BAD_IMAGE, text, "--output", output)
    refusal(ErrorCode.OUTPUT_NOT_WRITABLE, picture, "--output", tmp_path / "absent" / "a.npz")
    refusal(ErrorCode.OUTPUT_NOT_WRITABLE, picture, "--output", text / "a.npz")
    refusal(ErrorCode.OUTPUT_NOT_WRITABLE, picture, "--output", tmp_path)
    refusal(ErrorCode.UNKNOWN_DETECTOR, picture, "--output", output, "--detector", "dlib")
    assert not output.exists()


def test_a_failure_keeps_the_track_that_was_there(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.new("RGB", (200, 200)).save(tmp_path / "nobody.png")
    landmarks(tmp_path / "a.png", "--output", tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    refusal(ErrorCode.NO_FACE, tmp_path / "nobody.png", "--output", tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before


def test_a_part_of_a_video_keeps_its_place_in_time(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    landmarks(video, "--output", tmp_path / "a.npz")
    landmarks(video, "--output", tmp_path / "b.npz", "--from", 0.12, "--to", 0.32, "--progress")
    whole, part = LandmarkTrack.load(tmp_path / "a.npz"), LandmarkTrack.load(tmp_path / "b.npz")
    assert (part.start, len(part)) == (4, 5)
    np.testing.assert_allclose(part.points, whole.points[3:8], atol=1.0)
    assert "Progress: 5/5" in capsys.readouterr().out
    assert "no frames" in refusal(ErrorCode.NO_FACE, video, "--output", tmp_path / "c.npz", "--from", 60).message


@pytest.mark.parametrize(
    ("stated", "begin", "expected"),
    [("10:59:59:20", "0", "10:59:59:20"), ("10:59:59:20", "0.4", "11:00:00:05"), (None, "0", None)],
)
def test_the_time_code_of_a_movie_is_that_of_the_tracks_first_frame(
    alone: np.ndarray, tmp_path: Path, stated: str | None, begin: str, expected: str | None
) -> None:
    movie = write_video(tmp_path / "movie.mov", [alone] * 12, timecode=stated)
    output = tmp_path / "track.npz"
    assert landmarks(movie, "--output", output, "--from", begin) == 0
    timecode = LandmarkTrack.load(output).extra.get("timecode")
    assert (None if timecode is None else str(timecode)) == expected


def test_cuts_and_faces_are_counted_and_no_shot_smooths_into_the_next(photo: np.ndarray, tmp_path: Path) -> None:
    small = np.full_like(photo, 30)
    small[200:456, 40:296] = cv2.resize(photo, (256, 256), interpolation=cv2.INTER_AREA)
    path = write_video(tmp_path / "cut.mp4", [photo] * 8 + [small] * 8)
    landmarks(path, "--output", tmp_path / "a.npz", "--smooth")
    track = LandmarkTrack.load(tmp_path / "a.npz")
    assert np.flatnonzero(track.extra["cuts"]).tolist() == [8]
    assert track.extra["faces"].tolist() == [1] * 16
    assert track.extra["detected"].all(), "the same person is found again in the new shot"
    size = np.linalg.norm(track.points[:, 36] - track.points[:, 45], axis=1)
    assert np.ptp(size[:8]) < 1 and np.ptp(size[8:]) < 1 and size[0] > 1.7 * size[8]
    np.testing.assert_allclose(track.points, track.extra["unsmoothed"], atol=1.5)


def test_motion_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (240, 700, 3)).astype(np.uint8), (0, 0), 6)
    shots = ShotCuts()
    panned = [shots.begins(np.ascontiguousarray(wall[:, 12 * n : 12 * n + 320])) for n in range(25)]
    assert not any(panned)
    assert shots.begins(np.full((240, 320, 3), 240, np.uint8)) and shots.since(0)
    assert not shots.begins(np.full((240, 320, 3), 236, np.uint8)) and shots.since(1) and not shots.since(0)


def test_a_wall_of_another_colour_is_a_cut_at_the_same_brightness() -> None:
    shots = ShotCuts()
    assert [shots.begins(np.full((48, 64, 3), colour, np.uint8)) for colour in ((90, 140, 70), (140, 60, 100))] == [
        False,
        True,
    ]


@pytest.fixture
def pictures(video: Path, tmp_path: Path) -> Path:
    """The video's frames as a numbered sequence."""
    folder = tmp_path / "plate"
    folder.mkdir()
    with VideoReader(video) as film:
        for number, frame in enumerate(film, 1001):
            Image.fromarray(frame).save(folder / f"sc.{number}.png")
    return folder


def test_a_sequence_of_pictures_gives_what_its_video_does(
    video: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    landmarks(video, "--output", tmp_path / "video.npz")
    wanted = LandmarkTrack.load(tmp_path / "video.npz")
    capsys.readouterr()
    assert landmarks(pictures, "--output", tmp_path / "a.npz", "--fps", 24) == 0
    track = LandmarkTrack.load(tmp_path / "a.npz")
    assert (track.start, track.fps, track.size) == (1001, 24.0, (512, 512))
    np.testing.assert_array_equal(track.points, wanted.points)
    assert ShotIdentity.of_track(track) == identify_shot(pictures)
    assert ShotIdentity.of_track(wanted) == identify_shot(video)
    cuts, no_face = capsys.readouterr().out.splitlines()[:2]
    assert cuts == "A new shot begins at: 1003,1010,1013,1024"
    assert no_face == "No face in: 1001-1002,1010-1012,1024"


def test_a_part_of_a_shot_is_not_taken_for_all_of_it(video: Path, tmp_path: Path) -> None:
    landmarks(video, "--output", tmp_path / "a.npz", "--to", 0.5)
    assert ShotIdentity.of_track(LandmarkTrack.load(tmp_path / "a.npz")) is None


def test_a_sequence_that_cannot_be_used(video: Path, pictures: Path, tmp_path: Path) -> None:
    output = ("--output", tmp_path / "a.npz")
    refusal(ErrorCode.BAD_CONFIGURATION, video, *output, "--fps", 24)
    (pictures / "sc.1005.png").unlink()
    assert "1005" in refusal(ErrorCode.FILE_MISSING, pictures, *output).message
    refusal(ErrorCode.FILE_MISSING, pictures / "other.####.png", *output)
    assert not (tmp_path / "a.npz").exists()
