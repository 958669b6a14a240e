# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Job: all that a portrait's frames depend on in one folder, from which machines without Blender draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from portrait_shared.client.client import Client
from portrait_shared.protocol.connection import Connection

from ..blender.problems import SceneError
from ..connection import server
from ..connection.worker import Worker
from ..jobs.command_job import CommandJob
from ..portraits import groups
from ..render.credential_words import credential_words
from ..render.job_inputs import photo_words
from ..render.photo_inputs import PhotoInputs
from ..render.shot_inputs import ShotInputs


class FarmJobExport(CommandJob):
    """Samples the rigs, and has a `portrait job write` make the folder.

    Args:
        uid: of any portrait of the photo; the leading one's settings count.
        folder: the job's.
        frames: the frames of the job, in order; the portrait's own range where None.
    """

    label = "Export Job"

    def __init__(
        self, uid: str, launch: server.Launch, folder: Path, frames: Sequence[int] | None = None
    ) -> None:  # fmt: skip
        super().__init__(groups.lead_uid(uid), launch)
        self.folder, self._asked = folder, frames
        self._inputs: PhotoInputs | ShotInputs
        self._client: Client | None = None
        self._connection: Connection
        self._of_photo = ""

    def concerns(self, uid: str) -> bool:
        return groups.lead_uid(uid) == self.uid

    def begin(self) -> None:
        super().begin()
        scene, portrait = self.portrait()
        frames = portrait.frames(scene) if self._asked is None else self._asked
        if portrait.shot.is_filmed:
            self._inputs = ShotInputs(scene, portrait, frames)
        else:
            self._inputs = PhotoInputs(scene, portrait, frames)
        self.notes = list(self._inputs.notes)
        self.note = "Sampling the rig"

    def prepared(self, deadline: float) -> bool:
        if not self._inputs.sample(deadline, *self.portrait()):
            return False
        if not self._inputs.frames:
            raise SceneError(
                "Nothing is changed in these frames of the shot: there is nothing to render.",
                "Pose the rig first, or choose OpenEXR with layers, which frames as filmed have, too.",
            )
        return True

    def new_worker(self) -> Worker:
        """Of a photo the server tells what the panel's frames would be; of a shot the command does so by itself."""
        self.note = f"Writing {self.folder.name}"
        return Worker(self.work, self._launch) if isinstance(self._inputs, PhotoInputs) else super().new_worker()

    def work(self, client: Client | None, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        self._client = client
        if client is not None:
            self._connection = server.connection(self._launch, cancelled)
        super().work(client, post, cancelled)

    def words(self, output: Path) -> Sequence[str]:
        words = ["job", "write", str(self.folder)]
        words += credential_words(self._launch, self._inputs.consents, output.parent)
        if isinstance(self._inputs, ShotInputs):
            return [*words, *self._inputs.words(output.parent), "--device", self._launch.device]
        first, self._of_photo = self._inputs.reference(self._client)
        drawn = photo_words(self._inputs, output.parent, first)
        return [*words, *drawn, "--connect", str(self._connection.file)]

    def load(self, output: Path) -> str:
        return self._of_photo

    def take_up(self, result: str) -> None:
        self.notes += [result] if result else []
        count = len(self._inputs.frames)
        self.note = f"Saved {self.folder.name}, {count} frame{'' if count == 1 else 's'}"
