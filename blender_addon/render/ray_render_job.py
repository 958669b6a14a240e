# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders on the Ray cluster of the preferences: a portrait becomes a farm job for the time of the render, whose frames
land in the portrait's own folder."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from portrait_shared.client.client import Client
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.digest import portrait_digest
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_files import frame_path, prepare_folder, valid_frames, write_frame
from portrait_shared.frames.frame_numbers import ranges_of

from ..connection import server
from ..connection.command_run import CommandRun
from ..connection.server import Launch
from ..portraits.scene_portraits import find_portrait
from . import frame_folder, portrait_ids
from .job_inputs import photo_words
from .render_job import FrameArrived, PortraitReady, RenderJob
from .shot_render_job import EngineTold, ShotRenderJob

_SAVED: Final = re.compile(r"^Saved: (.+)$")


class RayRenderJob(RenderJob):
    """Brings the frames of a photo's portraits up to date."""

    def begin(self) -> None:
        self._launch.check_command()
        self._run = CommandRun()
        super().begin()

    def cancel(self) -> None:
        super().cancel()
        if self._worker is not None:
            self._run.end()

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        drawn = self._inputs
        first, note = drawn.reference(client)
        prepare_folder(self._folder)
        with PrivateFolder() as folder:
            by = ["--connect", str(server.connection(self._launch, cancelled).file)]
            job = _FarmJob(self._run, self._launch, folder, [*photo_words(drawn, folder, first), *by])
            references = [(first.digest, drawn.points), *((one.digest, one.points) for one in drawn.further)]
            portrait_id = portrait_digest(job.engine, job.fingerprint, references, drawn.further_faces)
            deep = first.digest if drawn.depth == 16 else ""
            post(PortraitReady(portrait_ids.Known(portrait_id, drawn.photo_digest, deep), note))
            if self._asked_folder is None:
                frame_folder.claim(self._folder, self._owner)
            job.render(self._folder, self._names, self._again, post)


class RayShotRenderJob(ShotRenderJob):
    """Brings the changed frames of a filmed portrait up to date."""

    def draw(self, folder: Path, post: Callable[[Any], None]) -> None:
        job = _FarmJob(self._run, self._launch, folder, [*self._inputs.words(folder), "--device", self._launch.device])
        post(EngineTold(job.engine, job.fingerprint))
        job.render(self._folder, self._names, self._again, post)


class _FarmJob:
    """A job that is written when it is made, and rendered on the cluster.

    Attributes:
        engine, fingerprint: what draws it.
    """

    def __init__(self, run: CommandRun, launch: Launch, folder: Path, words: Sequence[str]) -> None:
        """
        Args:
            folder: a private one, in which it is made.
            words: for `portrait job write`: what it draws, and by what.
        """
        self._run, self._launch, self._folder = run, launch, folder
        run.run([*launch.command, "job", "write", str(folder / "job"), *words], lambda line: None)
        told = json.loads((folder / "job" / "job.json").read_text("utf-8"))
        self.engine, self.fingerprint = told["engine"]["name"], told["engine"]["fingerprint"]
        self._digests = {int(number): digest for number, digest in told["frames"].items()}

    def render(self, output: Path, names: tuple[str, str], again: bool, post: Callable[[Any], None]) -> None:
        """Brings frames up to date.

        Args:
            names: prefix and suffix of the files.
            post: given a `FrameArrived` for each.
        """
        prefix, suffix = names
        valid = {} if again else valid_frames(output, self._digests, prefix, suffix)
        for number, sha256 in valid.items():
            post(FrameArrived(StoredFrame(number, frame_path(output, number, *names), False, sha256), time.monotonic()))
        wanted = sorted(self._digests.keys() - valid.keys())
        if not wanted:
            return
        # Files of a job's frames have no prefix: where the portrait's have one, they are drawn elsewhere.
        drawn_in = self._folder / "frames" if prefix else output
        numbers = {frame_path(drawn_in, number, suffix=suffix).name: number for number in wanted}

        def take(line: str) -> None:
            if (match := _SAVED.match(line)) is None or (name := Path(match[1]).name) not in numbers:
                return
            path = frame_path(output, numbers[name], *names)
            if prefix:
                write_frame(path, (drawn_in / name).read_bytes())
            post(FrameArrived(StoredFrame(numbers[name], path, True), time.monotonic()))

        words = ["--ray", self._launch.ray, f"--frames={ranges_of(wanted)}", "--output", str(drawn_in)]
        command = [*self._launch.command, "job", "render", str(self._folder / "job"), *words]
        self._run.run([*command, *(["--again"] if again else [])], take)


def render_job(uid: str, launch: Launch, **options: Any) -> RenderJob:
    """The job that renders a portrait: of a photo or of a shot, here or on a cluster.

    Args: as `RenderJob`.
    """
    found = find_portrait(uid)
    is_filmed = found is not None and found[1].shot.is_filmed
    if launch.ray:
        return (RayShotRenderJob if is_filmed else RayRenderJob)(uid, launch, **options)
    return (ShotRenderJob if is_filmed else RenderJob)(uid, launch, **options)
