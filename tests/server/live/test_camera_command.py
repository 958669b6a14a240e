# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait camera` in a process of its own, on a film that stands for a camera; and a real capture that ends."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.cli import main
from portrait_server.commands.camera import STATUS_CAMERA_LOST, _end, _look, picture_size
from portrait_server.detectors.following import FollowedFace
from portrait_server.detectors.registry import create_detector
from portrait_server.live.camera_list import Camera
from portrait_server.live.camera_pictures import CameraPicture, OpenedCamera, PlayedFilm, keep_newest
from portrait_server.live.newest import Newest
from portrait_shared.camera_lines import CameraEnded, CameraOpened, CameraSeen, read_line
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.video_files import write_video
from tests.waiting import wait_until

FRAMES, FPS = 60, 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that moves 2 pixels a frame to the right."""
    photo = np.asarray(skimage.data.astronaut())
    frames = [cv2.warpAffine(photo, np.float32([[1, 0, 2 * n], [0, 1, 0]]), (640, 512)) for n in range(FRAMES)]
    return write_video(tmp_path_factory.mktemp("film") / "camera.mp4", frames, fps=FPS)


def start(*words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "portrait_server", "camera", *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_face_is_found_as_it_moves(film: Path) -> None:
    process = start(film)
    assert process.stdout is not None
    said = [read_line(line.decode()) for line in process.stdout]
    assert process.wait() == 0
    assert said[0] == CameraOpened("camera.mp4", (640, 512), pytest.approx(FPS, abs=0.1), "mediapipe")
    assert said[-1] == CameraEnded("", "The camera was closed.")
    seen = [line for line in said if isinstance(line, CameraSeen)]
    assert seen == said[1:-1] and 2 <= len(seen) <= FRAMES  # as many as the machine is quick, never one late
    assert all(line.points is not None and line.size == (640, 512) for line in seen)
    times = np.array([line.seconds for line in seen])
    nose = np.array([line.points[30] for line in seen if line.points is not None])
    moved = (times - times[0]) * FPS * 2
    np.testing.assert_allclose(
        nose[:, 0] - nose[0, 0], moved, atol=4
    )  # each line tells its own frame's time, not mirrored
    np.testing.assert_allclose(nose[:, 1], nose[0, 1], atol=4)


def test_it_ends_with_the_program_that_started_it(film: Path) -> None:
    process = start(film)
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert isinstance(read_line(process.stdout.read().splitlines()[-1].decode()), CameraEnded)
    assert process.wait() == 0


def test_it_ends_when_nobody_reads(film: Path) -> None:
    process = start(film)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 0
    assert b"Traceback" not in process.stderr.read()


def test_what_is_no_film_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film")
    assert main(["camera", str(tmp_path / "a.mp4")]) == 1
    assert "neither a picture nor a video" in capsys.readouterr().err


def test_a_film_that_is_not_there_is_no_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", str(tmp_path / "gone.mp4")]) == 1
    assert "There is no file" in capsys.readouterr().err


def test_a_disk_that_fails_is_told(film: Path) -> None:
    class Failing(PlayedFilm):
        def pictures(self, ended: Callable[[], bool]) -> Iterator[CameraPicture]:
            raise OSError(5, "Input/output error")

    newest: Newest[CameraPicture] = Newest()
    keep_newest(Failing(film), newest)
    assert newest.closed and isinstance(newest.error, OSError)


@pytest.mark.skipif(sys.platform != "linux" or Path("/dev/video99").exists(), reason="Linux without a camera 99")
def test_a_camera_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", "99"]) == 1
    said = capsys.readouterr().err
    assert "no camera 99" in said and "--list" in said


def test_the_list_is_told_in_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    if main(["camera", "--list", "--json"]) == 0:  # a system may not tell
        there = json.loads(capsys.readouterr().out)
        assert all(set(camera) == {"number", "name", "problem", "remedy"} for camera in there)
        assert main(["camera", "--list"]) == 0
        assert capsys.readouterr().out.strip()


def lost_camera(tmp_path: Path) -> OpenedCamera:
    """A capture of OpenCV's that ends after 3 pictures, as one of a camera does that is unplugged."""
    file = str(tmp_path / "a.avi")
    writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for level in (10, 120, 240):
        writer.write(np.full((48, 64, 3), (level, 0, 0), np.uint8))  # blue, as OpenCV holds it
    writer.release()
    return OpenedCamera(Camera(0, "Cam"), cv2.VideoCapture(file), tmp_path / "video0")


@pytest.mark.parametrize("unplugged", [True, False])
def test_a_camera_that_is_lost_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str], unplugged: bool) -> None:
    camera = lost_camera(tmp_path)
    assert camera.size == (64, 48)
    if not unplugged:
        (tmp_path / "video0").touch()
    pictures: list[CameraPicture] = []
    with pytest.raises(PortraitError) as lost:
        pictures.extend(camera.pictures(lambda: False))
    assert lost.value.code is ErrorCode.LIVE_UNAVAILABLE
    assert ("was unplugged" if unplugged else "no more pictures") in lost.value.message
    newest: Newest[CameraPicture] = Newest()
    keep_newest(lost_camera(tmp_path), newest)
    assert newest.closed and isinstance(newest.error, PortraitError)
    picture = newest.take(0.0)
    assert picture is not None and picture.image.shape == (48, 64, 3)
    assert picture.image[..., 2].mean() > 200 > 50 > picture.image[..., 0].mean()  # RGB, and the newest
    assert _end(newest.error) == STATUS_CAMERA_LOST
    out, err = capfd.readouterr()
    last = read_line(out.strip())
    assert (
        isinstance(last, CameraEnded) and last.code == "live_unavailable" and last.message in err and last.remedy in err
    )


def test_a_film_is_played_in_its_own_time(film: Path) -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    source = PlayedFilm(film, lambda: now[0], sleep)
    times = []
    for picture in source.pictures(lambda: len(times) == 10):
        times.append(picture.seconds)
        now[0] += 0.2 if len(times) == 5 else 0.001  # once it is held up, and catches up
    source.close()
    np.testing.assert_allclose(np.diff(times), 1 / source.fps, atol=1e-6)
    assert times[0] == 100.0 and all(0 < seconds < 1 / 20 for seconds in slept)


def test_who_comes_back_after_a_while_is_chosen_anew() -> None:
    photo = np.asarray(skimage.data.astronaut())
    nobody, small = np.full_like(photo, 90), np.full_like(photo, 90)
    small[:200, 300:500] = cv2.resize(photo[:320, 100:420], (200, 200))
    with_detector = create_detector("mediapipe")
    followed = FollowedFace(with_detector, 0, forget_after=2)
    assert followed.see(photo, "the picture").face is not None
    for _ in range(3):
        assert followed.see(nobody, "the picture").face is None
    face = followed.see(small, "the picture").face
    with_detector.close()
    assert face is not None and face.points[30, 0] > 300


def test_the_second_of_two_faces_is_waited_for(tmp_path: Path, capfd: pytest.CaptureFixture[str], film: Path) -> None:
    newest: Newest[CameraPicture] = Newest()
    newest.put(CameraPicture(1.0, np.asarray(skimage.data.astronaut())))
    newest.close()
    detector = create_detector("mediapipe")
    source = PlayedFilm(film)
    _look(newest, FollowedFace(detector, 2, 30), source)
    source.close()
    detector.close()
    seen = read_line(capfd.readouterr().out.strip())
    assert isinstance(seen, CameraSeen) and seen.points is None


@pytest.mark.parametrize("text", ["12", "axb", "0x0", "9x9", "9999x100", "640x480x3"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1280x720"):
        picture_size(text)
    assert picture_size("1280x720") == (1280, 720)


def test_the_newest_wins_and_the_end_is_heard() -> None:
    newest: Newest[int] = Newest()
    newest.put(1)
    newest.put(2)
    assert newest.take(0.0) == 2 and newest.take(0.0) is None
    newest.close()
    newest.close(ValueError("too late"))
    assert newest.error is None and newest.take(60.0) is None
    wait_until(lambda: newest.closed)
