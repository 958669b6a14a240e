# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot from file to frames, with the real commands: added, changed, rendered, and told done."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frames_in
from portrait_shared.frames.frame_marks import read_mark
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.blender import compat  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.connection.command_run import CommandRun  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.jobs.shot_job import ShotJob  # noqa: E402
from blender_addon.portraits import sequencer, shot_parts, shot_strips  # noqa: E402
from blender_addon.render import frame_states  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402
from blender_addon.rig.sampling import sample_rows  # noqa: E402
from tests.blender.conftest import write_png  # noqa: E402
from tests.blender.test_capture_jobs import FRAMES, STEP_PIXELS, video, videos  # noqa: E402, F401
from tests.blender.test_frame_states import settle  # noqa: E402

START = 4


@pytest.fixture
def shot(needs_server: None, scene: Any, video: Callable[[str], Path], tmp_path: Path) -> Path:  # noqa: F811
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = START, START + FRAMES - 1
    return video("plain")


@pytest.fixture
def filmed(shot: Path) -> Any:
    assert bpy.ops.portrait.add_shot(filepath=str(shot), first_frame=START) == {"FINISHED"}
    return bpy.context.scene.talking_portraits.active


def smile(portrait: Any, values: dict[int, float]) -> None:
    for frame, value in values.items():
        for side in ("Left", "Right"):
            portrait.rig[f"mouthSmile{side}"] = value
            portrait.rig.keyframe_insert(f'["mouthSmile{side}"]', frame=frame)
    bpy.context.view_layer.update()
    bpy.context.scene.frame_set(START)


def sampled(portrait: Any, numbers: range) -> np.ndarray:
    rows = dict(sample_rows(bpy.context.scene, portrait.rig, portrait.space, numbers))
    return shot_parts.points_of(portrait).targets(range(len(numbers)), [rows[number] for number in numbers])


def test_a_movie_becomes_a_portrait_that_rides(filmed: Any, tmp_path: Path) -> None:
    assert filmed.name == "plain"
    assert (filmed.shot.count, filmed.shot.fps, filmed.shot.start) == (FRAMES, 25.0, START)
    assert filmed.shot.points_file == "//portrait_points/plain.npz" and filmed.shot.points_path.is_file()
    scene = bpy.context.scene
    places = []
    for frame in (START, START + FRAMES - 1):
        scene.frame_set(frame)
        places.append(filmed.shot.ride.matrix_world.translation.x / filmed.space.metres_per_pixel)
    assert places[1] - places[0] == pytest.approx(STEP_PIXELS * (FRAMES - 1), rel=0.15)


def test_only_what_the_rig_changes_is_rendered_and_then_done(filmed: Any, shot: Path, tmp_path: Path) -> None:
    filmed.use_strip = True
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    drawn = [START + 4, START + 5, START + 6]
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert frames_in(filmed.folder()) == drawn
    states = settle(filmed, lambda states: set(states.values()) <= {FrameState.DONE, FrameState.AS_FILMED})
    assert [frame for frame, state in states.items() if state is FrameState.DONE] == drawn
    assert job_queue.last_of(filmed.uid).note == "3 frames rendered, 9 as filmed"
    own = [compat.strip_range(strip) for strip in sequencer.find_strips(filmed.uid)]
    assert own == [range(drawn[0], drawn[-1] + 1)]
    assert shot_strips.shot_strip(bpy.context.scene, filmed).type == "MOVIE"

    files = {number: (filmed.folder() / f"{number:04d}.png").read_bytes() for number in drawn}
    target = tmp_path / "target.npz"
    found = shot_parts.points_of(filmed)
    numbers = range(START, START + FRAMES)
    LandmarkTrack(sampled(filmed, numbers), found.track.size, found.track.fps, START).save(target)
    program = [*server.launch_plan(bpy.context).command, "render", "--plate", str(shot), "--plate-points",
               str(filmed.shot.points_path), "--track", str(target), "--output", str(tmp_path / "by-command")]  # fmt: skip
    subprocess.run([*program, f"--frames={drawn[0]}-{drawn[-1]}"], check=True, stdout=subprocess.DEVNULL)
    assert files == {number: (tmp_path / "by-command" / f"{number:04d}.png").read_bytes() for number in drawn}

    smile(filmed, {START + 5: 0.3})
    states = settle(filmed, lambda states: set(states.values()) == {FrameState.STALE, FrameState.AS_FILMED})
    assert [frame for frame, state in states.items() if state is FrameState.STALE] == drawn
    filmed.rig.animation_data_clear()
    smile(filmed, {START: 0.0})
    settle(filmed, lambda states: set(states.values()) == {FrameState.AS_FILMED})
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert not sequencer.find_strips(filmed.uid), "the shot is shown again, though the old files are still there"
    assert frames_in(filmed.folder()) == drawn


def test_without_a_window_it_is_the_same_job(filmed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    folder = filmed.folder()
    bpy.ops.wm.save_mainfile()
    assert command_line.main(["render", "--blend", bpy.data.filepath, "--frames", f"{START}-{START + 5}"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Saved: ")] == [
        f"Saved: {folder / f'{number:04d}.png'}" for number in (START + 4, START + 5)
    ]
    assert all(read_mark(folder / f"{number:04d}.png") is not None for number in (START + 4, START + 5))


def test_a_sequence_takes_the_rate_of_the_scene(shot: Path, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.001
    folder = tmp_path / "plate"
    folder.mkdir()
    for number in range(1, 4):
        picture = folder / f"{number:04d}.png"
        shot_parts.read_frame(server.launch_plan(bpy.context), shot, number - 1, picture, CommandRun())
    strips = compat.strips_of(scene.sequence_editor_create())
    strip = strips.new_image("plate", str(folder / "0001.png"), 1, 7)
    for number in (2, 3):
        strip.elements.append(f"{number:04d}.png")
    scene.sequence_editor.active_strip = strip
    assert bpy.ops.portrait.add_shot_of_strip() == {"FINISHED"}
    made = scene.talking_portraits.active
    assert (made.shot.start, made.shot.count) == (7, 3)
    assert made.shot.fps == pytest.approx(24 / 1.001)
    assert shot_parts.points_of(made).track.fps == pytest.approx(24 / 1.001)
    assert (scene.render.fps, scene.render.fps_base) == (24, pytest.approx(1.001))


def test_a_strip_of_a_movie_leaves_the_edit_its_rate(shot: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps = 30
    strips = compat.strips_of(scene.sequence_editor_create())
    scene.sequence_editor.active_strip = strips.new_movie("plate", str(shot), 1, START)
    assert bpy.ops.portrait.add_shot_of_strip() == {"FINISHED"}
    assert scene.render.fps == 30 and scene.talking_portraits.active.shot.fps == 25


def test_all_frames_are_drawn_again_where_that_is_asked_for(filmed: Any) -> None:
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    bpy.ops.portrait.render()
    files = {number: filmed.folder() / f"{number:04d}.png" for number in frames_in(filmed.folder())}
    before = {number: path.read_bytes() for number, path in files.items()}
    assert bpy.ops.portrait.render_again() == {"FINISHED"}
    assert job_queue.last_of(filmed.uid).drawn == len(files) == 3
    assert all(path.read_bytes() == before[number] for number, path in files.items())


def test_a_shot_without_a_face_leaves_nothing_behind(needs_server: None, scene: Any, tmp_path: Path) -> None:
    for number in range(1, 4):
        write_png(tmp_path / "empty" / f"{number:04d}.png", np.full((64, 96, 3), 90, np.uint8))
    with pytest.raises(RuntimeError, match="No face"):
        bpy.ops.portrait.add_shot(filepath=str(tmp_path / "empty" / "0001.png"))
    assert not bpy.context.scene.talking_portraits.items and not list(bpy.context.scene.objects)


def test_finding_points_again_keeps_keys_and_may_be_cancelled(filmed: Any) -> None:
    smile(filmed, {START + 3: 0.0, START + 5: 0.7})
    job = ShotJob(filmed.uid, server.launch_plan(bpy.context))
    job.cancel()
    job_queue.run(job)
    assert job.state is JobState.CANCELLED
    before = shot_parts.points_of(filmed).track.points
    assert bpy.ops.portrait.find_points() == {"FINISHED"}
    np.testing.assert_array_equal(shot_parts.points_of(filmed).track.points, before)
    assert any("mouthSmileLeft" in curve.data_path for curve in compat.fcurves_of(filmed.rig))


def test_points_that_a_copy_shares_are_not_written_over(filmed: Any) -> None:
    uid, shared = filmed.uid, filmed.shot.points_path
    held = bpy.context.scene.talking_portraits
    held.add("Copy").shot.points_file = filmed.shot.points_file  # as in a full copy of the scene
    before = shared.stat().st_ino
    held.choose(bpy.context, list(held.items).index(held.by_uid(uid)))
    assert bpy.ops.portrait.find_points() == {"FINISHED"}
    found = bpy.context.scene.talking_portraits.by_uid(uid).shot.points_path
    assert found != shared and found.is_file() and shared.stat().st_ino == before


def test_a_shot_that_has_gone_is_told_and_frames_are_kept(filmed: Any) -> None:
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    bpy.ops.portrait.render()
    there = frames_in(filmed.folder())
    filmed.shot.path = str(filmed.shot.file.with_name("gone.mp4"))
    with pytest.raises(RuntimeError, match="no longer there"):
        bpy.ops.portrait.render()
    assert frames_in(filmed.folder()) == there
    assert frame_states.line(filmed.uid) is not None
