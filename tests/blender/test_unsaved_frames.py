# SPDX-License-Identifier: GPL-3.0-or-later
"""A .blend that was never saved is rendered into the session's folder; saving moves the frames beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import problems, stored_paths  # noqa: E402
from blender_addon.interface.panels import messages  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import portrait_parts, unsaved_place  # noqa: E402
from blender_addon.render import frame_folder  # noqa: E402


@pytest.fixture
def unsaved(scene: Any, photo_file: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A portrait in a file without a name, as in a Blender with a window, where somebody can save it."""
    monkeypatch.setattr(unsaved_place, "_SAVED_LATER", True)
    portrait = portrait_parts.add(scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, portrait, face)
    scene.frame_start, scene.frame_end = 1, 2
    return portrait


def test_it_is_rendered_without_a_question_and_saving_moves_the_frames(
    needs_server: None, unsaved: Any, tmp_path: Path
) -> None:
    bpy.ops.portrait.render()
    session = unsaved.folder()
    assert session.is_relative_to(Path(bpy.app.tempdir).resolve())
    assert frame_folder.frames_of(unsaved) == [1, 2]
    assert messages.unsaved(unsaved).fix is problems.Fix.SAVE, "the panel says how long they are kept"

    (tmp_path / "work").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work" / "scene.blend"))
    assert unsaved.folder().is_relative_to(tmp_path / "work") and not session.exists()
    assert frame_folder.frames_of(unsaved) == [1, 2] and messages.unsaved(unsaved) is None
    shown = image_plane.wanted_sequence(unsaved.plane)
    assert stored_paths.full(shown.filepath).is_file() and shown.filepath.startswith("//")
    before = {path: path.stat().st_mtime_ns for path in unsaved.folder().glob("*.png")}
    bpy.ops.portrait.render()
    assert {path: path.stat().st_mtime_ns for path in before} == before, "none is drawn again"


def test_a_copy_saved_elsewhere_moves_nothing(needs_server: None, unsaved: Any, tmp_path: Path) -> None:
    bpy.ops.portrait.render()
    session = unsaved.folder()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "copy.blend"), copy=True)
    assert unsaved.folder() == session and frame_folder.frames_of(unsaved) == [1, 2]


def test_frames_that_cannot_be_moved_stay_and_the_panel_says_where(
    needs_server: None, unsaved: Any, tmp_path: Path
) -> None:
    bpy.ops.portrait.render()
    session = unsaved.folder()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "portrait_frames").write_text("a file in the way", encoding="utf-8")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work" / "scene.blend"))
    told = problems.last(unsaved.uid)
    assert told is not None and str(session) in told.remedy
    assert sorted(path.name for path in session.glob("*.png")) == ["0001.png", "0002.png"]


def test_files_of_others_are_not_replaced(needs_server: None, unsaved: Any, tmp_path: Path) -> None:
    unsaved.output_folder = "//frames"
    bpy.ops.portrait.render()
    session = unsaved.folder()
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0002.png").write_text("of another program", encoding="utf-8")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    told = problems.last(unsaved.uid)
    assert told is not None and told.fix is problems.Fix.CHOOSE_FOLDER and "0002.png" in told.message
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["0002.png"]
    assert (tmp_path / "frames" / "0002.png").read_text(encoding="utf-8") == "of another program"
    assert sorted(path.name for path in session.glob("*.png")) == ["0001.png", "0002.png"]


def test_frames_that_were_rendered_since_are_not_replaced(needs_server: None, unsaved: Any, tmp_path: Path) -> None:
    unsaved.output_folder = "//since"
    bpy.ops.portrait.render()
    session = unsaved.folder()
    folder = tmp_path / "since"
    shutil.copytree(session, folder)
    (folder / "0001.png").write_bytes(b"newer")
    newer = (session / "0001.png").stat().st_mtime_ns + 10**9
    os.utime(folder / "0001.png", ns=(newer, newer))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert (folder / "0001.png").read_bytes() == b"newer" and not session.exists()


@pytest.mark.parametrize("text", ["//", "//../.."])
def test_whatever_the_folder_is_called_only_frames_are_moved(
    needs_server: None, unsaved: Any, tmp_path: Path, text: str
) -> None:
    own = Path(bpy.app.tempdir) / "blender's own.txt"
    own.write_text("of Blender", encoding="utf-8")
    unsaved.output_folder = text
    bpy.ops.portrait.render()
    assert unsaved.folder().is_relative_to(Path(bpy.app.tempdir).resolve())
    (tmp_path / "a" / "b").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a" / "b" / "scene.blend"))
    assert unsaved.folder().is_relative_to(tmp_path) and frame_folder.frames_of(unsaved) == [1, 2]
    assert own.is_file()
    own.unlink()
