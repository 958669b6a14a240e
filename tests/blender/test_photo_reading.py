# SPDX-License-Identifier: GPL-3.0-or-later
"""One reader: what the panel draws from is what the server reads of the file, however Blender would read it."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_names import PICTURE_SUFFIXES
from portrait_shared.frames.frame_files import frame_path

bpy = pytest.importorskip("bpy")

from blender_addon.blender import problems  # noqa: E402
from blender_addon.blender.problems import Fix  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.portraits import likeness, portrait_parts, sequencer, strip_sound  # noqa: E402
from blender_addon.portraits import photo as photo_module  # noqa: E402
from blender_addon.portraits.photo import _FILE_KEY as FILE_KEY  # noqa: E402
from blender_addon.portraits.photo_reading import is_plain  # noqa: E402

P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def exif(orientation: int) -> bytes:
    """A directory of one tag."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)


def with_chunk(png: Path, kind: bytes, data: bytes) -> Path:
    """Puts a chunk behind the PNG's header, for what Blender has said by one of its kind, or of the same."""
    content = png.read_bytes()
    for old_kind in (kind, b"sRGB", kind, b"gAMA", b"cHRM"):  # Blender 4.2 writes EXIF twice
        if (old := content.find(old_kind)) < 0:
            continue
        content = content[: old - 4] + content[old + 8 + int.from_bytes(content[old - 4 : old], "big") :]
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    png.write_bytes(content[:33] + chunk + content[33:])
    return png


def write_jpeg(path: Path, pixels: np.ndarray, orientation: int | None = None) -> Path:
    """With Blender's own writer, and EXIF as a camera puts it in."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("writer", width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1] / 255
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw, image.file_format = str(path), "JPEG"
    image.save(quality=100)
    bpy.data.images.remove(image)
    if orientation is not None:
        data = b"Exif\0\0" + exif(orientation)
        content = path.read_bytes()
        path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + content[2:])
    return path


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_phones_photo_stands_upright(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, orientation: int, quarter_turns: int
) -> None:
    stored = np.rot90(photo, -quarter_turns)
    image = photo_module.load(str(write_jpeg(tmp_path / "phone.jpg", stored, orientation)))
    assert tuple(image.size) == (photo.shape[1], photo.shape[0])
    assert np.abs(photo_module.pixels(image).astype(int) - photo).max() <= 12
    assert (image.packed_file is None) == (orientation == 1), "what Blender reads rightly stays a file"
    assert Path(photo_module.file_of(image)) == tmp_path / "phone.jpg"


def test_wide_colours_become_srgb(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    path = with_chunk(write(tmp_path / "a.png", photo), b"cHRM", struct.pack(">8I", *(round(v * 1e5) for v in P3)))
    pixels = photo_module.pixels(photo_module.load(str(path)))
    assert np.abs(pixels.astype(int) - photo).max() > 12
    middle = pixels[photo.shape[0] // 2, photo.shape[1] // 2].astype(int)
    assert np.abs(middle - photo[photo.shape[0] // 2, photo.shape[1] // 2]).max() <= 3, "greys are the same in both"


def test_alpha_is_held_to_the_bit(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    alpha = np.random.default_rng(0).integers(0, 255, (*photo.shape[:2], 1), np.uint8)
    rgba = np.concatenate((photo, alpha), 2)
    image = photo_module.load(str(with_chunk(write(tmp_path / "a.png", rgba), b"eXIf", exif(3))))
    assert image.packed_file is not None
    np.testing.assert_array_equal(photo_module.pixels(image), rgba[::-1, ::-1])


def test_what_blender_cannot_read_at_all(needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 %d %d 255\n" % photo.shape[1::-1] + photo.tobytes())
    image = photo_module.load(str(path))
    np.testing.assert_array_equal(photo_module.pixels(image), photo)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))


@pytest.mark.parametrize("name", ["film.mp4", "still.gif"])
def test_names_that_blender_takes_for_films(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any, name: str
) -> None:
    """Of plain files, which the add-on would otherwise show without asking."""
    path = write(tmp_path / "a.png", photo).rename(tmp_path / name)
    image = photo_module.load(str(path))
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(image, tuple(image.size)))[..., :3], photo)
    assert image.source == "FILE" and len(bpy.data.images) == 1
    assert Path(photo_module.file_of(image)) == path


def test_a_working_space_alters_nothing(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    if not hasattr(bpy.ops.wm, "set_working_color_space") or bpy.app.version < (5, 0, 0):
        return  # Blender before 5.0 has none
    bpy.ops.wm.set_working_color_space(working_space="ACEScg", convert_colors=True)
    for path in (write(tmp_path / "a.png", photo), with_chunk(write(tmp_path / "b.png", photo), b"tRNS", bytes(6))):
        np.testing.assert_array_equal(photo_module.pixels(photo_module.load(str(path)))[..., :3], photo)


def test_the_picture_lives_in_the_blend_and_follows_its_file(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    path = with_chunk(write(tmp_path / "a.png", photo), b"eXIf", exif(3))
    made = portrait_parts.add(scene, str(path))
    size = tuple(made.size)
    turned = photo[::-1, ::-1]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    made = bpy.context.scene.talking_portraits.active
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(made.photo, size)), turned)
    # Another picture in the same file, which Blender would show upside down.
    with_chunk(write(path, 255 - photo), b"eXIf", exif(3))
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(made.photo, size)), 255 - turned)
    assert made.photo.name == "a.png" and made.photo.packed_file is not None
    # The file is gone: the .blend has the picture.
    path.unlink()
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(made.photo, size)), 255 - turned)
    # A plain file in its place is shown as itself again.
    write(path, photo)
    np.testing.assert_array_equal(photo_module.pixels(photo_module.check(made.photo, size)), photo)
    assert made.photo.packed_file is None


def test_its_file_is_found_in_a_project_that_was_moved(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    """The .blend has the picture, but only the file has 16 bits, and what an editor changes later."""
    path = with_chunk(write(tmp_path / "old" / "pictures" / "a.png", photo), b"eXIf", exif(3))
    content = path.read_bytes()
    portrait_parts.add(scene, str(path))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "old" / "scene.blend"))
    new = (tmp_path / "old").rename(tmp_path / "new")
    found = new / "pictures" / "a.png"
    found.write_bytes(b"another picture of that name")
    bpy.ops.wm.open_mainfile(filepath=str(new / "scene.blend"))
    image = bpy.context.scene.talking_portraits.active.photo
    assert photo_module.stored_file(image) is None
    remembered, image[FILE_KEY] = image[FILE_KEY], str(tmp_path / ("long" * 100))
    assert photo_module.stored_file(image) is None, "the system refuses to look there"
    image[FILE_KEY] = remembered
    found.write_bytes(content)
    assert photo_module.stored_file(image) == (content, ".png")
    with_chunk(write(found, 255 - photo), b"eXIf", exif(3))
    fresh = photo_module.check(image, tuple(image.size))
    np.testing.assert_array_equal(photo_module.pixels(fresh), 255 - photo[::-1, ::-1])


def test_a_plain_file_that_comes_to_need_the_server(
    needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any
) -> None:
    path = write(tmp_path / "a.png", photo)
    made = portrait_parts.add(scene, str(path))
    with_chunk(path, b"eXIf", exif(3))
    checked = photo_module.check(made.photo, tuple(made.size))
    np.testing.assert_array_equal(photo_module.pixels(checked), photo[::-1, ::-1])
    assert made.photo == checked and made.plane.active_material.node_tree.nodes["Portrait"].image == checked


def test_without_a_server_only_what_cannot_be_wrong_is_taken(
    scene: Any, photo: np.ndarray, tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", "/no/such/portrait")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/runtime")
    monkeypatch.setenv("XDG_CACHE_HOME", "/no/such/cache")
    server.stop()
    np.testing.assert_array_equal(photo_module.pixels(photo_module.load(str(write(tmp_path / "a.png", photo)))), photo)
    images = len(bpy.data.images)
    path = write_jpeg(tmp_path / "phone.jpg", photo, 6)
    with pytest.raises(RuntimeError, match="/no/such/portrait"):
        bpy.ops.portrait.add(filepath=str(path))
    assert problems.last("").fix is Fix.PREFERENCES
    assert not scene.talking_portraits.items and len(bpy.data.images) == images


def test_the_server_starts_while_a_file_is_chosen(
    needs_server: None, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    assert server.warm_up(server.launch_plan(bpy.context, may_start=False)) is None
    server.warm_up(server.launch_plan(bpy.context)).join()
    assert server.owns_process()
    server.stop()
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER", "/no/such/portrait")
    server.warm_up(server.launch_plan(bpy.context)).join()
    assert server.health().state is server.ServerState.FAILED and "/no/such/portrait" in server.health().line


def test_what_cannot_be_read_is_refused_by_its_name(needs_server: None, scene: Any, tmp_path: Path) -> None:
    path = tmp_path / "light.exr"
    path.write_bytes(b"\x76\x2f\x31\x01" + bytes(60))
    with pytest.raises(PortraitError, match=r"Cannot read light\.exr as a picture: it is damaged") as caught:
        photo_module.load(str(path))
    assert caught.value.code is ErrorCode.BAD_IMAGE and caught.value.remedy and not bpy.data.images


def test_plain_files_are_those_that_say_nothing(scene: Any, photo: np.ndarray, tmp_path: Path, write: Any) -> None:
    def plain(path: Path) -> bool:
        return is_plain(path.read_bytes())

    path = tmp_path / "a.png"
    assert plain(write(path, photo))
    for kind, data in (
        (b"eXIf", exif(6)), (b"gAMA", struct.pack(">I", 100_000)), (b"iCCP", b"x\0\0"), (b"tRNS", bytes(6)),
        (b"cICP", bytes(4)), (b"cHRM", bytes(32)), (b"acTL", bytes(8)), (b"tEXt", b"Raw profile type exif\0x"),
        (b"iTXt", b"XML:com.adobe.xmp\0"),
    ):  # fmt: skip
        assert not plain(with_chunk(write(path, photo), kind, data)), kind
    content = write(path, photo).read_bytes()
    assert not is_plain(content[:-20]) and not is_plain(content[:60]) and not is_plain(b"")
    spoiled = bytearray(content)
    spoiled[len(content) // 2] ^= 1
    assert not is_plain(bytes(spoiled)), "its checksums are wrong"


def test_the_browser_shows_what_can_be_read() -> None:
    patterns = photo_module.IMAGE_GLOB.split(";")
    assert patterns == [f"*{suffix}" for suffix in PICTURE_SUFFIXES]
    assert len(photo_module.IMAGE_GLOB) < 256, "Blender cuts it off"
    assert "*.hdr" not in patterns


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_names_that_are_no_text(needs_server: None, scene: Any, photo: np.ndarray, tmp_path: Path, write: Any) -> None:
    """As an archive from an old Windows unpacks them: bytes that are no UTF-8, which no data-block can be called."""
    folder = tmp_path / "M\udcfcller"
    folder.mkdir()
    plain = write(tmp_path / "a.png", photo).rename(folder / "caf\udce9.png")
    turned = write_jpeg(tmp_path / "a.jpg", photo[::-1, ::-1], 3).rename(folder / "caf\udce9.jpg")
    for path, name in ((plain, "caf?"), (turned, "caf?.001")):
        made = portrait_parts.add(scene, str(path))
        assert made.name == name and Path(photo_module.file_of(made.photo)) == path
        assert (
            np.abs(photo_module.pixels(photo_module.check(made.photo, tuple(made.size))).astype(int) - photo).max()
            <= 12
        )
    assert likeness.add_photo(scene.talking_portraits.items[0], str(turned)).name == "caf?.jpg"
    frame_path(folder, 1).write_bytes(plain.read_bytes())
    strip = sequencer.add_strip(scene, made.uid, made.name, folder, [1], {}, tuple(made.size))
    assert Path(strip.directory) == folder and strip.elements[0].filename == "0001.png"
    with pytest.raises(PortraitError, match=r"Blender cannot play caf\?\.wav"):
        strip_sound.add_sound(scene, "uid", folder / "caf\udce9.wav", range(1, 3))
