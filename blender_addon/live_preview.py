# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview: the plane follows the rig while it is dragged or scrubbed. Blender never waits for it.

Blender's handlers only note that something changed. A timer samples the rig as it stands, hands the points to a
thread that owns the connection, and puts the newest picture that has come back on the plane.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from typing import Any, Final, NamedTuple

import bpy
import numpy as np
from bpy.app.handlers import persistent
from portrait_shared.errors import PortraitError
from portrait_shared.references import ReferenceImage
from portrait_shared.track import validate_points

from . import image_plane, photo, server
from .portrait_parts import check_plane
from .preview_worker import Ask, Picture, PreviewWorker, Subject, Trouble
from .properties import PORTRAIT_PG_portrait, portraits_of
from .rig import rest_points
from .sampling import check_rig, is_evaluated, sample_now, view_layer
from .worker import Connected

_TICK_SECONDS: Final = 0.01
_RESTING_TICK_SECONDS: Final = 0.1
_SLOW_SECONDS: Final = 2.0
_KEPT_LATENCIES: Final = 64
_DRAWN_AREAS: Final = ("VIEW_3D", "IMAGE_EDITOR")

_previews: dict[str, LivePreview] = {}
_reasons_to_rest: set[str] = set()


class Latency(NamedTuple):
    """How long a picture took, seconds.

    Attributes:
        total: from the change until the picture was on the plane.
        served: the part of it from asking the thread until the picture had come back.
    """

    total: float
    served: float


class LivePreview:
    """The preview of one portrait. Between ticks it holds names alone, never Blender's objects.

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
        self._row: np.ndarray | None = None
        self._subject: Subject | None = None
        self._subject_key: tuple[Any, ...] = ()
        self._last: np.ndarray | None = None
        self._put_back = True
        self._covered = False
        self._worker = PreviewWorker(launch)
        self._worker.start()

    def note_change(self) -> None:
        """Something may have moved: no more than a note."""
        if self._changed_at is None:
            self._changed_at = time.monotonic()

    def note_undo(self) -> None:
        """Blender has made all its objects anew, and may have taken the picture off the plane."""
        self._put_back = True
        self.note_change()

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

    def tick(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bool:
        """Takes what came, asks for what changed; whether the plane got a new picture.

        Raises:
            PortraitError: it cannot go on.
        """
        check_plane(scene, portrait)
        expected = self._last is not None and not self._put_back and not self._covered
        if expected and not image_plane.shows_preview(portrait.plane):
            raise _Replaced()
        picture = self._newest_picture()
        if self._rests(portrait):
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
            image_plane.show_preview(portrait.plane, self.uid, self._last)
            fresh = True
        self._put_back = self._covered = False
        if picture is not None:
            ask = picture.ask
            self.latencies.append(Latency(time.monotonic() - ask.changed_at, picture.come_at - ask.asked_at))
        if self._changed_at is not None:
            self._follow(scene, portrait)
        return fresh

    def stop(self) -> None:
        """Ends the thread; touches none of Blender's data."""
        self._worker.stop()

    def _follow(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> None:
        changed_at, self._changed_at = self._changed_at, None
        check_rig(scene, portrait.rig)
        layer = view_layer(scene)
        self.hint = (
            "" if is_evaluated(scene, layer, portrait.rig) else "The rig is disabled: enable it in the viewports"
        )
        row = sample_now(portrait.rig, layer, portrait.space)
        self._changed_at = None  # sampling may have told the handlers of the very change that it saw
        before, subject = self._subject, self._subject_of(portrait)
        if subject is before and self._row is not None and np.array_equal(row, self._row):
            return
        try:
            validate_points(row[np.newaxis], scene.frame_current)
        except PortraitError as error:
            self.trouble = Trouble(error, lost=False)
            return
        self._row = row
        self.asked += 1
        self._asked_at = time.monotonic()
        self._worker.ask(Ask(self.asked, subject, row, changed_at, self._asked_at))

    def _subject_of(self, portrait: PORTRAIT_PG_portrait) -> Subject:
        """The photo is read only when it, or how it is drawn, has changed."""
        points = rest_points(portrait.rig, portrait.space)
        key = (
            portrait.photo.name if portrait.photo is not None else "", portrait.photo_digest, points.tobytes(),
            portrait.engine, portrait.preview_frame_size, portrait.matte,
        )  # fmt: skip
        if self._subject is None or key != self._subject_key:
            if self._subject is not None and key[:3] == self._subject_key[:3]:
                reference = self._subject.reference
            else:
                reference = ReferenceImage(photo.pixels(photo.check(portrait.photo, tuple(portrait.size))), points)
            self._subject = Subject(reference, portrait.engine or None, portrait.preview_frame_size, portrait.matte)
            self._subject_key = key
        return self._subject

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
            elif event.ask.subject is self._subject and event.ask.number > (
                newest.ask.number if newest else self.shown
            ):
                newest, self.trouble = event, None

    def _rests(self, portrait: PORTRAIT_PG_portrait) -> bool:
        """While Blender renders or saves, or plays frames that were rendered, the plane shows those."""
        if _reasons_to_rest:
            return True
        rendered = image_plane.covered_by_preview(portrait.plane)
        return _plays() and rendered is not None and rendered.source == "SEQUENCE"


class _Replaced(Exception):
    """Somebody has put another picture on the plane: what they want to see."""


def start(uid: str, launch: server.Launch) -> None:
    """Turns the preview of a portrait on."""
    if uid not in _previews:
        _previews[uid] = LivePreview(uid, launch)
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=0.0, persistent=True)


def stop(uid: str) -> None:
    """Turns it off: the plane shows again what it showed before."""
    preview = _previews.pop(uid, None)
    if preview is None:
        return
    preview.stop()
    _uncover(uid)
    image_plane.remove_preview(uid)


def stop_all() -> None:
    for uid in list(_previews):
        stop(uid)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)


def of(uid: str) -> LivePreview | None:
    """The portrait's preview, or None where it is off."""
    return _previews.get(uid)


def pump() -> bool:
    """One tick of all previews; whether there is anything new to draw. Blender's timer calls it."""
    fresh = False
    for uid, preview in list(_previews.items()):
        found = _find(uid)
        if found is None:
            stop(uid)
            continue
        try:
            fresh |= preview.tick(*found)
        except _Replaced:
            stop(uid)
        except PortraitError as error:
            preview.trouble = Trouble(error, lost=False)
    return fresh


def _find(uid: str) -> tuple[bpy.types.Scene, PORTRAIT_PG_portrait] | None:
    for scene in bpy.data.scenes:
        portrait = portraits_of(scene).by_uid(uid)
        if portrait is not None:
            return scene, portrait
    return None


def _uncover(uid: str) -> None:
    found = _find(uid)
    if found is not None:
        _take_off(found[1])


def _take_off(portrait: PORTRAIT_PG_portrait) -> None:
    try:
        image_plane.end_preview(portrait.plane, portrait.photo)
    except PortraitError:
        return  # a plane without a material shows no picture


def _plays() -> bool:
    return any(
        window.screen.is_animation_playing and not window.screen.is_scrubbing
        for window in bpy.context.window_manager.windows
    )


def _on_timer() -> float | None:
    if not _previews:
        return None
    if bpy.app.is_job_running("RENDER"):
        return _RESTING_TICK_SECONDS
    lines = [preview.line for preview in _previews.values()]
    if pump() or lines != [preview.line for preview in _previews.values()]:
        _redraw()
    return _TICK_SECONDS


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in _DRAWN_AREAS:
                area.tag_redraw()


# What Blender tells. These run in the middle of its own work, some in another thread: they only take notes.


@persistent
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    if _previews and (
        depsgraph is None or any(map(depsgraph.id_type_updated, ("OBJECT", "ARMATURE", "ACTION", "SCENE")))
    ):
        for preview in _previews.values():
            preview.note_change()


@persistent
def _on_frame(*_: object) -> None:
    for preview in _previews.values():
        preview.note_change()


@persistent
def _on_undo(*_: object) -> None:
    for preview in _previews.values():
        preview.note_undo()
    _take_off_leftovers()


@persistent
def _before_load(*_: object) -> None:
    for preview in _previews.values():
        preview.stop()
    _previews.clear()
    _reasons_to_rest.clear()


@persistent
def _after_load(*_: object) -> None:
    """A file that Blender saved by itself may hold a plane with a live picture."""
    _take_off_leftovers()


@persistent
def _before_save(*_: object) -> None:
    _rest("save")


@persistent
def _after_save(*_: object) -> None:
    _reasons_to_rest.discard("save")


@persistent
def _before_render(*_: object) -> None:
    _rest("render")


@persistent
def _after_render(*_: object) -> None:
    _reasons_to_rest.discard("render")


def _rest(reason: str) -> None:
    _reasons_to_rest.add(reason)
    for uid, preview in _previews.items():
        _uncover(uid)
        preview.note_undo()


def _take_off_leftovers() -> None:
    for scene in bpy.data.scenes:
        for portrait in portraits_of(scene).items:
            if portrait.uid not in _previews and portrait.plane is not None:
                _take_off(portrait)


HANDLERS: Final = (
    (bpy.app.handlers.depsgraph_update_post, _on_change),
    (bpy.app.handlers.frame_change_post, _on_frame),
    (bpy.app.handlers.undo_post, _on_undo),
    (bpy.app.handlers.redo_post, _on_undo),
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_save),
    (bpy.app.handlers.render_init, _before_render),
    (bpy.app.handlers.render_complete, _after_render),
    (bpy.app.handlers.render_cancel, _after_render),
)
