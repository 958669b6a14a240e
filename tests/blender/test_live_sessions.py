# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait that is driven live: the rig follows without keys and is put back, takes are kept in the .blend, and nothing
that happens meanwhile loses what was recorded. The source is a list; its wall is that of all live sources."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import PortraitError

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.interface.panels import live_panel  # noqa: E402
from blender_addon.live import countdown, keep, kept_takes, rig_values, sessions  # noqa: E402
from blender_addon.live import session as session_module  # noqa: E402
from blender_addon.live.recorder import Phase  # noqa: E402
from blender_addon.live.source import Sample  # noqa: E402
from blender_addon.portraits.scene_portraits import portraits_of  # noqa: E402
from blender_addon.rig import sampling  # noqa: E402
from blender_addon.rig.armature import rest_points  # noqa: E402
from blender_addon.rig.blendshapes import combine  # noqa: E402
from tests.blender.test_panels import drawn  # noqa: E402


class Clock:
    """Stands in for the module `time` where sessions ask for the time: it goes on when a test lets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "time", CLOCK)
    monkeypatch.setattr(session_module, "time", CLOCK)
    monkeypatch.setattr(live_panel, "time", CLOCK)


def step(seconds: float = 1 / 30) -> None:
    """Time goes on, and Blender's timer ticks."""
    CLOCK.now += seconds
    sessions.pump()


class ListSource:
    """A live source whose samples a test puts in."""

    def __init__(self, title: str = "Phone") -> None:
        self.title = title
        self.line = "hears a list at 60/s"
        self.problem = ""
        self.ended = False
        self.started = self.stopped = 0
        self.samples: list[Sample] = []

    def start(self) -> None:
        self.started += 1

    def take(self) -> list[Sample]:
        samples, self.samples = self.samples, []
        return samples

    def stop(self) -> None:
        self.stopped += 1

    def send(self, **sliders: float) -> None:
        self.samples.append(Sample(CLOCK.now, weights=sliders))

    def turn(self, pitch: float, yaw: float, roll: float) -> None:
        self.samples.append(Sample(CLOCK.now, head=(pitch, yaw, roll)))


@pytest.fixture
def source(portrait: Any) -> Iterator[ListSource]:
    """It drives the small portrait."""
    made = ListSource()
    sessions.connect(portrait.uid, made)
    yield made
    sessions.disconnect_all()


def chin_drop(portrait: Any) -> float:
    """How far the chin is below where it rests, pixels, as evaluated."""
    sample = sampling.sample_now(portrait.rig, bpy.context.view_layer, portrait.space)
    return float(sample.points[8, 1] - rest_points(portrait.rig, portrait.space)[8, 1])


def record(portrait: Any, source: ListSource, jaws: list[float], frame: int = 1) -> Any:
    """A take of some values of the jaw, one a tick, onto the scene from a frame on; the take in the list."""
    portrait.live.count_in = 0
    recorder = sessions.record(bpy.context.scene, portrait, frame, plays=False)
    sessions.pump()
    assert recorder.phase is Phase.RECORDING
    for jaw in jaws:
        step()
        source.send(jawOpen=jaw)
        sessions.pump()
    assert sessions.stop_recording(portrait.uid)
    return portrait.live.chosen


def test_the_rig_follows_without_keys_and_is_put_back(portrait: Any, source: ListSource) -> None:
    rig = portrait.rig
    rig["browInnerUp"] = 0.25
    assert source.started == 1 and not rig_values.is_driven(rig)
    source.send(jawOpen=0.2)
    source.send(jawOpen=0.8, browInnerUp=0.5)
    source.turn(0.1, 0.2, 0.3)
    assert sessions.pump() and not sessions.pump(), "what did not change sets nothing"
    assert rig["jawOpen"] == pytest.approx(0.8) and rig["browInnerUp"] == 0.5 and chin_drop(portrait) > 1
    np.testing.assert_allclose(rig.pose.bones["head"].rotation_euler, (0.1, 0.2, 0.3), atol=1e-6)
    assert not list(compat.fcurves_of(rig))
    sessions.disconnect(portrait.uid)
    assert source.stopped == 1 and not rig_values.is_driven(rig)
    assert rig["jawOpen"] == 0 and rig["browInnerUp"] == 0.25 and abs(chin_drop(portrait)) < 0.5
    assert not any(rig.pose.bones["head"].rotation_euler)


def test_face_and_head_apart(portrait: Any, source: ListSource) -> None:
    portrait.live.use_face = False
    source.send(jawOpen=0.8)
    source.turn(0.1, 0.0, 0.0)
    sessions.pump()
    assert portrait.rig["jawOpen"] == 0 and portrait.rig.pose.bones["head"].rotation_euler[0] > 0
    portrait.live.use_face, portrait.live.use_head = True, False
    source.send(jawOpen=0.7)
    sessions.pump()
    assert portrait.rig["jawOpen"] == pytest.approx(0.7)


def test_the_performance_counts_over_keys_while_the_scene_plays(portrait: Any, source: ListSource) -> None:
    rig, scene = portrait.rig, bpy.context.scene
    for frame, value in ((1, 0.0), (100, 0.1)):
        rig["jawOpen"] = value
        rig.keyframe_insert('["jawOpen"]', frame=frame)
    scene.frame_set(1)
    source.send(jawOpen=0.9)
    sessions.pump()
    driven = chin_drop(portrait)
    for frame in (20, 50, 100):
        scene.frame_set(frame)
        assert rig["jawOpen"] == pytest.approx(0.9) and chin_drop(portrait) == pytest.approx(driven, abs=0.01)
    rows = dict(sampling.sample_rows(scene, rig, portrait.space, [1, 100]))
    keyed = rows[100].points[8, 1] - rows[1].points[8, 1]
    assert keyed < driven / 4, "what is rendered is keys"
    sessions.drive(portrait.uid, False)
    assert chin_drop(portrait) < driven / 4 and not rig_values.is_driven(rig)
    sessions.drive(portrait.uid, True)
    assert chin_drop(portrait) == pytest.approx(driven, abs=0.01)


def test_drivers_and_damaged_numbers_are_left_alone(portrait: Any, source: ListSource) -> None:
    rig = portrait.rig
    compat.new_driver(rig, '["jawOpen"]').driver.expression = "0.3"
    source.samples.append(Sample(CLOCK.now, weights={"jawOpen": 1.0, "mouthPucker": float("nan"), "nonsense": 1.0},
                                 head=(float("inf"), 0.0, 0.0)))  # fmt: skip
    sessions.pump()
    bpy.context.view_layer.update()
    assert rig["jawOpen"] != 1.0 and rig["mouthPucker"] == 0 and "nonsense" not in rig
    assert not any(rig.pose.bones["head"].rotation_euler)


def test_saving_puts_the_rig_back_meanwhile(portrait: Any, source: ListSource) -> None:
    source.send(jawOpen=0.8)
    sessions.pump()
    bpy.ops.wm.save_mainfile()
    assert portrait.rig["jawOpen"] == 0 and sessions.pump()
    assert portrait.rig["jawOpen"] == pytest.approx(0.8), "and goes on after it"
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    opened = portraits_of(bpy.context.scene).active
    assert opened.rig["jawOpen"] == 0 and not rig_values.is_driven(opened.rig)
    assert source.stopped == 1, "another file ends it"


def test_undo_into_a_driven_state_puts_the_rig_back(portrait: Any, source: ListSource) -> None:
    uid = portrait.uid
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    source.send(jawOpen=0.8)
    sessions.pump()
    bpy.ops.ed.undo_push(message="while driven")
    bpy.context.scene.frame_end = 99
    bpy.ops.ed.undo_push(message="later")
    bpy.ops.ed.undo()
    found = portraits_of(bpy.context.scene).by_uid(uid)
    assert found.rig["jawOpen"] == pytest.approx(0.8), "it is still driven"
    sessions.disconnect(uid)
    found = portraits_of(bpy.context.scene).by_uid(uid)
    assert found.rig["jawOpen"] == 0
    bpy.ops.ed.redo()
    found = portraits_of(bpy.context.scene).by_uid(uid)
    assert bpy.context.scene.frame_end == 99 and found.rig["jawOpen"] == 0 and not rig_values.is_driven(found.rig)


def test_a_take_is_recorded_kept_and_thrown_away(portrait: Any, source: ListSource) -> None:
    scene, rig = bpy.context.scene, portrait.rig
    jaws = [0.1 * row for row in range(10)] + [0.9 - 0.1 * row for row in range(10)]
    take = record(portrait, source, jaws, frame=20)
    assert take.name == "Take 1" and take.samples == len(jaws) and 20 <= take.first < 22
    recorded = kept_takes.read(take)
    np.testing.assert_allclose(recorded.parts[0].columns["jawOpen"], jaws, atol=1e-4)
    portrait.live.smoothing = 0.0
    report = keep.keep(scene, portrait, take)
    assert take.is_kept and report.frames[0] >= 20 and not sessions.of(portrait.uid).drives
    curve = next(curve for curve in compat.fcurves_of(rig) if "jawOpen" in curve.data_path)
    part = recorded.parts[0]
    for frame in range(*report.frames):
        assert curve.evaluate(frame) == pytest.approx(float(np.interp(frame, part.frames, jaws)), abs=0.08)
    assert curve.evaluate(report.frames[0] - 1) == 0 and curve.evaluate(report.frames[1] + 1) == 0, (
        "frames outside stay"
    )
    second = record(portrait, source, [0.5] * 5)
    assert second.name == "Take 2" and len(portrait.live.takes) == 2
    texts = len(bpy.data.texts)
    kept_takes.discard(portrait, second)
    assert len(bpy.data.texts) == texts - 1 and portrait.live.chosen.name == "Take 1"


def test_what_came_before_the_end_is_in_the_take(portrait: Any, source: ListSource) -> None:
    """Blender may stand still while samples come: the button and the end of the range are met before the next tick."""
    take = record(portrait, source, [0.1, 0.2])
    assert take.samples == 2
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    step()
    source.send(jawOpen=0.3)
    assert sessions.stop_recording(portrait.uid) and portrait.live.chosen.samples == 1
    recorder = sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    step()
    source.send(jawOpen=0.3)
    recorder.stop(CLOCK.now, "The scene's frame range ended.")
    step()
    assert portrait.live.chosen.name == "Take 3" and portrait.live.chosen.samples == 1


def test_takes_survive_saving_and_loading(portrait: Any, source: ListSource) -> None:
    take = record(portrait, source, [0.2, 0.4, 0.6, 0.8])
    take.name = "Best"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    opened = portraits_of(bpy.context.scene).active
    assert opened.live.chosen.name == "Best" and opened.live.chosen.samples == 4
    keep.keep(bpy.context.scene, opened, opened.live.chosen)
    assert list(compat.fcurves_of(opened.rig))


def test_a_take_so_far_is_in_a_file_saved_meanwhile(portrait: Any, source: ListSource) -> None:
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    for jaw in (0.2, 0.4):
        sessions.pump()
        source.send(jawOpen=jaw)
    sessions.pump()
    bpy.ops.wm.save_mainfile()
    assert [take.samples for take in portrait.live.takes] == [2]
    source.send(jawOpen=0.6)
    sessions.pump()
    assert sessions.stop_recording(portrait.uid)
    assert [take.samples for take in portrait.live.takes] == [3], "it is the same take"


def test_undo_while_recording_loses_nothing(portrait: Any, source: ListSource) -> None:
    uid = portrait.uid
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    bpy.context.scene.frame_end = 99
    bpy.ops.ed.undo_push(message="later")
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    source.send(jawOpen=0.2)
    sessions.pump()
    bpy.ops.ed.undo()
    source.send(jawOpen=0.4)
    sessions.pump()
    assert sessions.stop_recording(uid)
    found = portraits_of(bpy.context.scene).by_uid(uid)
    assert [take.samples for take in found.live.takes] == [2]


def test_a_removed_portrait_gets_its_take_back_by_undo(portrait: Any, source: ListSource) -> None:
    uid = portrait.uid
    bpy.context.preferences.edit.use_global_undo = True
    portrait.live.count_in = 0
    bpy.ops.ed.undo_push(message="before")
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    source.send(jawOpen=0.2)
    sessions.pump()
    bpy.ops.portrait.remove()
    bpy.ops.ed.undo_push(message="removed")
    sessions.pump()
    assert sessions.of(uid) is None and source.stopped == 1
    assert "removed" in problems.last("").message and "Undo" in problems.last("").remedy
    bpy.ops.ed.undo()
    assert [take.samples for take in portraits_of(bpy.context.scene).by_uid(uid).live.takes] == [1]


def test_an_unplugged_camera_ends_the_recording_with_its_take(portrait: Any, source: ListSource) -> None:
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    source.send(jawOpen=0.2)
    sessions.pump()
    source.ended, source.problem = True, "The camera was unplugged. Plug it in, and connect again."
    sessions.pump()
    session = sessions.of(portrait.uid)
    assert session.recorder is None and len(portrait.live.takes) == 1
    assert "unplugged" in session.last_note and "Take 1" in session.last_note


def test_a_broken_rig_is_told_and_the_take_stays(portrait: Any, source: ListSource) -> None:
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    source.send(jawOpen=0.2)
    sessions.pump()
    bpy.data.objects.remove(portrait.rig)
    source.send(jawOpen=0.4)
    sessions.pump()
    assert "rig was deleted" in problems.last(portrait.uid).message
    assert sessions.stop_recording(portrait.uid) and portrait.live.chosen.samples == 2


def test_no_more_takes_than_are_kept(portrait: Any, source: ListSource) -> None:
    for _ in range(kept_takes.MOST_TAKES):
        portrait.live.takes.add()
    with pytest.raises(PortraitError, match="no more are kept"):
        sessions.record(bpy.context.scene, portrait, 1, plays=False)


def test_a_take_without_its_data_is_told(portrait: Any, source: ListSource) -> None:
    take = record(portrait, source, [0.2, 0.4])
    take.store["portrait_take"] = b"TPL1broken"
    with pytest.raises(PortraitError, match="damaged"):
        keep.keep(bpy.context.scene, portrait, take)
    bpy.data.texts.remove(take.store)
    with pytest.raises(PortraitError, match="not in the"):
        keep.keep(bpy.context.scene, portrait, take)


def camera_sample(portrait: Any, **weights: float) -> Sample:
    rest = rest_points(portrait.rig, portrait.space).astype(np.float64)
    return Sample(CLOCK.now, points=rest + combine(rest, weights))


def test_a_camera_drives_after_neutral_and_its_take_is_keyed(portrait: Any, source: ListSource) -> None:
    session = sessions.of(portrait.uid)
    source.samples.append(camera_sample(portrait))
    sessions.pump()
    assert session.hint and portrait.rig["jawOpen"] == 0
    assert session.set_neutral() and not session.hint
    source.samples.append(camera_sample(portrait, jawOpen=0.7))
    sessions.pump()
    assert portrait.rig["jawOpen"] > 0.4
    portrait.live.count_in = 0
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    for jaw in (0.0, 0.3, 0.6, 0.9):
        source.samples.append(camera_sample(portrait, jawOpen=jaw))
        sessions.pump()
        step()
    sessions.stop_recording(portrait.uid)
    keep.keep(bpy.context.scene, portrait, portrait.live.chosen)
    curve = next(curve for curve in compat.fcurves_of(portrait.rig) if "jawOpen" in curve.data_path)
    assert max(key.co[1] for key in curve.keyframe_points) > 0.5


def keyed_jaw(portrait: Any, value: float, frames: range) -> None:
    for frame in (frames[0], frames[-1]):
        portrait.rig["jawOpen"] = value
        portrait.rig.keyframe_insert('["jawOpen"]', frame=frame)


def test_the_ends_blend_with_the_keys_that_are_there(portrait: Any, source: ListSource) -> None:
    keyed_jaw(portrait, 1.0, range(1, 200))
    take = record(portrait, source, [0.0] * 30, frame=50)
    portrait.live.blend, portrait.live.smoothing = 5, 0.0
    portrait.live.tolerance = 0.01
    report = keep.keep(bpy.context.scene, portrait, take)
    curve = next(curve for curve in compat.fcurves_of(portrait.rig) if "jawOpen" in curve.data_path)
    first, last = report.frames
    values = [curve.evaluate(frame) for frame in range(first - 1, last + 2)]
    assert values[0] == pytest.approx(1.0) and values[-1] == pytest.approx(1.0)
    assert min(values) == pytest.approx(0.0, abs=0.05)
    assert max(abs(b - a) for a, b in itertools.pairwise(values)) < 0.45, "it goes over, and does not jump"


def test_a_take_is_placed_by_frame_and_by_timecode(portrait: Any, source: ListSource) -> None:
    scene, live = bpy.context.scene, portrait.live
    live.count_in = 0
    sessions.record(scene, portrait, 40, plays=False)
    sessions.pump()
    for row in range(8):
        source.samples.append(Sample(CLOCK.now, timecode=f"01:00:02:{row:02d}", weights={"jawOpen": 0.1 * row}))
        sessions.pump()
        step()
    sessions.stop_recording(portrait.uid)
    take = live.chosen
    assert take.timecode == "01:00:02:00"
    live.placing = "CURRENT"
    scene.frame_set(200)
    assert keep.keep(scene, portrait, take).frames[0] == 200
    live.placing, live.start_timecode = "TIMECODE", "01:00:00:00"
    scene.frame_start = 1
    assert keep.keep(scene, portrait, take).frames[0] == 1 + 2 * scene.render.fps
    live.start_timecode = "nonsense"
    with pytest.raises(PortraitError, match="no timecode"):
        keep.keep(scene, portrait, take)


def test_the_panel_in_every_state(portrait: Any, source: ListSource) -> None:
    source.choices = ("Ben's iPhone",)
    seen = drawn().split("\n")
    for words in (
        "hears a list at 60/s",
        "portrait.choose_sender",
        "portrait.record_live",
    ):
        assert words in seen, words
    assert "portrait.keep_take" not in seen
    source.problem = "Nothing has been heard for 5 s."
    source.samples.append(camera_sample(portrait))
    sessions.pump()
    said = drawn()
    assert "Nothing has been heard" in said and "Look straight ahead" in said
    portrait.live.count_in = 2
    sessions.record(bpy.context.scene, portrait, 1, plays=False)
    sessions.pump()
    assert "Begins in 2" in drawn() and countdown.shown() == 2
    step(2.1)
    source.send(jawOpen=0.5)
    step(1.0)
    said = drawn()
    assert "Records: 1 s, 1 samples" in said and "portrait.stop_recording" in said and countdown.shown() is None
    sessions.stop_recording(portrait.uid)
    portrait.live.placing = "TIMECODE"
    said = drawn()
    assert "“Take 1” is in the list" in said and "portrait.keep_take" in said and "start_timecode" in said


def test_the_buttons(portrait: Any, source: ListSource) -> None:
    portrait.live.count_in = 0
    assert not bpy.ops.portrait.stop_recording.poll() and not bpy.ops.portrait.keep_take.poll()
    source.turn(0.3, 0.0, 0.0)
    sessions.pump()
    assert bpy.ops.portrait.set_neutral() == {"FINISHED"}
    source.turn(0.3, 0.0, 0.0)
    sessions.pump()
    assert abs(portrait.rig.pose.bones["head"].rotation_euler[0]) < 1e-6
    assert bpy.ops.portrait.follow_live() == {"FINISHED"} and not sessions.of(portrait.uid).drives
    bpy.context.scene.frame_set(30)
    assert bpy.ops.portrait.record_live() == {"FINISHED"} and sessions.of(portrait.uid).drives
    sessions.pump()
    source.send(jawOpen=0.5)
    sessions.pump()
    assert bpy.ops.portrait.stop_recording() == {"FINISHED"}
    assert portrait.live.chosen.first >= 30
    assert bpy.ops.portrait.keep_take() == {"FINISHED"}
    bpy.context.scene.frame_set(1)
    assert bpy.ops.portrait.record_live(again=True) == {"FINISHED"}
    assert sessions.of(portrait.uid).recorder.plan.frame == 30
    source.choices, chosen = ("Ben's iPhone",), []
    source.choose = chosen.append
    assert bpy.ops.portrait.choose_sender(title="Phone", choice="Ben's iPhone") == {"FINISHED"}
    assert chosen == ["Ben's iPhone"]
    assert bpy.ops.portrait.discard_take() == {"FINISHED"} and not len(portrait.live.takes)
    assert bpy.ops.portrait.disconnect_live() == {"FINISHED"} and sessions.of(portrait.uid) is None
    assert not bpy.ops.portrait.record_live.poll()
