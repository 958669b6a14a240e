# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip: file N lies at scene frame N while frames arrive, in any order, and it can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import compat, sequencer  # noqa: E402

SETTINGS = {"engine": "warp", "matte": True, "resolution_percentage": 50}


def show(scene: Any, folder: Path, numbers: list[int]) -> Any:
    return sequencer.show_frames(scene, "uid", "anna", folder, numbers, SETTINGS)


def files(strip: Any) -> dict[int, str]:
    """{scene frame: the file that the strip shows there}."""
    start = compat.strip_start(strip)
    return {start + index: element.filename for index, element in enumerate(strip.elements)}


def test_it_grows_with_each_frame(scene: Any, tmp_path: Path) -> None:
    for last in range(5, 9):
        strip = show(scene, tmp_path, list(range(5, last + 1)))
        assert files(strip) == {n: f"{n:04d}.png" for n in range(5, last + 1)}
        assert compat.strip_range(strip) == range(5, last + 1)
    assert len(compat.strips_of(scene.sequence_editor)) == 1
    assert Path(bpy.path.abspath(strip.directory)) == tmp_path


def test_no_frames_make_no_strip(scene: Any, tmp_path: Path) -> None:
    assert show(scene, tmp_path, []) is None
    assert sequencer.find_strip(scene, "uid") is None


def test_gaps_hold_the_frame_before_until_they_are_filled(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [2, 5])
    assert files(strip) == {2: "0002.png", 3: "0002.png", 4: "0002.png", 5: "0005.png"}
    strip = show(scene, tmp_path, [2, 3, 5])
    assert files(strip)[3] == "0003.png" and files(strip)[4] == "0003.png"


def test_earlier_frames_move_its_start(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, [10, 11])
    strip = show(scene, tmp_path, [8, 9, 10, 11])
    assert files(strip) == {n: f"{n:04d}.png" for n in range(8, 12)}
    assert compat.strip_range(strip) == range(8, 12)


def test_fewer_frames_shorten_it(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, [1, 2, 3, 4])
    assert compat.strip_range(show(scene, tmp_path, [2, 3])) == range(2, 4)


def test_a_strip_that_the_user_moved_keeps_its_place(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [1, 2])
    compat.set_strip_start(strip, 101)
    strip.channel = 5
    strip = show(scene, tmp_path, [1, 2, 3])
    assert compat.strip_range(strip) == range(101, 104) and strip.channel == 5


def test_it_lands_beside_other_strips(scene: Any, tmp_path: Path) -> None:
    editor = scene.sequence_editor_create()
    compat.strips_of(editor).new_image("other", str(tmp_path / "x.png"), 1, 1)
    assert show(scene, tmp_path, list(range(1, 20))).channel == 2


def test_a_deleted_strip_comes_back(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [1, 2])
    compat.strips_of(scene.sequence_editor).remove(strip)
    assert sequencer.find_strip(scene, "uid") is None
    assert compat.strip_range(show(scene, tmp_path, [1, 2, 3])) == range(1, 4)


def test_settings_are_kept_in_the_file(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path / "frames", [1, 2])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    strip = sequencer.find_strip(bpy.context.scene, "uid")
    assert sequencer.settings_of(strip) == SETTINGS
    assert isinstance(sequencer.settings_of(strip)["engine"], str)


def test_the_folder_is_kept_relative_to_a_saved_file(scene: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert show(scene, tmp_path / "frames", [1]).directory == "//frames/"


def test_deleted_frames_are_not_painted(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, list(range(1, 30)))
    assert not scene.sequence_editor.show_missing_media, "Blender would crash: sizes of appended elements are random"
