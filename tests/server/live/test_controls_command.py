# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait controls`: MIDI by mido's own ports over TCP, controllers by SDL's own virtual joysticks. No real device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from portrait_server.cli import main
from portrait_server.commands.controls import Heard
from portrait_server.live import midi_inputs as midi_module
from portrait_server.live.midi_inputs import MidiInputs, control_of, short_name, unlike
from portrait_server.live.moves import LINES_PER_SECOND, Move, Moves
from portrait_server.live.pads import AXES, BUTTONS, GamePads
from portrait_shared.control_lines import (
    ControlDevice,
    ControlsBegun,
    ControlsMoved,
    ControlsTold,
    is_key,
    is_signed,
    line_of,
    read_line,
)
from portrait_shared.errors import ErrorCode, PortraitError

from tests.server.live import socket_midi

mido = pytest.importorskip("mido")
sdl2: Any = pytest.importorskip("sdl2")
from mido.sockets import PortServer  # noqa: E402

ROOT = Path(__file__).parents[3]


class Clock:
    """Goes on when a test lets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Faders:
    """A MIDI controller that is plugged in by being named in the backend's file."""

    def __init__(self, file: Path, name: str) -> None:
        self.file, self.name = file, name
        self.server = PortServer("127.0.0.1", 0)
        self.number = self.server._socket.getsockname()[1]
        self.plug(True)

    def plug(self, there: bool) -> None:
        lines = [line for line in self.file.read_text().splitlines() if not line.endswith(f"\t{self.number}")]
        self.file.write_text("\n".join([*lines, *([f"{self.name}\t{self.number}"] if there else [])]))

    def accept(self) -> Any:
        """The connection by which the command hears it."""
        return self.server.accept()


@pytest.fixture
def midi_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Chooses the backend over TCP, for this process and those that it starts; names no input yet."""
    file = tmp_path / "ports"
    file.write_text("")
    monkeypatch.setenv("MIDO_BACKEND", socket_midi.__name__)
    monkeypatch.setenv(socket_midi.FILE_VARIABLE, str(file))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    return file


def start(script: str = "") -> subprocess.Popen[bytes]:
    """The command in a process of its own, after a script of the test's has run there."""
    program = (
        f"import sys\nfrom portrait_server.cli import main\n{textwrap.dedent(script)}\nsys.exit(main(['controls']))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def said_by(process: subprocess.Popen[bytes]) -> Iterator[Any]:
    assert process.stdout is not None
    for line in process.stdout:
        yield read_line(line.decode())


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stderr is not None
    process.stdin.close()
    assert process.wait() == 0
    assert b"Traceback" not in process.stderr.read()


def test_two_midi_controllers_are_heard_plugged_and_unplugged(midi_file: Path) -> None:
    faders, keys = Faders(midi_file, "Faders 20:0"), Faders(midi_file, "Keys 24:0")
    process = start()
    said = said_by(process)
    assert next(said) == ControlsBegun()
    devices = [line for line in (next(said), next(said)) if isinstance(line, ControlDevice)]
    assert {device.device for device in devices} == {"Faders", "Keys"}
    assert all(device.kind == "midi" and device.here for device in devices)
    fader, key = faders.accept(), keys.accept()
    fader.send(mido.Message("control_change", channel=0, control=21, value=127))
    moved = next(said)
    assert isinstance(moved, ControlsMoved) and moved.device == "Faders" and moved.values == {"cc 21 ch 1": 1.0}
    key.send(mido.Message("note_on", channel=1, note=60, velocity=127))
    assert next(said).values == {"note 60 ch 2": 1.0}
    key.send(mido.Message("note_on", channel=1, note=60, velocity=0))
    assert next(said).values == {"note 60 ch 2": 0.0}
    key.send(mido.Message("pitchwheel", channel=1, pitch=-8192))
    assert next(said).values == {"pitch bend ch 2": -1.0}
    keys.plug(False)
    assert next(said) == ControlDevice("Keys", "midi", False)
    keys.plug(True)
    assert next(said) == ControlDevice("Keys", "midi")
    end(process)


def test_a_cable_that_is_pulled_is_told_and_all_else_goes_on(midi_file: Path) -> None:
    clock = Clock()
    faders, keys = Faders(midi_file, "Faders"), Faders(midi_file, "Keys")
    heard = Heard(MidiInputs(), None, clock)
    assert {line.device for line in heard.lines() if isinstance(line, ControlDevice)} == {"Faders", "Keys"}
    fader, key = faders.accept(), keys.accept()
    fader.close()
    faders.plug(False)
    lines: list[Any] = []
    while not lines:
        clock.now += 1.0
        lines = [*heard.lines()]
    assert lines == [ControlDevice("Faders", "midi", False)]
    key.send(mido.Message("control_change", control=7, value=0))
    while not (lines := [*heard.lines()]):
        clock.now += 0.01
    assert lines[0].values == {"cc 7 ch 1": 0.0}
    heard.close()


def test_an_input_that_another_program_has_is_told_of_once(midi_file: Path) -> None:
    faders = Faders(midi_file, "Faders")
    faders.server.close()
    inputs = MidiInputs()
    (told,) = inputs.look()
    assert isinstance(told, ControlsTold) and "“Faders” cannot be opened" in told.message and told.remedy
    assert list(inputs.look()) == []
    inputs.close()


def test_without_midi_controllers_are_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    process = start()
    said = said_by(process)
    assert next(said) == ControlsBegun()
    told = next(said)
    assert (
        isinstance(told, ControlsTold) and "no_such_backend is not there" in told.message and "Install" in told.remedy
    )
    end(process)


def test_with_neither_it_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    monkeypatch.setitem(sys.modules, "sdl2", None)
    assert main(["controls"]) == 1
    said = capsys.readouterr().err
    assert "MIDI cannot be heard" in said and "SDL is not there" in said and "talking-portraits[live]" in said


def test_the_list_names_devices_and_what_is_missing(
    midi_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Faders(midi_file, "Faders 20:0")
    assert main(["controls", "--list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"name": "Faders", "kind": "midi"} in told["devices"] and told["problems"] == []
    monkeypatch.setenv("MIDO_BACKEND", "no_such_backend")
    assert main(["controls", "--list"]) == 0
    assert "no_such_backend" in capsys.readouterr().out


VIRTUAL = """
    import ctypes, threading, time
    import sdl2
    from portrait_server.live.pads import GamePads
    pads = GamePads()
    index = sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 15, 0)
    joystick = sdl2.SDL_JoystickOpen(index)
    def play():
        for turn in range(10 ** 9):
            sdl2.SDL_JoystickSetVirtualAxis(joystick, 0, turn % 2 * 32767)
            sdl2.SDL_JoystickSetVirtualAxis(joystick, 3, turn % 2 * 32767)
            sdl2.SDL_JoystickSetVirtualButton(joystick, 9, turn % 2)
            time.sleep(0.001)
    threading.Thread(target=play, daemon=True).start()
"""


def test_a_controller_is_heard_by_the_command() -> None:
    process = start(VIRTUAL)
    values: dict[str, set[float]] = {}
    moments: list[float] = []
    for said in said_by(process):
        if isinstance(said, ControlDevice):
            assert said.kind == "pad" and said.here
        if isinstance(said, ControlsMoved):
            moments.append(said.seconds)
            for name, value in said.values.items():
                values.setdefault(name, set()).add(value)
            if len(moments) > 60 and all(len(told) == 2 for told in values.values()):
                break
    assert values["left x"] == {0.0, 1.0} and values["right y"] == {0.0, -1.0}  # SDL's down is below 0
    assert values["left shoulder"] == {0.0, 1.0}
    assert moments == sorted(moments)
    assert (len(moments) - 1) / (moments[-1] - moments[0]) <= LINES_PER_SECOND
    end(process)


@pytest.fixture
def gamepads() -> Iterator[GamePads]:
    made = GamePads()
    list(made.heard(0.0))
    yield made
    made.close()


@pytest.fixture
def plug(gamepads: GamePads) -> Iterator[Callable[[int, int, int, int], tuple[int, Any]]]:
    """Plugs one of SDL's virtual joysticks in: (kind, axes, buttons, hats) to (index, the joystick)."""
    there: list[Any] = []

    def attach(kind: int, axes: int, buttons: int, hats: int) -> tuple[int, Any]:
        index = sdl2.SDL_JoystickAttachVirtual(kind, axes, buttons, hats)
        assert index >= 0, sdl2.SDL_GetError()
        there.append(sdl2.SDL_JoystickOpen(index))
        return index, there[-1]

    yield attach
    for joystick in there:
        sdl2.SDL_JoystickClose(joystick)
    while sdl2.SDL_NumJoysticks():
        sdl2.SDL_JoystickDetachVirtual(0)


def moves(gamepads: GamePads) -> dict[str, float]:
    return {said.control: said.value for said in gamepads.heard(1.0) if isinstance(said, Move)}


def test_every_part_of_a_controller_has_a_name(gamepads: GamePads, plug: Any) -> None:
    _, joystick = plug(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 21, 0)
    (told,) = gamepads.heard(1.0)
    assert isinstance(told, ControlDevice) and told.here and gamepads.names() == [told.device]
    moves(gamepads)
    for number, name in enumerate(AXES):
        sdl2.SDL_JoystickSetVirtualAxis(joystick, number, 32767)
        told_of = moves(gamepads)
        assert told_of == {name: -1.0 if name in ("left y", "right y") else 1.0}
        assert is_signed(name) == (number < 4) and not is_key(name)
        sdl2.SDL_JoystickSetVirtualAxis(joystick, number, -32768)
        assert moves(gamepads)[name] == {0: -1.0, 1: 1.0, 2: -1.0, 3: 1.0, 4: 0.0, 5: 0.0}[number]
    for number, name in enumerate(BUTTONS[:15]):
        sdl2.SDL_JoystickSetVirtualButton(joystick, number, 1)
        assert moves(gamepads) == {name: 1.0} and is_key(name) and not is_signed(name)


def test_other_joysticks_are_heard_too(gamepads: GamePads, plug: Any) -> None:
    index, joystick = plug(sdl2.SDL_JOYSTICK_TYPE_THROTTLE, 2, 3, 1)
    moves(gamepads)
    if sdl2.SDL_IsGameController(index):
        pytest.fail("SDL takes a throttle for a game controller")
    sdl2.SDL_JoystickSetVirtualAxis(joystick, 1, -32768)
    sdl2.SDL_JoystickSetVirtualButton(joystick, 2, 1)
    sdl2.SDL_JoystickSetVirtualHat(joystick, 0, sdl2.SDL_HAT_RIGHTUP)
    assert moves(gamepads) == {"axis 2": -1.0, "button 3": 1.0, "hat 1 x": 1.0, "hat 1 y": 1.0}
    sdl2.SDL_JoystickSetVirtualHat(joystick, 0, sdl2.SDL_HAT_LEFTDOWN)
    assert moves(gamepads) == {"hat 1 x": -1.0, "hat 1 y": -1.0}
    assert is_signed("axis 2") and is_signed("hat 1 x") and is_key("button 3")


def test_controllers_are_told_apart_and_their_unplugging_told(gamepads: GamePads, plug: Any) -> None:
    clock = Clock()
    heard = Heard(None, gamepads, clock)
    index, first = plug(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 15, 0)
    other, second = plug(sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER, 6, 15, 0)
    names = [line.device for line in heard.lines() if isinstance(line, ControlDevice)]
    assert len(names) == 2 and names[1] == f"{names[0]} 2"
    sdl2.SDL_JoystickSetVirtualAxis(first, 0, 32767)
    sdl2.SDL_JoystickSetVirtualAxis(second, 0, -32768)
    told: dict[str, Any] = {}
    while len(told) < 2:
        clock.now += 0.01
        told.update({line.device: dict(line.values) for line in heard.lines() if isinstance(line, ControlsMoved)})
    assert told == {names[0]: {"left x": 1.0}, names[1]: {"left x": -1.0}}
    sdl2.SDL_JoystickDetachVirtual(index)
    assert ControlDevice(names[0], "pad", False) in list(heard.lines())
    assert other == 1


def test_the_newest_is_told_and_no_press_is_lost() -> None:
    clock = Clock()
    moves = Moves(clock)
    for value in (0.1, 0.5, 0.9):
        moves.put(Move("Pad", "left x", value, clock.now))
    moves.put(Move("Pad", "a", 1.0, clock.now))
    moves.put(Move("Pad", "a", 0.0, clock.now))
    assert moves.line() == ControlsMoved("Pad", 100.0, {"left x": 0.9, "a": 1.0})
    clock.now += 0.1
    assert moves.line() == ControlsMoved("Pad", 100.0, {"a": 0.0})
    clock.now += 0.1
    moves.put(Move("Pad", "left x", 0.9, clock.now))
    assert moves.line() is None, "nothing is told twice"


@pytest.mark.parametrize("devices", [1, 5])
def test_lines_are_bounded_and_devices_take_turns(devices: int) -> None:
    clock = Clock()
    moves = Moves(clock)
    told: list[ControlsMoved] = []
    for tick in range(1000):
        clock.now += 0.004
        for device in range(devices):
            moves.put(Move(str(device), "left x", tick % 97 / 97, clock.now))
        line = moves.line()
        told += [line] if line is not None else []
    assert 4 * LINES_PER_SECOND * 0.95 <= len(told) <= 4 * LINES_PER_SECOND
    counts = [sum(line.device == str(device) for line in told) for device in range(devices)]
    assert max(counts) - min(counts) <= 1
    many = Moves(clock)
    for number in range(128):
        many.put(Move("Keys", f"cc {number} ch 1", 1.0, clock.now))
    lines = []
    for _ in range(4):
        clock.now += 0.1
        lines.append(many.line())
    assert [len(line.values) if line else 0 for line in lines] == [64, 64, 0, 0]
    moves.put(Move("0", "a", 1.0, clock.now))
    moves.forget("0")


@pytest.mark.parametrize(
    ("data", "moved"),
    [
        ([0xB0, 7, 0], ("cc 7 ch 1", 0.0)),
        ([0xBF, 127, 127], ("cc 127 ch 16", 1.0)),
        ([0x90, 60, 64], ("note 60 ch 1", 64 / 127)),
        ([0x80, 60, 64], ("note 60 ch 1", 0.0)),
        ([0xE0, 0x7F, 0x7F], ("pitch bend ch 1", 1.0)),
        ([0xE0, 0x00, 0x40], ("pitch bend ch 1", 0.0)),
        ([0xD2, 127], ("pressure ch 3", 1.0)),
        ([0xA0, 60, 127], ("key pressure 60 ch 1", 1.0)),
        ([0xC0, 5], None),
        ([0xF8], None),
        ([0xF0, 1, 2, 3, 0xF7], None),
    ],
)  # fmt: skip
def test_what_messages_move(data: list[int], moved: tuple[str, float] | None) -> None:
    parser = mido.Parser()
    parser.feed([0x55, 0x99, *data])  # what was begun before it was heard is left out
    message = list(parser)[-1]
    found = control_of(message)
    assert (found is None) == (moved is None)
    if found is not None and moved is not None:
        assert found[0] == moved[0] and found[1] == pytest.approx(moved[1])
        assert is_signed(found[0]) == ("bend" in found[0]) and is_key(found[0]) == found[0].startswith("note")


def test_names_stay_when_something_else_is_plugged_in() -> None:
    assert short_name("nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0", "linux") == "nanoKONTROL2:nanoKONTROL2 MIDI 1"
    assert short_name("MPK 49 0", "win32") == "MPK 49"
    assert short_name("MPK 49", "darwin") == "MPK 49"
    assert short_name("", "linux") == "MIDI" and len(short_name("x" * 300, "linux")) <= 100
    assert unlike("A", ["A", "A 2"]) == "A 3"
    assert midi_module.MOST_DEVICES == 32


@pytest.mark.parametrize(
    "line",
    [
        "", "[]", "3", "null", '{"version":1', '{"device":"A"}', '{"device":"A","kind":"pad","here":1}', "[" * 3000,
        '{"device":"A","seconds":1,"moved":{}}', '{"device":"A","seconds":1,"moved":{"a":2}}',
        '{"device":"A","seconds":1,"moved":{"a":-0.5}}', '{"device":"A","seconds":NaN,"moved":{"a":1}}',
        '{"device":"","seconds":1,"moved":{"a":1}}', '{"device":"A","seconds":1,"moved":{"a":true}}',
        '{"device":"A","seconds":1,"moved":[1]}', '{"message":1,"remedy":""}', "x" * 9000,
    ],
)  # fmt: skip
def test_lines_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(PortraitError) as refused:
        read_line(line)
    assert refused.value.code is ErrorCode.BAD_MESSAGE


def test_lines_are_read_as_they_were_written() -> None:
    for said in (
        ControlsBegun(), ControlDevice("Pad", "pad"), ControlDevice("Pad “é”", "midi", False),
        ControlsMoved("Pad", 1.5, {"left x": -0.25, "a": 1.0}), ControlsTold("No.", "Do."),
    ):  # fmt: skip
        assert read_line(line_of(said)) == said
    with pytest.raises(PortraitError) as refused:
        read_line(line_of(ControlsBegun(2)))
    assert refused.value.code is ErrorCode.VERSION_MISMATCH
