# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what a rig changes of a filmed shot: the frames that it leaves as they were filmed are not rendered at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_files import frame_path, prepare_folder

from ..blender.scene_time import notes_on_frames
from ..connection.command_run import CommandRun, unsigned_in
from ..connection.worker import Worker
from ..jobs.command_job import CommandWorker
from ..jobs.job import JobState
from ..plane import image_plane
from ..preview import live_preview
from . import frame_folder, frame_keys, portrait_ids, portrait_strip
from .credential_words import credential_words
from .render_job import FrameArrived, RenderJob, Unsigned
from .shot_inputs import ShotInputs

_SAVED: Final = re.compile(r"^Saved: (.+)$")
_ENGINE: Final = re.compile(r"^Engine: (\S+) (.+)$")


@dataclass(frozen=True)
class EngineTold:
    """Which engine draws."""

    name: str
    fingerprint: str


def tell_unsigned(said: str, post: Callable[[Any], None]) -> None:
    """Posts why a command could not sign the frames, where it has `said` so on standard error."""
    if why := unsigned_in(said):
        post(Unsigned(why))


class ShotRenderJob(RenderJob):
    """Brings the changed frames of a filmed portrait up to date, by a `portrait render` of its own."""

    def begin(self) -> None:
        self._launch.check_command()
        scene, portrait = self.portrait()
        asked = portrait.frames(scene) if self._asked_frames is None else self._asked_frames
        self._inputs = ShotInputs(scene, portrait, asked)
        self._asked = self._inputs.asked
        self.total = len(self._asked)
        self._folder = self._take_folder(portrait)
        self._names = "", portrait.frame_suffix
        self._owner = portrait.uid
        live_preview.stop(self.uid)  # the plane shows the frames as they come
        self._changes = frame_keys.changes()
        self._subject = portrait_ids.engine_subject(portrait)
        self._size = portrait.frame_size
        self._settings = portrait_strip.settings_of(portrait, self._asked[0], self._asked[-1])
        self._others = sorted(set(image_plane.wanted_frames(portrait.plane)).difference(self._asked))
        self._run = CommandRun()
        self.notes = [*notes_on_frames(scene), *self._inputs.notes]
        self.note = "Sampling the rig"

    def prepared(self, deadline: float) -> bool:
        scene, portrait = self.portrait()
        if not self._inputs.sample(deadline, scene, portrait):
            return False
        self._frames = self._inputs.frames
        self.total = len(self._frames)
        if frame_keys.changes() == self._changes:  # else an edit lies between the first samples and the last
            self._sampled = self._inputs.by_key
        return True

    def new_worker(self) -> Worker:
        return CommandWorker(self.work, self._launch)

    def cancel(self) -> None:
        super().cancel()
        if self._worker is not None:
            self._run.end()

    def work(self, client: Any, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        if not self._frames:
            return
        prepare_folder(self._folder)
        if self._asked_folder is None:
            frame_folder.claim(self._folder, self._owner)
        with PrivateFolder() as folder:
            self.draw(folder, post)

    def draw(self, folder: Path, post: Callable[[Any], None]) -> None:
        """Draws the frames.

        Args:
            folder: a private one, for what the command reads.
        """
        begun = time.time()
        numbers = {frame_path(self._folder, frame, *self._names).name: frame for frame in self._frames}

        def take(line: str) -> None:
            if (match := _ENGINE.match(line)) is not None:
                post(EngineTold(match[1], match[2]))
            elif (match := _SAVED.match(line)) is not None and (name := Path(match[1]).name) in numbers:
                path = self._folder / name
                frame = StoredFrame(numbers[name], path, path.stat().st_mtime >= begun)
                post(FrameArrived(frame, time.monotonic()))

        asked = ["--output", str(self._folder), "--device", self._launch.device, *(["--again"] if self._again else [])]
        asked += credential_words(self._launch, self._inputs.consents, folder)
        tell_unsigned(self._run.run([*self._launch.command, "render", *self._inputs.words(folder), *asked], take), post)

    def handle(self, event: FrameArrived | EngineTold | Unsigned) -> None:
        if isinstance(event, EngineTold):
            portrait_ids.keep_engine(self.portrait()[1], self._subject, event.name, event.fingerprint)
        else:
            super().handle(event)

    def recognition_words(self, folder: Path) -> list[str]:
        return self._inputs.words(folder)

    def end(self) -> None:
        super().end()
        if self.state is JobState.DONE and not self.stored:
            self.show_all()
            self.note = "Nothing is changed in these frames: the shot is shown"
        elif self.state is JobState.DONE and (left := len(self._asked) - self.total):
            self.note += f", {left} as filmed"
