# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders on the Ray cluster of the preferences: a portrait becomes a farm job for the time of the render, whose frames
land in the portrait's own folder."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from portrait_shared.client.client import Client
from portrait_shared.client.credentials import Sign, renewed_credentials
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.digest import portrait_digest
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.frames.frame_files import (
    credentials_path,
    file_digest,
    frame_path,
    prepare_folder,
    valid_frames,
    write_frame,
)
from portrait_shared.frames.frame_numbers import ranges_of
from portrait_shared.statement import Statement

from ..connection import server
from ..connection.command_run import CommandRun
from ..connection.server import Launch
from ..portraits.scene_portraits import find_portrait
from . import frame_folder, portrait_ids
from .credential_words import credential_words
from .job_inputs import photo_words
from .render_job import FrameArrived, PortraitReady, RenderJob, Unsigned
from .shot_render_job import EngineTold, ShotRenderJob, tell_unsigned

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
            said = credential_words(self._launch, drawn.consents, folder)
            by = ["--connect", str(server.connection(self._launch, cancelled).file)]
            job = _FarmJob(self._run, self._launch, folder, [*photo_words(drawn, folder, first), *by, *said])
            references = [(first.digest, drawn.points), *((one.digest, one.points) for one in drawn.further)]
            portrait_id = portrait_digest(job.engine, job.fingerprint, references, drawn.further_faces)
            deep = first.digest if drawn.depth == 16 else ""
            post(PortraitReady(portrait_ids.Known(portrait_id, drawn.photo_digest, deep), note))
            if self._asked_folder is None:
                frame_folder.claim(self._folder, self._owner)
            job.render(self._folder, self._names, self._again, post, client)


class RayShotRenderJob(ShotRenderJob):
    """Brings the changed frames of a filmed portrait up to date."""

    def draw(self, folder: Path, post: Callable[[Any], None]) -> None:
        said = credential_words(self._launch, self._inputs.consents, folder)
        words = [*self._inputs.words(folder), "--device", self._launch.device, *said]
        job = _FarmJob(self._run, self._launch, folder, words)
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
        self._statement = None if told["statement"] is None else Statement.of_json(told["statement"])

    def render(
        self, output: Path, names: tuple[str, str], again: bool, post: Callable[[Any], None], client: Client | None = None
    ) -> None:  # fmt: skip
        """Brings frames up to date, and their credentials.

        Args:
            names: prefix and suffix of the files.
            post: given a `FrameArrived` for each.
            client: of who signs frames whose names have a prefix.
        """
        prefix, suffix = names
        valid = {} if again else valid_frames(output, self._digests, prefix, suffix)
        for number, sha256 in valid.items():
            post(FrameArrived(StoredFrame(number, frame_path(output, number, *names), False, sha256), time.monotonic()))
        wanted = sorted(self._digests.keys() - valid.keys())
        if prefix and client is not None:
            with renewed_credentials(
                output, prefix, self._signs(client, prefix), lambda error: post(Unsigned(str(error)))
            ) as hashes:
                hashes |= {frame_path(output, number, *names).name: sha256 for number, sha256 in valid.items()}
                if wanted:
                    self._draw_elsewhere(output, names, wanted, again, post, hashes)
        elif wanted or self._statement is not None:  # where nothing is drawn, what is there is signed
            numbers = {frame_path(output, number, suffix=suffix).name: number for number in wanted}

            def take(line: str) -> None:
                if (match := _SAVED.match(line)) is not None and (name := Path(match[1]).name) in numbers:
                    post(FrameArrived(StoredFrame(numbers[name], output / name, True), time.monotonic()))

            self._run_job(output, wanted or sorted(self._digests), again, take, post)

    def _draw_elsewhere(
        self, output: Path, names: tuple[str, str], wanted: list[int], again: bool, post: Callable[[Any], None],
        hashes: dict[str, str],
    ) -> None:  # fmt: skip
        """Draws frames under names without a prefix, as a job's have none, and puts them in their place as they come."""
        drawn_in = self._folder / "frames"
        numbers = {frame_path(drawn_in, number, suffix=names[1]).name: number for number in wanted}

        def take(line: str) -> None:
            if (match := _SAVED.match(line)) is None or (name := Path(match[1]).name) not in numbers:
                return
            path, data = frame_path(output, numbers[name], *names), (drawn_in / name).read_bytes()
            write_frame(path, data)
            hashes[path.name] = file_digest(data)
            post(FrameArrived(StoredFrame(numbers[name], path, True, hashes[path.name]), time.monotonic()))

        self._run_job(drawn_in, wanted, again, take, None)

    def _run_job(
        self, output: Path, frames: list[int], again: bool, take: Callable[[str], None], post: Callable[[Any], None] | None
    ) -> None:  # fmt: skip
        words = ["--ray", self._launch.ray, f"--frames={ranges_of(frames)}", "--output", str(output)]
        command = [*self._launch.command, "job", "render", str(self._folder / "job"), *words]
        said = self._run.run([*command, *(["--again"] if again else [])], take)
        if post is not None:
            tell_unsigned(said, post)

    def _signs(self, client: Client, prefix: str) -> Sign | None:
        if self._statement is None:
            return None
        return partial(client.sign_sequence, self._statement, credentials_path(Path(), prefix).name)


def render_job(uid: str, launch: Launch, **options: Any) -> RenderJob:
    """The job that renders a portrait: of a photo or of a shot, here or on a cluster.

    Args: as `RenderJob`.
    """
    found = find_portrait(uid)
    is_filmed = found is not None and found[1].shot.is_filmed
    if launch.ray:
        return (RayShotRenderJob if is_filmed else RayRenderJob)(uid, launch, **options)
    return (ShotRenderJob if is_filmed else RenderJob)(uid, launch, **options)
