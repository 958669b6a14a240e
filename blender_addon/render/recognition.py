# SPDX-License-Identifier: GPL-3.0-or-later
"""After a render: whether its frames show the person of the photo. A process of low priority finds out, one portrait after
another; it ends where any job begins, and goes on after it. What it finds lies beside the frames (`Identity`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import bpy
from bpy.app.handlers import persistent
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder

from ..connection import preferences
from ..connection.command_run import CommandRun
from ..jobs import job_queue
from ..jobs.command_job import CommandProgress, progress_in

_TICK_SECONDS: Final = 0.5

_checks: dict[str, _Check] = {}


class _Check:
    """What is to be found out of one portrait's frames.

    Attributes:
        reached: how far it is; None before it has begun.
        trouble: why it could not be found out; else empty.
        done: whether there is nothing more to do.
    """

    def __init__(self, command: Sequence[str], folder: Path, prefix: str, words: Callable[[Path], list[str]]) -> None:
        self.reached: CommandProgress | None = None
        self.trouble = ""
        self.done = False
        self._command = [*command, "recognise", str(folder), f"--prefix={prefix}", "--progress"]
        self._words = words
        self._run: CommandRun | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        self._run = CommandRun()
        self._thread = threading.Thread(target=self._work, args=(self._run,), daemon=True, name="recognition")
        self._thread.start()

    def end(self) -> None:
        """Ends the process; `begin` goes on with what is left."""
        if self._run is not None:
            self._run.end()

    def _work(self, run: CommandRun) -> None:
        try:
            with PrivateFolder() as folder:
                run.run([*self._command, *self._words(folder)], self._take)
            self.done = True
        except PortraitError as error:
            if error.code is not ErrorCode.CANCELLED:
                self.trouble, self.done = error.message, True

    def _take(self, line: str) -> None:
        self.reached = progress_in(line) or self.reached


def ask(
    uid: str, command: Sequence[str], folder: Path, prefix: str, words: Callable[[Path], list[str]]
) -> None:  # fmt: skip
    """Has it found out of the frames that were just rendered, where the preferences say so and Blender has a window.

    Args:
        uid: of the photo's leading portrait.
        command: the `portrait` command.
        words: what it is asked for, with files in the folder given; called in a thread.
    """
    if not (bpy.app.timers.is_registered(on_timer) and preferences.of(bpy.context).check_likeness):
        return
    if (before := _checks.pop(uid, None)) is not None:
        before.end()
    _checks[uid] = _Check(command, folder, prefix, words)


def line(uid: str) -> str:
    """How it is doing, for the panel; empty where there is nothing to say."""
    check = _checks.get(uid)
    if check is None or (check.done and not check.trouble):
        return ""
    if check.trouble:
        return f"The likeness could not be checked: {check.trouble}"
    reached = check.reached
    return "Checking the likeness" + (f": {reached.done} of {reached.expected}" if reached is not None else "")


def tick() -> bool:
    """Begins, ends and goes on as jobs leave room; whether there is something to do. Blender's timer calls it."""
    running = [check for check in _checks.values() if check.running]
    if job_queue.current() is not None:
        for check in running:
            check.end()
    elif not running and (waiting := next((check for check in _checks.values() if not check.done), None)) is not None:
        waiting.begin()
    return any(not check.done for check in _checks.values())


def on_timer() -> float:
    if tick():
        job_queue.redraw()
    return _TICK_SECONDS


def stop_all() -> None:
    """Ends what runs, and forgets all."""
    for check in _checks.values():
        check.end()
    _checks.clear()


@persistent
def _before_load(*_: object) -> None:
    stop_all()


HANDLERS: Final = ((bpy.app.handlers.load_pre, _before_load),)


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(on_timer, first_interval=_TICK_SECONDS, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(on_timer):
        bpy.app.timers.unregister(on_timer)
    stop_all()
