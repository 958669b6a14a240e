# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of one portrait: which are done, which are not, and why; found out in slices."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import bpy
from portrait_shared.digest import frame_digest
from portrait_shared.frames.frame_files import frame_path, frames_in
from portrait_shared.frames.frame_marks import FrameMark, read_mark

from ..blender.scene_time import notes_on_frames, stretch
from ..jobs import job_queue
from ..jobs.job import JobState
from ..portraits import groups
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig import sampling
from . import portrait_ids
from .frame_keys import RigState, keys_of_photo, keys_outside, rig_state
from .render_job import RenderJob

_LOOK_SECONDS: Final = 1.0
_LEAST_SECONDS: Final = 0.005
_MOST_ROWS: Final = 20_000

_reader = ThreadPoolExecutor(1, "portrait files")


class FrameState(StrEnum):
    QUEUED = "queued"
    RENDERING = "rendering"
    DONE = "done"
    STALE = "stale"
    FAILED = "failed"
    MISSING = "missing"
    CHECKING = "checking"


Marks = dict[int, tuple[int, int, FrameMark | None]]
"""{frame: (time of the last change, size, what the file says of itself)}."""


class Watch:
    """What is known of the frames of one portrait, or of those of one photo, which are the leading one's.

    Attributes:
        states: of each frame to be rendered, in order.
        hint: something to look at that is no error.
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.states: dict[int, FrameState] = {}
        self.hint = ""
        self._keys: dict[int, bytes] = {}
        self._pass: range | None = None
        self._passed: dict[int, bytes] = {}
        self._rows: dict[bytes, sampling.RigSample] = {}
        self._sampled: set[int] = set()  # frames whose points were known at some time, as the rig was then
        self._marks: Marks = {}
        self._folder: Path | None = None
        self._prefix = ""
        self._look: Future[Marks] | None = None
        self._looked_at = 0.0
        self._looked = self._look_counts = False
        self._failed: set[int] = set()
        self._job: RenderJob | None = None
        self._changed = True
        self._rigs: list[RigState] = []
        self._time: tuple[float, int] = (0.0, 0)
        self._decided_on: tuple[Any, ...] = ()

    @property
    def files(self) -> tuple[Path, list[int]] | None:
        """The portrait's folder and the frames that were last seen in it; None before the first look."""
        return (self._folder, sorted(self._marks)) if self._folder is not None and self._looked else None

    def note_change(self) -> None:
        """The rig may move otherwise than it did."""
        self._changed = True

    def update(
        self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, deadline: float, settled: bool, may_sample: bool
    ) -> bool:
        """Works until about the deadline (time.monotonic); whether any state, or the hint, is another now.

        Args:
            settled: no edit is going on.
            may_sample: the frame may be changed for a moment.

        Raises:
            PortraitError: the portrait cannot be rendered as it is.
        """
        self._look_at_files(portrait)
        frames, rigs = portrait.frames(scene), groups.rigs(portrait)
        for rig in rigs:
            sampling.check_rig(scene, rig)
        if len(rigs) != len(self._rigs):
            self._changed = True
        before = self.hint
        if self._changed and settled:
            self._changed = False
            self._pass = frames
            self._passed = {}
            self._rigs = [rig_state(scene, rig, portrait.space) for rig in rigs]
            keyed = {frame for rig in rigs for frame in keys_outside(rig, frames, self._rigs[0].stretch)}
            outside = _hint(sorted(keyed), frames)
            self.hint = " ".join((*filter(None, [outside]), *notes_on_frames(scene)))
            self._time = _time_of(scene)
        if (set(self._keys) != set(frames) and self._pass is None) or self._time != _time_of(scene):
            self._changed = True
        # On a slow machine all before this may use the slice up each time: some time is left for the rest all the same.
        deadline = max(deadline, time.monotonic() + _LEAST_SECONDS)
        self._read_curves(portrait, deadline)
        if self._pass is None and may_sample:
            self._sample(scene, portrait, deadline)
        seen = self._seen(portrait, frames)
        if seen == self._decided_on:
            return self.hint != before
        states = self._states(portrait, frames)
        # Deciding may itself change what the states depend on: then they are decided again next time.
        self._decided_on = seen if self._seen(portrait, frames) == seen else ()
        changed, self.states = states != self.states, states
        return changed or self.hint != before

    def _seen(self, portrait: PORTRAIT_PG_portrait, frames: range) -> tuple[Any, ...]:
        """All that the states depend on: while it stays, so do they."""
        job = self._latest_job()
        progress = (id(job), job.state, job.rendering, len(job.stored)) if job is not None else ()
        return (
            frames, portrait_ids.known(portrait), portrait.photo_digest, portrait.frame_size, portrait.matte,
            self._marks, id(self._keys), len(self._rows), len(self._failed), progress,
        )  # fmt: skip

    def _read_curves(self, portrait: PORTRAIT_PG_portrait, deadline: float) -> None:
        rigs = groups.rigs(portrait)
        if self._pass is None or len(rigs) != len(self._rigs):
            return
        # Curves are gathered anew in each slice: undo makes all of Blender's objects anew in between.
        waiting = [frame for frame in self._pass if frame not in self._passed]
        for frame, key in keys_of_photo(rigs, self._rigs, waiting):
            self._passed[frame] = key
            if time.monotonic() > deadline:
                break
        if len(self._passed) < len(self._pass):
            return
        self._keys, self._pass = self._passed, None
        if len(self._rows) > _MOST_ROWS:
            used = set(self._keys.values())
            self._rows = {key: row for key, row in self._rows.items() if key in used}

    def _sample(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, deadline: float) -> None:
        unknown = [frame for frame, key in self._keys.items() if key not in self._rows and frame in self._marks]
        if not unknown or portrait_ids.known(portrait) is None:
            return
        rows = sampling.sample_until(deadline, scene, portrait.rig, portrait.space, unknown, groups.rigs(portrait)[1:])
        self._rows |= {self._keys[frame]: row for frame, row in rows.items()}

    def _look_at_files(self, portrait: PORTRAIT_PG_portrait) -> None:
        folder = portrait.folder()
        if (folder, portrait.frame_prefix) != (self._folder, self._prefix):
            self._folder, self._prefix = folder, portrait.frame_prefix
            self._marks, self._look, self._looked_at, self._looked = {}, None, 0.0, False
        if self._look is not None and self._look.done():
            self._marks, self._look, self._looked = self._look.result(), None, self._look_counts
        if job_queue.active_of(self.uid) is not None:
            self._looked = self._look_counts = False  # its frames may be newer than what was seen
        if self._look is None and time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._look_counts = job_queue.active_of(self.uid) is None
            self._look = _reader.submit(look_at_files, folder, self._marks, self._prefix)

    def _states(self, portrait: PORTRAIT_PG_portrait, frames: range) -> dict[int, FrameState]:
        job = self._job
        known, size = portrait_ids.known(portrait), portrait.frame_size
        photo = known.photo if known is not None else portrait.photo_digest
        states = {}
        for frame in frames:
            _, _, mark = self._marks.get(frame, (0, 0, None))
            if mark is None or (mark.photo and mark.photo != photo):
                state = FrameState.MISSING
            elif known is None:
                state = FrameState.STALE
            elif (key := self._keys.get(frame)) is None:  # its curves are still to be read
                state = FrameState.CHECKING
            elif (row := self._rows.get(key)) is None:
                # The rig's curves have changed at this frame since it was sampled, so its points almost surely have too.
                guess = (
                    frame in self._sampled
                    and bool(self._rigs)
                    and not any(rig.moved_from_outside for rig in self._rigs)
                )
                state = FrameState.STALE if guess else FrameState.CHECKING
            else:
                self._sampled.add(frame)
                others = sampling.other_faces([row])
                fresh = mark.digest == frame_digest(
                    known.portrait_id, row.points, size, portrait.matte, row.body, others
                )
                state = FrameState.DONE if fresh else FrameState.STALE
            if state is FrameState.DONE:
                self._failed.discard(frame)
            states[frame] = FrameState.FAILED if frame in self._failed else state
        if job is not None and job.active:
            states.update(_under_way(job, states))
        return states

    def _latest_job(self) -> RenderJob | None:
        """The portrait's last render; takes note of what it left undone."""
        job = job_queue.last_of(self.uid)
        if not isinstance(job, RenderJob):
            return self._job
        if job is not self._job:
            self._job = job
            self._failed.clear()
        self._rows.update(job.take_sampled())
        if job.state is JobState.FAILED and not self._failed:
            self._failed = job.asked_frames - set(job.stored)
        return job


def look_at_files(folder: Path, known: Marks, prefix: str = "") -> Marks:
    """Reads the marks of frame files that are new or have changed; a damaged file has none."""
    found: Marks = {}
    for number in frames_in(folder, prefix):
        path = frame_path(folder, number, prefix)
        try:
            status = path.stat()
        except OSError:
            continue
        before = known.get(number)
        if before is not None and before[:2] == (status.st_mtime_ns, status.st_size):
            found[number] = before
        else:
            found[number] = (status.st_mtime_ns, status.st_size, read_mark(path))
    return found


def _under_way(job: RenderJob, states: Mapping[int, FrameState]) -> dict[int, FrameState]:
    waiting = [frame for frame in sorted(job.asked_frames) if frame not in job.stored]
    found = {frame: FrameState.QUEUED for frame in waiting if frame in states}
    if waiting and waiting[0] in found and job.rendering:
        found[waiting[0]] = FrameState.RENDERING
    found.update((frame, FrameState.DONE) for frame in job.stored if frame in states)
    return found


def _time_of(scene: bpy.types.Scene) -> tuple[float, int]:
    return stretch(scene), scene.frame_step


def _hint(outside: list[int], frames: range) -> str:
    if not outside:
        return ""
    keys = f"The key at frame {outside[0]} lies" if len(outside) == 1 else (
        f"Keys at {len(outside)} frames, {outside[0]} to {outside[-1]}, lie"
    )  # fmt: skip
    return f"{keys} outside the range {frames[0]} to {frames[-1]}."
