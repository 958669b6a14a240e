# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all jobs: begun on the main thread, done in a worker's thread, whose events the main thread handles in
short slices."""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import bpy
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError

from ..blender import problems
from ..connection import server
from ..connection.worker import Connected, Finished, Worker
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import find_portrait


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(ABC):
    """One piece of work for one portrait. Between ticks it keeps names and no Blender objects, which undo and loading free.

    Attributes:
        uid: the portrait's.
        state: see `JobState`.
        error: why it failed.
        note: what it is doing, for the panel.
        notes: what the user should know once it is done, in sentences.
        writes_to: the folder that its files go to, once it has begun; None for one that writes none.
        told_in_section: whether a section of its own shows how it ended, so that the panel's line need not.
    """

    label = "Job"

    def __init__(self, uid: str, launch: server.Launch) -> None:
        self.uid = uid
        self.state = JobState.QUEUED
        self.error: PortraitError | None = None
        self.note = "Waiting"
        self.notes: list[str] = []
        self.writes_to: Path | None = None
        self.told_in_section = False
        self._launch = launch
        self._worker: Worker | None = None
        self._cancelled = False
        self._undo_step_taken = False

    @property
    def active(self) -> bool:
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def progress(self) -> float:
        """0 to 1."""
        return 0.0

    def take_undo_step(self) -> bool:
        """Whether an undo step is to be pushed now; True once.

        Undo restores only what differs between two steps. Without a step after the job, it would free what the job has
        made and leave what points at it as it is, and Blender would crash.
        """
        due = not self.active and not self._undo_step_taken and self.is_in_file()
        self._undo_step_taken = self._undo_step_taken or due
        return due

    @abstractmethod
    def begin(self) -> None:
        """On the main thread, once, before anything else; raises PortraitError for what cannot be worked on."""

    def prepared(self, deadline: float) -> bool:
        """More work on the main thread until `deadline` (time.monotonic); True once there is no more."""
        return True

    def new_worker(self) -> Worker:
        """The thread that runs `work`."""
        return Worker(self.work, self._launch)

    @abstractmethod
    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        """In the worker's thread."""

    @abstractmethod
    def handle(self, event: Any) -> None:
        """On the main thread, for each event that `work` posted."""

    def end(self) -> None:  # noqa: B027  (most jobs have nothing more to do)
        """On the main thread, once, however the job ended."""

    def portrait(self) -> tuple[bpy.types.Scene, PORTRAIT_PG_portrait]:
        """The scene and the portrait, found anew.

        Raises:
            PortraitError: CANCELLED where the portrait is not there any more.
        """
        found = find_portrait(self.uid)
        if found is None:
            raise PortraitError(ErrorCode.CANCELLED, "The portrait was removed while it was worked on.")
        return found

    def concerns(self, uid: str) -> bool:
        """Whether it works on this portrait: on the job's own, or with it."""
        return uid == self.uid

    def is_in_file(self) -> bool:
        """Whether the portrait is still there."""
        return find_portrait(self.uid) is not None

    def tick(self, budget_seconds: float) -> None:
        """Works for about that long."""
        deadline = time.monotonic() + budget_seconds
        try:
            if self.state is JobState.QUEUED:
                self.state = JobState.RUNNING
                problems.forget(self.uid)
                self.begin()
            if self._worker is None:
                if self._cancelled:
                    raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
                if not self.prepared(deadline):
                    return
                self.note = "Asking the server"
                self._worker = self.new_worker()
                self._worker.start()
            self._drain(deadline)
        except PortraitError as error:
            self._finish(error)

    def cancel(self) -> None:
        """Asks the job to end; it does so within a few ticks."""
        self._cancelled = True
        if self._worker is not None:
            self._worker.cancel.set()
        elif self.state is JobState.QUEUED:
            self.state = JobState.CANCELLED

    def abandon(self, timeout_seconds: float) -> None:
        """Ends at once, touching none of Blender's data: another file is being loaded, or the add-on goes."""
        self.cancel()
        if self._worker is not None:
            self._worker.join(timeout_seconds)
        if self.active:
            self.state = JobState.CANCELLED

    def _drain(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            try:
                event = self._worker.events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, Connected):
                server.connected(event.info)
            elif isinstance(event, Finished):
                self._finish(event.error)
                return
            else:
                self.handle(event)

    def _finish(self, error: PortraitError | None) -> None:
        if self._worker is not None:
            self._worker.cancel.set()
        if error is None:
            self.state = JobState.DONE
        elif error.code is ErrorCode.CANCELLED:
            self.state, self.note = JobState.CANCELLED, "Cancelled"
        else:
            self.state, self.note, self.error = JobState.FAILED, error.message, error
            problems.keep(self.uid, error)
            server.failed(error)
        try:
            self.end()
        except PortraitError as late:
            if late.code is not ErrorCode.CANCELLED:
                problems.keep(self.uid, late)


def time_left(seconds: float | None) -> str:
    """To be put after a sentence: “, 12 s left”, “, 3 min left”; nothing where it is not known or hardly any."""
    if seconds is None or seconds < 1:
        return ""
    return f", {seconds:.0f} s left" if seconds < 100 else f", {seconds / 60:.0f} min left"
