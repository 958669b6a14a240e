# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a portrait: sample the rig, ask the server, store the frames, show them on the plane and the strip."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from portrait_shared.client.client import Client
from portrait_shared.client.credentials import Sign, statement_of, with_credentials
from portrait_shared.client.rendering import StoredFrame, store_frames
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.frames.frame_files import credentials_path, frame_path, own_frames
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

from ..blender import problems
from ..blender.scene_time import notes_on_frames, stretch
from ..compositing.scene_nodes import Frames
from ..compositing.strip_nodes import follow_in_compositors
from ..connection import server
from ..jobs.job import Job, JobState, time_left
from ..plane import image_plane
from ..portraits import groups, portrait_copies
from ..portraits.portrait_parts import check_plane
from ..portraits.properties import PORTRAIT_PG_portrait
from ..preview import live_preview
from ..rig.sampling import RigSample
from . import frame_folder, frame_keys, portrait_ids, portrait_strip, recognition, session_frames
from .job_inputs import photo_words
from .photo_inputs import PhotoInputs

_SHOW_INTERVAL_SECONDS = 0.5
_PACE_FRAMES = 24


@dataclass(frozen=True)
class FrameArrived:
    """A frame's file is there, since `at` (time.monotonic)."""

    frame: StoredFrame
    at: float


@dataclass(frozen=True)
class PortraitReady:
    """The server has made the portrait ready.

    Attributes:
        told: the portrait's id and its photo's hashes.
        note: what the user should know of it; or empty.
    """

    told: portrait_ids.Known
    note: str = ""


@dataclass(frozen=True)
class Unsigned:
    """The frames are there, but got no credentials; `why`, and what mends it."""

    why: str


class RenderJob(Job):
    """Brings the frames of one portrait up to date: those that are there and valid are kept.

    All portraits of the same photo are drawn into them.

    Args:
        uid: of any portrait of the photo; the job is the leading one's.
        frames: the frames to render; the portrait's own range where None.
        folder: where they go; the portrait's own folder where None.
        again: renders all of them, valid or not.

    Attributes:
        stored: the files that are there, by frame.
        total: how many are asked for.
        drawn: how many of those stored the server has drawn for this job; the others were valid already.
    """

    label = "Render"

    def __init__(
        self, uid: str, launch: server.Launch, *, frames: Sequence[int] | None = None, folder: Path | None = None,
        again: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(groups.lead_uid(uid), launch)
        self.stored: dict[int, Path] = {}
        self.total = 0
        self.drawn = 0
        self._asked_frames, self._asked_folder, self._again = frames, folder, again
        self._frames: list[int] = []
        self._sampled: dict[bytes, RigSample] = {}
        self._subject = ""
        self._others: list[int] = []
        self._rows: dict[int, RigSample] = {}
        self._shown_at = 0.0
        self._shown = 0
        self._new_image = False
        self._arrivals: deque[float] = deque(maxlen=_PACE_FRAMES)

    @property
    def progress(self) -> float:
        return len(self.stored) / self.total if self.total else 0.0

    @property
    def asked_frames(self) -> set[int]:
        return set(self._frames)

    @property
    def rendering(self) -> bool:
        """Whether the server works on it: before that the rig is sampled."""
        return self._worker is not None and self.active

    def concerns(self, uid: str) -> bool:
        return groups.lead_uid(uid) == self.uid

    def take_undo_step(self) -> bool:
        if self._new_image:
            self._new_image = False
            return True
        return super().take_undo_step() and bool(self.stored)

    def take_sampled(self) -> dict[bytes, RigSample]:
        """What was sampled since the last call, by the frame's key, see `frame_keys`."""
        sampled, self._sampled = self._sampled, {}
        return sampled

    @property
    def seconds_left(self) -> float | None:
        """From the pace of the last frames; None where there is none yet."""
        if len(self._arrivals) < 2:
            return None
        pace = (self._arrivals[-1] - self._arrivals[0]) / (len(self._arrivals) - 1)
        return pace * (self.total - len(self.stored))

    def begin(self) -> None:
        scene, portrait = self.portrait()
        self._frames = list(portrait.frames(scene) if self._asked_frames is None else self._asked_frames)
        self.total = len(self._frames)
        self._inputs = PhotoInputs(scene, portrait, self._frames)
        self._folder = self.writes_to = self._take_folder(portrait)
        self._names = portrait.frame_prefix, portrait.frame_suffix
        self._owner = portrait.group_uid
        live_preview.stop(self.uid)  # the plane shows the frames as they come
        self._changes = frame_keys.changes()
        self._subject = portrait_ids.subject_of(portrait)
        written = (frame_path(self._folder, frame, *self._names) for frame in self._frames)
        keep_sources(written, [self._inputs.photo_file])
        self._size = self._inputs.size
        self._settings = portrait_strip.settings_of(portrait, self._frames[0], self._frames[-1])
        self.notes = [*notes_on_frames(scene), *self._inputs.notes]
        self.note = "Sampling the rig"

    def _take_folder(self, portrait: PORTRAIT_PG_portrait) -> Path:
        if self._asked_folder is None:
            return frame_folder.take(portrait)
        frame_folder.check(portrait, self._asked_folder)
        return self._asked_folder

    def prepared(self, deadline: float) -> bool:
        scene, portrait = self.portrait()
        if not self._inputs.sample(deadline, scene, portrait):
            return False
        if frame_keys.changes() == self._changes:  # else an edit lies between the first samples and the last
            rigs = groups.rigs(portrait)
            states = [frame_keys.rig_state(scene, rig, portrait.space) for rig in rigs]
            rows = dict(zip(self._frames, self._inputs.samples, strict=True))
            self._sampled = {key: rows[frame] for frame, key in frame_keys.keys_of_photo(rigs, states, self._frames)}
        return True

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        drawn = self._inputs
        reference, note = drawn.reference(client)
        handle = client.prepare(
            [reference, *drawn.further], engine=drawn.engine, personal=drawn.personal, others=drawn.further_faces
        )
        deep = reference.digest if drawn.depth == 16 else ""
        post(PortraitReady(portrait_ids.Known(handle.portrait_id, drawn.photo_digest, deep), note))
        if self._asked_folder is None:
            frame_folder.claim(self._folder, self._owner)
        stored = store_frames(
            client,
            handle,
            drawn.track,
            self._frames,
            self._folder,
            size=drawn.size,
            matte=drawn.matte,
            layers=drawn.layers,
            colorspace=drawn.colorspace,
            disclosure=drawn.disclosure,
            times=drawn.times,
            again=self._again,
            prefix=self._names[0],
            photo=drawn.photo_digest,
            body=drawn.body,
            others=drawn.driven_faces,
            cancelled=cancelled,
        )
        sign = self._signs(client, handle) if self._launch.credentials else None
        for frame in with_credentials(
            stored, self._folder, self._names[0], sign, lambda error: post(Unsigned(str(error)))
        ):  # fmt: skip
            post(FrameArrived(frame, time.monotonic()))

    def _signs(self, client: Client, portrait: PortraitHandle) -> Sign:
        """What has the server sign the frames."""
        drawn = self._inputs
        statement = statement_of(client, portrait, drawn.photo_digest, drawn.disclosure, drawn.consents)
        title = credentials_path(self._folder, self._names[0]).name
        shown = portrait.references if self._launch.thumbnails else ()
        return partial(client.sign_sequence, statement, title, thumbnails=shown)

    def handle(self, event: FrameArrived | PortraitReady | Unsigned) -> None:
        if isinstance(event, Unsigned):
            self.notes.append(f"The frames are not signed: {event.why}")
            return
        if isinstance(event, PortraitReady):
            portrait_ids.keep(self.portrait()[1], self._subject, event.told)
            self._others = own_frames(self._folder, event.told.photo, *self._names)
            self.notes += [event.note] if event.note else []
            return
        if event.frame.drawn:
            self._arrivals.append(event.at)
            self.drawn += 1
        self.stored[event.frame.number] = event.frame.path
        self.note = f"Frame {len(self.stored)} of {self.total}{time_left(self.seconds_left)}"
        if time.monotonic() - self._shown_at > _SHOW_INTERVAL_SECONDS:
            self.show()
            self._shown_at = time.monotonic()

    def show(self) -> None:
        """Lets plane, strip and compositor show what has come since they were shown last."""
        if len(self.stored) != self._shown:
            self._shown = len(self.stored)
            self.show_all()

    def show_all(self) -> None:
        """Lets them show all frames of this portrait that are in the folder; the photo or the shot where there are none."""
        scene, portrait = self.portrait()
        numbers = sorted({*self._others, *self.stored})
        try:
            check_plane(scene, portrait)
            portrait_copies.own_look(portrait)
            before = image_plane.texture_node(portrait.plane).image
            if numbers:
                frames = Frames(self._folder, numbers, stretch(scene), *self._names)
                image_plane.show_frames(portrait.plane, *frames[:-1])
                follow_in_compositors(portrait.group_uid, portrait.plane, frames)
            else:
                image_plane.show_photo(portrait.plane, portrait.photo)
            self._new_image |= image_plane.texture_node(portrait.plane).image != before
        except PortraitError as error:  # the frames are safe on the disk: go on, and say what has to be mended
            problems.keep(self.uid, error)
        try:
            portrait_strip.show(scene, portrait, self._folder, numbers, self._settings, self._size)
        except PortraitError as error:
            if error.message not in self.notes:
                self.notes.append(error.message)

    def end(self) -> None:
        if self.stored:
            self.show()
        session_frames.settle_all()  # the .blend may have been saved meanwhile
        if self.state is JobState.DONE:
            self.note = f"{_frames(self.drawn)} rendered"
            if self.drawn < len(self.stored):
                self.note += f", {len(self.stored) - self.drawn} already there"
            self._check_likeness()
            if len(self.stored) != self.total:
                self.state = JobState.FAILED
                self.error = PortraitError(ErrorCode.INTERNAL, f"{self.total - len(self.stored)} frames are missing.")

    def _check_likeness(self) -> None:
        if self.stored:
            recognition.ask(self.uid, self._launch.command, self._folder, self._names[0], self.recognition_words)

    def recognition_words(self, folder: Path) -> list[str]:
        """What `portrait recognise` is asked for. Touches nothing of Blender's.

        Args:
            folder: where the files are written that the words name.
        """
        return photo_words(self._inputs, folder, ReferenceImage(self._inputs.image, self._inputs.points))


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
