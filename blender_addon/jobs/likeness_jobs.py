# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the faces on further photos, and tunes the engine to the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.tuning import Tuning
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import TunedPerson
from portrait_shared.protocol.references import ReferenceImage

from ..blender import stored_paths
from ..connection import server
from ..portraits import likeness, photo
from .job import Job, time_left

_NO_USE = (ErrorCode.NO_FACE, ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE)


@dataclass(frozen=True)
class _Looked:
    """What came of one photo: its points (70, 3), or None where there is no face on it."""

    digest: str
    points: np.ndarray | None


class FurtherPhotosJob(Job):
    """Finds the face on each of a portrait's further photos that has none yet; those without one are left out."""

    label = "Photos"

    def __init__(self, uid: str, launch: server.Launch) -> None:
        super().__init__(uid, launch)
        self._done = 0
        self._without_face: list[str] = []

    @property
    def progress(self) -> float:
        return self._done / len(self._pictures) if self._worker is not None and self._pictures else 0.0

    def begin(self) -> None:
        _, portrait = self.portrait()
        new = [item for item in portrait.references if not item.detected]
        self._pictures = {item.photo_digest: photo.pixels(item.photo) for item in new}

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        for digest, picture in self._pictures.items():
            if cancelled():
                raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
            try:
                points = client.detect(np.ascontiguousarray(picture)).points
            except PortraitError as error:
                if error.code not in _NO_USE:
                    raise
                points = None
            post(_Looked(digest, points))

    def handle(self, event: _Looked) -> None:
        self._done += 1
        self.note = f"Photo {self._done} of {len(self._pictures)}"
        _, portrait = self.portrait()
        index = next((i for i, item in enumerate(portrait.references) if item.photo_digest == event.digest), None)
        if index is None:  # taken out meanwhile
            return
        if event.points is not None:
            portrait.references[index].set_points(event.points)
        else:
            self._without_face.append(portrait.references[index].name)
            likeness.remove_photo(portrait, index)

    def end(self) -> None:
        _, portrait = self.portrait()
        used = sum(bool(item.detected) for item in portrait.references)
        self.note = f"{used} further photo{'' if used == 1 else 's'} in use"
        if self._without_face:
            raise PortraitError(
                ErrorCode.NO_FACE,
                f"No face was found on {', '.join(self._without_face)}: left out.",
                "Add photos that show the person's face, well lit.",
            )


class TuneJob(Job):
    """Tunes the engine to the person on the portrait's photos, and puts what came of it into use.

    Attributes:
        path: the file that was made; None where nothing was better than no tuning.
    """

    label = "Tune"

    def __init__(self, uid: str, launch: server.Launch) -> None:
        super().__init__(uid, launch)
        self.path: Path | None = None
        self._share = 0.0

    @property
    def progress(self) -> float:
        return self._share

    def begin(self) -> None:
        _, portrait = self.portrait()
        self._file = likeness.new_personal_path(portrait)
        first = photo.pixels(photo.check(portrait.photo, tuple(portrait.size)))
        self._photos = [ReferenceImage(first), *likeness.further_references(portrait)]
        self._engine = portrait.engine or None

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        told = ""

        def progress(tuning: Tuning) -> None:
            nonlocal told
            if (now := _words(tuning)) != told:
                told = now
                post((now, tuning.step / tuning.steps if tuning.steps else 0.0))

        tuned = client.tune(self._photos, engine=self._engine).result(progress, cancelled)
        if tuned.kept:
            tuned.personal.save(self._file)  # at once: minutes of work are not lost if the .blend is closed now
        post(tuned)

    def handle(self, event: TunedPerson | tuple[str, float]) -> None:
        if isinstance(event, tuple):
            self.note, self._share = event
            return
        self._share = 1.0
        if not event.kept:
            self.note = "Nothing was surely better than the engine as it is, so nothing was changed"
            return
        _, portrait = self.portrait()
        portrait.personal = stored_paths.stored(self._file)
        self.path = self._file
        before, after = event.before["score"], event.after["score"]
        self.note = f"Tuned: error on views held back {before:.4f} before, {after:.4f} now"
        self.notes.append("Frames that were rendered without the tuning are stale now.")


def _words(tuning: Tuning) -> str:
    if tuning.state == "queued":
        return f"Waiting behind {tuning.ahead} other tunings" if tuning.ahead else "Getting ready"
    if not tuning.steps:
        return "Looking at the photos"
    score = "" if tuning.score is None else f", error {tuning.score:.4f}"
    return f"Step {tuning.step} of {tuning.steps}{score}{time_left(tuning.seconds_left)}"
