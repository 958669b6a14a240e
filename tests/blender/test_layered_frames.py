# SPDX-License-Identifier: GPL-3.0-or-later
"""Layered frames in Blender: rendered by the panel's job, told done and stale, and seen in the photo's own colours."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.blender import compat, compat_compositor  # noqa: E402
from blender_addon.compositing import scene_nodes  # noqa: E402
from blender_addon.compositing.scene_nodes import Frames  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.plane import image_plane, view_colors  # noqa: E402
from blender_addon.portraits import portrait_camera, sequencer  # noqa: E402
from blender_addon.render import portrait_strip  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from tests.blender.conftest import photo_pixels, write_png  # noqa: E402
from tests.blender.test_frame_states import all_in, in_state, key, settle  # noqa: E402
from tests.blender.test_view_colors import STUDIO  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("rgba", "matte", "depth", "forward", "confidence", "vector")


def render(portrait: Any) -> RenderJob:
    job = RenderJob(portrait.uid, server.launch_plan(bpy.context))
    job_queue.run(job)
    assert job.state is JobState.DONE, job.error
    return job


@pytest.fixture
def layered(acting: Any, needs_server: None) -> Any:
    """Frames 4 to 6 as layered files."""
    acting.file_format = "EXR"
    render(acting)
    return acting


def test_the_panel_renders_layers_and_knows_what_is_done(layered: Any) -> None:
    assert layered.layers == LAYERS
    files = sorted(path.name for path in layered.folder().glob("*.exr"))
    assert files == ["0004.exr", "0005.exr", "0006.exr"]
    settle(layered, all_in(FrameState.DONE))
    assert render(layered).drawn == 0, "they are valid"


def test_motion_makes_a_frame_depend_on_the_next(layered: Any) -> None:
    settle(layered, all_in(FrameState.DONE))
    key(layered, 6, 0.25)
    bone = layered.rig.pose.bones["jaw_09"]
    bone.location = (0, 0, 0)
    bone.keyframe_insert("location", frame=5)
    # Frame 4 itself stays, but the one that follows it does not.
    settle(layered, all_in(FrameState.STALE))
    layered.layer_choice = {"MATTE"}
    render(layered)
    settle(layered, all_in(FrameState.DONE))
    key(layered, 6, 0.3)
    settle(
        layered, lambda found: in_state(found, FrameState.STALE) == [6] and len(in_state(found, FrameState.DONE)) == 2
    )
    layered.file_format = "PNG"
    settle(layered, all_in(FrameState.MISSING))


def test_the_command_line_renders_them(layered: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To the panel's bytes."""
    layered.file_format = "PNG"
    assert command_line.main(["render", "--format", "exr", "--output", str(tmp_path / "farm")]) == 0
    made = sorted((tmp_path / "farm").glob("*.exr"))
    assert [path.name for path in made] == ["0004.exr", "0005.exr", "0006.exr"]
    assert all(path.read_bytes() == (layered.folder() / path.name).read_bytes() for path in made)
    assert capsys.readouterr().out.count("Saved: ") == 3


def test_layers_are_kept_by_the_strip(layered: Any) -> None:
    settings = portrait_strip.settings_of(layered, 4, 6)
    layered.file_format = "PNG"
    layered.layer_choice = set()
    layered.apply_settings(settings)
    assert layered.layers == LAYERS and layered.frame_suffix == ".exr"


def seen(scene: Any, frame: int, folder: Path) -> np.ndarray:
    """(H, W, 3) uint8 of what the scene renders at a frame, the lowest row first."""
    scene.frame_set(frame)
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.render.filepath = str(folder / "seen.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], -1)[..., :3]
    bpy.data.images.remove(image)
    return np.round(pixels * 255).astype(int)


def light(codes: np.ndarray) -> np.ndarray:
    """Scene-linear, of sRGB from 0 to 255."""
    values = codes / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def look_squarely(scene: Any, portrait: Any) -> None:
    view_colors.use_own_colors(scene)
    portrait_camera.frame(scene, portrait)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 1, False, "CPU"
    scene.cycles.filter_width = 0.01
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0


def of_file(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of a picture, the lowest row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], -1)[..., :3]
    bpy.data.images.remove(image)
    return np.round(pixels * 255).astype(int)


@pytest.mark.parametrize("matte", [False, True])
def test_the_plane_shows_them_as_it_shows_pictures(
    acting: Any, needs_server: None, tmp_path: Path, matte: bool
) -> None:
    scene = bpy.context.scene
    look_squarely(scene, acting)
    acting.matte = matte
    render(acting)
    picture = seen(scene, 5, tmp_path)
    acting.file_format = "EXR"
    render(acting)
    image = image_plane.texture_node(acting.plane).image
    assert image.filepath.endswith(".exr") and image.alpha_mode == "PREMUL"
    layers = seen(scene, 5, tmp_path)
    # As light: where little is let through, a picture of 8 bits has few steps in the dark.
    assert np.abs(light(layers) - light(picture)).max() <= 0.02
    assert matte or np.abs(layers - picture).max() <= 2
    scene.view_settings.view_transform = "AgX"
    toned = seen(scene, 5, tmp_path)
    acting.file_format = "PNG"
    render(acting)
    assert matte or np.abs(seen(scene, 5, tmp_path) - toned).max() <= 2, "alike in a view that alters colors, too"
    view_colors.use_own_colors(scene)
    assert np.abs(seen(scene, 5, tmp_path) - picture).max() == 0, "and back again"


def test_the_strip_shows_them_as_it_shows_pictures(acting: Any, needs_server: None, tmp_path: Path) -> None:
    scene = bpy.context.scene
    view_colors.use_own_colors(scene)
    scene.render.resolution_x, scene.render.resolution_y = acting.frame_size
    scene.render.dither_intensity = 0
    acting.use_strip = True
    acting.file_format = "EXR"
    job = render(acting)
    if not compat.sequencer_reads_layers():
        assert any("cannot show OpenEXR files with layers" in note for note in job.notes)
        assert not sequencer.find_strips(acting.uid)
        acting.layer_choice = set()
        acting.use_strip = True
        render(acting)
    (strip,) = sequencer.find_strips(acting.uid)
    assert strip.elements[0].filename == "0004.exr" and strip.alpha_mode == "PREMUL"
    layers = seen(scene, 5, tmp_path)
    acting.file_format = "PNG"
    render(acting)
    assert strip.elements[0].filename == "0004.png" and strip.alpha_mode == "STRAIGHT"
    assert np.abs(seen(scene, 5, tmp_path) - layers).max() <= 2
    assert np.abs(layers - of_file(acting.folder() / "0005.png")).max() <= 2


def test_all_layers_come_to_the_compositor(layered: Any, tmp_path: Path) -> None:
    """Motion, too, which some Blenders cannot read as other programs do."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = layered.frame_size
    frames = Frames(layered.folder(), [4, 5, 6], 1.0, "", ".exr")
    group = scene_nodes.add(scene, layered.uid, layered.plane, frames).node
    linked = {socket.name for socket in group.inputs if socket.is_linked}
    assert linked == {"Image", "Matte", "Depth", "Confidence", "Motion"}
    tree = compat_compositor.compositor_tree(scene)
    output = compat_compositor.final_image(tree)
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    found = {}
    for name in ("Motion", "Depth", "Confidence"):
        tree.links.new(group.outputs[name], output)
        scene.frame_set(5)
        scene.render.filepath = str(tmp_path / f"{name}.exr")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        found[name] = np.array(image.pixels[:], np.float32).reshape(*layered.frame_size[::-1], -1)
    chin = found["Motion"][..., 1]
    assert chin.max() > 0.5 and np.abs(found["Motion"]).max() < 50, "the chin goes down: current minus next, y up"
    assert found["Depth"][..., 0].min() < -0.1 and found["Confidence"].min() >= 0 and found["Confidence"].max() == 1


_FROM_REC709 = {
    "rec709": np.eye(3),
    "acescg": [[0.6131, 0.3395, 0.0474], [0.0702, 0.9164, 0.0135], [0.0206, 0.1096, 0.8698]],
    "rec2020": [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
}


def write_exr(path: Path, channels: dict[str, np.ndarray]) -> None:
    """An OpenEXR file of floats, not compressed; channels (H, W), the upper row first."""
    height, width = next(iter(channels.values())).shape
    names = sorted(channels)
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for name in names) + b"\0"
    box = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    attributes = (
        ("channels", "chlist", listed), ("compression", "compression", b"\0"), ("dataWindow", "box2i", box),
        ("displayWindow", "box2i", box), ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)), ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )  # fmt: skip
    head = struct.pack("<II", 20000630, 2)
    for name, kind, value in attributes:
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    head += b"\0"
    row = 4 * width * len(names)
    offsets = [len(head) + 8 * height + y * (8 + row) for y in range(height)]
    data = head + struct.pack(f"<{height}Q", *offsets)
    for y in range(height):
        data += struct.pack("<ii", y, row) + b"".join(channels[name][y].astype("<f4").tobytes() for name in names)
    path.write_bytes(data)


def write_layers(path: Path, picture: np.ndarray, colorspace: str) -> None:
    """(H, W, 3) uint8 sRGB as a layered frame in a scene-linear space."""
    linear = light(picture) @ np.transpose(_FROM_REC709[colorspace])
    one = np.ones(picture.shape[:2])
    write_exr(path, {"R": linear[..., 0], "G": linear[..., 1], "B": linear[..., 2], "A": one, "matte.A": one})


_SCRIPT = """
import json, os, sys
from pathlib import Path
import bpy
import blender_addon
from blender_addon.plane import color_spaces, image_plane, view_colors
from blender_addon.portraits import portrait_parts
from tests.blender import test_layered_frames as own
from tests.blender.conftest import photo_pixels
folder, working = Path(sys.argv[1]), sys.argv[2]
bpy.ops.wm.read_factory_settings(use_empty=True)
blender_addon.register()
if working:
    bpy.ops.wm.set_working_color_space(working_space=working)
scene = bpy.context.scene
portrait = portrait_parts.add(scene, str(folder / "photo.png"))
own.look_squarely(scene, portrait)
spaces = color_spaces.color_spaces()
found = {"spaces": spaces, "photo": own.seen(scene, 1, folder).tolist()}
own.write_layers(folder / "0001.exr", photo_pixels(), spaces.written)
image_plane.show_frames(portrait.plane, folder, [1], suffix=".exr")
found["layers"] = own.seen(scene, 1, folder).tolist()
print("FOUND", json.dumps(found)); sys.stdout.flush(); os._exit(0)
"""
_ACES = "ocio://cg-config-v1.0.0_aces-v1.3_ocio-v2.1"


@pytest.mark.parametrize(
    ("configuration", "working", "spaces"),
    [
        ("", "", ["sRGB", "rec709", "Linear Rec.709"]),
        ("", "ACEScg", ["sRGB", "acescg", "ACEScg"]),
        ("", "Linear Rec.2020", ["sRGB", "rec2020", "Linear Rec.2020"]),
        (_ACES, "", ["sRGB - Texture", "acescg", "ACEScg"]),
        ("studio", "", ["display", "rec709", "linear"]),
    ],
)
def test_photo_and_layers_keep_their_colors(
    addon: Any, tmp_path: Path, configuration: str, working: str, spaces: list[str]
) -> None:
    """Under Blender's own configuration and others, in each working space.

    The studio's monitor is a plain power of 2.2. Layered frames hold the light of sRGB, as OpenEXR files of any program do,
    and such a monitor shows light by its own curve: in dark parts up to 9 codes beside the photo's, whose codes Blender
    takes for that monitor's and gives back unaltered.
    """
    if working and not hasattr(bpy.data, "colorspace"):
        pytest.skip("a file has one working space in this Blender")
    write_png(tmp_path / "photo.png", photo_pixels())
    environment = dict(os.environ)
    is_studio = configuration == "studio"
    if is_studio:
        (tmp_path / "config.ocio").write_text(STUDIO, encoding="utf-8")
        configuration = str(tmp_path / "config.ocio")
    if configuration:
        environment["OCIO"] = configuration
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path), working]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    assert found["spaces"] == spaces
    photo = photo_pixels()[::-1].astype(int)
    assert np.abs(np.array(found["photo"]) - photo).max() <= 2, "the photo's own colors"
    layers = 255 * light(photo) ** (1 / 2.2) if is_studio else photo
    assert np.abs(np.array(found["layers"]) - layers).max() <= 2, "the photo's light, as the display shows it"
    assert is_studio == bool(np.abs(layers - photo).max() > 2)
