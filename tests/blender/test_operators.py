# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that the tests of the other modules do not run, and that none is left out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
from blender_addon.connection import preferences  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from tests.blender.conftest import HEIGHT, WIDTH  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.blender.test_registration import OPERATORS  # noqa: E402


def test_every_operator_is_run_by_a_test() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    run = set(re.findall(r"\bops\.portrait\.(\w+)\b(?!\.poll)", sources))
    run |= set(re.findall(r"getattr\(bpy\.ops\.portrait, \"(\w+)\"\)", sources))
    assert set(OPERATORS) - run == set()


def test_pose_makes_the_rig_active_in_pose_mode(portrait: Any, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.context.view_layer.objects.active = portrait.plane
    assert bpy.ops.portrait.pose() == {"FINISHED"}
    assert bpy.context.view_layer.objects.active == portrait.rig and bpy.context.mode == "POSE"
    bpy.ops.object.mode_set(mode="OBJECT")
    portrait.rig.hide_viewport = True
    assert bpy.ops.portrait.pose() == {"CANCELLED"}
    assert "hidden" in capfd.readouterr().out


def test_a_track_is_imported_or_refused(portrait: Any, face: np.ndarray, tmp_path: Path) -> None:
    points = face + np.array(((0, 0, 0), (3, 0, 0), (6, 0, 0)))[:, None]
    LandmarkTrack(points, (WIDTH, HEIGHT), 24.0, 5).save(tmp_path / "track.npz")
    assert bpy.ops.portrait.import_track(filepath=str(tmp_path / "track.npz")) == {"FINISHED"}
    action = portrait.rig.animation_data.action
    got = sample(bpy.context.scene, portrait.rig, portrait.space, range(5, 8)).points
    np.testing.assert_allclose(got, points, atol=0.02)
    LandmarkTrack(points, (WIDTH, HEIGHT + 1), 24.0, 5).save(tmp_path / "other.npz")
    for name, said in (("other.npz", "Import a track made for this photo"), ("absent.npz", "no file")):
        with pytest.raises(RuntimeError, match=said):
            bpy.ops.portrait.import_track(filepath=str(tmp_path / name))
    assert portrait.rig.animation_data.action == action, "what was keyed stays"


def test_a_photo_is_located(portrait: Any, photo_file: Path, photo: np.ndarray, write: Any, tmp_path: Path,
                            capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    moved = tmp_path / "moved.png"
    shutil.move(photo_file, moved)
    assert bpy.ops.portrait.relocate_photo(filepath=str(moved)) == {"FINISHED"}
    assert "differs" not in capfd.readouterr().out and Path(portrait.photo.filepath).name == "moved.png"
    assert bpy.ops.portrait.relocate_photo(filepath=str(write(tmp_path / "other.png", 255 - photo))) == {"FINISHED"}
    assert "differs" in capfd.readouterr().out
    with pytest.raises(RuntimeError, match="100x64"):
        bpy.ops.portrait.relocate_photo(
            filepath=str(write(tmp_path / "wide.png", np.pad(photo, ((0, 0), (0, 4), (0, 0)))))
        )
    assert Path(portrait.photo.filepath).name == "other.png"


def test_frames_and_photo_are_shown_by_turns(
    portrait: Any, photo: np.ndarray, write: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bpy.ops.portrait.show_frames() == {"CANCELLED"}
    assert "No frames have been rendered yet" in capfd.readouterr().out
    for number in (4, 5):
        write(frame_path(portrait.folder(), number), photo)
    assert bpy.ops.portrait.show_frames() == {"FINISHED"}
    assert image_plane.texture_node(portrait.plane).image.source == "SEQUENCE"
    assert bpy.ops.portrait.show_photo() == {"FINISHED"}
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_a_viewport_shows_the_photo(portrait: Any) -> None:
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    space = area.spaces.active
    assert space.shading.type == "SOLID" and not bpy.ops.portrait.show_colors.poll()
    with bpy.context.temp_override(window=window, area=area, space_data=space):
        assert bpy.ops.portrait.show_colors() == {"FINISHED"}
    assert (space.shading.type, space.shading.light, space.shading.color_type) == ("SOLID", "FLAT", "TEXTURE")


def test_the_preferences_are_the_extensions(scene: Any) -> None:
    """Blender finds them by the package's name; without a window there is nothing to see."""
    assert preferences.PORTRAIT_AP_preferences.bl_idname == blender_addon.__name__
    assert bpy.ops.portrait.show_preferences() == {"FINISHED"}
