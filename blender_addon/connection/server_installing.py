# SPDX-License-Identifier: GPL-3.0-or-later
"""The installation of the server that this Blender does now, or did last: begun by a button, followed by a timer.

It belongs to no file: loading, undo and saving leave it alone. It ends with Blender, and the next one goes on from there.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bpy
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_error

from ..blender import problems
from ..blender.problems import Fix
from ..blender.redraw import redraw_areas
from ..installation import claims, environments, place
from ..installation.choices import Choice
from ..installation.installing import Installation, Progress
from ..installation.plans import Plan, plan
from ..installation.sizes import bytes_in
from . import server, server_program

_LOOK_SECONDS: Final = 0.25
_QUIT_SECONDS: Final = 5.0
_FRESH_SECONDS: Final = 30.0
_AREAS: Final = ("VIEW_3D", "SEQUENCE_EDITOR", "PREFERENCES")
_MENDED: Final = (Fix.INSTALL, Fix.UPDATE, Fix.REPAIR)


@dataclass(frozen=True)
class Facts:
    """What a person is told before they press the button.

    Attributes:
        plan: what an installation will take; None where it cannot be done.
        problem: why not.
        held_bytes: what the place holds already.
    """

    plan: Plan | None
    problem: PortraitError | None
    held_bytes: int


_installation: Installation | None = None
_taken_up = True  # whether its outcome was
_is_idle: Callable[[], bool] = bool
_facts: dict[Choice, Facts] = {}
_facts_at: dict[Choice, float] = {}
_looking: threading.Thread | None = None


def check_online(choice: Choice) -> None:
    """Raises NOT_ALLOWED, with what permits it, where the installation would need the network and Blender may not use it."""
    if choice.wheels is not None or bpy.app.online_access:
        return
    if bpy.app.online_access_override:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, "Blender was started with --offline-mode.",
            "Start it without that, or install from a folder, which needs no network.",
        )  # fmt: skip
    raise PortraitError(
        ErrorCode.NOT_ALLOWED, "Blender may not go online.",
        "Tick Allow Online Access in the preferences (System > Network), or install from a folder, which needs no network. "
        "Without a window, start Blender with --online-mode.",
    )  # fmt: skip


def begin(choice: Choice, is_idle: Callable[[], bool], repair: bool = False) -> Installation:
    """Begins an installation, an update or a repair.

    Args:
        is_idle: whether nothing uses the server now, so that it may be stopped once the new one is there.
        repair: whether what is there is checked file by file.

    Raises:
        PortraitError: NOT_ALLOWED, see `check_online`; BUSY where one is under way.
    """
    global _installation, _taken_up, _is_idle
    check_online(choice)
    if running() is not None:
        raise PortraitError(ErrorCode.BUSY, "The server is being installed already.", "Wait, or cancel that.")
    _installation, _taken_up, _is_idle = Installation(place.server_folder()), False, is_idle
    _installation.start(choice, repair)
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_LOOK_SECONDS, persistent=True)
    return _installation


def wait(told: Callable[[Progress], None] = lambda progress: None) -> environments.Installed:
    """Waits for the installation's end: for scripts, and Blender without a window.

    Args:
        told: given how far it is, each time that this changes.

    Raises:
        PortraitError: why it failed; CANCELLED.
    """
    assert _installation is not None
    last: Progress | None = None
    try:
        while not _installation.join(_LOOK_SECONDS):
            if _installation.progress != last:
                last = _installation.progress
                told(last)
    finally:
        if not _installation.done:  # Ctrl-C
            _quit()
    _take_up(_installation)
    if _installation.error is not None:
        raise _installation.error
    assert _installation.result is not None
    return _installation.result


def running() -> Installation | None:
    """The installation that is under way."""
    return _installation if _installation is not None and not _installation.done else None


def failure() -> PortraitError | None:
    """Why the last installation failed, until another begins; None also where it was cancelled."""
    if _installation is None or not _installation.done or _installation.error is None:
        return None
    return _installation.error if _installation.error.code is not ErrorCode.CANCELLED else None


def notes() -> tuple[str, ...]:
    """What to know of the last installation that was done, in sentences."""
    return _installation.notes if _installation is not None and _installation.done else ()


def put_away() -> None:
    """Forgets how the last installation ended: it was read."""
    global _installation
    if running() is None:
        _installation = None


def log_file() -> Path | None:
    """Where the last installation's log is, of this Blender or of one before."""
    path = _installation.log_file if _installation is not None else Installation(place.server_folder()).log_file
    return path if path.is_file() else None


def cancel() -> None:
    """Ends the installation soon; what was downloaded is kept for the next one."""
    if (under_way := running()) is not None:
        under_way.cancel()


def remove() -> None:
    """Stops this Blender's server, and removes what is installed.

    Raises:
        PortraitError: as `environments.remove`.
    """
    server.stop()
    environments.remove(place.server_folder())
    _forget_facts()
    server_program.look_again()
    redraw_areas(_AREAS)


def facts(choice: Choice) -> Facts | None:
    """What an installation will take, which a thread looks up; None until it has. For panels, which must not wait."""
    global _looking
    stale = time.monotonic() - _facts_at.get(choice, -_FRESH_SECONDS) >= _FRESH_SECONDS
    if stale and (_looking is None or not _looking.is_alive()):
        folder = place.server_folder()
        _looking = threading.Thread(target=_look, args=(choice, folder), name="portrait plan", daemon=True)
        _looking.start()
        if not bpy.app.background and not bpy.app.timers.is_registered(_when_looked):
            bpy.app.timers.register(_when_looked, first_interval=_LOOK_SECONDS, persistent=True)
    return _facts.get(choice)


def _look(choice: Choice, folder: Path) -> None:
    found, problem = None, None
    try:
        found = plan(choice, folder)
    except PortraitError as error:
        problem = error
    except OSError as error:
        problem = write_error(folder, error, "Give yourself the right to read it, then try again.")
    if len(_facts) > 8:  # each letter that is typed into a setting is another choice
        _forget_facts()
    _facts[choice] = Facts(found, problem, bytes_in(folder))
    _facts_at[choice] = time.monotonic()


def _when_looked() -> float | None:
    if _looking is not None and _looking.is_alive():
        return _LOOK_SECONDS
    redraw_areas(_AREAS)
    return None


def _on_timer() -> float | None:
    redraw_areas(_AREAS)
    if _installation is None or _taken_up:
        return None
    if _installation.done and _is_idle():
        _take_up(_installation)
    return _LOOK_SECONDS


def _take_up(ended: Installation) -> None:
    """Once, when it has ended: the next server is the new one, and what asked for it is mended."""
    global _taken_up
    _taken_up = True
    _forget_facts()
    server_program.look_again()
    if ended.result is not None:
        if server.owns_process():
            server.stop()
            folder = place.server_folder()
            threading.Thread(target=_sweep, args=(folder,), name="portrait sweep", daemon=True).start()
        for fix in _MENDED:
            problems.forget_mended(fix)


def _sweep(folder: Path) -> None:
    """Removes the server that was replaced: until now it ran."""
    try:
        with claims.claim(folder):
            environments.sweep(folder)
    except PortraitError:  # another Blender installs there, and sweeps itself
        return


def _forget_facts() -> None:
    _facts.clear()
    _facts_at.clear()


def _quit() -> None:
    if (under_way := running()) is not None:
        under_way.cancel()
        under_way.join(_QUIT_SECONDS)


def register() -> None:
    atexit.register(_quit)


def unregister() -> None:
    atexit.unregister(_quit)
    _quit()
    for timer in (_on_timer, _when_looked):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
