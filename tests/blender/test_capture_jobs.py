# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture in the background with the real `portrait` command: videos of every kind, speech, cancel, and failures."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.blender.problems import Fix  # noqa: E402
from blender_addon.capture import jobs, media_parts  # noqa: E402
from blender_addon.capture.takes import VideoOptions  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from tests.blender.conftest import ROOT  # noqa: E402
from tests.waiting import PATIENCE_SECONDS, wait_until  # noqa: E402

FRAMES, STEP_PIXELS = 12, 3


def python_with(*packages: str) -> str:
    """This Python where it has the packages, else that of the main environment."""
    if all(importlib.util.find_spec(package) for package in packages):
        return sys.executable
    python = os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON")
    if python is None:
        pytest.skip(f"{', '.join(packages)} not installed here, and TALKING_PORTRAITS_BUILD_PYTHON is not set")
    return python


_WRITE_ALL = """
import pathlib, sys
from tests.server.face_videos import KINDS, write
for kind in KINDS:
    write(kind, pathlib.Path(sys.argv[1]) / f"{kind}.mp4")
"""


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of each kind, which no test changes."""
    folder = tmp_path_factory.mktemp("videos")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    python = python_with("av", "cv2", "skimage")
    subprocess.run([python, "-c", _WRITE_ALL, str(folder)], check=True, env=environment)
    return folder


@pytest.fixture
def video(videos: Path) -> Callable[[str], Path]:
    return lambda kind: videos / f"{kind}.mp4"


@pytest.fixture
def stage(needs_server: None, portrait: Any) -> Any:
    """A portrait in a scene of 25 frames a second."""
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 25, 1.0
    return portrait


def capture(path: Path, **options: Any) -> Any:
    return bpy.ops.portrait.capture_video(filepath=str(path), first_frame=1, **options)


def head_x(portrait: Any) -> tuple[np.ndarray, np.ndarray]:
    """The head's keyed place from side to side, as (frames, pixels)."""
    path = 'pose.bones["head"].location'
    curve = next(c for c in compat.fcurves_of(portrait.rig) if (c.data_path, c.array_index) == (path, 0))
    keys = [point.co[0] for point in curve.keyframe_points if point.type != "MOVING_HOLD"]  # those hold what is outside
    frames = np.arange(round(keys[0]), round(keys[-1]) + 1)
    return frames, np.array([curve.evaluate(frame) for frame in frames]) / portrait.space.metres_per_pixel


@pytest.mark.parametrize("kind", ["plain", "ten_bit", "rotated"])
def test_the_head_goes_where_the_performer_goes(stage: Any, video: Callable[[str], Path], kind: str) -> None:
    assert capture(video(kind)) == {"FINISHED"}
    frames, x = head_x(stage)
    assert (frames[0], frames[-1]) == (1, FRAMES)
    face = np.linalg.norm(stage.detected_points[36] - stage.detected_points[45])
    take = jobs.last_video(stage.uid)
    assert take.track.size == (288, 288)
    performer = np.linalg.norm(take.track.points[0, 36] - take.track.points[0, 45])
    assert x[-1] - x[0] == pytest.approx(STEP_PIXELS * (FRAMES - 1) * face / performer, rel=0.15)
    assert not jobs.last_report(stage.uid).notes, "she smiles with her teeth all along: no open mouth"
    assert problems.last(stage.uid) is None


def test_a_variable_frame_rate_keeps_its_times(stage: Any, video: Callable[[str], Path]) -> None:
    """The face rests for 0.12 s after frames 3, 6 and 9."""
    assert capture(video("variable"), smoothing=0.0, tolerance=0.05) == {"FINISHED"}
    frames, x = head_x(stage)
    assert frames[-1] == pytest.approx(1 + 0.68 * 25, abs=2)
    late = x[(frames - 1) / 25 > 0.61].mean() - x[0]
    early = x[(frames - 1) / 25 < 0.15].mean() - x[0]
    assert early < 0.35 * late


def test_in_the_background_frames_without_a_face_are_marked(stage: Any, video: Callable[[str], Path]) -> None:
    assert capture(video("gap"), without_waiting=True) == {"FINISHED"}
    assert job_queue.current() is not None and not bpy.data.actions
    with pytest.raises(RuntimeError, match="worked on"):
        bpy.ops.portrait.clean_keys()
    wait_until(lambda: job_queue._on_timer() is None)
    stage = bpy.context.scene.talking_portraits.active
    assert [m.frame for m in bpy.context.scene.timeline_markers if m.name.startswith("No face")] == [6]
    keyed = {p.co[0] for c in compat.fcurves_of(stage.rig) for p in c.keyframe_points}
    assert not keyed & {6.0, 7.0, 8.0} and max(keyed) > 8
    assert any("6–8" in note for note in jobs.last_report(stage.uid).notes)


def test_a_cut_is_told_and_is_no_motion(stage: Any, video: Callable[[str], Path]) -> None:
    assert capture(video("cut")) == {"FINISHED"}
    assert [m.frame for m in bpy.context.scene.timeline_markers if m.name.startswith("Cut")] == [7]
    assert any("cuts at frame 7" in note for note in jobs.last_report(stage.uid).notes)
    _, x = head_x(stage)
    assert np.ptp(x) < 0.5 * stage.size[0]


def test_one_of_two_faces_is_followed_and_can_be_chosen(stage: Any, video: Callable[[str], Path]) -> None:
    path = video("two")
    directions = []
    for face in (1, 2):
        assert capture(path, face=face) == {"FINISHED"}
        _, x = head_x(stage)
        directions.append(np.sign(x[-1] - x[0]))
        assert any("2 faces" in note for note in jobs.last_report(stage.uid).notes)
    assert directions == [1.0, -1.0], "the right one is a mirror image"
    with pytest.raises(RuntimeError, match="no face 3"):
        capture(path, face=3)


def test_videos_that_cannot_be_captured_change_nothing(
    stage: Any, video: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "words.mp4").write_text("hello")
    for path, said in ((video("nobody"), "No face was found"), (tmp_path / "words.mp4", "as a video")):
        with pytest.raises(RuntimeError, match=said):
            capture(path)
        assert problems.last(stage.uid).remedy
    assert not bpy.data.actions


def test_a_strip_lands_on_its_own_frames(stage: Any, video: Callable[[str], Path]) -> None:
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strip = compat.strips_of(editor).new_movie("clip", str(video("plain")), 1, 40)
    editor.active_strip = strip
    strip.frame_offset_start = 3
    assert bpy.ops.portrait.capture_movie_strip() == {"FINISHED"}
    frames, _ = head_x(stage)
    assert (frames[0], frames[-1]) == (43, 51)


NEVER_ENDS = server.Launch((sys.executable, "-c", "import time; time.sleep(10_000)"), "cpu", False, False)


def job_on(portrait: Any, path: Path, plan: server.Launch | None = None) -> jobs.VideoCaptureJob:
    source = media_parts.of_file(bpy.context.scene, str(path), 1)
    plan = plan or server.launch_plan(bpy.context)
    return jobs.VideoCaptureJob(portrait.uid, plan, source, jobs.KeyOptions(), VideoOptions())


def drive(job: Any, until: Callable[[], bool] = lambda: False) -> None:
    wait_until(lambda: not job.active or until(), lambda: job.tick(0.05), lambda: f"the job hangs: {job.note}")


def test_progress_is_told_and_cancel_ends_the_process(stage: Any, video: Callable[[str], Path]) -> None:
    job = job_on(stage, video("plain"), NEVER_ENDS)
    job.tick(0.01)
    drive(job, lambda: job._run._process is not None)
    process = job._run._process
    job.cancel()
    drive(job)
    assert job.state is JobState.CANCELLED and process.poll() is not None
    assert not bpy.data.actions and problems.last(stage.uid) is None

    steps = []
    again = job_on(stage, video("plain"))
    job_queue.run(again, lambda job: steps.append(job.progress))
    assert again.state is JobState.DONE and any(0 < step <= 1 for step in steps)
    assert "keys" in again.note


def test_loading_another_file_ends_the_process(stage: Any, video: Callable[[str], Path]) -> None:
    job = job_on(stage, video("plain"), NEVER_ENDS)
    job_queue.submit(job)
    drive(job, lambda: job._run._process is not None)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert job.state is JobState.CANCELLED and job_queue.current() is None
    assert job._run._process.wait(PATIENCE_SECONDS) is not None


def test_a_portrait_removed_meanwhile(stage: Any, video: Callable[[str], Path]) -> None:
    job = job_on(stage, video("plain"))
    job.tick(0.01)
    bpy.ops.portrait.remove()
    drive(job)
    assert job.state is JobState.CANCELLED


def test_without_the_command_its_installation_is_offered(portrait: Any, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    source = media_parts.of_file(bpy.context.scene, str(tmp_path / "clip.mp4"), 1)
    for command, fix in (((), Fix.INSTALL), ((str(tmp_path / "absent"),), None)):
        launch = server.Launch(command, "cpu", False, False)
        job = jobs.VideoCaptureJob(portrait.uid, launch, source, jobs.KeyOptions(), VideoOptions())
        job_queue.run(job)
        assert job.state is JobState.FAILED and job.error.remedy
        if fix is not None:
            assert problems.last(portrait.uid).fix is fix
    old = server.Launch(
        (sys.executable, "-c", "import sys; print('no such command', file=sys.stderr); sys.exit(2)"),
        "cpu",
        False,
        False,
    )
    job = jobs.VideoCaptureJob(portrait.uid, old, source, jobs.KeyOptions(), VideoOptions())
    job_queue.run(job)
    assert job.state is JobState.FAILED and "status 2" in job.error.message and "no such command" in job.error.remedy


def test_a_sound_strip_is_heard_on_the_clock_on_which_blender_plays_it(
    needs_sound: None, scene: Any, tmp_path: Path
) -> None:
    """A strip plays a video's sound from its first sample, wherever the first picture is; a file has its picture's clock."""
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    strip = compat.strips_of(scene.sequence_editor_create()).new_sound("sound", str(path), 1, 20)
    launch = (None, None, None, "cpu", False, False)
    for source, clock in (
        (media_parts.of_strip(scene, strip), "sound"),
        (media_parts.of_file(scene, str(path), 20), "picture"),
    ):
        assert source.placement.origin == 20
        words = list(jobs.SpeechCaptureJob("", launch, source, jobs.KeyOptions()).words(tmp_path / "out.json"))
        assert words[words.index("--clock") + 1] == clock


def test_speech_moves_the_mouth_and_nothing_else(needs_sound: None, stage: Any, tmp_path: Path) -> None:
    python = python_with("espeakng_loader", "pocketsphinx")
    words = "from tests.server.speech.voice import speak; import sys, pathlib; speak(pathlib.Path(sys.argv[1]), sys.argv[2])"
    path = tmp_path / "speech.wav"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([python, "-c", words, str(path), "Bob saw my two boots"], check=True, env=environment)
    stage.rig["browInnerUp"] = 0.6
    stage.rig.keyframe_insert('["browInnerUp"]', frame=3)
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strip = compat.strips_of(editor).new_sound("speech", str(path), 1, 20)
    editor.active_strip = strip
    assert bpy.ops.portrait.capture_sound_strip(text="Bob saw my two boots") == {"FINISHED"}
    curves = {c.data_path: c for c in compat.fcurves_of(stage.rig)}
    jaw = curves['["jawOpen"]']
    values = np.array([jaw.evaluate(frame) for frame in range(20, 70)])
    assert values.max() > 0.3 and values[0] < 0.05 and values[-1] < 0.05
    assert (np.diff(np.sign(np.diff(values))) < 0).sum() >= 3, "it opens for each word"
    assert len(curves['["browInnerUp"]'].keyframe_points) == 1
    assert not any("eye" in path or "pose.bones" in path for path in curves)
    with pytest.raises(RuntimeError, match="not what the sound says"):
        bpy.ops.portrait.capture_speech(filepath=str(path), text="something else entirely " * 20)
