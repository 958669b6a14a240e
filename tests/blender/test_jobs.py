# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture's file to frames on the plane and the strip, with the real server, and all that can go wrong."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode
from portrait_shared.frames.frame_files import frame_path, frames_in
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.landmarks import INDEX_OF

bpy = pytest.importorskip("bpy")


from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.blender.problems import Fix  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import Job, JobState  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import photo as photo_module  # noqa: E402
from blender_addon.portraits import portrait_parts, sequencer  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig.armature import rest_points  # noqa: E402
from tests.loaded_picture import pixels  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


def plan() -> server.Launch:
    return server.launch_plan(bpy.context)


@pytest.fixture
def eileen(needs_server: None, scene: Any, astronaut_file: Path, tmp_path: Path) -> Any:
    """A portrait whose face the server found, in a saved file."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "eileen.blend"))
    assert bpy.ops.portrait.add(filepath=str(astronaut_file)) == {"FINISHED"}
    return bpy.context.scene.talking_portraits.active


def test_add_portrait_finds_the_face(eileen: Any) -> None:
    points = rest_points(eileen.rig, eileen.space)
    assert tuple(eileen.size) == (512, 512)
    # Her eyes and mouth in scikit-image's picture, by eye.
    np.testing.assert_allclose(points[INDEX_OF["right_pupil"], :2], (204, 112), atol=12)
    np.testing.assert_allclose(points[INDEX_OF["left_pupil"], :2], (251, 112), atol=12)
    assert 138 < points[INDEX_OF["inner_lip_63"], 1] < 158
    assert points[INDEX_OF["nose_bridge_31"], 2] < points[[0, 16], 2].min() - 20, "depth: the nose is in front"
    assert server.health().state is server.ServerState.RUNNING and "warp" in server.engine_names()
    assert server.log_tail()


def test_render_fills_folder_plane_and_strip(no_watermark: None, eileen: Any, astronaut_file: Path) -> None:
    scene = bpy.context.scene
    eileen.engine = "warp"
    scene.frame_start, scene.frame_end = 4, 6
    head = eileen.rig.pose.bones["head"]
    head.keyframe_insert("rotation_euler", frame=4)
    head.rotation_euler[1] = 0.3
    head.keyframe_insert("rotation_euler", frame=6)
    bpy.ops.portrait.add_strip()
    assert bpy.ops.portrait.render() == {"FINISHED"}
    folder = eileen.folder()
    assert frames_in(folder) == [4, 5, 6]
    node = image_plane.texture_node(eileen.plane)
    assert node.image.source == "SEQUENCE" and Path(bpy.path.abspath(node.image.filepath)).parent == folder
    strip = sequencer.find_strip(scene, eileen.uid)
    assert compat.strip_range(strip) == range(4, 7)
    np.testing.assert_array_equal(pixels(folder / "0004.png"), pixels(astronaut_file), "at rest: the photo itself")
    assert np.abs(pixels(folder / "0006.png") - pixels(folder / "0004.png")).max() > 0.2, "her head turned"


def test_only_frames_whose_keys_changed_are_rendered_again(needs_server: None, acting: Any) -> None:
    bpy.ops.portrait.render()
    folder = acting.folder()
    before = {
        n: ((folder / f"{n:04d}.png").stat().st_mtime_ns, read_digest(folder / f"{n:04d}.png")) for n in (4, 5, 6)
    }
    bone = acting.rig.pose.bones["outer_lip_58"]
    bone.location = (0, 0, 0)
    bone.keyframe_insert("location", frame=5)
    bone.location = (0, -0.1, 0)
    bone.keyframe_insert("location", frame=6)
    bpy.ops.portrait.render()
    after = {n: ((folder / f"{n:04d}.png").stat().st_mtime_ns, read_digest(folder / f"{n:04d}.png")) for n in (4, 5, 6)}
    assert after[4] == before[4] and after[5] == before[5]
    assert after[6][1] != before[6][1]
    assert job_queue.last_of(acting.uid).note == "1 frame rendered, 2 already there"


def test_a_photo_that_has_changed_is_told(
    needs_server: None, acting: Any, photo_file: Path, photo: np.ndarray, write: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bpy.ops.portrait.render()
    before = frame_path(acting.folder(), 4).read_bytes()
    write(photo_file, 255 - photo)
    capfd.readouterr()
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert "has changed since its face was found" in capfd.readouterr().out
    assert frame_path(acting.folder(), 4).read_bytes() != before
    write(photo_file, photo)
    bpy.ops.portrait.render()
    assert "has changed" not in capfd.readouterr().out and frame_path(acting.folder(), 4).read_bytes() == before
    write(photo_file, np.pad(photo, ((0, 0), (0, 24), (0, 0))))
    with pytest.raises(RuntimeError, match="120x64 pixels now"):
        bpy.ops.portrait.render()
    assert frame_path(acting.folder(), 4).read_bytes() == before, "nothing is lost"


def test_resolution_and_cut_out(needs_server: None, acting: Any) -> None:
    acting.resolution_percentage, acting.matte, acting.use_strip = 50, True, True
    bpy.ops.portrait.render()
    drawn = pixels(acting.folder() / "0004.png")
    assert drawn.shape == (32, 48, 4)
    strip = sequencer.find_strip(bpy.context.scene, acting.uid)
    assert sequencer.settings_of(strip)["resolution_percentage"] == 50


def drive(job: Job, until: Any = lambda job: False) -> None:
    """Ticks as Blender's timer does, until the job ended or `until` holds."""
    wait_until(lambda: not job.active or until(job), job_queue._on_timer, lambda: f"the job hangs: {job.note}")


def test_the_timer_drives_queued_jobs_one_after_another(needs_server: None, acting: Any) -> None:
    acting.use_strip = True
    first, second = RenderJob(acting.uid, plan()), RenderJob(acting.uid, plan(), frames=range(7, 9))
    job_queue.submit(first)
    job_queue.submit(second)
    drive(first, lambda job: bool(job.stored))
    assert second.state is JobState.QUEUED
    drive(second)
    assert (first.state, second.state) == (JobState.DONE, JobState.DONE)
    assert frames_in(acting.folder()) == [4, 5, 6, 7, 8]
    assert compat.strip_range(sequencer.find_strip(bpy.context.scene, acting.uid)) == range(4, 9)


@pytest.fixture
def moving(acting: Any) -> Any:
    """The small portrait in a long shot without two frames alike: those would be rendered once."""
    bone = acting.rig.pose.bones["jaw_09"]
    bone.location[1] = 0.15
    bone.keyframe_insert("location", frame=500)
    return acting


def test_cancel_keeps_what_is_there_and_rendering_goes_on_later(needs_server: None, moving: Any, hold: Any) -> None:
    hold.at(3)
    job = RenderJob(moving.uid, plan(), frames=range(1, 400))
    job_queue.submit(job)
    drive(job, lambda job: len(job.stored) >= 3)
    bpy.ops.portrait.cancel()
    drive(job)
    assert job.state is JobState.CANCELLED and problems.last(moving.uid) is None
    kept = frames_in(moving.folder())
    assert 3 <= len(kept) < 399 and not list(moving.folder().glob("*.partial"))
    hold.let_go()
    again = RenderJob(moving.uid, plan(), frames=kept)
    job_queue.run(again)
    assert again.state is JobState.DONE


def test_a_plane_and_a_strip_deleted_meanwhile_lose_no_frames(needs_server: None, moving: Any, hold: Any) -> None:
    hold.at(3)
    scene = bpy.context.scene
    moving.use_strip = True
    job = RenderJob(moving.uid, plan(), frames=range(1, 40))
    job_queue.submit(job)
    drive(job, lambda job: sequencer.find_strip(scene, job.uid) is not None)
    compat.strips_of(scene.sequence_editor).remove(sequencer.find_strip(scene, moving.uid))
    bpy.data.objects.remove(moving.plane)
    hold.let_go()
    drive(job)
    assert job.state is JobState.DONE and frames_in(moving.folder()) == list(range(1, 40))
    assert problems.last(moving.uid).fix is Fix.REBUILD
    assert sequencer.find_strips(moving.uid) == [], "a strip that was deleted stays deleted"


def test_a_portrait_removed_meanwhile_ends_its_job(needs_server: None, moving: Any, hold: Any) -> None:
    hold.at(1)
    job = RenderJob(moving.uid, plan(), frames=range(1, 200))
    job_queue.submit(job)
    drive(job, lambda job: bool(job.stored))
    bpy.ops.portrait.remove()
    hold.let_go()
    drive(job)
    assert job.state is JobState.CANCELLED


def test_loading_another_file_ends_the_jobs(needs_server: None, moving: Any, hold: Any) -> None:
    hold.at(1)
    job = RenderJob(moving.uid, plan(), frames=range(1, 200))
    job_queue.submit(job)
    drive(job, lambda job: bool(job.stored))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert job.state is JobState.CANCELLED and job_queue.current() is None


def test_saving_meanwhile_keeps_all_frames_that_are_there(needs_server: None, moving: Any, hold: Any) -> None:
    moving.use_strip = True
    hold.at(5)
    job = RenderJob(moving.uid, plan(), frames=range(1, 100))
    job_queue.submit(job)
    drive(job, lambda job: len(job.stored) >= 5)
    stored = max(job.stored)
    bpy.ops.wm.save_mainfile()
    uid, blend = job.uid, bpy.data.filepath
    job_queue.abandon_all()
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert compat.strip_range(sequencer.find_strip(bpy.context.scene, uid))[-1] >= stored


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_server_is_started_again(needs_server: None, moving: Any, hold: Any) -> None:
    hold.at(3)
    job = RenderJob(moving.uid, plan(), frames=range(1, 120))
    job_queue.submit(job)
    drive(job, lambda job: len(job.stored) >= 3)
    killed = server.health().info.pid
    os.kill(killed, signal.SIGKILL)
    hold.let_go()
    drive(job)
    assert server.health().info.pid != killed
    assert job.state is JobState.DONE and frames_in(moving.folder()) == list(range(1, 120))


def test_without_waiting_the_plane_stays_and_the_problem_is_kept(
    needs_server: None, scene: Any, photo_file: Path
) -> None:
    bpy.ops.portrait.add(filepath=str(photo_file), without_waiting=True)
    portrait = bpy.context.scene.talking_portraits.active
    job = job_queue.active_of(portrait.uid)
    drive(job)
    assert job.state is JobState.FAILED and problems.last(portrait.uid).code is ErrorCode.NO_FACE
    assert portrait.plane is not None and portrait.rig is None
    assert not bpy.ops.portrait.render.poll()


def test_start_and_stop(needs_server: None, scene: Any) -> None:
    server.stop()
    assert not bpy.ops.portrait.stop_server.poll()
    assert bpy.ops.portrait.start_server() == {"FINISHED"}
    pid = server.health().info.pid
    assert server.owns_process() and "Running" in server.health().line
    assert bpy.ops.portrait.stop_server() == {"FINISHED"}
    assert not server.owns_process() and server.health().state is server.ServerState.STOPPED
    with pytest.raises(OSError):
        os.kill(pid, 0)


def test_redo_takes_the_strips_settings(needs_server: None, acting: Any) -> None:
    acting.resolution_percentage, acting.use_strip = 50, True
    bpy.ops.portrait.render()
    acting.resolution_percentage = 100
    scene = bpy.context.scene
    scene.sequence_editor.active_strip = sequencer.find_strip(scene, acting.uid)
    assert bpy.ops.portrait.redo_strip() == {"FINISHED"}
    assert acting.resolution_percentage == 50 and tuple(acting.frames(scene)) == (4, 5, 6)


@pytest.fixture
def couple_file(astronaut_file: Path, tmp_path: Path, write: Any) -> Path:
    """Eileen twice: at two thirds of her size on the left, whole on the right; 864 x 512."""
    image = bpy.data.images.load(str(astronaut_file))
    large = photo_module.pixels(image)
    bpy.data.images.remove(image)
    kept = np.arange(2 * 176) * 512 // (2 * 176)
    small = np.full((512, 352, 3), 90, np.uint8)
    small[:352] = large[kept][:, kept]
    return write(tmp_path / "couple.png", np.hstack((small, large)))


@pytest.mark.parametrize(
    ("face", "nose_x"), [(0, 352 + 228), (1, 157), (2, 352 + 228)], ids=["largest", "left", "right"]
)
def test_of_two_faces_the_largest_or_the_one_counted_from_the_left(
    needs_server: None, couple_file: Path, face: int, nose_x: int
) -> None:
    assert bpy.ops.portrait.add(filepath=str(couple_file), face=face) == {"FINISHED"}
    portrait = bpy.context.scene.talking_portraits.active
    assert rest_points(portrait.rig, portrait.space)[30, 0] == pytest.approx(nose_x, abs=8)
    assert "2 faces found" in job_queue.last_of(portrait.uid).note


def test_another_face_can_be_chosen_after_the_first_try(needs_server: None, scene: Any, couple_file: Path) -> None:
    portrait = portrait_parts.add(bpy.context.scene, str(couple_file))
    assert bpy.ops.portrait.find_face(face=1) == {"FINISHED"}
    assert rest_points(portrait.rig, portrait.space)[30, 0] == pytest.approx(157, abs=8)
    rig, bone = portrait.rig, portrait.rig.pose.bones["head"]
    bone.keyframe_insert("location", frame=3)
    portrait.use_strip = True
    assert bpy.ops.portrait.choose_face(face=2) == {"FINISHED"}
    assert portrait.use_strip, "the strip that was asked for stays so"
    assert rest_points(portrait.rig, portrait.space)[30, 0] > 180 and portrait.rig == rig
    assert compat.fcurves_of(rig), "its keys stay"
    with pytest.raises(RuntimeError, match="no face 3"):
        bpy.ops.portrait.choose_face(face=3)
    assert rest_points(portrait.rig, portrait.space)[30, 0] > 180


def test_undo_meanwhile_loses_no_frames(needs_server: None, moving: Any, hold: Any) -> None:
    """Undo makes all of Blender's objects anew: a job that held one would crash."""
    uid, moving.use_strip = moving.uid, True
    bpy.ops.ed.undo_push(message="Start")
    moving.plane.location[0] = 3
    bpy.ops.ed.undo_push(message="Move")
    job = RenderJob(uid, plan(), frames=range(1, 60))
    hold.at(3)
    job_queue.submit(job)
    drive(job, lambda job: len(job.stored) >= 3)
    bpy.ops.ed.undo()  # that the frames were put onto the plane
    bpy.ops.ed.undo()
    portrait = bpy.context.scene.talking_portraits.by_uid(uid)
    assert portrait.plane.location[0] == 0, "it was undone"
    hold.let_go()
    drive(job)
    assert job.state is JobState.DONE and problems.last(uid) is None
    assert compat.strip_range(sequencer.find_strip(bpy.context.scene, uid)) == range(1, 60)
    assert image_plane.texture_node(portrait.plane).image.source == "SEQUENCE"
