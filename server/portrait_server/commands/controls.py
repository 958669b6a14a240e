# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait controls`: what is moved on MIDI and game controllers, live, and a list of those that there are."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from portrait_shared.control_lines import (
    MIDI,
    PAD,
    ControlDevice,
    ControlLine,
    ControlsBegun,
    ControlsTold,
    line_of,
)
from portrait_shared.errors import PortraitError

from portrait_server.live.camera_list import unavailable
from portrait_server.live.input_end import watch_input
from portrait_server.live.midi_inputs import MidiInputs, midi_inputs
from portrait_server.live.moves import Move, Moves
from portrait_server.live.output_lines import write_line
from portrait_server.live.pads import GamePads, pads

_TICK_SECONDS: Final = 0.008
_LOOK_SECONDS: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--list", action="store_true", help="say which controllers there are, and end")
    parser.add_argument("--json", action="store_true", help="--list: as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints `portrait_shared.control_lines`, one whenever something is moved, until standard input or output ends.

    Raises:
        PortraitError: LIVE_UNAVAILABLE where neither MIDI nor game controllers can be heard.
    """
    midi, no_midi = midi_inputs()
    gamepads, no_pads = pads()
    problems = [error for error in (no_midi, no_pads) if error is not None]
    heard = Heard(midi, gamepads)
    try:
        if args.list:
            return _tell(midi, gamepads, problems, args.json)
        if no_midi is not None and no_pads is not None:
            raise unavailable(f"{no_midi.message} {no_pads.message}", f"{no_midi.remedy} {no_pads.remedy}")
        ended = threading.Event()
        watch_input(ended.set)
        write_line(line_of(ControlsBegun()))
        for error in problems:
            write_line(line_of(ControlsTold(error.message, error.remedy)))
        while not ended.is_set():
            for line in heard.lines():
                write_line(line_of(line))
            ended.wait(_TICK_SECONDS)
    except BrokenPipeError:
        return 0  # nobody reads any more
    finally:
        heard.close()
    return 0


class Heard:
    """What comes of all devices, as lines: the newest of each control, and no more lines than `Moves` gives."""

    def __init__(
        self, midi: MidiInputs | None, gamepads: GamePads | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._midi, self._pads, self._clock = midi, gamepads, clock
        self._moves = Moves(clock)
        self._look_at = -_LOOK_SECONDS
        self._midi_said = ""

    def lines(self) -> Iterator[ControlLine]:
        """What there is to tell now; never waits."""
        now = self._clock()
        if self._midi is not None:
            for move in self._midi.moves(now):
                self._moves.put(move)
            if now - self._look_at >= _LOOK_SECONDS:
                self._look_at = now
                yield from self._look(self._midi)
        if self._pads is not None:
            for said in self._pads.heard(now):
                if isinstance(said, Move):
                    self._moves.put(said)
                else:
                    yield self._device(said)
        line = self._moves.line()
        if line is not None:
            yield line

    def close(self) -> None:
        """Gives all devices back."""
        for source in (self._midi, self._pads):
            if source is not None:
                source.close()

    def _look(self, midi: MidiInputs) -> Iterator[ControlLine]:
        try:
            for said in midi.look():
                yield self._device(said) if isinstance(said, ControlDevice) else said
            self._midi_said = ""
        except PortraitError as error:  # the system's MIDI has gone; it may come back
            if error.message != self._midi_said:
                self._midi_said = error.message
                yield ControlsTold(error.message, error.remedy)

    def _device(self, said: ControlDevice) -> ControlDevice:
        if not said.here:
            self._moves.forget(said.device)
        return said


def _tell(midi: MidiInputs | None, gamepads: GamePads | None, problems: list[PortraitError], as_json: bool) -> int:
    there = [(MIDI, name) for name in midi.names().values()] if midi is not None else []
    there += [(PAD, name) for name in gamepads.names()] if gamepads is not None else []
    if as_json:
        devices = [{"name": name, "kind": kind} for kind, name in there]
        said = [{"message": error.message, "remedy": error.remedy} for error in problems]
        print(json.dumps({"devices": devices, "problems": said}, ensure_ascii=False))
        return 0
    for kind, name in there:
        print(f"{'MIDI' if kind == MIDI else 'controller'}  {name}")
    if not there:
        print("This machine has no controller that can be heard.")
    for error in problems:
        print(f"{error.message}\n  {error.remedy}")
    return 0
