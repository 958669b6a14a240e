# SPDX-License-Identifier: GPL-3.0-or-later
"""A webcam as a live source, by the real command; a film stands for the camera. And the list of cameras."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from portrait_shared.errors import ErrorCode, PortraitError  # noqa: E402

from blender_addon.connection import server  # noqa: E402
from blender_addon.connection.command_stream import CommandStream  # noqa: E402
from blender_addon.live import camera_choice  # noqa: E402
from blender_addon.live.source import Sample  # noqa: E402
from blender_addon.live.webcam import Webcam  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


@pytest.fixture
def launch(needs_server: None) -> server.Launch:
    return server.launch_plan(bpy.context)


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], server.Launch]:
    """A program in the place of `portrait`, for what no real camera does on demand."""

    def write(body: str) -> server.Launch:
        file = tmp_path / "command.py"
        file.write_text(textwrap.dedent(body))
        return replace(server.launch_plan(bpy.context), command=(sys.executable, str(file)), problem="")

    return write


@pytest.mark.servers_environment
def test_a_face_before_a_camera_becomes_samples(launch: server.Launch, tmp_path: Path) -> None:
    import skimage.data

    from tests.server.video_files import write_video

    photo = np.asarray(skimage.data.astronaut())
    film = write_video(tmp_path / "camera.mp4", [np.roll(photo, n, axis=1) for n in range(50)])
    webcam = Webcam(str(film), launch)
    webcam.start()
    assert "Starting" in webcam.line and not webcam.problem and not webcam.ended
    samples: list[Sample] = []
    wait_until(lambda: len(samples) > 3, lambda: samples.extend(webcam.take()), lambda: webcam.problem)
    assert "camera.mp4" in webcam.line
    wait_until(lambda: webcam.ended)
    samples += webcam.take()
    assert webcam.take() == [] and not webcam.problem and webcam.line == "Ended"
    for sample in samples:
        assert sample.points is not None and sample.points.shape == (70, 3)
        assert sample.seconds is not None and sample.seconds <= sample.arrived
    seconds = [sample.seconds for sample in samples]
    assert seconds == sorted(seconds)
    webcam.stop()


def test_it_gives_the_camera_back(launch: server.Launch, command: Callable[[str], server.Launch]) -> None:
    webcam = Webcam("", command("""
        import sys
        print('{"version":1,"camera":"Cam","size":[64,48],"fps":30,"detector":"mediapipe"}', flush=True)
        for n in range(3):
            print('{"seconds":1.5,"size":[64,48],"face":false}', flush=True)
        sys.stdin.read()
        print('{"ended":"","message":"The camera was closed.","remedy":""}')
    """))  # fmt: skip
    webcam.start()
    wait_until(lambda: "sees no face" in webcam.line)
    assert webcam.take() == []
    webcam.stop()
    webcam.stop()
    wait_until(lambda: webcam.ended)
    assert not webcam.problem


def test_a_command_that_does_not_end_is_ended(
    command: Callable[[str], server.Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blender_addon.connection.command_stream._END_SECONDS", 0.05)
    stream = CommandStream(command("""
        import signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("there", flush=True)
        while True:
            time.sleep(60)
    """).command, (lines := []).append)  # fmt: skip
    stream.start()
    wait_until(lambda: lines)
    stream.end()
    wait_until(lambda: stream.ended)
    assert stream.error is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("""import sys
print('{"ended":"live_unavailable","message":"The camera “Cam” was unplugged.","remedy":"Plug it in again."}')
print("portrait camera: The camera was unplugged.", file=sys.stderr)
sys.exit(5)""", "was unplugged. Plug it in again."),
        ("""import sys
print("portrait camera: The camera “Cam” is in use by obs (process 3).\\n  Close that program.", file=sys.stderr)
sys.exit(1)""", "in use by obs (process 3). Close that program."),
        ("print('hello')", "what cannot be read"),
        ("print('x' * 3_000_000)", "what cannot be read"),
        ("import os; os.kill(os.getpid(), 9)", "ended " + ("with status" if os.name == "nt" else "from outside (signal 9)")),
    ],
    ids=["unplugged", "in use", "another program", "an endless line", "killed"],
)  # fmt: skip
def test_what_goes_wrong_is_a_sentence(command: Callable[[str], server.Launch], body: str, said: str) -> None:
    webcam = Webcam("", command(body))
    webcam.start()
    wait_until(lambda: webcam.ended)
    assert said in webcam.problem and webcam.take() == []


def test_without_a_command_it_does_not_start(command: Callable[[str], server.Launch], tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as refused:
        Webcam("", replace(command(""), command=())).start()
    assert refused.value.code is ErrorCode.SERVER_UNAVAILABLE
    with pytest.raises(PortraitError):
        Webcam("", replace(command(""), command=(str(tmp_path / "none"),))).start()


def test_samples_that_nobody_takes_are_bounded(command: Callable[[str], server.Launch]) -> None:
    webcam = Webcam("", command("""
        import base64
        points = base64.b64encode(bytes(840)).decode()
        for n in range(700):
            print('{"seconds":%d,"size":[64,48],"face":true,"points":"%s"}' % (n, points))
    """))  # fmt: skip
    webcam.start()
    wait_until(lambda: webcam.ended)
    seconds = [sample.seconds for sample in webcam.take()]
    assert seconds == [float(n) for n in range(100, 700)]


def test_the_cameras_are_listed_in_the_background(
    launch: server.Launch, command: Callable[[str], server.Launch], portrait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = camera_choice.refresh(launch)
    assert (
        asking is not None and camera_choice.line() == "Looking for cameras …" and camera_choice.refresh(launch) is None
    )
    asking.join()
    assert bool(camera_choice.cameras()) != bool(camera_choice.line())
    told = command("""
        print('[{"number": 2, "name": "Cam", "problem": "You may not use it.", "remedy": "Ask."}]')
    """)
    asking = camera_choice.refresh(told)
    assert asking is not None
    asking.join()
    assert camera_choice.cameras() == (camera_choice.CameraChoice(2, "Cam", "You may not use it. Ask."),)
    assert bpy.ops.portrait.choose_camera(camera="2") == {"FINISHED"}
    assert portrait.live.camera == "2"
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", shlex.join(told.command))
    assert bpy.ops.portrait.find_cameras() == {"FINISHED"}
    assert camera_choice.cameras() == (camera_choice.CameraChoice(2, "Cam", "You may not use it. Ask."),)
    asking = camera_choice.refresh(command("print('{}')"))
    assert asking is not None
    asking.join()
    assert camera_choice.cameras() == () and "cannot be read" in camera_choice.line()
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.portrait.choose_camera(camera="0")
