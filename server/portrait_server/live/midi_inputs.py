# SPDX-License-Identifier: GPL-3.0-or-later
"""MIDI controllers: their inputs by name, opened as they come, and what their messages move. By mido, whichever backend
of it is there: python-rtmidi, or what its own variable MIDO_BACKEND names."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from portrait_shared.control_lines import MIDI, NAME_CHARACTERS, ControlDevice, ControlsTold
from portrait_shared.errors import PortraitError, first_line

from portrait_server.live.camera_list import unavailable
from portrait_server.live.moves import Move

MOST_DEVICES: Final = 32
_MOST_MESSAGES: Final = 2000
"""Of one device at a time: more are taken the next time."""
_NO_SYSTEM: Final = {
    "linux": "Load ALSA's sequencer (`sudo modprobe snd-seq`) and use a machine with sound; containers need /dev/snd.",
    "darwin": "Look into Audio MIDI Setup, and restart the computer if it shows no devices either.",
    "win32": "Restart the Windows Audio service, and look whether another program sees the controller.",
}
_ALSA_NUMBERS: Final = re.compile(r"\s+\d+:\d+$")
_WINDOWS_NUMBER: Final = re.compile(r"\s+\d+$")
_OWN: Final = ("Midi Through", "RtMidi", "RtMidiIn", "RtMidiOut")


def control_of(message: Any) -> tuple[str, float] | None:
    """What one of mido's messages moves and where to; None where it moves nothing (clocks, programs, and so on)."""
    kind = message.type
    channel = f"ch {message.channel + 1}" if hasattr(message, "channel") else ""
    if kind == "control_change":
        return f"cc {message.control} {channel}", message.value / 127
    if kind in ("note_on", "note_off"):
        return f"note {message.note} {channel}", message.velocity / 127 if kind == "note_on" else 0.0
    if kind == "pitchwheel":
        return f"pitch bend {channel}", max(message.pitch / 8191, -1.0)
    if kind == "aftertouch":
        return f"pressure {channel}", message.value / 127
    if kind == "polytouch":
        return f"key pressure {message.note} {channel}", message.value / 127
    return None


def short_name(port: str, system: str = sys.platform) -> str:
    """A port's name without the numbers that change whenever something is plugged in."""
    pattern = _WINDOWS_NUMBER if system == "win32" else _ALSA_NUMBERS
    return pattern.sub("", port).strip()[: NAME_CHARACTERS - 4] or "MIDI"


class MidiInputs:
    """All MIDI inputs, heard at once. Used by one thread."""

    def __init__(self) -> None:
        """Raises: PortraitError: LIVE_UNAVAILABLE without mido, its backend or the system's MIDI."""
        try:
            self._backend = importlib.import_module("mido").Backend(load=True)
        except ImportError as error:
            raise unavailable(
                f"MIDI cannot be heard: the package {_missing(error)} is not there.",
                "Install talking-portraits[live], on Python 3.11 or 3.12; game controllers need no MIDI.",
            ) from error
        self._open: dict[str, tuple[str, Any]] = {}
        self._refused: set[str] = set()
        self.names()

    def names(self) -> dict[str, str]:
        """{the system's name of an input: the name that users see}.

        Raises:
            PortraitError: LIVE_UNAVAILABLE where the system has no MIDI.
        """
        try:
            ports = [str(name) for name in self._backend.get_input_names()]
        except Exception as error:  # each backend has errors of its own, python-rtmidi's derive from Exception alone
            remedy = next((said for name, said in _NO_SYSTEM.items() if sys.platform.startswith(name)), "")
            raise unavailable(f"MIDI cannot be heard: {first_line(error)}.", remedy) from error
        names: dict[str, str] = {}
        for port in dict.fromkeys(ports):
            if not port.startswith(_OWN) and len(names) < MOST_DEVICES:
                names[port] = unlike(short_name(port), names.values())
        return names

    def look(self) -> Iterator[ControlDevice | ControlsTold]:
        """Opens what was plugged in, lets go what was unplugged, and tells of both.

        Raises:
            PortraitError: see `names`.
        """
        there = self.names()
        for port in [port for port in self._open if port not in there or self._open[port][1].closed]:
            name, opened = self._open.pop(port)
            opened.close()
            yield ControlDevice(name, MIDI, False)
        self._refused &= there.keys()
        for port, name in there.items():
            if port in self._open:
                continue
            try:
                opened = self._opened(port, name)
            except PortraitError as error:
                if port not in self._refused:
                    self._refused.add(port)
                    yield ControlsTold(error.message, error.remedy)
                continue
            name = unlike(name, (other for other, _ in self._open.values()))
            self._open[port] = (name, opened)
            self._refused.discard(port)
            yield ControlDevice(name, MIDI)

    def _opened(self, port: str, name: str) -> Any:
        try:
            return self._backend.open_input(port)
        except Exception as error:  # as in `names`
            raise unavailable(
                f"“{name}” cannot be opened: {first_line(error)}.",
                "Close other programs that use it: some systems lend it to one alone.",
            ) from error

    def moves(self, now: float) -> Iterator[Move]:
        """What has come since the last call; never waits. A device that fails is missed by the next `look`."""
        for name, opened in list(self._open.values()):
            try:
                for _ in range(_MOST_MESSAGES):
                    message = opened.poll()
                    if message is None:
                        break
                    if (moved := control_of(message)) is not None:
                        yield Move(name, *moved, now)
            except (OSError, ValueError):
                opened.close()

    def close(self) -> None:
        for _, opened in self._open.values():
            opened.close()
        self._open.clear()


def unlike(name: str, others: Any) -> str:
    """A name with the number that makes it unlike others."""
    taken, number, found = set(others), 1, name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def midi_inputs() -> tuple[MidiInputs | None, PortraitError | None]:
    """Those of this machine, or why there are none."""
    try:
        return MidiInputs(), None
    except PortraitError as error:
        return None, error


def _missing(error: ImportError) -> str:
    return {"rtmidi": "python-rtmidi", "_rtmidi": "python-rtmidi"}.get(error.name or "", error.name or str(error))
