# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers drive a portrait: the mapping and its maths, the buttons, and MIDI bytes by the real command to keys. For
what comes of real devices, see tests/server/live/test_controls_command.py: there is none here either."""

from __future__ import annotations

import itertools
import math
import os
import shlex
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from portrait_shared.errors import PortraitError  # noqa: E402

from blender_addon.blender import compat  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.interface.panels import control_list  # noqa: E402
from blender_addon.live import control_rows, sessions  # noqa: E402
from blender_addon.live.control_mapping import Learner, Mapping, Row, first_range  # noqa: E402
from blender_addon.live.controls import Controls  # noqa: E402
from blender_addon.live.source import Sample  # noqa: E402
from blender_addon.portraits.control_rows import MOST_ROWS, _targets  # noqa: E402
from blender_addon.portraits.scene_portraits import portraits_of  # noqa: E402
from blender_addon.rig import sampling  # noqa: E402
from blender_addon.rig.armature import rest_points  # noqa: E402
from blender_addon.rig.blendshapes import ARKIT_NAMES  # noqa: E402
from blender_addon.rig.control_targets import TARGETS, both, target_of  # noqa: E402
from tests.blender.test_panels import CheckedLayout, drawn  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

ROOT = Path(__file__).parents[2]
STICK = Row("left x", "Head Turn", -30.0, 30.0)
FADER = Row("cc 1 ch 1", "jawOpen", 0.0, 1.0)


def after(rows: list[Row], *moves: tuple[str, float], seconds: float = 100.0) -> dict[str, float]:
    """What is set long after controls were moved."""
    mapping = Mapping()
    mapping.advance(rows, 0.0)
    for control, value in moves:
        mapping.move("Pad", control, value)
    mapping.advance(rows, 1.0)
    return mapping.advance(rows, seconds)


@pytest.mark.parametrize(
    ("row", "moved", "expected"),
    [
        (FADER, 0.0, 0.0),
        (FADER, 0.25, 0.25),
        (replace(FADER, low=0.2, high=0.6), 1.0, 0.6),
        (replace(FADER, low=0.2, high=0.6), 0.5, 0.4),
        (replace(FADER, invert=True), 0.25, 0.75),
        (replace(FADER, dead_zone=0.2), 0.2, 0.0),
        (replace(FADER, dead_zone=0.2), 0.6, 0.5),
        (replace(FADER, curve=2.0), 0.5, 0.25),
        (replace(FADER, high=3.0), 1.0, 1.0),
        (replace(FADER, low=-1.0, high=1.0), 0.4, 0.0),
        (replace(STICK, target="jawOpen", low=-1.0, high=1.0), 0.0, 0.0),
        (replace(STICK, target="jawOpen", low=-1.0, high=1.0), 0.7, 0.7),
        (replace(STICK, target="jawOpen", low=-1.0, high=1.0, dead_zone=0.12, curve=1.5), -1.0, 0.0),
        (replace(FADER, target="shoulders", high=2.0), 1.0, 2.0),
    ],
)  # fmt: skip
def test_a_row_maps_its_control(row: Row, moved: float, expected: float) -> None:
    (value,) = after([row], (row.control, moved)).values()
    assert value == pytest.approx(expected)


@pytest.mark.parametrize("moved", [-1.0, -0.3, 0.0, 0.05, 1.0])
def test_a_stick_turns_the_head_both_ways_and_rests(moved: float) -> None:
    row = replace(STICK, dead_zone=0.12, curve=1.5)
    far = max(abs(moved) - 0.12, 0) / 0.88
    expected = math.radians(30 * math.copysign(far**1.5, moved))
    assert after([row], ("left x", moved)) == {"headYaw": pytest.approx(expected)}
    assert after([replace(row, invert=True)], ("left x", moved)) == {"headYaw": pytest.approx(-expected)}


def test_rows_that_move_one_thing_add_up() -> None:
    rows = [
        Row("pad left", "Head Tilt", 0.0, -12.0), Row("pad right", "Head Tilt", 0.0, 12.0),
        Row("a", both("mouthSmile"), 0.0, 0.8), Row("b", "mouthSmileLeft", 0.0, 0.8),
    ]  # fmt: skip
    assert after(rows) == {}, "what was not moved sets nothing"
    moved = after(rows, ("pad left", 1.0), ("pad right", 0.0), ("a", 1.0), ("b", 1.0))
    assert moved == {"headRoll": pytest.approx(math.radians(12)), "mouthSmileLeft": 1.0, "mouthSmileRight": 0.8}


def test_values_ease_in_time_however_often_they_are_asked_for() -> None:
    row = replace(FADER, ease=0.1)
    results = []
    for steps in (1, 10):
        mapping = Mapping()
        mapping.advance([row], 0.0)
        mapping.move("Pad", row.control, 1.0)
        mapping.advance([row], 0.0)
        for number in range(steps):
            value = mapping.advance([row], 0.1 * (number + 1) / steps)["jawOpen"]
        results.append(value)
    assert results == pytest.approx([1 - math.exp(-1)] * 2)
    assert mapping.advance([row], 0.05)["jawOpen"] == pytest.approx(results[1]), "time does not run backwards"
    assert mapping.advance([row], 100.0) == {"jawOpen": 1.0}


def test_a_row_may_listen_to_one_controller_alone() -> None:
    mapping = Mapping()
    rows = [replace(FADER, device="A"), replace(FADER, target="mouthPucker")]
    mapping.move("B", FADER.control, 0.5)
    assert mapping.advance(rows, 1.0) == {"mouthPucker": 0.5}
    mapping.move("A", FADER.control, 1.0)
    assert mapping.advance(rows, 2.0) == {"jawOpen": 1.0, "mouthPucker": 1.0}
    for number in range(5000):
        mapping.move("C", f"cc {number}", 1.0)
    further = [replace(FADER, control=f"cc {number}") for number in (4093, 4094)]
    assert len(mapping.advance(further[:1], 3.0)) == 1 and mapping.advance(further[1:], 4.0) == {}


def test_targets_name_what_the_rig_has(portrait: Any) -> None:
    axes = {"headPitch", "headYaw", "headRoll", "headX", "headY", "headZ"}
    moved = {name for target in TARGETS.values() for name in (*target.up, *target.down)}
    assert moved - axes <= set(portrait.rig.keys()) and set(ARKIT_NAMES) <= moved and axes <= moved
    assert target_of("") is None and target_of("own").sliders(0.4) == {"own": 0.4}
    assert TARGETS["Gaze Across"].sliders(0.5)["eyeLookOutLeft"] == 0.5
    assert TARGETS["Gaze Across"].sliders(-0.5)["eyeLookInLeft"] == 0.5
    for _, _, rows in control_rows.PRESETS.values():
        assert all(row.target in TARGETS for row in rows) and len({row.control for row in rows}) == len(rows)
    portrait.rig["wink"] = 0.0
    row = portrait.live.controls.add()
    assert _targets(row, bpy.context, "WINK") == ["wink"] and "Head Turn" in _targets(row, bpy.context, "head")


@pytest.mark.parametrize(
    ("target", "control", "expected"),
    [
        ("jawOpen", "cc 1 ch 1", (0.0, 1.0)), ("jawOpen", "left y", (-1.0, 1.0)), ("Head Turn", "a", (-30.0, 30.0)),
        ("", "left x", (0.0, 1.0)), ("Gaze Up", "pitch bend ch 1", (-1.0, 1.0)),
    ],
)  # fmt: skip
def test_first_ranges(target: str, control: str, expected: tuple[float, float]) -> None:
    assert first_range(target, control) == expected


def test_the_control_that_is_meant_is_learned() -> None:
    learner = Learner()
    assert not learner.is_it("Pad", "left x", 0.1, False), "a stick that trembles"
    assert not learner.is_it("Faders", "cc 1 ch 1", 0.9, False), "where a fader was is not known"
    assert not learner.is_it("Faders", "cc 1 ch 1", 0.7, False)
    assert learner.is_it("Faders", "cc 1 ch 1", 0.55, False)
    assert learner.is_it("Pad", "left x", -0.4, False) and learner.is_it("Pad", "left trigger", 0.4, False)
    assert not learner.is_it("Lever", "axis 3", -1.0, False) and learner.is_it("Lever", "axis 3", -0.6, False)
    assert learner.is_it("Pad", "a", 1.0, True) and not learner.is_it("Pad", "a", 0.0, True)


@pytest.fixture
def command(tmp_path: Path, addon: Any) -> Callable[[str], server.Launch]:
    """A program in the place of `portrait`, for what no real one does on demand."""

    def write(body: str) -> server.Launch:
        file = tmp_path / "command.py"
        file.write_text(textwrap.dedent(body))
        return replace(server.launch_plan(bpy.context), command=(sys.executable, str(file)), problem="")

    return write


PLAYED = """
    import sys, time
    print('{"version":1}', flush=True)
    print('{"message":"MIDI cannot be heard.","remedy":"Install it."}', flush=True)
    now = time.monotonic()
    print('{"device":"Pad","kind":"pad","here":true}', flush=True)
    for n in range(11):
        print('{"device":"Pad","seconds":%.6f,"moved":{"left x":%.3f}}' % (now + n * 1e-4, n / 10), flush=True)
    sys.stdin.read(1)
    print('{"device":"Pad","kind":"pad","here":false}', flush=True)
    sys.stdin.read()
"""


def test_moves_become_samples_in_order_and_are_held(command: Callable[[str], server.Launch]) -> None:
    controls = Controls(command(PLAYED), lambda: [STICK])
    assert controls.take() == [] and not controls.ended and "Plug in" in controls.line
    controls.start()
    samples: list[Sample] = []
    wait_until(lambda: "left x" in controls.line and samples[-1].sliders["headYaw"] > 0.5,
               lambda: samples.extend(controls.take()), lambda: controls.problem)  # fmt: skip
    turns = [sample.sliders["headYaw"] for sample in samples]
    assert turns == sorted(turns) and turns[-1] == pytest.approx(math.radians(30))
    assert controls.devices == ["Pad"] and not controls.problem, "a missing library is nobody's problem beside a pad"
    samples.clear()
    wait_until(lambda: len(samples) >= 5, lambda: samples.extend(controls.take()))
    assert {sample.sliders["headYaw"] for sample in samples} == {turns[-1]}
    apart = [b.seconds - a.seconds for a, b in itertools.pairwise(samples)]
    assert min(apart) >= 1 / 30 - 1e-6, "what stands still is said again, but not more often than needed"
    assert controls._stream is not None and controls._stream._process is not None
    assert controls._stream._process.stdin is not None
    controls._stream._process.stdin.write(b"x")
    wait_until(lambda: controls.devices == [])
    assert "“Pad” was unplugged" in controls.problem
    controls.stop()
    wait_until(lambda: controls.ended)
    assert controls.line == "Ended" and not controls.problem


def test_what_cannot_be_read_ends_it(command: Callable[[str], server.Launch]) -> None:
    for body in ("print('no json', flush=True)", "print('{\"version\":9}', flush=True)"):
        controls = Controls(command(f"import sys\n{body}\nsys.stdin.read()"), lambda: [])
        controls.start()
        wait_until(lambda controls=controls: controls.ended)
        assert "one release" in controls.problem
    controls = Controls(command("import sys; sys.exit('portrait: error: No.')"), lambda: [])
    controls.start()
    wait_until(lambda: controls.ended)
    assert controls.problem
    with pytest.raises(PortraitError):
        Controls(replace(command(""), command=()), lambda: []).start()


def test_what_is_missing_is_told_where_nothing_is_plugged_in(command: Callable[[str], server.Launch]) -> None:
    controls = Controls(
        command("""
        import sys
        print('{"message":"MIDI cannot be heard.","remedy":"Install it."}', flush=True)
        sys.stdin.read()
    """),
        lambda: [],
    )
    controls.start()
    wait_until(lambda: controls.problem == "MIDI cannot be heard. Install it.")
    controls.stop()


class Faders:
    """A MIDI controller whose bytes come over TCP, as the backend in socket_midi.py has them."""

    def __init__(self, file: Path, name: str) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        file.write_text(f"{name}\t{self._server.getsockname()[1]}\n")
        self._connection: socket.socket | None = None

    def send(self, *data: int) -> None:
        if self._connection is None:
            self._connection, _ = self._server.accept()
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(bytes(data))

    def move(self, number: int, value: int) -> None:
        self.send(0xB0, number, value)

    def close(self) -> None:
        self._server.close()
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def faders(needs_server: None, portrait: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faders]:
    """It drives the small portrait, by the real command: eight faders from CC 0 on."""
    file = tmp_path / "ports"
    monkeypatch.setenv("MIDO_BACKEND", "tests.server.live.socket_midi")
    monkeypatch.setenv("TESTS_MIDI_PORTS", str(file))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    made = Faders(file, "Faders")
    assert bpy.ops.portrait.use_controls(preset="FADERS_0") == {"FINISHED"}
    assert bpy.ops.portrait.connect_controller() == {"FINISHED"}
    session = sessions.of(portrait.uid)
    wait_until(lambda: "“Faders”" in session.sources["Controller"].line, sessions.pump,
               lambda: session.sources["Controller"].problem)  # fmt: skip
    yield made
    sessions.disconnect_all()
    made.close()


_SOME_FRAMES_SECONDS = 0.15
"""Moves that are nearer to each other than the scene's frames become one key."""


def test_faders_move_the_rig_and_become_keys(portrait: Any, faders: Faders) -> None:
    rig, session = portrait.rig, sessions.of(portrait.uid)
    faders.move(0, 127)
    wait_until(lambda: rig["jawOpen"] > 0.99, sessions.pump)
    faders.move(7, 127)
    nose = lambda: sampling.sample_now(rig, bpy.context.view_layer, portrait.space).points[30, 0]  # noqa: E731
    rest = rest_points(rig, portrait.space)[30, 0]
    wait_until(lambda: nose() > rest + 5, sessions.pump)  # to the picture's right
    assert not list(compat.fcurves_of(rig)), "nothing is keyed"
    text = drawn()
    assert "Hears “Faders”" in text and "portrait.learn_control" in text and "dead_zone" in text
    portrait.live.count_in = 0
    bpy.context.scene.frame_set(11)
    assert bpy.ops.portrait.record_live() == {"FINISHED"}
    sessions.pump()
    for value in (100, 60, 20, 0):
        faders.move(0, value)
        wait_until(lambda value=value: abs(rig["jawOpen"] - value / 127) < 2e-3, sessions.pump)
        held = session.recorder.seconds(time.monotonic()) + _SOME_FRAMES_SECONDS
        wait_until(lambda held=held: session.recorder.seconds(time.monotonic()) > held, sessions.pump)
    assert bpy.ops.portrait.stop_recording() == {"FINISHED"}
    take = portrait.live.chosen
    assert take.samples > 4
    portrait.live.smoothing = 0.0
    assert bpy.ops.portrait.keep_take() == {"FINISHED"}
    sessions.disconnect(portrait.uid)
    curves = {curve.data_path: curve for curve in compat.fcurves_of(rig)}
    jaw = curves['["jawOpen"]']
    assert jaw.evaluate(math.ceil(take.first)) > 0.7 and jaw.evaluate(math.floor(take.last)) < 0.05
    assert any("rotation" in path for path in curves), "the turn of the head is keyed too"


def test_a_control_is_learned_by_moving_it(portrait: Any, faders: Faders) -> None:
    rig, live = portrait.rig, portrait.live
    controls = sessions.of(portrait.uid).sources["Controller"]
    assert bpy.ops.portrait.add_control() == {"FINISHED"}
    live.chosen_control.target = "tongueOut"
    assert controls.learning == live.control_index == 8 and controls.line == "Move the control that is meant"
    assert "Move the control that is meant" in drawn()
    sweep = itertools.cycle((0, 30, 60, 90))
    wait_until(lambda: controls.learning is None, lambda: (faders.move(40, next(sweep)), sessions.pump()))
    faders.move(40, 90)
    row = live.chosen_control
    assert (row.control, row.device, row.low, row.high) == ("cc 40 ch 1", "Faders", 0.0, 1.0)
    wait_until(lambda: rig["tongueOut"] == pytest.approx(90 / 127, abs=1e-3), sessions.pump)
    assert bpy.ops.portrait.learn_control() == {"FINISHED"}
    faders.send(0xE2, 0x00, 0x00)  # pitch bend down on channel 3
    wait_until(lambda: controls.learning is None, sessions.pump)
    assert (row.control, row.low, row.high) == ("pitch bend ch 3", -1.0, 1.0)
    assert bpy.ops.portrait.learn_control() == {"FINISHED"} and bpy.ops.portrait.learn_control() == {"FINISHED"}
    assert controls.learning is None, "pressed again it waits no longer"
    row.low, row.high = 0.1, 0.2
    assert bpy.ops.portrait.learn_control() == {"FINISHED"}
    faders.send(0x90, 60, 100)
    wait_until(lambda: controls.learning is None, sessions.pump)
    assert row.control == "note 60 ch 1" and row.high == pytest.approx(0.2), "a range of one's own stays"
    assert bpy.ops.portrait.remove_control() == {"FINISHED"}
    assert len(live.controls) == 8 and live.control_index == 7


PLAYED_PAD = """
    import socket, sys, threading
    import sdl2
    from portrait_server.cli import main
    from portrait_server.live.pads import GamePads
    pads = GamePads()
    index = sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 15, 0)
    joystick = sdl2.SDL_JoystickOpen(index)
    asked = socket.create_connection(("127.0.0.1", PORT)).makefile("r")
    def play():
        for line in asked:
            name, number, value = line.split()
            {"axis": lambda: sdl2.SDL_JoystickSetVirtualAxis(joystick, int(number), int(value)),
             "button": lambda: sdl2.SDL_JoystickSetVirtualButton(joystick, int(number), int(value)),
             "unplug": lambda: sdl2.SDL_JoystickDetachVirtual(index)}[name]()
    threading.Thread(target=play, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.servers_environment
def test_a_gamepad_plays_the_portrait(
    portrait: Any, command: Callable[[str], server.Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of SDL's virtual controllers, heard by the command."""
    pytest.importorskip("sdl2")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        launch = command(PLAYED_PAD.replace("PORT", str(listener.getsockname()[1])))
        monkeypatch.setenv("TALKING_PORTRAITS_SERVER", shlex.join(launch.command))
        assert bpy.ops.portrait.connect_controller() == {"FINISHED"}
        pad, _ = listener.accept()
    rig = portrait.rig
    controls = sessions.of(portrait.uid).sources["Controller"]
    wait_until(lambda: controls.devices, sessions.pump, lambda: controls.problem)

    def becomes(condition: Callable[[], object], *words: str) -> None:
        for asked in words:
            pad.sendall(f"{asked}\n".encode())
        wait_until(condition, sessions.pump, lambda: f"{words} {controls.problem} {controls.line}")

    def nose(axis: int) -> float:
        moved = sampling.sample_now(rig, bpy.context.view_layer, portrait.space).points[30]
        return float(moved[axis] - rest_points(rig, portrait.space)[30, axis])

    becomes(lambda: nose(0) > 5, "axis 0 32767")
    becomes(lambda: nose(0) < -5, "axis 0 -32768")
    becomes(lambda: abs(nose(0)) < 0.5, "axis 0 2500")  # within the dead zone
    becomes(lambda: nose(1) < -2, "axis 1 -32768")  # the stick is pushed up, and the nose goes up in the picture
    becomes(lambda: rig["eyeLookOutLeft"] > 0.9 and rig["eyeLookInRight"] > 0.9, "axis 2 32767")
    becomes(lambda: rig["eyeLookUpLeft"] > 0.9 and rig["eyeLookUpRight"] > 0.9, "axis 3 -32768")
    becomes(lambda: rig["jawOpen"] == 1 and rig["mouthSmileRight"] == 1, "axis 4 32767", "axis 5 32767")
    becomes(lambda: rig["eyeBlinkRight"] == 1 and rig["eyeBlinkLeft"] == 0, "button 9 1")
    becomes(lambda: rig["eyeBlinkRight"] == 0 and rig["eyeBlinkLeft"] == 1, "button 9 0", "button 10 1")
    becomes(lambda: controls.problem, "unplug 0 0")
    assert "was unplugged" in controls.problem and "was unplugged" in drawn().replace("\n", " ")
    sessions.pump()
    assert rig["jawOpen"] == 1, "what it moved stays as it was"
    sessions.disconnect_all()
    assert rig["jawOpen"] == 0
    pad.close()


def test_the_mapping_is_kept_in_the_blend_and_bounded(portrait: Any, command: Callable[[str], server.Launch],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert "portrait.connect_controller" in drawn()
    with pytest.raises(RuntimeError, match="Choose a row"):
        bpy.ops.portrait.learn_control()
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", shlex.join(command(PLAYED).command))
    assert bpy.ops.portrait.connect_controller() == {"FINISHED"}
    live = portrait.live
    assert [row.control for row in live.controls] == [row.control for row in control_rows.GAMEPAD]
    sessions.disconnect_all()
    live.controls[0].curve = 2.5
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    portrait = portraits_of(bpy.context.scene).items[0]
    rows = control_rows.rows_of(portrait.uid)
    assert rows[0] == replace(
        control_rows.GAMEPAD[0], curve=2.5, dead_zone=pytest.approx(0.12), ease=pytest.approx(0.06)
    )
    assert control_rows.rows_of("nobody") == ()
    while len(portrait.live.controls) < MOST_ROWS:
        assert bpy.ops.portrait.add_control() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="No more than 64"):
        bpy.ops.portrait.add_control()
    control_rows.learned(portrait.uid, 99, "Pad", "a")
    control_rows.learned("nobody", 0, "Pad", "a")
    while len(portrait.live.controls):
        assert bpy.ops.portrait.remove_control() == {"FINISHED"}
    assert portrait.live.chosen_control is None and not bpy.ops.portrait.remove_control.poll()


def test_the_list_shows_each_row(portrait: Any) -> None:
    control_rows.use(portrait.live, control_rows.GAMEPAD)
    seen: list[str] = []
    control_list.PORTRAIT_UL_controls.draw_item(
        SimpleNamespace(), bpy.context, CheckedLayout(seen), None, portrait.live.controls[0], 0, None, ""
    )
    assert seen == ["left x", "Head Turn"]


class Sender:
    """A source whose samples a test puts in."""

    line = problem = ""
    ended = False

    def __init__(self, title: str) -> None:
        self.title = title
        self.samples: list[Sample] = []

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def take(self) -> list[Sample]:
        samples, self.samples = self.samples, []
        return samples


def test_a_controller_beside_a_phone_counts_where_both_move_one_thing(portrait: Any) -> None:
    phone, pad = Sender("Phone"), Sender("Controller")
    sessions.connect(portrait.uid, phone)
    sessions.connect(portrait.uid, pad)
    rig = portrait.rig
    pad.samples.append(Sample(1.0, sliders={"jawOpen": 0.9}))
    phone.samples.append(Sample(1.0, weights={"jawOpen": 0.1, "mouthPucker": 0.5}))
    sessions.pump()
    assert (rig["jawOpen"], rig["mouthPucker"]) == (pytest.approx(0.9), pytest.approx(0.5))
    phone.samples.append(Sample(1.1, weights={"jawOpen": 0.2, "mouthPucker": 0.6}))
    sessions.pump()
    assert (rig["jawOpen"], rig["mouthPucker"]) == (pytest.approx(0.9), pytest.approx(0.6))
    sessions.of(portrait.uid).disconnect("Controller")
    phone.samples.append(Sample(1.2, weights={"jawOpen": 0.3}))
    sessions.pump()
    assert rig["jawOpen"] == pytest.approx(0.3)
    sessions.disconnect_all()
