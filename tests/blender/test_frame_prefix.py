# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames whose names begin with a word of the user's: on the disk, on the plane, in the strip, and told valid."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import sequencer  # noqa: E402
from blender_addon.render import frame_states  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402

COUNT = 3


def names(portrait: Any) -> list[str]:
    return sorted(path.name for path in portrait.folder().glob("*.png"))


def test_plane_strip_and_states_follow_the_prefix(needs_server: None, acting: Any) -> None:
    scene = bpy.context.scene
    acting.frame_prefix = "anna."
    acting.use_strip = True
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert names(acting) == ["anna.0004.png", "anna.0005.png", "anna.0006.png"]
    image = image_plane.texture_node(acting.plane).image
    assert image.source == "SEQUENCE" and image.filepath.endswith("anna.0004.png")
    strip = sequencer.find_strip(scene, acting.uid)
    assert [element.filename for element in strip.elements] == names(acting)
    while set(frame_states.of(acting.uid).states.values()) != {FrameState.DONE}:  # pytest's limit ends a hang
        frame_states.pump()
    stamps = {path.name: path.stat().st_mtime_ns for path in acting.folder().glob("*.png")}
    bpy.ops.portrait.render()
    assert stamps == {path.name: path.stat().st_mtime_ns for path in acting.folder().glob("*.png")}
    # Another name: all of them are missing, and those of before stay.
    acting.frame_prefix = "bea_"
    while set(frame_states.of(acting.uid).states.values()) != {FrameState.MISSING}:
        frame_states.pump()
    bpy.ops.portrait.render()
    assert len(names(acting)) == 2 * COUNT
    assert image_plane.texture_node(acting.plane).image.filepath.endswith("bea_0004.png")
    # The strip remembers with which it was made.
    acting.apply_settings(sequencer.settings_of(sequencer.find_strip(scene, acting.uid)))
    assert acting.frame_prefix == "bea_"


def test_the_photo_itself_is_never_written_over(needs_server: None, acting: Any, tmp_path: Path) -> None:
    photo = tmp_path / "0005.png"
    shutil.copyfile(bpy.path.abspath(acting.photo.filepath), photo)
    before = photo.read_bytes()
    acting.photo.filepath = str(photo)
    acting.output_folder = str(tmp_path)
    with pytest.raises(RuntimeError, match="would be overwritten"):
        bpy.ops.portrait.render()
    assert photo.read_bytes() == before and names(acting) == ["0005.png"]
    acting.frame_prefix = "anna."
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert photo.read_bytes() == before and len(names(acting)) == 1 + COUNT


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("shot1", "shot1_"), ("../up", "_up"), ("a/b\\c:", "a_b_c_"), (".hidden", "hidden"), ("x-", "x-_"), ("", "")],
)
def test_a_prefix_is_no_path_and_ends_in_no_number(portrait: Any, typed: str, kept: str) -> None:
    portrait.frame_prefix = typed
    assert portrait.frame_prefix == kept
