# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of 16 bits: what the photo has of them is kept, and Blender shows them in the colours of those of 8."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frame_path

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import photo_depth, portrait_parts, sequencer  # noqa: E402
from blender_addon.render import frame_states, portrait_ids, portrait_strip  # noqa: E402
from blender_addon.render.frame_states import FrameState  # noqa: E402
from tests.blender.conftest import HEIGHT, WIDTH, face_points  # noqa: E402
from tests.blender.test_image_plane import render  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


def write_deep(path: Path, pixels: np.ndarray) -> Path:
    """(H, W, 3) uint16 as a PNG."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ))  # fmt: skip
    return path


def stored(path: Path) -> np.ndarray:
    """The levels of 16 bits that a file holds, (H, W, 3)."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    levels = np.round(values.reshape(image.size[1], image.size[0], -1)[::-1, :, :3] * 65535).astype(np.uint16)
    bpy.data.images.remove(image)
    return levels


def depth_of(path: Path) -> int:
    return path.read_bytes()[24]


@pytest.fixture
def deep_photo() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint16: a ramp on which hardly two pixels are alike."""
    ramp = np.linspace(4000, 60000, HEIGHT * WIDTH)
    return np.stack([ramp, ramp[::-1], np.roll(ramp, 999)], -1).reshape(HEIGHT, WIDTH, 3).astype(np.uint16)


@pytest.fixture
def deep(needs_server: None, scene: Any, tmp_path: Path, deep_photo: np.ndarray) -> Any:
    """A portrait of a photo of 16 bits in a saved .blend, that moves over frames 1 and 2."""
    file = write_deep(tmp_path / "pictures" / "deep.png", deep_photo)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    made = portrait_parts.add(bpy.context.scene, str(file))
    portrait_parts.attach_rig(bpy.context, made, face_points())
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 2
    bone = made.rig.pose.bones["jaw_09"]
    bone.keyframe_insert("location", frame=1)
    bone.location[1] = -0.15
    bone.keyframe_insert("location", frame=2)
    return made


def settle(portrait: Any, wanted: FrameState) -> None:
    """Ticks as Blender's timer does until all frames are in a state."""

    def settled() -> bool:
        frame_states.pump()
        return set(frame_states.of(portrait.uid).states.values()) == {wanted}

    wait_until(settled, note=lambda: frame_states.line(portrait.uid))


def test_a_photos_16_bits_come_through_and_another_depth_is_another_frame(
    no_watermark: None, deep: Any, deep_photo: np.ndarray
) -> None:
    bpy.ops.portrait.render()
    first = frame_path(deep.folder(), 1)
    shallow = first.read_bytes()
    assert depth_of(first) == 8
    deep.color_depth = "16"
    assert portrait_ids.known(deep) is None, "frames of 8 bits are not what is asked for"
    bpy.ops.portrait.render()
    assert not job_queue.last_of(deep.uid).notes and job_queue.last_of(deep.uid).drawn == 2
    assert depth_of(first) == 16
    np.testing.assert_array_equal(stored(first), deep_photo, "a photo at rest is the photo")
    moved = stored(frame_path(deep.folder(), 2))
    corner = (slice(0, 6), slice(WIDTH - 10, WIDTH))
    np.testing.assert_array_equal(moved[corner], deep_photo[corner])
    assert not np.array_equal(moved, deep_photo) and all(len(np.unique(moved[..., c])) > 1000 for c in range(3))
    bpy.ops.portrait.render()
    assert job_queue.last_of(deep.uid).drawn == 0, "they are valid"
    deep.color_depth = "8"
    bpy.ops.portrait.render()
    assert first.read_bytes() == shallow


def test_frames_of_the_other_depth_are_stale(deep: Any) -> None:
    bpy.ops.portrait.render()
    settle(deep, FrameState.DONE)
    deep.color_depth = "16"
    settle(deep, FrameState.STALE)
    bpy.ops.portrait.render()
    settle(deep, FrameState.DONE)
    deep.use_label = True
    settle(deep, FrameState.STALE)
    deep.use_label = False
    settle(deep, FrameState.DONE)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    deep = bpy.context.scene.talking_portraits.active
    assert portrait_ids.known(deep) is not None, "the file remembers"
    deep.color_depth = "8"
    settle(deep, FrameState.STALE)


def test_plane_and_strip_have_the_colors_of_8_bits(no_watermark: None, deep: Any, tmp_path: Path) -> None:
    def seen() -> np.ndarray:
        """What a camera sees of the plane: (HEIGHT, WIDTH, 4), 0 to 255."""
        assert image_plane.texture_node(deep.plane).image.colorspace_settings.name == "sRGB"
        image_plane.use_own_colors(bpy.context.scene)
        return render(bpy.context.scene, deep.plane, (WIDTH, HEIGHT), tmp_path).astype(int)

    def strip_space() -> str:
        return sequencer.find_strip(bpy.context.scene, deep.uid).colorspace_settings.name

    bpy.ops.portrait.render()
    bpy.ops.portrait.add_strip()
    shallow, space = seen(), strip_space()
    deep.color_depth = "16"
    bpy.ops.portrait.render()
    assert strip_space() == space == "sRGB"
    assert np.abs(seen() - shallow).max() <= 2 and np.ptp(shallow[..., :3]) > 150
    deep.matte = True
    bpy.ops.portrait.render()
    cut_out = seen()
    deep.color_depth = "8"
    bpy.ops.portrait.render()
    assert np.ptp(cut_out[..., 3]) == 255 and ((cut_out[..., 3] > 40) & (cut_out[..., 3] < 200)).sum() > 20, (
        "soft edges"
    )
    both = np.stack([cut_out, seen()])
    weighed = both[..., :3] * both[..., 3:] / 255  # what is not there has no colour
    assert np.ptp(weighed, axis=0).max() <= 4 and np.ptp(both[..., 3], axis=0).max() <= 2
    deep.color_depth = "16"
    settings = portrait_strip.settings_of(deep, 1, 2)
    deep.color_depth = "8"
    deep.apply_settings(settings)
    assert deep.depth == 16
    deep.apply_settings({key: value for key, value in settings.items() if key != "depth"})
    assert deep.depth == 8, "strips of before there was a choice"


def test_the_command_takes_a_depth(deep: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_mainfile()
    arguments = ["render", "--blend", bpy.data.filepath, "--frames", "2", "--depth", "16"]
    assert command_line.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert depth_of(tmp_path / "out" / "0002.png") == 16
    assert command_line.main(["render", "--depth", "12"]) == 2


class Server:
    """Reads files that are nothing but their pixels, in colours that bring out what is dark."""

    def read_picture(self, content: bytes, suffix: str, depth: int = 8) -> np.ndarray:
        pixels = np.frombuffer(content, np.uint16).reshape(HEIGHT, WIDTH, 3)
        if depth == 8:
            return (self.shown(pixels >> 8 << 8) >> 8).astype(np.uint8)
        return self.shown(pixels)

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        return np.round((pixels / 65535) ** 0.4 * 65535).astype(np.uint16)


def test_without_its_file_a_photo_has_8_bits_and_the_user_is_told(deep_photo: np.ndarray) -> None:
    server, content = Server(), deep_photo.tobytes()
    shown = server.read_picture(content, ".png")
    image, note = photo_depth.with_16_bits(server, shown, (content, ".png"))
    np.testing.assert_array_equal(image, server.shown(deep_photo))
    assert not note
    for file, said in ((None, "file is not there"), ((deep_photo[::-1].tobytes(), ".png"), "another picture")):
        image, note = photo_depth.with_16_bits(server, shown, file)
        np.testing.assert_array_equal(image, shown.astype(np.uint16) * 257)
        assert said in note


def test_a_photo_whose_low_bytes_show_in_its_shadows_is_not_called_another(deep_photo: np.ndarray) -> None:
    server, dark = Server(), deep_photo // 50
    dark[0, 0] = 255
    shown = server.read_picture(dark.tobytes(), ".png")
    image, note = photo_depth.with_16_bits(server, shown, (dark.tobytes(), ".png"))
    assert not note
    np.testing.assert_array_equal(image, server.shown(dark))
    assert (image[0, 0] >> 8).min() - shown[0, 0].max() > photo_depth._SAME_PICTURE
