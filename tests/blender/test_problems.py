# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the extension and cannot be done: each is told with its remedy, and nothing is lost."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from portrait_shared.devices import DEVICES, missing_driver
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames import frame_files
from portrait_shared.frames.frame_files import frames_in
from portrait_shared.protocol.connection import Connection, default_connection_file
from portrait_shared.protocol.framing import pack

bpy = pytest.importorskip("bpy")


from blender_addon.blender import problems  # noqa: E402
from blender_addon.blender.problems import Fix  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.detect_job import DetectJob  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from tests.blender.conftest import WIDTH  # noqa: E402


def failure(action: Any) -> str:
    """What an operator says when a script calls it and it fails."""
    with pytest.raises(RuntimeError) as caught:
        action()
    return str(caught.value)


def test_a_picture_without_a_face_leaves_the_scene_as_it_was(needs_server: None, scene: Any, photo_file: Path) -> None:
    said = failure(lambda: bpy.ops.portrait.add(filepath=str(photo_file)))
    assert "face" in said.lower()
    assert problems.last("").code is ErrorCode.NO_FACE
    assert not bpy.context.scene.talking_portraits.items and not bpy.context.scene.objects


def test_a_face_that_is_not_there(needs_server: None, scene: Any, astronaut_file: Path) -> None:
    failure(lambda: bpy.ops.portrait.add(filepath=str(astronaut_file), face=3))
    assert problems.last("").code is ErrorCode.NO_SUCH_FACE


def test_an_engine_that_does_not_exist(needs_server: None, acting: Any) -> None:
    acting.engine = "oil_paint"
    assert "oil_paint" in failure(bpy.ops.portrait.render)
    assert problems.last(acting.uid).code is ErrorCode.UNKNOWN_ENGINE


def test_an_unsaved_file_says_so_before_anything_is_rendered(scene: Any, photo_file: Path, face: np.ndarray) -> None:
    portrait = portrait_parts.add(scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, portrait, face)
    failure(bpy.ops.portrait.render)
    assert problems.last(portrait.uid).fix is Fix.SAVE


@pytest.mark.parametrize(
    ("damage", "fix"),
    [
        (lambda p: bpy.data.objects.remove(p.plane), Fix.REBUILD),
        (lambda p: bpy.data.objects.remove(p.rig), Fix.REBUILD),
        (lambda p: setattr(p.rig.data.bones["jaw_01"], "name", "x"), Fix.REBUILD),
        (lambda p: Path(bpy.path.abspath(p.photo.filepath)).unlink(), Fix.RELOCATE_PHOTO),
        (lambda p: bpy.data.images.remove(p.photo), Fix.RELOCATE_PHOTO),
    ],
    ids=["plane", "rig", "bone", "photo moved", "photo removed"],
)
def test_what_is_missing_is_told_with_its_fix(acting: Any, damage: Any, fix: Fix) -> None:
    damage(acting)
    failure(bpy.ops.portrait.render)
    problem = problems.last(acting.uid)
    assert problem.fix is fix and problem.remedy


def test_an_output_folder_that_cannot_be_written(needs_server: None, acting: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    acting.output_folder = str(tmp_path / "file" / "frames")
    failure(bpy.ops.portrait.render)
    problem = problems.last(acting.uid)
    assert problem.code is ErrorCode.OUTPUT_NOT_WRITABLE and problem.fix is Fix.CHOOSE_FOLDER
    bpy.ops.portrait.choose_folder(directory=str(tmp_path / "elsewhere"))
    assert problems.last(acting.uid) is None
    assert bpy.ops.portrait.render() == {"FINISHED"}


def test_a_command_that_does_not_exist(acting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", "/no/such/portrait")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/runtime")
    monkeypatch.setenv("XDG_CACHE_HOME", "/no/such/cache")
    server.stop()
    failure(bpy.ops.portrait.render)
    assert problems.last(acting.uid).code is ErrorCode.SERVER_UNAVAILABLE
    assert problems.last(acting.uid).fix is Fix.PREFERENCES
    assert server.health().state is server.ServerState.FAILED


def test_a_server_that_may_not_be_started(acting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/runtime")
    monkeypatch.setenv("XDG_CACHE_HOME", "/no/such/cache")
    server.stop()
    job = DetectJob(acting.uid, server.launch_plan(bpy.context, may_start=False))
    job_queue.run(job)
    assert job.state is JobState.FAILED and job.error.code is ErrorCode.SERVER_UNAVAILABLE
    assert problems.last(acting.uid).fix is Fix.START_SERVER


def test_a_device_that_is_not_there(needs_server: None, acting: Any) -> None:
    absent = next(name for name in DEVICES[1:] if missing_driver(name))
    server.stop()
    job = RenderJob(acting.uid, server.launch_plan(bpy.context, device=absent))
    job_queue.run(job)
    problem = problems.last(acting.uid)
    assert job.state is JobState.FAILED and problem.code is ErrorCode.DEVICE_UNAVAILABLE
    assert problem.message == missing_driver(absent) and "Device in the add-on's preferences" in problem.remedy
    assert problem.fix is Fix.PREFERENCES
    assert server.health().state is server.ServerState.FAILED and problem.message in server.health().line
    assert bpy.ops.portrait.render() == {"FINISHED"}, "with the preferences' own device"
    assert server.health().state is server.ServerState.RUNNING


@pytest.mark.servers_environment
def test_a_gpu_that_is_lost_costs_no_frame(acting: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = tmp_path / "gpu"
    gpu.mkdir()
    (gpu / "there").touch()
    (gpu / "prepare.1").write_text("RuntimeError: CUDA error: unspecified launch failure")
    engines = Path(__file__).parents[1] / "server" / "serve_with_test_engines.py"
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", shlex.join([sys.executable, str(engines)]))
    monkeypatch.setenv("TALKING_PORTRAITS_TEST_GPU", str(gpu))
    monkeypatch.setenv("TALKING_PORTRAITS_TEST_ENGINES_ALONE", "1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    server.stop()
    assert bpy.ops.portrait.start_server() == {"FINISHED"}
    assert "Running on mps: Folder GPU, 8.0 GiB" in server.health().line
    first = server.health().info.pid
    acting.engine = "device"
    assert bpy.ops.portrait.render() == {"FINISHED"} and problems.last(acting.uid) is None
    scene = bpy.context.scene
    assert frames_in(acting.folder()) == list(range(scene.frame_start, scene.frame_end + 1))
    assert server.health().info.pid != first and not (gpu / "prepare.1").exists()
    assert "Running on mps: Folder GPU, 8.0 GiB" in server.health().line
    for x in range(WIDTH):
        (gpu / f"{x}.1").write_text("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    failure(bpy.ops.portrait.render_again)
    problem = problems.last(acting.uid)
    assert problem.code is ErrorCode.DEVICE_UNAVAILABLE and "memory is full" in problem.message
    assert problem.fix is Fix.PREFERENCES and server.health().state is server.ServerState.RUNNING
    server.stop()


def test_errors_have_words_and_a_fix_that_exists() -> None:
    for fix in Fix:
        area, name = fix.value[0].split(".")
        assert getattr(getattr(bpy.ops, area), name).get_rna_type()
    problem = problems.keep("x", PortraitError(ErrorCode.DISK_FULL, "Full.", "Make room."))
    assert problem.fix is Fix.CHOOSE_FOLDER and problems.last("x") == problem
    problems.forget("x")
    assert problems.last("x") is None


@pytest.mark.parametrize(
    ("version", "said", "remedy", "fix"),
    [(99, "newer release", "Update the extension", None), (1, "older release", "close the other", Fix.START_SERVER)],
)
def test_a_server_of_another_version(
    acting: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int, said: str, remedy: str, fix: Fix | None
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    server.stop()
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path}/socket")
    Connection(f"ipc://{tmp_path}/socket", version, "9.0", 1).save(default_connection_file())

    def answer() -> None:
        routing, *_ = router.recv_multipart()
        router.send_multipart([routing, pack("welcome", 1, {"new": 1}, version=version)])
        router.close()

    other = threading.Thread(target=answer)
    other.start()
    failure(bpy.ops.portrait.render)
    other.join()
    problem = problems.last(acting.uid)
    assert problem.code is ErrorCode.VERSION_MISMATCH and said in problem.message and remedy in problem.remedy
    assert problem.fix is fix
    assert server.health().state is server.ServerState.FAILED and not frames_in(acting.folder())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to play a full disk")
def test_a_full_disk_keeps_the_frames_that_are_there(
    needs_server: None, acting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_copy = frame_files._stage_copy

    def onto_a_disk_that_fills(source: Path, target: Path, *rest: Any) -> bool:
        if target.name == "0008.png":
            Path("/dev/full").write_bytes(b"a frame")
        return stage_copy(source, target, *rest)

    bpy.ops.portrait.render()
    kept = {file.name: file.read_bytes() for file in acting.folder().iterdir()}
    acting.frame_start, acting.frame_end, acting.use_scene_range = 4, 8, False
    monkeypatch.setattr(frame_files, "_stage_copy", onto_a_disk_that_fills)
    failure(bpy.ops.portrait.render)
    monkeypatch.undo()
    problem = problems.last(acting.uid)
    assert problem.code is ErrorCode.DISK_FULL and problem.fix is Fix.CHOOSE_FOLDER
    assert {name: (acting.folder() / name).read_bytes() for name in kept} == kept
    assert frames_in(acting.folder())[:3] == [4, 5, 6]
    assert bpy.ops.portrait.render() == {"FINISHED"}, "the place that the failed frame took is free again"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_read_only_folder(needs_server: None, acting: Any) -> None:
    acting.folder().mkdir(parents=True)
    acting.folder().chmod(0o500)
    if os.access(acting.folder(), os.W_OK):
        acting.folder().chmod(0o700)
        pytest.skip("this user may write anywhere")
    failure(bpy.ops.portrait.render)
    assert problems.last(acting.uid).code is ErrorCode.OUTPUT_NOT_WRITABLE
    acting.folder().chmod(0o700)


def test_a_picture_that_cannot_be_read_adds_nothing(scene: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    assert "a.jpg" in failure(lambda: bpy.ops.portrait.add(filepath=str(tmp_path / "a.jpg")))
    assert problems.last("").code is ErrorCode.BAD_IMAGE
    failure(lambda: bpy.ops.portrait.add(filepath=str(tmp_path / "nobody.png")))
    assert problems.last("").code is ErrorCode.FILE_MISSING
    assert not bpy.context.scene.talking_portraits.items and not bpy.data.images and not bpy.data.objects
