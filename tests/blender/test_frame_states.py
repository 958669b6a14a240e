# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each frame, and that an edit makes stale, and renders again, what it touches and nothing else."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode
from portrait_shared.frames.frame_files import frame_path, frames_in

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.blender.problems import Fix  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.render import frame_band, frame_keys, frame_states, portrait_ids  # noqa: E402
from blender_addon.render.frame_states import FrameState  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


@pytest.fixture
def swaying(acting: Any) -> Any:
    """The small portrait over frames 1 to 12, straight lines between keys at 1, 5, 9 and 12, no two frames alike."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    acting.rig.animation_data_clear()
    for frame, value in ((1, 0.0), (5, 0.1), (9, 0.18), (12, 0.24)):
        key(acting, frame, value)
    return acting


def key(portrait: Any, frame: int, value: float) -> None:
    bone = portrait.rig.pose.bones["jaw_09"]
    bone.location = (0, -value, 0)
    bone.keyframe_insert("location", frame=frame)
    for curve in compat.fcurves_of(portrait.rig):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    bpy.context.view_layer.update()


def state_of(portrait: Any) -> frame_keys.RigState:
    return frame_keys.rig_state(bpy.context.scene, portrait.rig, portrait.space)


def settle(portrait: Any, until: Callable[[dict[int, FrameState]], object]) -> dict:
    """Ticks as Blender's timer does until the states are as wanted."""

    def settled() -> bool:
        frame_states.pump()
        states = frame_states.of(portrait.uid).states
        return bool(states and until(states))

    wait_until(settled, note=lambda: frame_states.line(portrait.uid))
    return frame_states.of(portrait.uid).states


def all_in(*wanted: FrameState) -> Callable[[dict[int, FrameState]], bool]:
    return lambda states: set(states.values()) == set(wanted)


def in_state(states: dict[int, FrameState], state: FrameState) -> list[int]:
    return [frame for frame, each in states.items() if each is state]


def stamps(folder: Path) -> dict[int, tuple[int, bytes]]:
    return {
        n: (frame_path(folder, n).stat().st_mtime_ns, frame_path(folder, n).read_bytes()) for n in frames_in(folder)
    }


def renewed(before: dict, after: dict) -> list[int]:
    return [number for number in sorted(after) if before.get(number, (0,))[0] != after[number][0]]


def test_moving_one_key_touches_the_frames_between_its_neighbours(needs_server: None, swaying: Any) -> None:
    settle(swaying, all_in(FrameState.MISSING))
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    before = stamps(swaying.folder())
    key(swaying, 5, 0.02)
    states = settle(swaying, lambda states: FrameState.STALE in states.values())
    assert in_state(states, FrameState.STALE) == [2, 3, 4, 5, 6, 7, 8]
    assert frame_states.line(swaying.uid) == "5 done, 7 stale"
    bpy.ops.portrait.render()
    assert renewed(before, stamps(swaying.folder())) == [2, 3, 4, 5, 6, 7, 8]
    settle(swaying, all_in(FrameState.DONE))


def test_undoing_an_edit_makes_its_frames_done_again(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    key(swaying, 12, 0.4)
    settle(swaying, all_in(FrameState.DONE, FrameState.STALE))
    key(swaying, 12, 0.24)
    settle(swaying, all_in(FrameState.DONE))


def test_states_are_known_again_when_the_file_is_opened(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    portrait = bpy.context.scene.talking_portraits.active
    frame = bpy.context.scene.frame_current
    settle(portrait, all_in(FrameState.DONE))
    assert bpy.context.scene.frame_current == frame


def test_valid_frames_are_never_called_stale_when_the_range_grows(needs_server: None, swaying: Any) -> None:
    """Nothing is known of the curves at frames that the scene did not play a moment ago."""
    uid, scene = swaying.uid, bpy.context.scene
    for first in (9, 1):
        scene.frame_start, scene.frame_end = first, first + 3
        bpy.ops.portrait.render()
        settle(swaying, all_in(FrameState.DONE))
    scene.frame_end = 12
    seen: set[FrameState] = set()

    def settled() -> bool:
        frame_states.pump(0.0)
        states = frame_states.of(uid).states
        late = {states[frame] for frame in range(9, 13) if frame in states}
        seen.update(late)
        return late == {FrameState.DONE}

    wait_until(settled)
    assert seen <= {FrameState.DONE, FrameState.CHECKING}


def test_valid_frames_are_never_called_stale_after_loading(needs_server: None, swaying: Any) -> None:
    """While they are looked at one by one they are being checked: nothing has changed."""
    uid = swaying.uid
    bpy.ops.portrait.render()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    seen: set[FrameState] = set()

    def settled() -> bool:
        frame_states.pump(0.0)
        states = set(frame_states.of(uid).states.values())
        seen.update(states)
        return states == {FrameState.DONE}

    wait_until(settled, note=lambda: frame_states.line(uid))
    assert FrameState.CHECKING in seen and FrameState.STALE not in seen


def test_settings_make_all_frames_stale(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    swaying.matte = True
    settle(swaying, all_in(FrameState.STALE))
    swaying.matte = False
    settle(swaying, all_in(FrameState.DONE))
    swaying.engine = "crystal-ball"
    settle(swaying, all_in(FrameState.STALE))
    swaying.engine = server.health().info.default_engine  # the same by its name
    settle(swaying, all_in(FrameState.DONE))
    before = stamps(swaying.folder())
    bpy.ops.portrait.render()
    assert renewed(before, stamps(swaying.folder())) == [], "the server knows it too"


def test_other_weights_make_all_frames_stale(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    told = portrait_ids._told(swaying)
    assert told is not None and portrait_ids.known(swaying) == told, "computed here as the server does"
    info = server.health().info
    server.connected(dataclasses.replace(info, engines={**info.engines, info.default_engine: "other weights"}))
    settle(swaying, all_in(FrameState.STALE))
    server.connected(info)
    settle(swaying, all_in(FrameState.DONE))


def test_frames_of_another_device_are_stale_where_it_draws_otherwise(needs_server: None, swaying: Any) -> None:
    """Each kind of device draws a little differently, and frames of two kinds would flicker."""
    bpy.ops.portrait.start_server()
    info = server.health().info
    assert f"-{info.device}-" in info.engines["fewshot"]
    here: dict[str, portrait_ids.Known | None] = {}
    for engine in ("fewshot", "warp"):
        swaying.engine = engine
        here[engine] = portrait_ids.known(swaying)
    elsewhere = info.engines["fewshot"].replace(f"-{info.device}-", "-mps-")
    server.connected(dataclasses.replace(info, device="mps", engines={**info.engines, "fewshot": elsewhere}))
    assert portrait_ids.known(swaying) == here["warp"] is not None, "an engine whose fingerprint stays draws alike"
    swaying.engine = "fewshot"
    assert portrait_ids.known(swaying) != here["fewshot"]
    server.connected(info)
    assert portrait_ids.known(swaying) == here["fewshot"] is not None


def test_frames_deleted_or_damaged_on_the_disk_are_missing(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    folder = swaying.folder()
    frame_path(folder, 3).unlink()
    data = frame_path(folder, 4).read_bytes()
    frame_path(folder, 4).write_bytes(data[:-40])
    frame_path(folder, 6).write_bytes(b"")
    states = settle(swaying, lambda states: in_state(states, FrameState.MISSING) == [3, 4, 6])
    assert len(in_state(states, FrameState.DONE)) == 9
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    assert frame_path(folder, 4).read_bytes() == data


def test_frames_alike_are_drawn_once(needs_server: None, acting: Any) -> None:
    """Frames 6 to 30 hold the last key, 1 to 4 the first one."""
    job = RenderJob(acting.uid, server.launch_plan(bpy.context), frames=range(1, 31))
    drawn = frames_drawn()
    job_queue.run(job)
    assert sorted(job.stored) == list(range(1, 31))
    assert frames_drawn() - drawn == 3
    files = stamps(acting.folder())
    assert files[30][1] == files[6][1] != files[5][1]
    for curve in frame_keys._curves(acting.rig):
        for point in curve.keyframe_points:
            point.co[0] += 10
        curve.update()
    drawn = frames_drawn()
    job_queue.run(RenderJob(acting.uid, server.launch_plan(bpy.context), frames=range(1, 31)))
    assert frames_drawn() == drawn, "keys that were moved in time need no frame anew"
    moved = stamps(acting.folder())
    assert (moved[15][1], moved[16][1], moved[14][1]) == (files[5][1], files[6][1], files[4][1])


def frames_drawn() -> int:
    """By the server of this Blender, since it started."""
    from portrait_shared.client.client import Client

    with Client(server.acquire(server.launch_plan(bpy.context), lambda: False)) as client:
        return client.stats()["frames_drawn"]


def test_render_again_draws_all(needs_server: None, swaying: Any) -> None:
    bpy.ops.portrait.render()
    before = stamps(swaying.folder())
    assert bpy.ops.portrait.render_again() == {"FINISHED"}
    after = stamps(swaying.folder())
    assert renewed(before, after) == list(range(1, 13))
    assert all(before[n][1] == after[n][1] for n in after)


def test_another_portraits_frames_are_not_taken_for_this_ones(
    needs_server: None, swaying: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    from blender_addon.portraits import portrait_parts

    bpy.ops.portrait.render()
    other = portrait_parts.add(bpy.context.scene, str(write(tmp_path / "pictures" / "berta.png", photo[:, ::-1])))
    uid = bpy.context.scene.talking_portraits.items[0].uid
    portrait_parts.attach_rig(bpy.context, other, bpy.context.scene.talking_portraits.items[0].detected_points)
    anna = bpy.context.scene.talking_portraits.by_uid(uid)
    shutil.copytree(anna.folder(), other.folder())
    settle(other, all_in(FrameState.MISSING))
    job = RenderJob(other.uid, server.launch_plan(bpy.context), frames=range(1, 3))
    before = stamps(other.folder())
    job_queue.run(job)
    assert renewed(before, stamps(other.folder())) == [1, 2]
    user = image_plane.texture_node(other.plane).image_user
    assert user.frame_duration == 1 and user.frame_offset == 1, "the plane plays its own two frames alone"


def test_one_folder_for_two_portraits_is_refused(needs_server: None, acting: Any) -> None:
    from blender_addon.portraits import portrait_parts

    other = portrait_parts.add(bpy.context.scene, bpy.path.abspath(acting.photo.filepath))
    acting = bpy.context.scene.talking_portraits.items[0]
    acting.output_folder = other.output_folder = str(acting.folder())
    job = RenderJob(acting.uid, server.launch_plan(bpy.context))
    job_queue.run(job)
    assert job.error.code is ErrorCode.SCENE and other.name in job.error.message
    assert problems.last(acting.uid).fix is Fix.CHOOSE_FOLDER


def test_queued_rendering_and_failed(needs_server: None, swaying: Any, hold: Any) -> None:
    job = RenderJob(swaying.uid, server.launch_plan(bpy.context))
    hold.at(0)
    job_queue.submit(job)

    def counted() -> tuple[int, int]:
        frame_states.pump()
        states = frame_states.of(swaying.uid).states
        assert len(in_state(states, FrameState.RENDERING)) <= 1
        return len(in_state(states, FrameState.QUEUED)), len(in_state(states, FrameState.RENDERING))

    wait_until(lambda: counted() == (11, 1), lambda: job.tick(0.001), lambda: job.note)
    hold.at(2)
    wait_until(lambda: counted() == (9, 1), lambda: job.tick(0.001), lambda: job.note)
    hold.let_go()
    wait_until(lambda: counted() == (0, 0) and not job.active, lambda: job.tick(0.001), lambda: job.note)
    key(swaying, 5, 0.05)
    swaying.engine = "crystal-ball"
    job = RenderJob(swaying.uid, server.launch_plan(bpy.context))
    job_queue.run(job)
    settle(swaying, all_in(FrameState.FAILED))
    swaying.engine = ""
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))


def test_keys_outside_the_range_are_a_hint(swaying: Any) -> None:
    key(swaying, 20, 0.1)
    settle(swaying, lambda _: frame_states.of(swaying.uid).hint)
    assert "frame 20" in frame_states.of(swaying.uid).hint and "1 to 12" in frame_states.of(swaying.uid).hint
    bpy.context.scene.frame_end = 20
    key(swaying, 20, 0.2)
    settle(swaying, lambda _: not frame_states.of(swaying.uid).hint)
    # Beside a capture lie keys that hold what was there before it: nobody has to be told of them.
    bpy.context.scene.frame_end = 12
    key(swaying, 30, 0.3)
    settle(swaying, lambda _: "20 to 30" in frame_states.of(swaying.uid).hint)
    for curve in compat.fcurves_of(swaying.rig):
        for point in curve.keyframe_points:
            if point.co.x == 30:
                point.type = "MOVING_HOLD"
    assert frame_keys.keys_outside(swaying.rig, range(1, 13), 1.0) == [20]


def test_a_stretched_or_stepped_scene_is_a_hint_and_counts(needs_server: None, swaying: Any) -> None:
    scene = bpy.context.scene
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    plain = sample(scene, swaying.rig, swaying.space, range(1, 13)).points
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    states = settle(swaying, lambda states: states[2] is FrameState.STALE)
    assert states[12] is FrameState.STALE
    assert "time remapping 100 to 200" in frame_states.of(swaying.uid).hint
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    slow = sample(scene, swaying.rig, swaying.space, range(1, 13)).points
    np.testing.assert_allclose(slow[11], plain[5], atol=1e-3)
    scene.render.frame_map_new = 100
    scene.frame_step = 2
    settle(swaying, lambda _: "every 2 frames" in frame_states.of(swaying.uid).hint)
    bpy.ops.portrait.render()
    assert frames_in(swaying.folder()) == list(range(1, 13)), "a step leaves no gap on the plane"


def test_a_driver_or_a_constraint_to_something_else_counts(portrait: Any) -> None:
    state = state_of(portrait)
    assert not state.moved_from_outside
    target = bpy.data.objects.new("hand", None)
    bpy.context.scene.collection.objects.link(target)
    portrait.rig.pose.bones["jaw_09"].constraints.new("COPY_LOCATION").target = target
    assert state_of(portrait).moved_from_outside
    before = dict(frame_keys.frame_keys(portrait.rig, state_of(portrait), [1, 2]))
    assert before[1] != before[2], "what moves it at each frame is not known"
    frame_keys.note_change()
    after = dict(frame_keys.frame_keys(portrait.rig, state_of(portrait), [1, 2]))
    assert before[1] != after[1]


def test_a_muted_group_counts_where_blender_heeds_it(swaying: Any) -> None:
    rig, frames = swaying.rig, range(1, 13)
    action = rig.animation_data.action
    for curve in compat.fcurves_of(rig):
        if curve.group is None:  # before 4.4
            curve.group = action.groups.get("jaw") or action.groups.new("jaw")

    def points() -> np.ndarray:
        return sample(bpy.context.scene, rig, swaying.space, frames).points

    shown, known = points(), dict(frame_keys.frame_keys(rig, state_of(swaying), frames))
    for curve in compat.fcurves_of(rig):
        curve.group.mute = True
    action.update_tag()
    moved = [not np.array_equal(now, before) for now, before in zip(points(), shown, strict=True)]
    muted = dict(frame_keys.frame_keys(rig, state_of(swaying), frames))
    assert sum(moved) >= 11 or not any(moved)
    assert [muted[frame] != known[frame] for frame in frames] == moved


def test_keys_do_not_depend_on_where_the_scene_stands(swaying: Any) -> None:
    scene = bpy.context.scene

    def keys() -> dict[int, bytes]:
        return dict(frame_keys.frame_keys(swaying.rig, state_of(swaying), range(1, 13)))

    scene.frame_set(3)
    first = keys()
    scene.frame_set(11)
    assert keys() == first and len(set(first.values())) == 12
    swaying.rig.pose.bones["jaw_01"].location[0] = 0.01  # unkeyed: moves the point at every frame
    assert not set(keys().values()) & set(first.values())


def test_keys_that_hold_what_is_there_alter_no_frame(swaying: Any) -> None:
    """Such as those of a capture far behind: its channels had none here before."""
    rig, frames = swaying.rig, range(1, 13)
    rig["jawOpen"] = 0.25

    def keys() -> dict[int, bytes]:
        return dict(frame_keys.frame_keys(rig, state_of(swaying), frames))

    before = keys()
    for frame, value in ((13, 0.25), (20, 1.0)):
        rig["jawOpen"] = value
        rig.keyframe_insert('["jawOpen"]', frame=frame)
        rig.pose.bones["jaw_02"].location[0] = 0.1 if frame == 20 else 0
        rig.pose.bones["jaw_02"].keyframe_insert("location", frame=frame)
    assert keys() == before
    rig.pose.bones["jaw_02"].location[0] = 0.2
    rig.pose.bones["jaw_02"].keyframe_insert("location", frame=6)
    assert not set(keys().values()) & set(before.values())


def test_the_band_shows_stretches(swaying: Any) -> None:
    watch = frame_states.of(swaying.uid)
    done, stale = FrameState.DONE, FrameState.STALE
    watch.states = {1: done, 2: done, 3: stale, 4: done}
    runs = frame_states.runs(swaying.uid)
    assert runs == [(1, 2, done), (3, 3, stale), (4, 4, done)]
    shapes = frame_band.rectangles(runs, lambda frame: 10 * frame - 20, 15.0, 100, 5)
    assert shapes == [((0.0, 100, 5.0, 105), done), ((5.0, 100, 15.0, 105), stale)], "cut at the region's edges"
    assert set(frame_band.COLORS) == set(FrameState)
