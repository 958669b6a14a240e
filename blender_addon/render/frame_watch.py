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
from portrait_shared.frames.frame_files import PICTURES, frame_path, frames_in
from portrait_shared.frames.frame_marks import FrameMark, read_mark
from portrait_shared.frames.identity import IDENTITY_FILE, Identity, Verdict

from ..blender.scene_time import notes_on_frames, stretch
from ..jobs import job_queue
from ..jobs.job import JobState
from ..portraits import groups
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig import sampling
from .expected_frames import OfPhoto, OfShot, expected
from .frame_keys import RigState, keys_of_photo, keys_outside, rig_state
from .render_job import RenderJob

_LOOK_SECONDS: Final = 1.0
_LEAST_SECONDS: Final = 0.005
_MOST_ROWS: Final = 20_000
_MOST_DIGESTS: Final = 1000  # at a time

_reader = ThreadPoolExecutor(1, "portrait files")


class FrameState(StrEnum):
    QUEUED = "queued"
    RENDERING = "rendering"
    DONE = "done"
    NOT_RECOGNISED = "not recognised"
    """Done, and its face is not the photo's by `Identity`."""
    STALE = "stale"
    FAILED = "failed"
    MISSING = "missing"
    AS_FILMED = "as filmed"
    CHECKING = "checking"


Marks = dict[int, tuple[int, int, FrameMark | None]]
"""{frame: (time of the last change, size, what the file says of itself)}."""
_StampedIdentity = tuple[int, Identity | None]
"""(time of the file's last change, what it says)."""


class Watch:
    """What is known of the frames of one portrait, or of those of one photo, which are the leading one's.

    Attributes:
        states: of each frame to be rendered, in order.
        hint: something to look at that is no error.
        identity: of those frames of `states` that are done, as far as it was found out; None where of none.
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.states: dict[int, FrameState] = {}
        self.hint = ""
        self.identity: Identity | None = None
        self._keys: dict[int, bytes] = {}
        self._step = 1  # from one frame that is rendered to the next
        self._pass: range | None = None
        self._passed: dict[int, bytes] = {}
        self._rows: dict[bytes, sampling.RigSample] = {}
        self._sampled: set[int] = set()  # frames whose points were known at some time, as the rig was then
        self._marks: Marks = {}
        self._folder: Path | None = None
        self._names = ("", PICTURES)  # what is before and after the numbers in the names of the files
        self._identity: _StampedIdentity = (0, None)
        self._look: Future[tuple[Marks, _StampedIdentity]] | None = None
        self._looked_at = 0.0
        self._looked = self._look_counts = False
        self._failed: set[int] = set()
        self._job: RenderJob | None = None
        self._changed = True
        self._rigs: list[RigState] = []
        self._time: tuple[float, int] = (0.0, 0)
        self._decided_on: tuple[Any, ...] = ()
        self._expected: OfPhoto | OfShot | None = None
        self._digests: dict[tuple[int, bytes], str | None] = {}

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
        self._step = frames.step
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
            keyed = {frame for rig in rigs for frame in keys_outside(rig, portrait.span(scene), self._rigs[0].stretch)}
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
        self.identity = self._of_done(frames)
        return changed or self.hint != before

    def _seen(self, portrait: PORTRAIT_PG_portrait, frames: range) -> tuple[Any, ...]:
        """All that the states depend on: while it stays, so do they."""
        job = self._latest_job()
        progress = (id(job), job.state, job.rendering, len(job.stored)) if job is not None else ()
        return (
            frames, expected(portrait), portrait.photo_digest, len(self._digests), self._marks, self._identity[0], id(self._keys), len(self._rows), len(self._failed), progress,
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
        wanted = expected(portrait)
        if wanted is None:
            return
        # Of a shot each frame counts: without a file too it may be as filmed.
        unknown = [
            frame
            for frame, key in self._keys.items()
            if key not in self._rows
            and (
                frame in self._marks
                or portrait.shot.is_filmed
                or (wanted.follows and frame - self._step in self._marks)
            )
        ]
        if not unknown:
            return
        rows = sampling.sample_until(deadline, scene, portrait.rig, portrait.space, unknown, groups.rigs(portrait)[1:])
        self._rows |= {self._keys[frame]: row for frame, row in rows.items()}

    def _look_at_files(self, portrait: PORTRAIT_PG_portrait) -> None:
        folder = portrait.folder()
        names = portrait.frame_prefix, portrait.frame_suffix
        if (folder, names) != (self._folder, self._names):
            self._folder, self._names = folder, names
            self._marks, self._look, self._looked_at, self._looked = {}, None, 0.0, False
            self._identity = 0, None
        if self._look is not None and self._look.done():
            (self._marks, self._identity), self._look, self._looked = self._look.result(), None, self._look_counts
        if job_queue.active_of(self.uid) is not None:
            self._looked = self._look_counts = False  # its frames may be newer than what was seen
        if self._look is None and time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._look_counts = job_queue.active_of(self.uid) is None
            self._look = _reader.submit(_look, folder, self._marks, self._identity, *self._names)

    def _states(self, portrait: PORTRAIT_PG_portrait, frames: range) -> dict[int, FrameState]:
        job, wanted = self._job, expected(portrait)
        self._expect(wanted, frames)
        states = {}
        for frame in frames:
            state = self._state(frame, wanted, portrait.photo_digest)
            if state in (FrameState.DONE, FrameState.NOT_RECOGNISED, FrameState.AS_FILMED):
                self._failed.discard(frame)
            states[frame] = FrameState.FAILED if frame in self._failed else state
        if job is not None and job.active:
            states.update(_under_way(job, states))
        return states

    def _state(self, frame: int, wanted: OfPhoto | OfShot | None, photo: str) -> FrameState:
        """What became of a frame, jobs aside."""
        _, _, mark = self._marks.get(frame, (0, 0, None))
        there = mark is not None and mark.photo in ("", wanted.photo if wanted is not None else photo)
        key = self._keys.get(frame)
        if isinstance(wanted, OfShot) and key is not None and (frame, key) in self._digests:
            if self._digests[frame, key] is None:
                return FrameState.AS_FILMED
        elif isinstance(wanted, OfShot):
            return FrameState.CHECKING
        if mark is None or not there:
            return FrameState.MISSING
        if wanted is None:
            return FrameState.STALE
        if key is None:  # its curves are still to be read
            return FrameState.CHECKING
        carried = self._carried(frame, key, wanted)
        if carried is not None:
            self._sampled.add(frame)
            if mark.digest != carried:
                return FrameState.STALE
            return FrameState.NOT_RECOGNISED if self._is_stranger(frame) else FrameState.DONE
        # The rig's curves have changed at this frame since it was sampled, so its points almost surely have too.
        still = bool(self._rigs) and not any(rig.moved_from_outside for rig in self._rigs)
        return FrameState.STALE if frame in self._sampled and still else FrameState.CHECKING

    def _is_stranger(self, frame: int) -> bool:
        """Whether a frame's pixels were found to show somebody else than the photo."""
        identity = self._identity[1]
        if identity is None or not self._is_of(frame, identity):
            return False
        return identity.frames[frame].verdict is Verdict.NOT_RECOGNISED

    def _of_done(self, frames: range) -> Identity | None:
        identity = self._identity[1]
        if identity is None:
            return None
        done = (FrameState.DONE, FrameState.NOT_RECOGNISED)
        known = identity.only(
            frame for frame in frames if self.states.get(frame) in done and self._is_of(frame, identity)
        )
        return known if known.frames else None

    def _is_of(self, frame: int, identity: Identity) -> bool:
        """Whether what was found of a frame was found of the pixels that are there now."""
        _, _, mark = self._marks.get(frame, (0, 0, None))
        return mark is not None and frame in identity.frames and identity.frames[frame].digest == mark.digest

    def _carried(self, frame: int, key: bytes, wanted: OfPhoto | OfShot) -> str | None:
        """What a frame's file carries if it is done; None where that is not known yet."""
        own = self._digests.get((frame, key))
        after = frame + self._step if wanted.follows and frame + self._step in self._keys else frame
        following = self._digests.get((after, self._keys[after]))
        return None if own is None or following is None else wanted.carried(own, following)

    def _expect(self, wanted: OfPhoto | OfShot | None, frames: range) -> None:
        """Finds out what files must carry, of some frames more each time."""
        if wanted != self._expected:
            self._expected, self._digests = wanted, {}
        if wanted is None:
            return
        pairs = [(frame, key) for frame in frames if (key := self._keys.get(frame)) is not None]
        new = [pair for pair in pairs if pair not in self._digests and pair[1] in self._rows][:_MOST_DIGESTS]
        if len(self._digests) > _MOST_ROWS:
            self._digests = {pair: self._digests[pair] for pair in pairs if pair in self._digests}
        if new:
            numbers = [frame for frame, _ in new]
            found = wanted.digests(numbers, [self._rows[key] for _, key in new])
            self._digests.update(zip(new, found, strict=True))

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


def _look(
    folder: Path, known: Marks, identity: _StampedIdentity, prefix: str, suffix: str
) -> tuple[Marks, _StampedIdentity]:
    """Reads what is new or has changed: frames' marks, and whether they show the person."""
    path = folder / f"{prefix}{IDENTITY_FILE}"
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0
    if changed != identity[0]:
        identity = changed, Identity.load(path)
    return look_at_files(folder, known, prefix, suffix), identity


def look_at_files(folder: Path, known: Marks, prefix: str = "", suffix: str = PICTURES) -> Marks:
    """Reads the marks of frame files that are new or have changed; a damaged file has none."""
    found: Marks = {}
    for number in frames_in(folder, prefix, suffix):
        path = frame_path(folder, number, prefix, suffix)
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
