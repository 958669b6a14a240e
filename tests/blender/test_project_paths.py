# SPDX-License-Identifier: GPL-3.0-or-later
"""Chosen folders of frames and tunings follow a project that is saved for the first time, moved, or saved elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frame_path

bpy = pytest.importorskip("bpy")

from blender_addon.blender.problems import SceneError  # noqa: E402
from blender_addon.portraits import likeness, portrait_parts, sequencer  # noqa: E402


def active() -> Any:
    return bpy.context.scene.talking_portraits.active


def strips_folder() -> str:
    """What the strip remembers."""
    return str(sequencer.settings_of(sequencer.find_strip(bpy.context.scene, active().uid))["folder"])


def texts() -> tuple[str, str, str]:
    return active().personal, active().output_folder, strips_folder()


def tuning() -> Path:
    """The file that is looked for; it holds no tuning."""
    with pytest.raises(SceneError, match="no longer there") as raised:
        likeness.personal_file(active())
    return Path(raised.value.message.removeprefix("The person's tuning ").removesuffix(" is no longer there."))


@pytest.fixture
def project(portrait: Any, write: Any) -> Path:
    """The folder of a saved project: the portrait has a tuning, a chosen folder of frames, and a strip of them."""
    folder = Path(bpy.data.filepath).parent
    choose(folder, write)
    return folder


def choose(at: Path, write: Any) -> None:
    portrait = active()
    portrait.personal, portrait.output_folder = str(at / "tuned" / "anna.safetensors"), f"{at / 'takes' / 'one'}/"
    write(frame_path(portrait.folder(), 1), np.full((64, 96, 3), 40, np.uint8))
    bpy.ops.portrait.add_strip()
    assert texts() == (str(at / "tuned" / "anna.safetensors"), f"{at}/takes/one/", f"{at}/takes/one/")


BESIDE = ("//tuned/anna.safetensors", "//takes/one", "//takes/one")


def test_what_lies_in_the_project_is_relative_from_the_first_save_on(scene: Any, tmp_path: Path, write: Any) -> None:
    portrait_parts.add(scene, str(write(tmp_path / "anna.png", np.zeros((64, 96, 3), np.uint8))))
    choose(tmp_path, write)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert texts() == BESIDE


@pytest.mark.parametrize("copied", [False, True], ids=["moved", "copied"])
def test_a_project_elsewhere(project: Path, tmp_path_factory: pytest.TempPathFactory, copied: bool) -> None:
    bpy.ops.wm.save_mainfile()
    new = tmp_path_factory.mktemp("new") / "project"
    (shutil.copytree if copied else shutil.move)(str(project), str(new))
    bpy.ops.wm.open_mainfile(filepath=str(new / "scene.blend"))
    assert tuning() == new / "tuned" / "anna.safetensors"
    assert active().folder() == new / "takes" / "one"
    active().output_folder = ""
    active().apply_settings(sequencer.settings_of(sequencer.find_strip(bpy.context.scene, active().uid)))
    assert active().folder() == new / "takes" / "one"


def test_what_lies_elsewhere_stays_absolute(
    portrait: Any, write: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("farm")
    choose(elsewhere, write)
    before = texts()
    bpy.ops.wm.save_mainfile()
    assert texts() == before
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path_factory.mktemp("new") / "scene.blend"))
    assert texts() == before


def test_a_link_in_the_project_to_a_larger_disk_goes_with_it(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = tmp_path_factory.mktemp("disk") / "takes"
    shutil.move(project / "takes", disk)
    (project / "takes").symlink_to(disk, target_is_directory=True)
    bpy.ops.wm.save_mainfile()
    assert texts() == BESIDE


def test_saved_elsewhere_the_tuning_is_the_same_and_frames_go_beside_the_new_file(project: Path) -> None:
    bpy.ops.wm.save_mainfile()
    new = project / "versions" / "second"
    new.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(new / "scene.blend"))
    for _ in ("at once", "opened again"):
        assert texts() == ("//../../tuned/anna.safetensors", *BESIDE[1:])
        assert tuning() == project / "tuned" / "anna.safetensors"
        assert active().folder() == new / "takes" / "one", "no frame of the first is written over"
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "third.blend"))
    assert texts() == BESIDE


def test_a_copy_is_right_and_the_open_file_as_it_was(project: Path) -> None:
    chosen = texts()
    other = project / "other"
    other.mkdir()
    for before in (chosen, BESIDE):  # before the next save, and after it
        bpy.ops.wm.save_as_mainfile(filepath=str(other / "copy.blend"), copy=True)
        assert texts() == before
        bpy.ops.wm.save_as_mainfile(filepath=str(project / "copy.blend"), copy=True)
        assert texts() == before
        bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(project / "copy.blend"))
    assert texts() == BESIDE
    bpy.ops.wm.open_mainfile(filepath=str(other / "copy.blend"))
    assert tuning() == project / "tuned" / "anna.safetensors"


def test_a_copy_leaves_each_portrait_its_own_folder(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also where two differ now and are the same for the copy."""
    other = tmp_path_factory.mktemp("other")
    second = bpy.context.scene.talking_portraits.add("berta")
    first = next(each for each in bpy.context.scene.talking_portraits.items if each.uid != second.uid)
    first.output_folder, second.output_folder = str(other / "takes" / "one"), "//takes/one"
    bpy.ops.wm.save_as_mainfile(filepath=str(other / "copy.blend"), copy=True)
    found = {each.name: each.output_folder for each in bpy.context.scene.talking_portraits.items}
    assert found == {"anna": str(other / "takes" / "one"), "berta": "//takes/one"}


def test_a_copy_of_a_file_that_was_never_saved(scene: Any, tmp_path: Path, write: Any) -> None:
    portrait_parts.add(scene, str(write(tmp_path / "anna.png", np.zeros((64, 96, 3), np.uint8))))
    choose(tmp_path, write)
    before = texts()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "copy.blend"), copy=True)
    assert texts() == before
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "copy.blend"))
    assert texts() == BESIDE


def test_a_save_that_fails_changes_nothing(project: Path) -> None:
    for before in (texts(), BESIDE):
        with pytest.raises(RuntimeError):
            bpy.ops.wm.save_as_mainfile(filepath=str(project / "missing" / "scene.blend"))
        assert texts() == before
        bpy.ops.wm.save_mainfile()


def test_an_incremental_save_leaves_relative_paths_alone(project: Path) -> None:
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.save_mainfile(incremental=True)
    assert Path(bpy.data.filepath) != project / "scene.blend" and texts() == BESIDE


def test_a_linked_scenes_tuning_is_beside_the_file_that_it_is_linked_from(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path_factory.mktemp("new") / "scene.blend"))
    with bpy.data.libraries.load(str(project / "scene.blend"), link=True) as (source, target):
        target.scenes = list(source.scenes)
    with pytest.raises(SceneError) as raised:
        likeness.personal_file(target.scenes[0].talking_portraits.active)
    assert str(project / "tuned" / "anna.safetensors") in raised.value.message
