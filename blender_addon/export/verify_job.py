# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify: what made files, and whether they have been altered since, as the `portrait` command finds it."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import bpy
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_files import is_frame

from ..connection import server
from ..connection.command_run import CommandRun
from ..connection.worker import Worker
from ..jobs.command_job import CommandProgress, CommandWorker, progress_in
from ..jobs.job import Job
from .shown_files import ShownFiles


class Outcome(IntEnum):
    """What files come to together, as the command's exit status says it."""

    OURS = 0
    NOT_AS_MADE = 1
    TELLS_NOTHING = 2


@dataclass(frozen=True)
class Verified:
    """What was found.

    Attributes:
        outcome: of all files together.
        lines: (what the files are called, what is to be said of them), files alike in one line.
        notes: what else the user should know, sentences.
    """

    outcome: Outcome
    lines: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        return {
            Outcome.OURS: "Made with Talking Portraits, not altered since",
            Outcome.NOT_AS_MADE: "Not as it was made",
            Outcome.TELLS_NOTHING: "Not known to be made with Talking Portraits",
        }[self.outcome]


_last: Verified | None = None


def last() -> Verified | None:
    """What the last job found."""
    return _last


def forget() -> None:
    global _last
    _last = None


class VerifyJob(Job):
    """Belongs to no portrait, and changes nothing in the .blend."""

    label = "Verify"

    def __init__(self, launch: server.Launch, shown: ShownFiles) -> None:
        super().__init__("", launch)
        self._shown = shown
        self._run = CommandRun()
        self._reached = CommandProgress(0, 0)

    @property
    def progress(self) -> float:
        return self._reached.done / self._reached.expected if self._reached.expected else 0.0

    def is_in_file(self) -> bool:
        return False  # no undo step

    def begin(self) -> None:
        self._launch.check_command()
        self.note = "Reading files"

    def new_worker(self) -> Worker:
        return CommandWorker(self.work, self._launch)

    def work(self, client: Any, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        said: list[str] = []

        def take(line: str) -> None:
            if (reached := progress_in(line)) is not None:
                post(reached)
            else:
                said.append(line)

        with PrivateFolder() as folder:
            files = [*self._shown.files]
            for number, (name, content) in enumerate(self._shown.packed):
                place = folder / str(number) / name
                place.parent.mkdir()
                place.write_bytes(content)
                files.append(place)
            listed = folder / "files.txt"
            listed.write_bytes(b"\n".join(os.fsencode(file) for file in files))
            command = [*self._launch.command, "verify", "--files-from", str(listed), "--json", "--progress"]
            # Other statuses than 0 tell what was found; a command that fails prints no JSON.
            self._run.run(command, take, lambda status: bool(said))
        post(_verified("\n".join(said), self._shown.notes))

    def handle(self, event: CommandProgress | Verified) -> None:
        global _last
        if isinstance(event, CommandProgress):
            self._reached = event
            self.note = f"{event.done} of {event.expected} files"
            return
        _last = event
        self.note = event.heading
        self.notes = [f"{names}: {words}" for names, words in event.lines] + [*event.notes]

    def end(self) -> None:
        if self.error is None and not bpy.app.background and bpy.context.window is not None and _last is not None:
            bpy.ops.portrait.show_verified("INVOKE_DEFAULT")

    def cancel(self) -> None:
        super().cancel()
        self._run.end()


def _verified(text: str, notes: Sequence[str]) -> Verified:
    try:
        told = json.loads(text)
        groups = itertools.groupby(told["files"], lambda file: (Path(file["file"]).parent, file["words"]))
        lines = tuple((_called([*alike]), words) for (_, words), alike in groups)
        return Verified(Outcome(told["status"]), lines, tuple(notes))
    except (ValueError, KeyError, TypeError) as error:
        raise PortraitError(
            ErrorCode.INTERNAL,
            "The `portrait` command said something that is no answer.",
            "It must be of this version.",
        ) from error


def _called(alike: Sequence[Mapping[str, Any]]) -> str:
    """What files of which one thing is said are called."""
    names = [Path(file["file"]).name for file in alike]
    if len(names) == 1:
        return names[0]
    if all(map(is_frame, names)):
        return f"{names[0]} to {names[-1]} ({len(names)} frames)"
    return f"{names[0]} and {len(names) - 1} more"
