# SPDX-License-Identifier: GPL-3.0-or-later
"""Game controllers and joysticks, by SDL: found and opened as they are plugged in, and what is moved on them."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Final

from portrait_shared.control_lines import NAME_CHARACTERS, PAD, ControlDevice
from portrait_shared.errors import PortraitError

from portrait_server.live.camera_list import unavailable
from portrait_server.live.midi_inputs import MOST_DEVICES, unlike
from portrait_server.live.moves import Move

AXES: Final = ("left x", "left y", "right x", "right y", "left trigger", "right trigger")
"""Of a game controller, by SDL's numbers."""
BUTTONS: Final = (
    "a", "b", "x", "y", "back", "guide", "start", "left stick", "right stick", "left shoulder", "right shoulder",
    "pad up", "pad down", "pad left", "pad right", "misc", "paddle 1", "paddle 2", "paddle 3", "paddle 4", "touchpad",
)  # fmt: skip
"""Its buttons, by SDL's numbers."""
_HINTS: Final = {
    "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
    "SDL_NO_SIGNAL_HANDLERS": "1",
    **({"SDL_JOYSTICK_THREAD": "1"} if sys.platform == "win32" else {}),  # without a window nothing else asks Windows
}
_FULL: Final = 32767
_MOST_EVENTS: Final = 4000
_HAT: Final = ((8, 2), (1, 4))  # SDL's bits: left and right, up and down
_UPWARD: Final = ("left y", "right y")  # SDL counts them downwards


class GamePads:
    """All that SDL knows, heard at once. Used by one thread.

    Attributes:
        sdl: the module `sdl2`.
    """

    def __init__(self) -> None:
        """Raises: PortraitError: LIVE_UNAVAILABLE without SDL."""
        self.sdl = _sdl()
        for name, value in _HINTS.items():
            self.sdl.SDL_SetHint(name.encode(), value.encode())
        if self.sdl.SDL_InitSubSystem(self.sdl.SDL_INIT_GAMECONTROLLER | self.sdl.SDL_INIT_JOYSTICK):
            said = self.sdl.SDL_GetError().decode("utf-8", "replace")
            raise unavailable(
                f"Game controllers cannot be heard: {said}.", "Look whether another program sees the controller."
            )
        self._open: dict[int, tuple[str, Any, bool]] = {}
        self._event = self.sdl.SDL_Event()
        self._added = True

    def names(self) -> list[str]:
        """Those that are plugged in, without opening them."""
        self.sdl.SDL_PumpEvents()
        names: list[str] = []
        for index in range(min(self.sdl.SDL_NumJoysticks(), MOST_DEVICES)):
            names.append(unlike(self._name(index), names))
        return names

    def heard(self, now: float) -> Iterator[ControlDevice | Move]:
        """What was plugged in, unplugged and moved since the last call; never waits."""
        if self._added:  # those of before the first event
            self._added = False
            yield from self._look()
        sdl, event = self.sdl, self._event
        for _ in range(_MOST_EVENTS):
            if not sdl.SDL_PollEvent(ctypes.byref(event)):
                return
            if event.type == sdl.SDL_JOYDEVICEADDED:
                yield from self._look()
            elif event.type == sdl.SDL_JOYDEVICEREMOVED:
                yield from self._lose(event.jdevice.which)
            else:
                for number, control, value in self._moved(event):
                    name, _, is_pad = self._open.get(number, ("", None, False))
                    if name and is_pad == (sdl.SDL_CONTROLLERAXISMOTION <= event.type <= sdl.SDL_CONTROLLERBUTTONUP):
                        yield Move(name, control, value, now)

    def close(self) -> None:
        for number in list(self._open):
            list(self._lose(number))
        self.sdl.SDL_QuitSubSystem(self.sdl.SDL_INIT_GAMECONTROLLER | self.sdl.SDL_INIT_JOYSTICK)

    def _look(self) -> Iterator[ControlDevice]:
        sdl = self.sdl
        for index in range(sdl.SDL_NumJoysticks()):
            number = sdl.SDL_JoystickGetDeviceInstanceID(index)
            if number in self._open or len(self._open) >= MOST_DEVICES:
                continue
            is_pad = bool(sdl.SDL_IsGameController(index))
            opened = sdl.SDL_GameControllerOpen(index) if is_pad else sdl.SDL_JoystickOpen(index)
            if opened:
                name = unlike(self._name(index), (name for name, *_ in self._open.values()))
                self._open[number] = (name, opened, is_pad)
                yield ControlDevice(name, PAD)

    def _lose(self, number: int) -> Iterator[ControlDevice]:
        if number in self._open:
            name, opened, is_pad = self._open.pop(number)
            (self.sdl.SDL_GameControllerClose if is_pad else self.sdl.SDL_JoystickClose)(opened)
            yield ControlDevice(name, PAD, False)

    def _name(self, index: int) -> str:
        ask = (
            self.sdl.SDL_GameControllerNameForIndex
            if self.sdl.SDL_IsGameController(index)
            else self.sdl.SDL_JoystickNameForIndex
        )
        said = (ask(index) or b"").decode("utf-8", "replace")
        return said.strip()[: NAME_CHARACTERS - 4] or "Controller"

    def _moved(self, event: Any) -> Iterator[tuple[int, str, float]]:
        """(instance, control, value) of what an event tells."""
        sdl, kind = self.sdl, event.type
        if kind == sdl.SDL_CONTROLLERAXISMOTION and event.caxis.axis < len(AXES):
            control = AXES[event.caxis.axis]
            value = max(event.caxis.value / _FULL, -1.0)
            yield event.caxis.which, control, 0.0 - value if control in _UPWARD else value
        elif kind in (sdl.SDL_CONTROLLERBUTTONDOWN, sdl.SDL_CONTROLLERBUTTONUP):
            if event.cbutton.button < len(BUTTONS):
                yield event.cbutton.which, BUTTONS[event.cbutton.button], float(event.cbutton.state)
        elif kind == sdl.SDL_JOYAXISMOTION:
            yield event.jaxis.which, f"axis {event.jaxis.axis + 1}", max(event.jaxis.value / _FULL, -1.0)
        elif kind in (sdl.SDL_JOYBUTTONDOWN, sdl.SDL_JOYBUTTONUP):
            yield event.jbutton.which, f"button {event.jbutton.button + 1}", float(event.jbutton.state)
        elif kind == sdl.SDL_JOYHATMOTION:
            pressed = event.jhat.value
            for letter, (less, more) in zip("xy", (_HAT[0], _HAT[1][::-1]), strict=True):
                value = float(bool(pressed & more)) - float(bool(pressed & less))
                yield event.jhat.which, f"hat {event.jhat.hat + 1} {letter}", value


def pads() -> tuple[GamePads | None, PortraitError | None]:
    """Those of this machine, or why there are none."""
    try:
        return GamePads(), None
    except PortraitError as error:
        return None, error


def _sdl() -> Any:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no window is made
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells which of its binaries it takes
            return importlib.import_module("sdl2")
    except ImportError as error:
        raise unavailable(
            "Game controllers cannot be heard: SDL is not there.", "Install talking-portraits[live]."
        ) from error
