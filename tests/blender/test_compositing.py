# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in Blender's compositor: the node group, layers that are played with gaps, strips over one another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, compat_compositor  # noqa: E402
from blender_addon.compositing import node_group, scene_nodes, strip_nodes  # noqa: E402
from blender_addon.compositing.scene_nodes import Frames  # noqa: E402
from blender_addon.plane import view_colors  # noqa: E402
from blender_addon.portraits import sequencer, strip_order  # noqa: E402

WIDTH, HEIGHT = 96, 64
_names = itertools.count()


def picture(x: int = 40) -> np.ndarray:
    """(H, W, 4) premultiplied, the lowest row first: a bust with a soft edge that reaches the bottom."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    head = np.clip((15 - np.hypot(columns - x, rows - 35)) / 2 + 0.5, 0, 1)
    body = np.clip((20 - np.abs(columns - x)) / 2 + 0.5, 0, 1) * (rows < 20)
    alpha = np.maximum(head, body)[..., None]
    return np.concatenate([alpha * (0.6, 0.3, 0.2), alpha], -1).astype(np.float32)


def as_image(pixels: np.ndarray) -> Any:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("floats", width, height, alpha=True, float_buffer=True)
    image.alpha_mode = "PREMUL"
    image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    image.pack()  # else Blender loses it when it renders
    return image


class Bench:
    """A scene whose compositor renders what a socket gives."""

    def __init__(self, scene: Any, folder: Path) -> None:
        self.scene, self.folder = scene, folder
        scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
        scene.render.resolution_percentage = 100
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
        self.tree = compat_compositor.ensure_compositor_tree(scene)
        self.output = compat_compositor.final_image(self.tree)

    def seen(self, socket: Any = None) -> np.ndarray:
        """(H, W, 4) of a socket, the lowest row first; of what the output shows where none is named."""
        if socket is not None:
            self.tree.links.new(socket, self.output)
        self.scene.render.filepath = str(self.folder / f"{next(_names)}.exr")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(self.scene.render.filepath)
        pixels = np.empty(WIDTH * HEIGHT * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        return pixels.reshape(HEIGHT, WIDTH, 4)

    def image(self, pixels: np.ndarray) -> Any:
        node = self.tree.nodes.new("CompositorNodeImage")
        node.image = as_image(pixels)
        return node.outputs["Image"]

    def group(self) -> Any:
        node = self.tree.nodes.new("CompositorNodeGroup")
        node.node_tree = node_group.node_group()
        return node

    def give(self, socket: Any, group: Any, name: str) -> None:
        self.tree.links.new(socket, group.inputs[name])


@pytest.fixture
def bench(scene: Any, tmp_path: Path) -> Bench:
    return Bench(scene, tmp_path)


def test_as_made_the_group_changes_nothing(bench: Bench) -> None:
    group = bench.group()
    bench.give(bench.image(picture()), group, "Image")
    assert np.abs(bench.seen(group.outputs["Image"]) - picture()).max() < 1e-5
    assert np.abs(bench.seen(group.outputs["Matte"])[..., 0] - picture()[..., 3]).max() < 1e-5


def test_a_whole_picture_is_cut_out_by_its_matte(bench: Bench) -> None:
    whole = picture()
    matte = whole[..., 3:]
    whole = np.concatenate([whole[..., :3] + (1 - matte) * (0.1, 0.4, 0.1), np.ones_like(matte)], -1)
    group = bench.group()
    bench.give(bench.image(whole), group, "Image")
    bench.give(bench.image(np.repeat(matte, 4, -1)), group, "Matte")
    seen = bench.seen(group.outputs["Foreground"])
    assert np.abs(seen[..., 3] - matte[..., 0]).max() < 1e-5
    assert np.abs(seen[matte[..., 0] == 1] - picture()[matte[..., 0] == 1]).max() < 1e-5


def test_it_is_put_over_a_background(bench: Bench) -> None:
    group = bench.group()
    bench.give(bench.image(picture()), group, "Image")
    wall = np.full((HEIGHT, WIDTH, 4), (0.1, 0.2, 2.0, 1.0))
    bench.give(bench.image(wall), group, "Background")
    wanted = picture() + (1 - picture()[..., 3:]) * wall
    assert np.abs(bench.seen(group.outputs["Image"]) - wanted).max() < 1e-3


def test_the_edge_is_blurred_inwards_and_not_at_the_border(bench: Bench) -> None:
    group = bench.group()
    bench.give(bench.image(picture()), group, "Image")
    group.inputs["Edge Blur"].default_value = 8
    blurred, sharp = bench.seen(group.outputs["Foreground"])[..., 3], picture()[..., 3]
    assert (blurred <= sharp + 1e-5).all()
    assert blurred[35, 40] > 0.98, "the middle stays"
    assert blurred[0, 40] > 0.98, "so does the body at the picture's border"
    edge = blurred[35, 20:40]
    assert (np.diff(edge) >= -1e-4).all() and ((edge > 0.05) & (edge < 0.95)).sum() >= 4
    thin = bench.seen(group.outputs["Foreground"])
    assert np.abs(thin[..., :3] - thin[..., 3:] * (0.6, 0.3, 0.2)).max() < 1e-3, "no other color comes in"


def test_the_background_lights_the_edge_alone(bench: Bench) -> None:
    group = bench.group()
    bench.give(bench.image(picture()), group, "Image")
    bench.give(bench.image(np.full((HEIGHT, WIDTH, 4), (0.0, 3.0, 0.0, 1.0))), group, "Background")
    group.inputs["Width"].default_value = 6
    plain = bench.seen(group.outputs["Foreground"])
    group.inputs["Light Wrap"].default_value = 1
    more = bench.seen(group.outputs["Foreground"]) - plain
    assert np.abs(more[..., (0, 2, 3)]).max() < 1e-3, "green light alone, and the matte stays"
    assert more[35, 27, 1] > 0.1 and abs(more[35, 40, 1]) < 0.05
    assert np.abs(more[picture()[..., 3] == 0]).max() < 1e-3


def test_motion_is_blurred_along_its_way(bench: Bench) -> None:
    group = bench.group()
    bench.give(bench.image(picture()), group, "Image")
    alpha = picture()[..., 3:]
    bench.give(
        bench.image(np.concatenate([-12 * alpha, 0 * alpha, -12 * alpha, np.ones_like(alpha)], -1)), group, "Motion"
    )
    still = bench.seen(group.outputs["Foreground"])
    assert np.abs(still - picture()).max() < 1e-4, "the shutter is closed as it is made"
    group.inputs["Motion Blur"].default_value = 1
    moved = bench.seen(group.outputs["Foreground"])[..., 3]
    there = np.nonzero(moved[35] > 0.1)[0]
    was = np.nonzero(picture()[35, :, 3] > 0.1)[0]
    assert was[0] - there[0] >= 3 and there[-1] - was[-1] >= 3, "to both sides"
    column = np.nonzero(moved[:, 40] > 0.1)[0]
    assert column[-1] <= np.nonzero(picture()[:, 40, 3] > 0.1)[0][-1] + 1, "and not upwards"


def test_there_is_one_group_in_a_file(bench: Bench) -> None:
    assert node_group.node_group() == node_group.node_group()
    made = node_group.node_group()
    assert (made.asset_data is not None) == compat_compositor.takes_assets()
    assert {"Edge Blur", "Light Wrap", "Motion Blur"} <= {item.name for item in made.interface.items_tree}


@pytest.fixture
def frames(portrait: Any, write: Callable[[Path, np.ndarray], Path], tmp_path: Path) -> Frames:
    """Frames 3, 4 and 7, each of one shade of red."""
    for number in (3, 4, 7):
        write(tmp_path / "frames" / f"{number:04d}.png", np.full((HEIGHT, WIDTH, 3), (30 * number, 0, 0), np.uint8))
    return Frames(tmp_path / "frames", [3, 4, 7], 1.0, "", ".png")


def test_one_click_plays_the_frames_in_the_compositor(bench: Bench, portrait: Any, frames: Frames) -> None:
    added = scene_nodes.add(bench.scene, portrait.uid, portrait.plane, frames)
    assert added.is_output
    for number, shown in ((1, 3), (3, 3), (4, 4), (5, 4), (6, 4), (7, 7), (90, 7)):
        bench.scene.frame_set(number)
        red = bench.seen()[HEIGHT // 2, WIDTH // 2, 0]
        assert red == pytest.approx(((30 * shown / 255 + 0.055) / 1.055) ** 2.4, abs=0.002), number


def test_a_second_click_adds_nothing_and_undoes_nothing(bench: Bench, portrait: Any, frames: Frames) -> None:
    group = scene_nodes.add(bench.scene, portrait.uid, portrait.plane, frames).node
    wall = bench.image(picture())
    bench.give(wall, group, "Matte")
    bench.tree.links.new(wall, bench.output)
    before = len(bench.tree.nodes), len(bench.tree.links)
    added = scene_nodes.add(bench.scene, portrait.uid, portrait.plane, frames)
    assert (len(bench.tree.nodes), len(bench.tree.links)) == before
    assert added.node == group and not added.is_output and group.inputs["Matte"].links[0].from_socket == wall


def test_new_frames_are_followed(bench: Bench, portrait: Any, frames: Frames, write: Any) -> None:
    scene_nodes.add(bench.scene, portrait.uid, portrait.plane, frames)
    write(frames.folder / "0005.png", np.full((HEIGHT, WIDTH, 3), (0, 200, 0), np.uint8))
    scene_nodes.follow(portrait.uid, portrait.plane, frames._replace(numbers=[3, 4, 5, 7]))
    bench.scene.frame_set(6)
    assert bench.seen()[5, 5, 1] > 0.5


def strips(scene: Any) -> Any:
    return compat.strips_of(scene.sequence_editor)


def test_a_strip_is_put_over_another(scene: Any, portrait: Any, frames: Frames, write: Any, tmp_path: Path) -> None:
    strip = sequencer.add_strip(scene, portrait.uid, "anna", frames.folder, frames.numbers, {})
    picture_file = write(tmp_path / "wall.png", np.full((HEIGHT, WIDTH, 3), (0, 0, 255), np.uint8))
    wall = strip_order.add_background(scene, picture_file, range(3, 50))
    assert compat.strip_range(wall) == range(3, 50)
    assert strip_order.put_over(scene, portrait.uid, wall)
    assert strip.channel > wall.channel and strip.blend_type == "ALPHA_OVER"
    channel = strip.channel
    strip_order.put_over(scene, portrait.uid, wall)
    assert strip.channel == channel, "one that lies above stays where it is"


def test_the_chosen_strip_is_the_background(
    scene: Any, portrait: Any, frames: Frames, write: Any, tmp_path: Path
) -> None:
    assert strip_order.background_of(scene) is None
    own = sequencer.add_strip(scene, portrait.uid, "anna", frames.folder, frames.numbers, {})
    own.select = True
    assert strip_order.background_of(scene) is None, "a portrait is not put over itself"
    wall = strip_order.add_background(scene, write(tmp_path / "wall.png", np.zeros((4, 4, 3), np.uint8)), range(1, 9))
    wall.select = True
    assert strip_order.background_of(scene) == wall


@pytest.mark.skipif(not compat_compositor.has_strip_compositor(), reason="strips have no compositor in this Blender")
def test_a_strip_gets_the_group_as_its_modifier(scene: Any, portrait: Any, frames: Frames) -> None:
    strip = sequencer.add_strip(scene, portrait.uid, "anna", frames.folder, frames.numbers, {})
    tree = strip_nodes.add(strip, portrait.uid, portrait.plane, frames)
    assert len(strip.modifiers) == 1 and strip.modifiers[0].node_group == tree
    assert strip_nodes.add(strip, portrait.uid, portrait.plane, frames) == tree and len(strip.modifiers) == 1
    settings = {item.name: item.identifier for item in tree.interface.items_tree if item.in_out == "INPUT"}
    view_colors.use_own_colors(scene)
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT

    def middle() -> float:
        strip.invalidate_cache("RAW")
        scene.frame_set(4)
        scene.render.filepath = str(frames.folder.parent / "seen.png")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath, check_existing=False)
        pixels = np.array(image.pixels[:], np.float32).reshape(HEIGHT, WIDTH, -1)
        return float(pixels[HEIGHT // 2, WIDTH // 2, 0])

    assert middle() == pytest.approx(120 / 255, abs=0.01), "as made it changes nothing"
    assert {"Edge Blur", "Motion Blur"} <= set(settings)


def test_one_click_cuts_out_over_a_picture(acting: Any, needs_server: None, write: Any, tmp_path: Path) -> None:
    """From nothing rendered yet: the background's strip, the frames, their strip above it."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = acting.frame_size
    view_colors.use_own_colors(scene)
    wall = write(tmp_path / "wall.png", np.full((HEIGHT, WIDTH, 3), (0, 0, 255), np.uint8))
    assert bpy.ops.portrait.cut_out_over(filepath=str(wall)) == {"FINISHED"}
    (strip,) = sequencer.find_strips(acting.uid)
    below = next(each for each in strips(scene) if each != strip)
    assert acting.matte and strip.channel > below.channel and strip.blend_type == "ALPHA_OVER"
    assert compat.strip_range(strip) == compat.strip_range(below) == range(4, 7)
    scene.frame_set(5)
    scene.render.filepath = str(tmp_path / "seen.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:], np.float32).reshape(HEIGHT, WIDTH, -1)
    np.testing.assert_allclose(pixels[-1, 0, :3], (0, 0, 1), atol=0.01, err_msg="the wall in the corner")
    middle = pixels[HEIGHT // 2, WIDTH // 2, :3]
    assert np.abs(middle - (0, 0, 1)).max() > 0.2, "the person before it"


def test_a_picture_lies_behind_the_strip_where_that_was_moved(
    acting: Any, needs_server: None, tmp_path: Path, write: Any
) -> None:
    scene = bpy.context.scene
    acting.use_strip = True
    assert bpy.ops.portrait.render() == {"FINISHED"}
    (strip,) = sequencer.find_strips(acting.uid)
    compat.set_strip_start(strip, 104)
    wall = write(tmp_path / "wall.png", np.full((HEIGHT, WIDTH, 3), (0, 0, 255), np.uint8))
    assert bpy.ops.portrait.cut_out_over(filepath=str(wall)) == {"FINISHED"}
    below = next(each for each in strips(scene) if each != strip)
    assert compat.strip_range(strip) == compat.strip_range(below) == range(104, 107)


def test_cutting_out_needs_something_behind(acting: Any) -> None:
    with pytest.raises(RuntimeError, match="No strip is chosen"):
        bpy.ops.portrait.cut_out_over()
    with pytest.raises(RuntimeError, match=r"cannot show gone\.png"):
        bpy.ops.portrait.cut_out_over(filepath="/nowhere/gone.png")
    assert not acting.matte


def test_there_must_be_frames_for_the_compositor(portrait: Any) -> None:
    with pytest.raises(RuntimeError, match="No frames have been rendered yet"):
        bpy.ops.portrait.add_nodes()
