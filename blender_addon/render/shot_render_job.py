# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what a rig changes of a filmed shot: the frames that it leaves as they were filmed are not rendered at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from portrait_shared.bounds import check_points
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_files import frame_path, prepare_folder

from ..blender.frame_runs import frame_runs
from ..blender.scene_time import notes_on_frames
from ..connection.command_run import CommandRun
from ..connection.server import Launch
from ..connection.worker import Worker
from ..driving.rest import let_broken_rest
from ..jobs.command_job import CommandWorker
from ..jobs.job import JobState
from ..plane import image_plane
from ..plane.color_spaces import color_spaces
from ..portraits import likeness, shot_parts
from ..portraits.portrait_parts import check_plane
from ..portraits.scene_portraits import find_portrait
from ..preview import live_preview
from ..rig.sampling import check_rig, sample_until
from . import frame_folder, frame_keys, portrait_ids, portrait_strip
from .render_job import FrameArrived, RenderJob

_SAVED: Final = re.compile(r"^Saved: (.+)$")
_ENGINE: Final = re.compile(r"^Engine: (\S+) (.+)$")


@dataclass(frozen=True)
class EngineTold:
    """Which engine draws."""

    name: str
    fingerprint: str


class ShotRenderJob(RenderJob):
    """Brings the changed frames of a filmed portrait up to date, by a `portrait render` of its own."""

    def begin(self) -> None:
        self._launch.check_command()
        scene, portrait = self.portrait()
        shot = portrait.shot
        asked = portrait.frames(scene) if self._asked_frames is None else self._asked_frames
        self._asked = [frame for frame in asked if frame in shot.frames]
        if not self._asked:
            shot.within(range(min(asked), max(asked) + 1))
        self.total = len(self._asked)
        check_plane(scene, portrait)
        check_rig(scene, portrait.rig)
        shot_parts.check_there(portrait)
        let_broken_rest(scene, portrait)
        self._filmed = shot_parts.points_of(portrait)
        self._folder, self._layers = self._take_folder(portrait), portrait.layers
        self._names = "", portrait.frame_suffix
        self._owner = portrait.uid
        live_preview.stop(self.uid)  # the plane shows the frames as they come
        self._changes = frame_keys.changes()
        self._keys: dict[int, bytes] = {}
        self._state = frame_keys.rig_state(scene, portrait.rig, portrait.space)
        self._subject = portrait_ids.engine_subject(portrait)
        personal = likeness.personal_file(portrait)
        self._words = self._command(portrait, personal is not None)
        self._start, self._size = shot.start, portrait.frame_size
        self._settings = portrait_strip.settings_of(portrait, self._asked[0], self._asked[-1])
        self._others = sorted(set(image_plane.wanted_frames(portrait.plane)).difference(self._asked))
        self._run = CommandRun()
        self.notes = notes_on_frames(scene)
        self.note = "Sampling the rig"

    def _command(self, portrait: Any, is_tuned: bool) -> list[str]:
        """What is asked for but the frames."""
        words = ["--plate", str(portrait.shot.file), "--plate-points", str(portrait.shot.points_path),
                 "--depth", str(portrait.depth), "--device", self._launch.device]  # fmt: skip
        if portrait.layers:
            words += ["--format", "exr", "--layers", ",".join(portrait.layers),
                      "--colorspace", color_spaces().written]  # fmt: skip
        if self._again:
            words.append("--again")
        if portrait.engine:
            words += ["--engine", portrait.engine]
        if is_tuned:
            words += ["--personal", str(likeness.personal_path(portrait))]
        return words

    def prepared(self, deadline: float) -> bool:
        """Samples the rig, once for all frames at which nothing of it differs."""
        scene, portrait = self.portrait()
        check_rig(scene, portrait.rig)
        waiting = [frame for frame in self._asked if frame not in self._keys]
        for frame, key in frame_keys.frame_keys(portrait.rig, self._state, waiting):
            self._keys[frame] = key
            if time.monotonic() > deadline:
                return False
        first_of = {key: frame for frame, key in reversed(self._keys.items())}
        wanted = [frame for frame in first_of.values() if frame not in self._rows]
        if wanted:
            self._rows |= sample_until(deadline, scene, portrait.rig, portrait.space, wanted)
        if len(self._rows) < len(first_of):
            return False
        samples = [self._rows[first_of[self._keys[frame]]] for frame in self._asked]
        rows = [frame - self._start for frame in self._asked]
        targets = self._filmed.targets(rows, samples)
        check_points(targets, self._asked, code=ErrorCode.BAD_TRACK)
        changed = self._filmed.changed(rows, targets)
        # Frames as filmed have layers, too, such as a matte.
        needed = [True] * len(rows) if self._layers else changed
        self._frames = [frame for frame, is_needed in zip(self._asked, needed, strict=True) if is_needed]
        self.total = len(self._frames)
        points = self._filmed.track.points.copy()
        points[rows] = targets
        self._target = replace(
            self._filmed.track,
            points=points,
            start=self._start,
            extra={name: held for name, held in self._filmed.track.extra.items() if name == "timecode"},
        )
        if frame_keys.changes() == self._changes:  # else an edit lies between the first samples and the last
            self._sampled = {self._keys[frame]: row for frame, row in self._rows.items()}
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
        begun = time.time()
        numbers = {frame_path(self._folder, frame, *self._names).name: frame for frame in self._frames}

        def take(line: str) -> None:
            if (match := _ENGINE.match(line)) is not None:
                post(EngineTold(match[1], match[2]))
            elif (match := _SAVED.match(line)) is not None and (name := Path(match[1]).name) in numbers:
                path = self._folder / name
                frame = StoredFrame(numbers[name], path, path.stat().st_mtime >= begun)
                post(FrameArrived(frame, time.monotonic()))

        with PrivateFolder() as folder:
            self._target.save(folder / "target.npz")
            frames = ",".join(f"{first}-{last}" for first, last in frame_runs(self._frames))
            asked = ["--track", str(folder / "target.npz"), "--output", str(self._folder), f"--frames={frames}"]
            self._run.run([*self._launch.command, "render", *self._words, *asked], take)

    def handle(self, event: FrameArrived | EngineTold) -> None:
        if isinstance(event, EngineTold):
            portrait_ids.keep_engine(self.portrait()[1], self._subject, event.name, event.fingerprint)
        else:
            super().handle(event)

    def end(self) -> None:
        super().end()
        if self.state is JobState.DONE and not self.stored:
            self.show_all()
            self.note = "Nothing is changed in these frames: the shot is shown"
        elif self.state is JobState.DONE and (left := len(self._asked) - self.total):
            self.note += f", {left} as filmed"


def render_job(uid: str, launch: Launch, **options: Any) -> RenderJob:
    """The job that renders a portrait: of a photo or of a shot.

    Args: as `RenderJob`.
    """
    found = find_portrait(uid)
    is_filmed = found is not None and found[1].shot.is_filmed
    return (ShotRenderJob if is_filmed else RenderJob)(uid, launch, **options)
