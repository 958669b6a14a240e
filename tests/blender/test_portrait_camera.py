# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's size and camera from the photo: what Blender renders then is the photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.plane import image_plane  # noqa: E402
from tests.loaded_picture import pixels  # noqa: E402


def rendered(path: Path) -> np.ndarray:
    """(height, width, 3) of what the scene's camera sees, the lowest row first."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 16, False
    scene.render.filepath = str(path)
    image_plane.use_own_colors(scene)
    bpy.ops.render.render(write_still=True)
    return pixels(path)[..., :3]


@pytest.mark.parametrize("moved", [False, True])
def test_the_camera_sees_the_photo_and_nothing_else(
    portrait: Any, photo: np.ndarray, tmp_path: Path, moved: bool
) -> None:
    scene = bpy.context.scene
    scene.render.resolution_percentage, scene.render.pixel_aspect_x = 50, 2.0
    if moved:
        portrait.plane.location, portrait.plane.rotation_euler = (3, -2, 5), (0.3, 0.2, 1.1)
        portrait.plane.scale = (2, 2, 2)
    assert bpy.ops.portrait.frame_scene() == {"FINISHED"}
    picture = rendered(tmp_path / "seen.png")
    assert picture.shape == photo.shape
    difference = np.abs(picture[::-1] * 255 - photo)
    assert difference[2:-2, 2:-2].max() < 6, "a pixel's filter blurs a little"


def test_the_users_camera_stays_and_a_second_click_adds_none(portrait: Any) -> None:
    scene = bpy.context.scene
    own = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(own)
    scene.camera = own
    portrait.resolution_percentage = 50
    bpy.ops.portrait.frame_scene()
    ours = scene.camera
    assert ours != own and own.name in scene.objects
    assert (scene.render.resolution_percentage, scene.render.resolution_x) == (50, portrait.size[0])
    bpy.ops.portrait.frame_scene()
    assert scene.camera == ours and len([item for item in scene.objects if item.type == "CAMERA"]) == 2
