# SPDX-License-Identifier: GPL-3.0-or-later
"""Plane and strip follow the files: a moved or copied project, frames that were deleted, a file loaded anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frame_path, frames_in

bpy = pytest.importorskip("bpy")

from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import sequencer  # noqa: E402
from blender_addon.render import frame_display, frame_folder  # noqa: E402

SETTINGS = {"engine": "warp", "matte": False, "resolution_percentage": 100}


def write_frames(folder: Path, numbers: list[int], write: Any, grey: int = 40) -> None:
    for number in numbers:
        write(frame_path(folder, number), np.full((64, 96, 3), grey, np.uint8))


@pytest.fixture
def shown(portrait: Any, write: Any) -> Any:
    """A portrait with frames 1 to 3 on its plane and in a strip, in a project's folder of its own."""
    folder = portrait.folder()
    write_frames(folder, [1, 2, 3], write)
    frame_folder.claim(folder, portrait.uid)
    bpy.ops.portrait.show_frames()
    bpy.ops.portrait.add_strip()
    return portrait


def sequence(portrait: Any) -> Any:
    return image_plane.texture_node(portrait.plane).image


def path_of(portrait: Any) -> Path:
    return Path(bpy.path.abspath(sequence(portrait).filepath))


def move_project(to: Path, copy: bool = False) -> Any:
    """Moves or copies all that lies beside the .blend, opens it there; its portrait."""
    blend = Path(bpy.data.filepath)
    bpy.ops.wm.save_mainfile()
    (shutil.copytree if copy else shutil.move)(str(blend.parent), str(to))
    bpy.ops.wm.open_mainfile(filepath=str(to / blend.name))
    return bpy.context.scene.talking_portraits.active


def test_paths_are_relative_to_a_saved_file(shown: Any) -> None:
    strip = sequencer.find_strip(bpy.context.scene, shown.uid)
    paths = (sequence(shown).filepath, strip.directory, shown.photo.filepath)
    assert paths == ("//portrait_frames/anna/0001.png", "//portrait_frames/anna/", "//pictures/anna.png")


def test_they_become_relative_with_the_first_save(addon: Any, scene: Any, tmp_path: Path, write: Any) -> None:
    from blender_addon.portraits import portrait_parts

    made = portrait_parts.add(bpy.context.scene, str(write(tmp_path / "a.png", np.zeros((64, 96, 3), np.uint8))))
    made.output_folder = str(tmp_path / "frames")
    write_frames(made.folder(), [1, 2], write)
    image_plane.show_frames(made.plane, made.folder(), [1, 2])
    sequencer.add_strip(bpy.context.scene, made.uid, "a", made.folder(), [1, 2], SETTINGS)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    strip = sequencer.find_strip(bpy.context.scene, made.uid)
    paths = (sequence(made).filepath, strip.directory.rstrip("/"), made.photo.filepath)
    assert paths == ("//frames/0001.png", "//frames", "//a.png")


@pytest.mark.parametrize("copy", [False, True], ids=["moved", "copied"])
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_projects_folder_elsewhere(
    shown: Any, tmp_path_factory: pytest.TempPathFactory, copy: bool, absolute: bool
) -> None:
    if absolute:  # as files were kept before
        strip = sequencer.find_strip(bpy.context.scene, shown.uid)
        strip.directory = str(shown.folder()) + "/"
        for image in (sequence(shown), shown.photo):
            image.filepath = bpy.path.abspath(image.filepath)
    new = tmp_path_factory.mktemp("new") / "project"
    moved = move_project(new, copy)
    assert path_of(moved) == new / "portrait_frames" / "anna" / "0001.png"
    strip = sequencer.find_strip(bpy.context.scene, moved.uid)
    assert Path(bpy.path.abspath(strip.directory)) == new / "portrait_frames" / "anna"
    assert sequence(moved).filepath.startswith("//") and strip.directory.startswith("//")
    if not absolute:
        assert Path(bpy.path.abspath(moved.photo.filepath)) == new / "pictures" / "anna.png"


def test_frames_in_a_chosen_folder_are_found_beside_the_file(
    portrait: Any, tmp_path_factory: pytest.TempPathFactory, write: Any
) -> None:
    beside = Path(bpy.data.filepath).parent / "shots" / "take 2"
    portrait.output_folder = str(beside)
    write_frames(beside, [4, 5], write)
    frame_folder.claim(beside, portrait.uid)
    bpy.ops.portrait.show_frames()
    sequence(portrait).filepath = str(beside / "0004.png")
    new = tmp_path_factory.mktemp("new") / "project"
    moved = move_project(new)
    assert path_of(moved) == new / "shots" / "take 2" / "0004.png"


def test_frames_of_another_portrait_are_not_taken(shown: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    frame_folder.claim(shown.folder(), "somebody else")
    sequence(shown).filepath = "/gone/portrait_frames/anna/0001.png"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    kept = bpy.context.scene.talking_portraits.active
    assert sequence(kept) == kept.photo, "the photo, and no magenta"


def test_the_photo_stands_in_for_deleted_frames_until_they_are_back(shown: Any, write: Any) -> None:
    scene, folder = bpy.context.scene, shown.folder()
    for number in (1, 2, 3):
        frame_path(folder, number).unlink()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    scene, kept = bpy.context.scene, bpy.context.scene.talking_portraits.active
    assert sequence(kept) == kept.photo
    write_frames(folder, [1, 2, 3], write)
    assert frame_display.follow(scene, kept, folder, frames_in(folder))
    assert sequence(kept).source == "SEQUENCE" and path_of(kept) == frame_path(folder, 1)
    assert not frame_display.follow(scene, kept, folder, frames_in(folder)), "once is enough"


def test_a_photo_that_the_user_chose_stays(shown: Any) -> None:
    scene, folder = bpy.context.scene, shown.folder()
    bpy.ops.portrait.show_photo()
    assert not frame_display.follow(scene, shown, folder, frames_in(folder))
    assert sequence(shown) == shown.photo


def test_frames_deleted_from_the_middle_and_the_ends(shown: Any, write: Any) -> None:
    scene, folder = bpy.context.scene, shown.folder()
    write_frames(folder, list(range(1, 10)), write)
    bpy.ops.portrait.show_frames()
    for number in (1, 5, 9):
        frame_path(folder, number).unlink()
    assert frame_display.follow(scene, shown, folder, frames_in(folder))
    node = image_plane.texture_node(shown.plane)
    assert path_of(shown) == frame_path(folder, 2)
    played = {}
    for frame in range(1, 11):
        scene.frame_set(frame)
        tree = node.id_data.evaluated_get(bpy.context.evaluated_depsgraph_get())
        user = tree.nodes[node.name].image_user
        played[frame] = min(max(frame - user.frame_start + 1, 0), user.frame_duration) + user.frame_offset
    assert played == {1: 2, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 7, 8: 8, 9: 8, 10: 8}


def test_frames_that_the_plane_was_not_to_play_stay_off_it(shown: Any, write: Any) -> None:
    """Those of a photo that was replaced, for one, which may lie in the same folder."""
    scene, folder = bpy.context.scene, shown.folder()
    write_frames(folder, [7, 8], write)
    assert not frame_display.follow(scene, shown, folder, frames_in(folder))
    assert image_plane.texture_node(shown.plane).image_user.frame_duration == 2


def test_frames_with_a_prefix_are_found_in_a_moved_project(
    portrait: Any, tmp_path_factory: pytest.TempPathFactory, write: Any
) -> None:
    """Also where the prefix was changed since."""
    portrait.frame_prefix = "take_"
    folder = portrait.folder()
    for number in (-1, 1, 2):
        write(frame_path(folder, number, portrait.frame_prefix), np.full((64, 96, 3), 40, np.uint8))
    bpy.ops.portrait.show_frames()
    portrait.frame_prefix = "other_"
    sequence(portrait).filepath = bpy.path.abspath(sequence(portrait).filepath)
    new = tmp_path_factory.mktemp("new") / "project"
    moved = move_project(new)
    assert path_of(moved) == new / "portrait_frames" / "anna" / "take_0001.png"
    assert not frame_display.follow(bpy.context.scene, moved, moved.folder(), [], moved.frame_prefix)
    assert sequence(moved).source == "SEQUENCE", "frames of another prefix are not those that went"
