# SPDX-License-Identifier: GPL-3.0-or-later
"""Export and Import OpenTimelineIO: a `portrait` command writes and reads it, as Blender has no library for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from portrait_shared.edits import Edit
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder

from ..connection import server
from ..connection.command_run import CommandRun
from ..connection.worker import Worker
from ..jobs.command_job import CommandWorker
from ..jobs.job import Job
from . import edit_strips, scene_edit


class _EditJob(Job):
    """Belongs to a scene and to no portrait: its problems are kept under the empty uid."""

    def __init__(self, launch: server.Launch, scene: bpy.types.Scene, path: Path) -> None:
        super().__init__("", launch)
        self._scene_name, self._path = scene.name, path
        self._run = CommandRun()

    def begin(self) -> None:
        self._launch.check_command()
        self.note = f"{self.label}: {self._path.name}"

    def new_worker(self) -> Worker:
        return CommandWorker(self.work, self._launch)

    def cancel(self) -> None:
        super().cancel()
        self._run.end()

    def is_in_file(self) -> bool:
        return self._scene_name in bpy.data.scenes

    def scene(self) -> bpy.types.Scene:
        """Raises: PortraitError: CANCELLED where the scene is not there any more."""
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise PortraitError(ErrorCode.CANCELLED, "The scene was removed.")
        return scene

    def convert(self, source: Path, target: Path) -> None:
        """Writes an edit as a timeline, or a timeline as an edit."""
        command = [*self._launch.command, "otio", str(source), "--output", str(target)]
        self._run.run(command, lambda line: None)


class EditExportJob(_EditJob):
    """Writes a scene's edit as a timeline."""

    label = "Export Timeline"

    def __init__(self, launch: server.Launch, scene: bpy.types.Scene, path: Path, *, selected: bool) -> None:
        super().__init__(launch, scene, path)
        self._selected = selected
        self._edit: Edit | None = None

    def begin(self) -> None:
        super().begin()
        self._edit = scene_edit.edit_of(self.scene(), selected=self._selected)
        self.notes = list(self._edit.notes)

    def work(self, client: Any, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        with PrivateFolder() as folder:
            self._edit.save(folder / "edit.json")
            self.convert(folder / "edit.json", self._path)
            post(len(self._edit.clips))

    def handle(self, event: int) -> None:
        self.note = f"{event} strip{'' if event == 1 else 's'} saved in {self._path.name}"


class EditImportJob(_EditJob):
    """Puts a timeline into a scene's sequencer."""

    label = "Import Timeline"

    def work(self, client: Any, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        with PrivateFolder() as folder:
            self.convert(self._path, folder / "edit.json")
            post(Edit.load(folder / "edit.json"))

    def handle(self, event: Edit) -> None:
        built = edit_strips.build(self.scene(), event)
        self.notes = built.notes
        self.note = f"{built.strips} of {len(event.clips)} clips are in the sequencer"
