# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording what live sources send, by simulated clocks: nothing is lost, nothing drifts, and its bytes come back."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError

pytest.importorskip("bpy")

from blender_addon.live.clocks import SceneClock, SteadyClock, sent_at
from blender_addon.live.packing import pack, unpack
from blender_addon.live.pose import Performer
from blender_addon.live.recorded import Recorded, part_of
from blender_addon.live.recorder import Phase, Plan, Recorder
from blender_addon.live.source import Sample
from blender_addon.rig.blendshapes import ARKIT_NAMES, combine
from tests.blender.conftest import face_points

TEN_MINUTES = 600.0
RATE = 60.0
FPS = 24.0


class SoundPlayback:
    """A scene that plays by the clock of a sound device, which runs `unequal` faster than ours and begins late."""

    def __init__(self, unequal: float = 0.0, late: float = 0.0, fps: float = FPS) -> None:
        self.unequal, self.late, self.fps = unequal, late, fps
        self.first: int | None = None
        self.began = 0.0
        self.stopped = False
        self.now = 0.0

    def start(self, frame: int) -> None:
        self.first, self.began = frame, self.now

    def plays(self) -> bool:
        return not self.stopped

    def stop(self) -> None:
        self.stopped = True

    def heard(self, now: float) -> float:
        """The frame, with its part, that is heard."""
        assert self.first is not None
        return self.first + self.fps * max(0.0, now - self.began - self.late) * (1 + self.unequal)

    def shown(self, now: float) -> int:
        """As Blender: the nearest frame to the sound's position."""
        return round(self.heard(now))


def sample_at(arrived: float, seconds: float | None = None, jaw: float = 0.0, timecode: str = "") -> Sample:
    return Sample(arrived, seconds, timecode, {"jawOpen": jaw}, (0.1, 0.2, 0.3))


def test_the_senders_clock_is_found_through_a_trembling_network() -> None:
    random = np.random.default_rng(1)
    theirs = np.arange(0.0, TEN_MINUTES, 1 / RATE) + 5_000.0
    true = (theirs - 5_000.0) * (1 + 40e-6) + 77.0
    delay = 0.004 + random.exponential(0.012, len(true)) + 0.3 * (random.random(len(true)) < 0.002)
    arrived = np.maximum.accumulate(true + delay)
    sent = sent_at(arrived, theirs)
    assert np.abs(sent - true - 0.004).max() < 0.003, "within 3 ms, though packets came up to 300 ms late"
    assert (np.diff(sent) > 0).all() and (sent <= arrived).all()
    np.testing.assert_array_equal(sent_at(arrived, np.full(len(arrived), np.nan)), arrived)


def test_a_clock_that_begins_anew_or_is_none() -> None:
    arrived = np.arange(0.0, 20.0, 0.05)
    seconds = np.where(arrived < 10, arrived + 300.0, arrived - 10.0)
    sent = sent_at(arrived, seconds)
    np.testing.assert_allclose(sent, arrived, atol=1e-6)
    np.testing.assert_allclose(
        sent_at(arrived, arrived * 3), arrived, err_msg="a clock at three times the speed is none"
    )
    np.testing.assert_allclose(sent_at([1.0], [5.0]), [1.0])
    assert len(sent_at([], [])) == 0


@pytest.mark.parametrize("unequal", [0.0, 200e-6, -200e-6])
def test_frames_follow_the_sound_for_ten_minutes(unequal: float) -> None:
    """Blender draws when it can, between 8 and 40 times a second, and drops frames: it shows the frame that is heard."""
    random = np.random.default_rng(2)
    playback = SoundPlayback(unequal)
    playback.start(100)
    clock, now = SceneClock(FPS), 0.0
    while now < TEN_MINUTES:
        now += random.uniform(0.025, 0.12)
        assert clock.note(now + random.uniform(0, 0.004), playback.shown(now))
    times = np.arange(0.0, TEN_MINUTES, 1 / RATE)
    heard = np.array([playback.heard(time) for time in times])
    assert np.abs(clock.frames_at(times) - heard).max() < 0.5


def test_a_frame_that_does_not_follow_is_told() -> None:
    clock = SceneClock(FPS)
    assert all(clock.note(row / FPS, 10 + row) for row in range(48))
    assert not clock.note(2.0, 300) and not clock.note(2.1, 1)
    assert clock.note(4.0, 106), "Blender may stand still for two seconds, if the sound goes on"


def run(recorder: Recorder, playback: SoundPlayback | None, samples: Sequence[Sample], until: float) -> float:
    """Lets time pass in steps of a drawing, as Blender's timer and handlers do; when it ended."""
    now, heard = 0.0, 0
    while now < until and not recorder.is_done:
        now += 0.03
        before = heard
        while heard < len(samples) and samples[heard].arrived <= now:
            heard += 1
        recorder.hear("Phone", samples[before:heard])
        if playback is not None:
            playback.now = now
        recorder.tick(now)
        if playback is not None and playback.first is not None and not playback.stopped:
            recorder.note_frame(now, playback.shown(now))
    if not recorder.is_done:
        recorder.stop(now)
    return now


def test_ten_minutes_of_a_phone_lose_no_sample_and_do_not_drift() -> None:
    random = np.random.default_rng(3)
    performed = np.arange(0.0, TEN_MINUTES + 5, 1 / RATE)
    jaws = 0.5 + 0.5 * np.sin(performed)
    delays = 0.003 + random.exponential(0.008, len(performed))
    arrived = np.maximum.accumulate(performed + delays)
    clock_of_phone = performed * (1 - 30e-6) + 9_000.0
    samples = [sample_at(*row) for row in zip(arrived.tolist(), clock_of_phone.tolist(), jaws.tolist(), strict=True)]
    playback = SoundPlayback(unequal=100e-6, late=0.2)
    recorder = Recorder(Plan(1, None, FPS), playback, 0.0)
    end = run(recorder, playback, samples, TEN_MINUTES)
    found = recorder.recorded({"Phone": Performer(face_points())})
    assert found is not None and len(found.parts) == 1
    part = found.parts[0]
    came = [row for row, sample in enumerate(samples) if sample.arrived <= end]
    first = next(row for row in came if samples[row].arrived > 0.03 + 0.2)
    wanted = jaws[first : came[-1] + 1]
    missing = len(wanted) - len(part)
    assert missing <= 1, "all that came while the sound was heard"
    tail = part.columns["jawOpen"][-len(wanted) + 2 :]
    np.testing.assert_allclose(tail, wanted[2:], atol=1e-4, err_msg="in their order, none lost")
    heard = np.array([playback.heard(time) for time in performed[came[-1] + 1 - len(tail) : came[-1] + 1]])
    assert np.abs(part.frames[-len(tail) :] - heard).max() < 0.6, "of a frame, and so no drift against the sound"


def test_count_in_pre_roll_and_the_end_of_the_range() -> None:
    playback = SoundPlayback()
    recorder = Recorder(Plan(50, 60, FPS, beats=3, beat_seconds=0.5, pre_roll=12), playback, 0.0)
    assert [recorder.beats_left(now) for now in (0.0, 0.4, 0.6, 1.2)] == [3, 3, 2, 1]
    samples = [sample_at(row / RATE, jaw=row / 1000) for row in range(1, 600)]
    run(recorder, playback, samples, 10.0)
    assert playback.first == 38 and playback.stopped and recorder.phase is Phase.DONE and "ended" in recorder.why
    part = recorder.recorded({"Phone": Performer(face_points())}).parts[0]
    assert 50 - 1e-3 <= part.frames[0] < 50.5 and 59.5 < part.frames[-1] < 61.0


def test_without_playing_time_goes_on_by_itself() -> None:
    recorder = Recorder(Plan(10, 34, FPS, beats=1), None, 0.0)
    run(recorder, None, [sample_at(row / RATE) for row in range(1, 600)], 10.0)
    part = recorder.recorded({"Phone": Performer(face_points())}).parts[0]
    assert part.frames[0] >= 10 and abs(part.frames[-1] - 34) < 1.0 and len(part) == pytest.approx(60, abs=2)


def test_an_end_that_is_met_late_adds_nothing() -> None:
    """Where Blender takes long to draw, it sees the end of the range long after that."""
    recorder = Recorder(Plan(10, 34, FPS), None, 0.0)
    recorder.tick(0.0)
    recorder.hear("Phone", [sample_at(second / 10) for second in range(1, 30)])
    recorder.tick(3.0)
    assert recorder.is_done
    made = recorder.recorded({"Phone": Performer(face_points())})
    assert made is not None and 33 < made.parts[0].frames.max() < 35


def test_what_ends_a_recording_keeps_what_was_heard() -> None:
    performers = {"Phone": Performer(face_points())}
    for event, words in (("stops", "stopped playing"), ("jumps", "went to another frame")):
        playback = SoundPlayback()
        recorder = Recorder(Plan(1, 5000, FPS), playback, 0.0)
        samples = [sample_at(row / RATE) for row in range(1, 300)]
        run_until, now = 5.0, 0.0
        while not recorder.is_done:
            now += 0.03
            recorder.hear("Phone", [sample for sample in samples if now - 0.03 < sample.arrived <= now])
            playback.now = now
            if event == "stops" and now > run_until:
                playback.stopped = True
            recorder.tick(now)
            if playback.first is not None and not recorder.is_done:
                recorder.note_frame(now, 1 if event == "jumps" and now > run_until else playback.shown(now))
        assert words in recorder.why
        assert len(recorder.recorded(performers).parts[0]) > 280


def test_a_phone_that_sleeps_leaves_a_gap_that_is_told() -> None:
    recorder = Recorder(Plan(1, None, FPS), None, 0.0)
    times = [*np.arange(0.1, 2.0, 1 / RATE), *np.arange(5.0, 6.0, 1 / RATE)]
    run(recorder, None, [sample_at(float(time)) for time in times], 6.0)
    found = recorder.recorded({"Phone": Performer(face_points())})
    assert found.notes == ("Phone sent nothing for 3.0 s from frame 47 on.",)


def test_nothing_heard_is_no_take() -> None:
    recorder = Recorder(Plan(1, None, FPS), None, 0.0)
    assert recorder.recorded({}) is None
    run(recorder, None, [], 1.0)
    assert recorder.recorded({"Phone": Performer(face_points())}) is None


def recording(count: int = 600, points: bool = False) -> Recorded:
    random = np.random.default_rng(4)
    samples = [
        Sample(
            row / RATE, row / RATE, f"01:00:00:{row % 60:02d}" if row > 2 else "",
            {name: float(random.random()) for name in ARKIT_NAMES}, tuple(random.normal(0, 1, 3)),
            face_points() + random.normal(0, 1, (70, 3)) if points else None, {"breathing": 0.5},
        )
        for row in range(count)
    ]  # fmt: skip
    neutral = face_points().astype(np.float64) if points else None
    part = part_of("Anna's iPhone", samples, SteadyClock(FPS, 0.0, 12.0).frames_at, neutral=neutral)
    return Recorded(FPS, (part,), ("A note.",))


@pytest.mark.parametrize("points", [False, True])
def test_a_take_comes_back_from_its_bytes(points: bool) -> None:
    made = recording(points=points)
    data = pack(made)
    back = unpack(data)
    assert back.fps == FPS and back.notes == made.notes and back.timecode == "01:00:00:03"
    one, other = made.parts[0], back.parts[0]
    assert other.title == one.title and other.timecode_frame == one.timecode_frame
    np.testing.assert_allclose(other.frames, one.frames, atol=1 / 4096)
    assert list(other.columns) == list(one.columns)
    for name, values in one.columns.items():
        np.testing.assert_allclose(other.columns[name], values, atol=1.1e-5 + 1e-6 * np.abs(values).max())
    if points:
        np.testing.assert_allclose(other.points, one.points, atol=1 / 127)
        np.testing.assert_allclose(other.neutral, one.neutral)


def test_damaged_bytes_are_told_of() -> None:
    data = pack(recording(60))
    random = np.random.default_rng(5)
    bad = [b"", b"TPL1", data[:-20], data + b"x" * 0 + data[:4], b"TPL1" + struct.pack("<I", 2**31) + data[8:]]
    for _ in range(200):
        broken = bytearray(data)
        broken[random.integers(len(broken))] ^= int(random.integers(1, 256))
        bad.append(bytes(broken))
    bomb = data.replace(b'"count": 60', b'"count": 99')
    bad += [bomb, data[:8] + zlib.compress(bytes(10_000_000))]
    for each in bad:
        try:
            unpack(each)
        except PortraitError as error:
            assert error.code is ErrorCode.BAD_TRACK and error.remedy


def test_a_camera_needs_a_face_at_rest_and_then_moves_the_sliders() -> None:
    rest = face_points(512, 512).astype(np.float64)
    performer = Performer(rest)
    random = np.random.default_rng(6)
    now = 0.0
    while performer.neutral is None:
        now += 1 / 30
        assert now < 3, "a second of a still face does"
        sample = Sample(now, points=rest + random.normal(0, 0.2, rest.shape))
        performer.see(sample)
        assert performer.neutral is not None or (performer.pose(sample) is None and "rest" in performer.hint)
    assert performer.hint == "" and now < 1.2
    shown = rest + combine(rest, {"jawOpen": 0.6, "browInnerUp": 0.5})
    pose = performer.pose(Sample(2.0, points=shown))
    assert 0.4 < pose.sliders["jawOpen"] < 0.8 and pose.sliders["browInnerUp"] > 0.25
    assert np.abs(pose.angles).max() < 0.1
    assert performer.pose(Sample(2.0, points=np.full((70, 3), np.nan))).sliders == {}


def test_nobody_holds_still_and_set_neutral() -> None:
    rest = face_points(512, 512).astype(np.float64)
    performer = Performer(rest)
    for row in range(240):
        performer.see(Sample(row / 30, points=rest + combine(rest, {"jawOpen": 0.5 + 0.5 * np.sin(row / 3)})))
    assert performer.neutral is not None, "the face nearest to rest has to do"
    assert performer.set_neutral()
    phone = Performer(rest)
    assert not phone.set_neutral()
    phone.see(Sample(1.0, head=(0.2, -0.1, 0.05), weights={"jawOpen": 0.1}))
    assert phone.set_neutral() and phone.neutral is None
    np.testing.assert_allclose(phone.pose(Sample(1.1, head=(0.3, -0.1, 0.05))).angles, (0.1, 0, 0), atol=1e-9)


def test_a_controller_moves_sliders_and_head() -> None:
    rest = face_points(512, 512)
    pose = Performer(rest).pose(Sample(1.0, sliders={"breathing": 0.4, "headYaw": 0.2, "headX": 0.1}))
    assert pose.sliders == {"breathing": 0.4}
    np.testing.assert_allclose(pose.angles, (0, 0.2, 0))
    assert pose.moves[0] > 0 and pose.moves[1] == 0
