# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview, driven as Blender's timer does: the newest request wins, and nothing that happens stops Blender."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import problems  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.preview import live_preview, portrait_preview  # noqa: E402
from blender_addon.preview.portrait_preview import PortraitPreview  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig import sampling  # noqa: E402
from tests.waiting import PATIENCE_SECONDS, wait_until  # noqa: E402

TEST_ENGINES = Path(__file__).resolve().parents[1] / "server" / "serve_with_test_engines.py"


@pytest.fixture
def preview(needs_server: None, acting: Any) -> Iterator[PortraitPreview]:
    """The live preview of the small portrait, turned on."""
    live_preview.start(acting.uid, server.launch_plan(bpy.context))
    yield live_preview.of(acting.uid)
    live_preview.stop_all()


@pytest.fixture
def test_engines(needs_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Engines whose speed is known, until the end of the test."""
    server.stop()
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", shlex.join([sys.executable, str(TEST_ENGINES)]))
    yield
    live_preview.stop_all()
    job_queue.abandon_all()
    server.stop()


def pump(until: Callable[[], object]) -> None:
    """Ticks as Blender's timer does until something holds."""
    wait_until(until, live_preview.pump)


def settle(preview: PortraitPreview) -> int:
    """Until the plane shows the rig as it stands now; the number of that picture.

    Numbers are only compared with one another: Blender may evaluate a pose once more than a test knows of.
    """
    pump(lambda: preview._changed_at is None and preview.shown == preview.asked)
    return preview.shown


def drop_chin(portrait: Any, metres: float) -> None:
    portrait.rig.pose.bones["jaw_09"].location[1] = -metres
    bpy.context.view_layer.update()


def shown(portrait: Any) -> np.ndarray:
    image = image_plane.texture_node(portrait.plane).image
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)


def test_the_plane_follows_the_pose_and_the_frame(preview: PortraitPreview, acting: Any) -> None:
    bpy.context.scene.frame_set(6)
    settle(preview)
    assert image_plane.shows_preview(acting.plane) and shown(acting).shape == (64, 96, 4)
    first = shown(acting)
    bpy.context.scene.frame_set(4)
    settle(preview)
    second = shown(acting)
    assert np.abs(second - first).max() > 0.005, "the chin is up again"
    drop_chin(acting, 0.1)
    settle(preview)
    assert np.abs(shown(acting) - second).max() > 0.005, "an unkeyed pose counts too"
    assert len(preview.latencies) >= 3 and all(0 < took.served <= took.total for took in preview.latencies)


def test_the_preview_shows_what_the_render_will(preview: PortraitPreview, acting: Any) -> None:
    bpy.context.scene.frame_set(5)
    acting.preview_size, acting.use_label = "FULL", True
    settle(preview)
    seen = shown(acting)
    bpy.ops.portrait.render()
    image = bpy.data.images.load(str(acting.folder() / "0005.png"))
    rendered = np.empty(seen.size, np.float32)
    image.pixels.foreach_get(rendered)
    np.testing.assert_allclose(seen.ravel(), rendered, atol=1e-3)


def test_a_pose_is_asked_for_when_its_drawing_begins(preview: PortraitPreview, acting: Any) -> None:
    asked = settle(preview)
    live_preview._before_draw()
    assert preview.asked == asked, "nothing has changed"
    drop_chin(acting, 0.1)
    live_preview._before_draw()
    assert preview.asked == asked + 1, "without a tick"
    assert settle(preview) == asked + 1, "the tick asks for it no second time"
    acting.matte = True
    drop_chin(acting, 0.05)
    live_preview._before_draw()
    assert preview.asked == asked + 1, "a matte waits for the tick, which makes the portrait ready"
    assert settle(preview) > asked + 1


def test_before_a_slow_drawing_the_picture_is_waited_for(
    preview: PortraitPreview,
    acting: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settle(preview)
    drop_chin(acting, 0.05)
    assert preview.asked == preview.shown, "where Blender draws fast, handlers only take notes"
    settle(preview)
    monkeypatch.setattr(live_preview, "_drawing_took", 10 * PATIENCE_SECONDS)
    monkeypatch.setattr(live_preview, "_LONGEST_WAIT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(portrait_preview, "_SOON_SECONDS", PATIENCE_SECONDS)
    for move in (lambda: drop_chin(acting, 0.1), lambda: bpy.context.scene.frame_set(4)):
        before, asked = shown(acting), preview.asked
        move()
        assert preview.shown == preview.asked > asked, "without a tick"
        assert np.abs(shown(acting) - before).max() > 0.005
    monkeypatch.setattr(portrait_preview, "_SOON_SECONDS", 0.0)
    seen = preview.shown
    drop_chin(acting, 0.02)
    assert preview.shown == seen < preview.asked, "no engine is waited for that takes long"
    settle(preview)
    monkeypatch.setattr(portrait_preview, "_SOON_SECONDS", PATIENCE_SECONDS)
    acting.plane.data.materials.clear()
    drop_chin(acting, 0.08)
    assert not capfd.readouterr().err, "a plane without its material waits for the tick, which tells"


def test_nothing_moves_nothing_is_asked(preview: PortraitPreview, acting: Any) -> None:
    settle(preview)
    scene, frame, pose = bpy.context.scene, bpy.context.scene.frame_current, acting.rig.pose.bones["jaw_09"]
    pose.location[0] = 0.01
    bpy.context.view_layer.update()
    asked = settle(preview)
    acting.plane.location[0] = 1.0  # moving the picture moves no point in it
    bpy.context.view_layer.update()
    for _ in range(20):
        live_preview.pump()
    assert preview.asked == asked
    assert scene.frame_current == frame and pose.location[0] == pytest.approx(0.01), "sampling changed nothing"


def test_its_size_can_be_chosen(preview: PortraitPreview, acting: Any) -> None:
    acting.resolution_percentage = 50
    live_preview._on_frame()
    pump(lambda: image_plane.shows_preview(acting.plane) and shown(acting).shape[:2] == (32, 48))
    assert acting.preview_frame_size == (48, 32), "never larger than the frames"
    acting.size = (2048, 1024)
    acting.resolution_percentage = 100
    assert acting.preview_frame_size == (256, 128)
    acting.preview_size = "512"
    assert acting.preview_frame_size == (512, 256)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot halt a process")
@pytest.mark.servers_environment
def test_the_newest_wins_and_blender_does_not_wait(test_engines: None, acting: Any) -> None:
    acting.engine = "slow"
    live_preview.start(acting.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(acting.uid)
    before = settle(preview)
    os.kill(server.health().info.pid, signal.SIGSTOP)
    try:
        for step in range(1, 51):
            acting.rig.pose.bones["jaw_01"].location[0] = step * 0.004
            bpy.context.view_layer.update()
            live_preview.pump()
    finally:
        os.kill(server.health().info.pid, signal.SIGCONT)
    last = preview.asked
    assert last >= before + 50 and preview.shown == before
    numbers = []

    def last_is_there() -> bool:
        numbers.append(preview.shown)
        return preview.shown == last

    pump(last_is_there)
    assert numbers == sorted(numbers), "an older picture never replaces a newer one"
    assert len(set(numbers)) <= 4, "two were under way, and the newest; all others were never drawn"
    level = shown(acting)[0, 0, 0] * 255
    assert level == pytest.approx((int(preview._row.points[0, 0]) + int(shown_photo(acting))) % 256, abs=1)


def shown_photo(portrait: Any) -> float:
    from blender_addon.portraits import photo

    return float(photo.pixels(portrait.photo)[0, 0, 0])


@pytest.mark.servers_environment
def test_a_render_and_a_preview_share_the_server(test_engines: None, acting: Any, hold: Any) -> None:
    """The preview of another portrait goes on while frames render, and is served between them.

    The render is held back once it is so many frames further: a picture that came after all of them would never come.
    """
    from blender_addon.portraits import portrait_parts

    acting.engine = "slow"
    other = portrait_parts.add(bpy.context.scene, bpy.path.abspath(acting.photo.filepath))
    portrait_parts.attach_rig(bpy.context, other, acting.detected_points)
    acting = bpy.context.scene.talking_portraits.items[0]
    bone = acting.rig.pose.bones["jaw_01"]
    bone.keyframe_insert("location", frame=1)
    bone.location[0] = 0.2
    bone.keyframe_insert("location", frame=200)
    other.engine = "slow"
    live_preview.start(other.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(other.uid)
    settle(preview)
    job = RenderJob(acting.uid, server.launch_plan(bpy.context), frames=range(1, 120))
    hold.at(10)
    job_queue.submit(job)

    def work() -> None:
        job_queue._on_timer()
        live_preview.pump()

    wait_until(lambda: len(job.stored) >= 10, work, lambda: job.note)
    for step in range(1, 3):
        hold.at(len(job.stored) + 24)
        other.rig.pose.bones["jaw_01"].location[0] = step * 0.01
        bpy.context.view_layer.update()
        asked = preview.asked
        wait_until(lambda asked=asked: asked < preview.asked == preview.shown, work, lambda: preview.line)
        assert job.active, "some batches of the render, not all of its frames, come first"


def test_frames_that_were_rendered_stay_and_come_back(needs_server: None, acting: Any) -> None:
    bpy.ops.portrait.render()
    sequence = image_plane.texture_node(acting.plane).image
    user = image_plane.texture_node(acting.plane).image_user
    kept = (user.frame_start, user.frame_duration, user.frame_offset)
    files = {path: path.read_bytes() for path in acting.folder().iterdir()}
    live_preview.start(acting.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(acting.uid)
    settle(preview)
    assert image_plane.covered_by_preview(acting.plane) == sequence
    live_preview.stop(acting.uid)
    assert image_plane.texture_node(acting.plane).image == sequence
    assert (user.frame_start, user.frame_duration, user.frame_offset) == kept
    assert {path: path.read_bytes() for path in acting.folder().iterdir()} == files
    assert not [image for image in bpy.data.images if image_plane.is_preview(image)], "nothing is left behind"


def test_show_frames_and_a_render_turn_it_off(preview: PortraitPreview, acting: Any) -> None:
    settle(preview)
    bpy.ops.portrait.show_photo()
    live_preview.pump()
    assert live_preview.of(acting.uid) is None
    assert image_plane.texture_node(acting.plane).image == acting.photo
    live_preview.start(acting.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(acting.uid)
    settle(preview)
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert live_preview.of(acting.uid) is None
    assert image_plane.texture_node(acting.plane).image.source == "SEQUENCE"


def test_a_portrait_or_a_plane_that_goes_away(preview: PortraitPreview, acting: Any) -> None:
    before = settle(preview)
    uid, plane = acting.uid, acting.plane
    bpy.context.scene.collection.objects.unlink(plane)
    drop_chin(acting, 0.01)
    live_preview.pump()
    assert "deleted" in preview.line, "it says so, and waits"
    bpy.context.scene.collection.objects.link(plane)
    live_preview._on_frame()
    pump(lambda: preview.shown > before and preview.trouble is None)
    bpy.ops.portrait.remove()
    live_preview.pump()
    assert live_preview.of(uid) is None


def test_undo_and_redo(preview: PortraitPreview, acting: Any) -> None:
    uid = acting.uid
    bpy.ops.ed.undo_push(message="Start")
    before = settle(preview)
    drop_chin(acting, 0.2)
    bpy.ops.ed.undo_push(message="Chin")
    assert settle(preview) > before
    dropped = shown(acting)
    bpy.ops.ed.undo()
    portrait = bpy.context.scene.talking_portraits.by_uid(uid)
    bpy.context.view_layer.update()
    asked = preview.asked
    pump(lambda: preview.shown == preview.asked > asked and image_plane.shows_preview(portrait.plane))
    assert np.abs(shown(portrait) - dropped).max() > 0.005
    bpy.ops.ed.redo()
    portrait = bpy.context.scene.talking_portraits.by_uid(uid)
    bpy.context.view_layer.update()
    asked = preview.asked
    pump(lambda: preview.shown == preview.asked > asked and image_plane.shows_preview(portrait.plane))
    np.testing.assert_allclose(shown(portrait), dropped, atol=1e-3)
    live_preview.stop(uid)
    assert image_plane.texture_node(portrait.plane).image == portrait.photo
    bpy.ops.ed.undo()
    portrait = bpy.context.scene.talking_portraits.by_uid(uid)
    assert not image_plane.shows_preview(portrait.plane), "undo brings no picture back that nothing keeps up to date"


def test_a_saved_file_has_no_preview(preview: PortraitPreview, acting: Any) -> None:
    settle(preview)
    uid = acting.uid
    bpy.ops.wm.save_mainfile()
    live_preview.pump()
    assert image_plane.shows_preview(acting.plane), "and it goes on"
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert live_preview.of(uid) is None
    portrait = bpy.context.scene.talking_portraits.by_uid(uid)
    assert image_plane.texture_node(portrait.plane).image == portrait.photo
    assert not [image for image in bpy.data.images if image_plane.is_preview(image)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_server_comes_back(preview: PortraitPreview, acting: Any) -> None:
    before = settle(preview)
    killed = server.health().info.pid
    os.kill(killed, signal.SIGKILL)
    drop_chin(acting, 0.1)
    assert settle(preview) > before
    assert preview.trouble is None


def test_a_stopped_server_is_said_and_the_next_one_is_used(preview: PortraitPreview, acting: Any) -> None:
    before = settle(preview)
    server.stop()
    drop_chin(acting, 0.1)
    pump(lambda: preview.trouble is not None)
    assert preview.trouble.lost and preview.line
    assert bpy.ops.portrait.start_server() == {"FINISHED"}
    assert settle(preview) > before
    assert preview.trouble is None and problems.last(acting.uid) is None


def test_an_engine_that_is_not_there_is_said(preview: PortraitPreview, acting: Any) -> None:
    settle(preview)
    acting.engine = "crystal-ball"
    live_preview._on_frame()
    pump(lambda: preview.trouble is not None)
    assert "crystal-ball" in preview.line and not preview.trouble.lost
    acting.engine = ""
    live_preview._on_frame()
    drop_chin(acting, 0.1)
    pump(lambda: preview.shown == preview.asked and preview.trouble is None)


def test_it_needs_a_window(portrait: Any) -> None:
    assert not bpy.ops.portrait.preview.poll()


def test_a_picture_at_rest_needs_no_saving(
    preview: PortraitPreview, acting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Blender asks, when it quits, whether to save an image that the user never made."""
    settle(preview)
    image, before = image_plane.texture_node(acting.plane).image, shown(acting)
    monkeypatch.setattr(portrait_preview, "_SETTLE_SECONDS", 0.0)
    for pose in (0.2, -0.1):  # the second follows one that has come to rest
        drop_chin(acting, pose)
        settle(preview)
        pump(lambda: not image.is_dirty)
        assert np.abs(shown(acting) - before).max() > 0.005, "what came last"
        before = shown(acting)
    acting.preview_size = "FULL"
    acting.resolution_percentage = 50
    preview.note_change()
    pump(lambda: shown(acting).shape == (32, 48, 4))
    settle(preview)
    pump(lambda: not image.is_dirty)
    assert image_plane.shows_preview(acting.plane) and shown(acting).shape == (32, 48, 4)


def test_a_small_picture_needs_no_saving_from_the_first(preview: PortraitPreview, acting: Any) -> None:
    """Whoever lets go of a handle may quit at once."""
    for pose in (0.2, -0.1):
        drop_chin(acting, pose)
        before = preview.shown
        pump(lambda before=before: preview.shown > before)
        image = image_plane.texture_node(acting.plane).image
        assert image_plane.is_preview(image) and not image.is_dirty


def test_what_comes_to_rest_keeps_its_pixels(portrait: Any) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (16, 24, 4)).astype(np.float32) / 255
    image_plane.show_preview(portrait.plane, portrait.uid, pixels)
    image = image_plane.texture_node(portrait.plane).image
    assert image.is_dirty, "what this is about"
    image_plane.settle_preview(portrait.uid)
    assert not image.is_dirty
    np.testing.assert_allclose(shown(portrait), pixels, atol=1e-6)


def test_renderers_are_told_of_each_picture(portrait: Any) -> None:
    """Without it a viewport that gathers samples mixes the new face into the old one, and Cycles never shows it."""
    told: list[list[str]] = []
    moves: list[bool] = []

    def listen(scene: Any, depsgraph: Any) -> None:
        told.append([update.id.name for update in depsgraph.updates])
        moves.append(sampling.may_move(depsgraph))

    image_plane.show_preview(portrait.plane, portrait.uid, np.ones((8, 8, 4), np.float32))
    name = image_plane.texture_node(portrait.plane).image.name
    bpy.context.view_layer.update()
    bpy.app.handlers.depsgraph_update_post.append(listen)
    try:
        image_plane.show_preview(portrait.plane, portrait.uid, np.zeros((8, 8, 4), np.float32))
        bpy.context.view_layer.update()
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(listen)
    assert any(name in names for names in told)
    assert not any(moves), "and the rig is not sampled again for it"
