# SPDX-License-Identifier: GPL-3.0-or-later
"""The plane: the photo's own colours, measured in rendered pictures, and the right file at each frame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import frame_path, frames_in

bpy = pytest.importorskip("bpy")


from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import photo as photo_module  # noqa: E402
from blender_addon.portraits import portrait_parts  # noqa: E402


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


GREY = {number: 20 + 7 * i for i, number in enumerate((*range(-9, 13), 1001, 1002))}


def write_frames(folder: Path, numbers: list[int], write: Any) -> None:
    for number in numbers:
        write(frame_path(folder, number), np.full((64, 96, 3), GREY[number], np.uint8))


def render_number(scene: Any, plane: Any, folder: Path, frame: int) -> int:
    """The number of the file that the plane shows; a missing one is black or magenta and has none."""
    grey = int(render(scene, plane, (96, 64), folder, frame)[32, 48, 0])
    return next(number for number, value in GREY.items() if abs(value - grey) <= 2)


@pytest.mark.parametrize(
    ("there", "shown"),
    [
        ([5, 6, 7], {1: 5, 4: 5, 5: 5, 6: 6, 7: 7, 8: 7, 30: 7}),
        ([3], {1: 3, 3: 3, 9: 3}),
        ([1, 2, 5, 6], {1: 1, 2: 2, 3: 2, 4: 2, 5: 5, 6: 6, 7: 6}),
        ([7, 9, 12], {1: 7, 7: 7, 8: 7, 9: 9, 10: 9, 11: 9, 12: 12, 20: 12}),
        ([1, 2, 1001, 1002], {2: 2, 3: 2, 500: 2, 1000: 2, 1001: 1001, 1002: 1002, 1003: 1002}),
        ([-3, -2, -1], {-9: -3, -3: -3, -2: -2, -1: -1, 0: -1, 5: -1}),
        ([-9, -4, -3], {-20: -9, -9: -9, -8: -9, -5: -9, -4: -4, -3: -3, 2: -3}),
        ([-2, -1, 0, 1, 2], {-5: -2, -2: -2, -1: -1, 0: 0, 1: 1, 2: 2, 3: 2}),
        ([-6, -5, 3, 4, 8], {-9: -6, -6: -6, -5: -5, -1: -5, 0: -5, 2: -5, 3: 3, 4: 4, 7: 4, 8: 8, 9: 8}),
    ],
)
def test_file_n_plays_at_frame_n_and_the_ends_hold(
    portrait: Any, tmp_path: Path, write: Any, there: list[int], shown: dict[int, int]
) -> None:
    scene, folder = bpy.context.scene, tmp_path / "frames"
    write_frames(folder, there, write)
    image_plane.use_own_colors(scene)
    assert image_plane.show_frames(portrait.plane, folder, frames_in(folder)) is not None
    seen = {frame: render_number(scene, portrait.plane, tmp_path, frame) for frame in shown}
    assert seen == shown


def test_gaps_play_in_a_saved_file_without_the_extension(portrait: Any, tmp_path: Path, write: Any) -> None:
    """As a farm renders it, which has Blender alone."""
    folder = tmp_path / "frames"
    write_frames(folder, [-2, -1, 2, 3, 1001], write)
    scene, plane = bpy.context.scene, portrait.plane
    image_plane.use_own_colors(scene)
    image_plane.show_frames(plane, folder, frames_in(folder))
    render(scene, plane, (96, 64), tmp_path)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1
    camera.location, camera.rotation_euler = (*plane.location[:1], -3, plane.location[2]), (np.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera, scene.render.film_transparent = camera, False
    scene.render.resolution_x, scene.render.resolution_y = 8, 8
    bpy.ops.wm.save_mainfile()
    script = (
        "import bpy, sys, os; bpy.ops.wm.open_mainfile(filepath=sys.argv[1]); scene = bpy.context.scene\n"
        "for frame in (-9, -2, -1, 1, 2, 3, 4, 900, 1001, 1100):\n"
        "    scene.frame_set(frame); scene.render.filepath = os.path.join(sys.argv[2], f'f{frame}.png')\n"
        "    bpy.ops.render.render(write_still=True)\n"
        "sys.stdout.flush(); os._exit(0)"  # see conftest.pytest_unconfigure
    )
    subprocess.run([sys.executable, "-c", script, bpy.data.filepath, str(tmp_path)], check=True, capture_output=True)
    seen = {}
    for frame in (-9, -2, -1, 1, 2, 3, 4, 900, 1001, 1100):
        image = bpy.data.images.load(str(tmp_path / f"f{frame}.png"))
        grey = round(image.pixels[0] * 255)
        seen[frame] = next((number for number, value in GREY.items() if abs(value - grey) <= 2), None)
    assert seen == {-9: -2, -2: -2, -1: -1, 1: -1, 2: 2, 3: 3, 4: 3, 900: 3, 1001: 1001, 1100: 1001}


def test_between_two_frames_a_gap_shows_the_earlier_one(portrait: Any, tmp_path: Path, write: Any) -> None:
    """Motion blur and stretched time look there; a number that is not on the disk would be magenta."""
    folder, scene = tmp_path / "frames", bpy.context.scene
    write_frames(folder, [2, 5, 12], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    node = image_plane.texture_node(portrait.plane)
    for frame in range(1, 14):
        for part in (0.0, 0.1, 0.5, 0.9):
            scene.frame_set(frame, subframe=part)
            user = node.id_data.evaluated_get(bpy.context.evaluated_depsgraph_get()).nodes[node.name].image_user
            played = min(max(frame - user.frame_start + 1, 0), user.frame_duration) + user.frame_offset
            assert played == max(n for n in (2, 5, 12) if n <= max(frame, 2)), (frame, part)


def test_filled_gaps_need_no_driver_any_more(portrait: Any, tmp_path: Path, write: Any) -> None:
    folder = tmp_path / "frames"
    tree = image_plane.texture_node(portrait.plane).id_data
    write_frames(folder, [1, 3], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert len(tree.animation_data.drivers) == 1
    write_frames(folder, [2], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert not tree.animation_data.drivers
    assert render_number(bpy.context.scene, portrait.plane, tmp_path, 2) == 2


def test_the_photo_covers_frames_on_both_sides_of_zero(portrait: Any, tmp_path: Path, write: Any) -> None:
    folder, scene = tmp_path / "frames", bpy.context.scene
    image_plane.use_own_colors(scene)
    write_frames(folder, [-1, 0, 1], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    live = np.ones((64, 96, 4), np.float32)
    image_plane.show_preview(portrait.plane, portrait.uid, live)
    assert {int(render(scene, portrait.plane, (96, 64), tmp_path, n)[32, 48, 0]) for n in (-1, 1)} == {255}
    image_plane.end_preview(portrait.plane, portrait.photo)
    assert [render_number(scene, portrait.plane, tmp_path, n) for n in (-1, 1)] == [-1, 1]
    bpy.ops.portrait.show_photo()
    one, other = (render(scene, portrait.plane, (96, 64), tmp_path, n) for n in (-1, 1))
    assert (one == other).all() and np.unique(one[..., 0]).size > 10


def test_frames_that_arrive_later_are_played(portrait: Any, tmp_path: Path, write: Any) -> None:
    scene, folder = bpy.context.scene, tmp_path / "frames"
    image_plane.use_own_colors(scene)
    write_frames(folder, [1, 2], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert render_number(scene, portrait.plane, tmp_path, 4) == 2
    write_frames(folder, [3, 4], write)
    image_plane.show_frames(portrait.plane, folder, frames_in(folder))
    assert render_number(scene, portrait.plane, tmp_path, 4) == 4
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


def test_sixteen_bits_become_display_colours(needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path) -> None:
    """Blender would hold a 16-bit PNG as scene-linear floats, which a working space alters."""
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
    assert not loaded.is_float and loaded.packed_file is not None
    assert np.abs(photo_module.pixels(loaded).astype(int) - photo).max() <= 1


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n truncated"])
def test_unreadable_pictures_are_refused_and_leave_nothing(
    needs_server: None, scene: Any, tmp_path: Path, content: bytes
) -> None:
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


def test_frames_and_live_picture_have_the_photos_colour_space_and_alpha(
    portrait: Any, tmp_path: Path, write: Any
) -> None:
    node, other = image_plane.texture_node(portrait.plane), "Filmic sRGB"
    portrait.photo.colorspace_settings.name, portrait.photo.alpha_mode = other, "CHANNEL_PACKED"
    node.interpolation, node.extension = "Closest", "CLIP"
    write_frames(tmp_path / "frames", [-1, 1, 2], write)
    frames = image_plane.show_frames(portrait.plane, tmp_path / "frames", [-1, 1, 2])
    before = node.id_data.nodes["Portrait before 0"]
    image_plane.show_preview(portrait.plane, portrait.uid, np.zeros((8, 8, 4), np.float32))
    live = node.image
    image_plane.end_preview(portrait.plane, portrait.photo)
    for image in (frames, live, before.image):
        assert (image.colorspace_settings.name, image.alpha_mode) == (other, "CHANNEL_PACKED")
    for each in (node, before):
        assert (each.interpolation, each.extension) == ("Closest", "CLIP")
    portrait.photo.colorspace_settings.name = "sRGB"
    image_plane.show_frames(portrait.plane, tmp_path / "frames", [-1, 1, 2])
    assert frames.colorspace_settings.name == "sRGB", "they follow the photo"
    frames.colorspace_settings.name = "Non-Color"
    image_plane.show_frames(portrait.plane, tmp_path / "frames", [-1, 1, 2])
    assert frames.colorspace_settings.name == "Non-Color", "what the user has set stays"
