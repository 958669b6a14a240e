# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview of one portrait: samples the rig as it stands, asks for it, puts what comes back on the plane.

Of a photo with several faces it is the leading portrait's, and all their rigs are in the picture.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from typing import Final, NamedTuple

import bpy
import numpy as np
from portrait_shared.body import check_body
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import checked_others

from ..connection import server
from ..connection.worker import Connected
from ..plane import image_plane
from ..portraits import groups
from ..portraits.portrait_parts import check_plane
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.sampling import (  # fmt: skip
    RigSample,
    as_evaluated,
    check_rig,
    is_evaluated,
    other_faces,
    sample_now,
    view_layer,
)
from . import on_air
from .preview_subject import CurrentSubject, drawn_sample
from .preview_worker import Ask, Picture, PreviewWorker, Subject, Trouble

_SLOW_SECONDS: Final = 2.0
_KEPT_LATENCIES: Final = 64
_SOON_SECONDS: Final = 0.05
_RECENT: Final = 8
_SETTLE_SECONDS: Final = 0.5
_QUICK_PIXELS: Final = 512 * 512


class Latency(NamedTuple):
    """How long a picture took, seconds.

    Attributes:
        total: from the change until the picture was on the plane.
        served: the part of it from asking the thread until the picture had come back.
    """

    total: float
    served: float


class PortraitPreview:
    """The preview of one portrait. Between ticks it keeps names and no Blender objects, which undo and loading free.

    Attributes:
        latencies: of the last pictures.
        trouble: why there are no pictures now, or None.
        shown: number of the request whose picture the plane shows.
        asked: number of the last request.
    """

    def __init__(self, uid: str, launch: server.Launch) -> None:
        self.uid = uid
        self.latencies: deque[Latency] = deque(maxlen=_KEPT_LATENCIES)
        self.trouble: Trouble | None = None
        self.hint = ""
        self.shown = 0
        self.asked = 0
        self._connected = False
        self._changed_at: float | None = time.monotonic()
        self._asked_at = 0.0
        self._row: RigSample | None = None
        self._current = CurrentSubject()
        self._last: np.ndarray | None = None
        self._put_back = True
        self._covered = False
        self._settles_at: float | None = None
        self._worker = PreviewWorker(launch, on_air.taker(uid))
        self._worker.start()

    def note_change(self) -> None:
        """Something may have moved: no more than a note."""
        if self._changed_at is None:
            self._changed_at = time.monotonic()

    def ask_again(self) -> None:
        """Asks for the same picture once more: it is to go on air."""
        self._row = None
        self.note_change()

    def note_undo(self) -> None:
        """Blender has made all its objects anew, and may have taken the picture off the plane."""
        self._put_back = True
        self.note_change()

    @property
    def is_full(self) -> bool:
        """Whether a pose that is set now would have to wait: a later one will be newer."""
        return self._worker.is_full

    @property
    def line(self) -> str:
        """How it is doing, for the panel."""
        if self.trouble is not None:
            return self.trouble.error.message
        if self.hint:
            return self.hint
        if not self._connected:
            return "Starting the server …"
        if self.asked > self.shown and time.monotonic() - self._asked_at > _SLOW_SECONDS:
            return "Waiting for the server …"
        if not self.latencies:
            return "Getting the portrait ready …"
        return f"Follows within {1000 * float(np.median([latency.total for latency in self.latencies])):.0f} ms"

    def tick(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, rests: bool) -> bool:
        """Takes what came, asks for what changed; whether the plane got a new picture.

        Args:
            rests: Blender renders or saves: the plane shows what it does without the preview.

        Raises:
            PortraitError: it cannot go on.
        """
        check_plane(scene, portrait)
        expected = self._last is not None and not self._put_back and not self._covered
        if expected and not image_plane.shows_preview(portrait.plane):
            raise Replaced()
        picture = self._newest_picture()
        if rests or _plays_frames(portrait):
            if not self._covered:
                image_plane.end_preview(portrait.plane, portrait.photo)
                self._covered = True
            if picture is not None:
                self._last, self.shown = picture.pixels, picture.ask.number
            return False
        fresh = picture is not None
        if picture is not None:
            self._last, self.shown = picture.pixels, picture.ask.number
        if self._last is not None and (fresh or self._put_back or self._covered):
            self._show(portrait)
            fresh = True
        self._put_back = self._covered = False
        if picture is not None:
            self._note_latency(picture)
        self._settle()
        if self._changed_at is not None:
            self._follow(scene, portrait)
        return fresh

    def stop(self) -> None:
        """Ends the thread; touches none of Blender's data."""
        self._worker.stop()

    def _follow(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
        changed_at, self._changed_at = self._changed_at, None
        layer, rigs = view_layer(scene), groups.rigs(portrait)
        for rig in rigs:
            check_rig(scene, rig)
        disabled = not all(is_evaluated(scene, layer, rig) for rig in rigs)
        self.hint = "The rig is disabled: enable it in the viewports" if disabled else ""
        sample = sample_now(rigs[0], layer, portrait.space, rigs[1:])
        self._changed_at = None  # sampling lets Blender call the handlers again for the change that it has seen
        row = drawn_sample(scene, portrait, sample)
        if row is None:
            self._rest_as_filmed(portrait)
            return
        before, subject = self._current.subject, self._current.of(scene, portrait)
        if subject is before and self._row is not None and row.equals(self._row):
            return
        self._ask(scene, subject, row, changed_at)

    def ask_before_draw(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
        """Asks for the pose that Blender begins to draw, so that the engine works meanwhile; changes nothing in Blender.

        Does nothing where the photo has changed, the rig is broken or the preview rests: the next tick sees to that.
        """
        if self._changed_at is None or self._row is None or self._covered or self._put_back:
            return
        rigs = groups.rigs(portrait)
        if None in rigs or not self._current.is_current(scene, portrait):
            return
        row = drawn_sample(scene, portrait, as_evaluated(rigs[0], view_layer(scene), portrait.space, rigs[1:]))
        if row is not None and not row.equals(self._row):
            changed_at, self._changed_at = self._changed_at, None
            self._ask(scene, self._current.subject, row, changed_at)

    @property
    def awaits_soon(self) -> bool:
        """Whether a picture is under way that should be here at once, as the last ones were."""
        recent = [latency.served for latency in list(self.latencies)[-_RECENT:]]
        return self.asked > self.shown and bool(recent) and float(np.median(recent)) < _SOON_SECONDS

    def show_before_draw(self, portrait: PORTRAIT_PG_portrait) -> bool:
        """Puts the picture last asked for on the plane if it has come; whether there is nothing more to wait for.

        It is called between Blender's evaluation and its drawing, when no more than the pixels of a picture that the
        plane already shows may change.
        """
        if self._covered or self._put_back or self._last is None or portrait.plane is None:
            return True
        if not image_plane.shows_preview(portrait.plane):
            return True
        picture = self._newest_picture()
        if picture is not None:
            self._last, self.shown = picture.pixels, picture.ask.number
            self._show(portrait)
            self._note_latency(picture)
        return self.shown == self.asked

    def _show(self, portrait: PORTRAIT_PG_portrait) -> None:
        image_plane.show_preview(portrait.plane, self.uid, self._last)
        self._settles_at = time.monotonic() + _SETTLE_SECONDS

    def _settle(self) -> None:
        """Makes the picture one that needs no saving: a small one at once, because the user may quit next. A large one, or
        one that follows the mouse, waits for a pause: each time costs some milliseconds."""
        if self._settles_at is None:
            return
        quick = self._last.shape[0] * self._last.shape[1] <= _QUICK_PIXELS and not _is_moving()
        if quick or time.monotonic() >= self._settles_at:
            image_plane.settle_preview(self.uid)
            self._settles_at = None

    def _note_latency(self, picture: Picture) -> None:
        ask = picture.ask
        self.latencies.append(Latency(time.monotonic() - ask.changed_at, picture.come_at - ask.asked_at))

    def _ask(self, scene: bpy.types.Scene, subject: Subject, row: RigSample, changed_at: float) -> None:
        try:
            check_points(row.points[np.newaxis], [scene.frame_current], code=ErrorCode.BAD_TRACK)
            check_body(row.body[np.newaxis], [scene.frame_current], code=ErrorCode.BAD_TRACK)
            if subject.filmed is None:
                checked_others(other_faces([row]), [scene.frame_current], subject.references[0].size, len(row.others))
        except PortraitError as error:
            self.trouble = Trouble(error, lost=False)
            return
        self._row = row
        self.asked += 1
        self._asked_at = time.monotonic()
        self._worker.ask(Ask(self.asked, subject, row, changed_at, self._asked_at))

    def _rest_as_filmed(self, portrait: PORTRAIT_PG_portrait) -> None:
        """Lets the plane show the shot: pictures that are under way come too late."""
        self.hint = "As filmed: nothing is changed at this frame"
        image_plane.end_preview(portrait.plane, portrait.photo)
        self._row = self._last = self._settles_at = None
        self._current.forget()
        self.shown = self.asked

    def _newest_picture(self) -> Picture | None:
        newest = None
        while True:
            try:
                event = self._worker.events.get_nowait()
            except queue.Empty:
                return newest
            if isinstance(event, Connected):
                self._connected, self.trouble = True, None
                server.connected(event.info)
            elif isinstance(event, Trouble):
                self.trouble, self._connected = event, self._connected and not event.lost
                server.failed(event.error)
            elif event.ask.subject is self._current.subject and event.ask.number > (
                newest.ask.number if newest else self.shown
            ):
                newest, self.trouble = event, None


class Replaced(Exception):
    """The user has put another picture on the plane, so the preview ends."""


def _plays_frames(portrait: PORTRAIT_PG_portrait) -> bool:
    """Whether Blender plays frames that were rendered, or a shot."""
    rendered = image_plane.covered_by_preview(portrait.plane)
    return (portrait.shot.is_filmed or (rendered is not None and rendered.source == "SEQUENCE")) and any(
        window.screen.is_animation_playing and not window.screen.is_scrubbing
        for window in bpy.context.window_manager.windows
    )


def _is_moving() -> bool:
    """Whether the user is in a tool that moves things, or Blender plays."""
    windows = bpy.context.window_manager.windows
    return any(window.modal_operators or window.screen.is_animation_playing for window in windows)
