# SPDX-License-Identifier: GPL-3.0-or-later
"""The plane: the photo's own colours, measured in rendered pictures, and the right file at each frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frame_files import frame_path

bpy = pytest.importorskip("bpy")

from blender_addon import image_plane, portrait_parts  # noqa: E402
from blender_addon import photo as photo_module  # noqa: E402
from blender_addon.properties import frames_in  # noqa: E402


def render(scene: Any, plane: Any, size: tuple[int, int], folder: Path, frame: int = 1) -> np.ndarray:
    """What an orthographic camera sees of the plane alone, a pixel for a pixel: (H, W, 4) uint8."""
    x, z = plane.dimensions[0] / 2, plane.dimensions[2] / 2
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2 * max(x, z)
    camera.location, camera.rotation_euler = (
        (*plane.location[:1], plane.location[1] - 3, plane.location[2]),
        (np.pi / 2, 0, 0),
    )
    scene.collection.objects.link(camera)
    scene.camera = camera
    settings = scene.render
    settings.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 1, False, "CPU"
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    settings.resolution_x, settings.resolution_y, settings.resolution_percentage = *size, 100
    settings.film_transparent, settings.dither_intensity = True, 0.0
    settings.image_settings.file_format, settings.image_settings.color_mode = "PNG", "RGBA"
    settings.filepath = str(folder / "rendered.png")
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(settings.filepath, check_existing=False)
    pixels = np.empty(size[0] * size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    bpy.data.objects.remove(camera)
    return np.round(pixels.reshape(size[1], size[0], 4)[::-1] * 255).astype(np.uint8)


def test_the_plane_has_the_photos_aspect_and_faces_the_front(portrait: Any) -> None:
    assert portrait.plane.dimensions[0] / portrait.plane.dimensions[2] == pytest.approx(96 / 64)
    assert tuple(portrait.plane.data.polygons[0].normal) == pytest.approx((0, -1, 0))


def test_colours_are_the_photos_own_under_the_standard_view(portrait: Any, photo: np.ndarray, tmp_path: Path) -> None:
    scene = bpy.context.scene
    image_plane.use_own_colors(scene)
    assert image_plane.altered_colors(scene) == ""
    rendered = render(scene, portrait.plane, (96, 64), tmp_path)
    assert (rendered[..., 3] == 255).all()
    assert np.abs(rendered[..., :3].astype(int) - photo).max() <= 2


def test_agx_alters_the_colours_and_is_detected(portrait: Any, photo: np.ndarray, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.view_settings.view_transform = "AgX"
    assert "AgX" in image_plane.altered_colors(scene)
    rendered = render(scene, portrait.plane, (96, 64), tmp_path)
    assert np.abs(rendered[..., :3].astype(int) - photo).max() > 20, "the warning would be for nothing"


def test_a_transparent_photo_lets_what_is_behind_through(
    scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    alpha = np.zeros((64, 96, 1), np.uint8)
    alpha[:, 48:] = 255
    made = portrait_parts.add(scene, str(write(tmp_path / "cut.png", np.concatenate((photo, alpha), 2))))
    image_plane.use_own_colors(scene)
    rendered = render(scene, made.plane, (96, 64), tmp_path)
    assert (rendered[:, :47, 3] == 0).all() and (rendered[:, 49:, 3] == 255).all()
    assert np.abs(rendered[:, 49:, :3].astype(int) - photo[:, 49:]).max() <= 2


def write_frames(folder: Path, numbers: list[int], write: Any) -> None:
    for number in numbers:
        write(frame_path(folder, number), np.full((64, 96, 3), number * 10, np.uint8))


@pytest.mark.parametrize(
    ("there", "shown"),
    [
        ([5, 6, 7], {1: 5, 4: 5, 5: 5, 6: 6, 7: 7, 8: 7, 30: 7}),
        ([3], {1: 3, 3: 3, 9: 3}),
        ([1, 2, 5, 6], {1: 1, 2: 2, 3: 2, 5: 2}),
    ],
)
def test_file_n_plays_at_frame_n_and_the_ends_hold(
    portrait: Any, tmp_path: Path, write: Any, there: list[int], shown: dict[int, int]
) -> None:
    scene, folder = bpy.context.scene, tmp_path / "frames"
    write_frames(folder, there, write)
    image_plane.use_own_colors(scene)
    assert image_plane.show_frames(portrait.plane, folder, frames_in(folder)) is not None
    seen = {frame: int(render(scene, portrait.plane, (96, 64), tmp_path, frame)[32, 48, 0]) // 10 for frame in shown}
    assert seen == shown


def test_frames_that_arrive_later_are_played(portrait: Any, tmp_path: Path, write: Any) -> None:
    scene, folder = bpy.context.scene, tmp_path / "frames"
    image_plane.use_own_colors(scene)
    write_frames(folder, [1, 2], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert render(scene, portrait.plane, (96, 64), tmp_path, 4)[32, 48, 0] == 20
    write_frames(folder, [3, 4], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert render(scene, portrait.plane, (96, 64), tmp_path, 4)[32, 48, 0] == 40
    assert len([image for image in bpy.data.images if image.source == "SEQUENCE"]) == 1
    bpy.ops.portrait.show_photo()
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_no_frames_change_nothing(portrait: Any, tmp_path: Path) -> None:
    assert image_plane.show_frames(portrait.plane, tmp_path / "none", []) is None
    assert image_plane.texture_node(portrait.plane).image == portrait.photo


def test_pixels_are_those_of_the_file(scene: Any, photo: np.ndarray, tmp_path: Path, write: Any) -> None:
    image = photo_module.load(str(write(tmp_path / "a.png", photo)))
    np.testing.assert_array_equal(photo_module.pixels(image), photo)
    alpha = np.random.default_rng(0).integers(0, 255, (64, 96, 1), np.uint8)
    rgba = np.concatenate((photo, alpha), 2)
    image = photo_module.load(str(write(tmp_path / "b.png", rgba)))
    np.testing.assert_array_equal(photo_module.pixels(image), rgba)


def test_sixteen_bits_become_display_colours(scene: Any, photo: np.ndarray, tmp_path: Path) -> None:
    """Blender holds a 16-bit PNG as scene-linear floats."""
    settings = scene.render.image_settings
    image = bpy.data.images.new("deep", 96, 64, float_buffer=True)
    linear = np.ones((64, 96, 4), np.float32)
    display = photo / 255
    linear[..., :3] = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    image.pixels.foreach_set(linear[::-1].ravel())
    settings.file_format, settings.color_depth, settings.color_mode = "PNG", "16", "RGB"
    scene.view_settings.view_transform = "Standard"
    image.save_render(str(tmp_path / "deep.png"), scene=scene)
    loaded = photo_module.load(str(tmp_path / "deep.png"))
    assert loaded.is_float
    assert np.abs(photo_module.pixels(loaded).astype(int) - photo).max() <= 1


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n truncated"])
def test_unreadable_pictures_are_refused_and_leave_nothing(scene: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(PortraitError) as caught:
        portrait_parts.add(scene, str(tmp_path / "bad.png"))
    assert caught.value.code is ErrorCode.BAD_IMAGE and caught.value.remedy
    assert not scene.talking_portraits.items and not scene.objects and not bpy.data.images


def test_a_picture_that_is_not_there(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as caught:
        portrait_parts.add(scene, str(tmp_path / "gone.png"))
    assert caught.value.code is ErrorCode.FILE_MISSING


def test_an_enormous_picture_is_refused(scene: Any, tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "long.png", np.zeros((1, 16385, 3), np.uint8))
    with pytest.raises(PortraitError) as caught:
        portrait_parts.add(scene, str(path))
    assert caught.value.code is ErrorCode.IMAGE_TOO_LARGE
    assert not bpy.data.images
