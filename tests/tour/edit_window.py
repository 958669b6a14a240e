# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequencer's window: its timeline under the mouse, and which frame plays where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import sidebar
from desktop import (
    FOLDER,
    Place,
    Steps,
    drag,
    extension,
    fact,
    move,
    portrait,
    press,
    shot,
    window,
    workspace,
    xdo,
)

from tests.loaded_picture import pixels

_ALIKE = 2.5 / 255  # an encoded and scaled picture differs a little from its file
_EDGE_PIXELS = 3  # inside of a strip's end, where its handle is


def open_window() -> Steps:
    """The workspace *Video Editing*, with the portrait's tab beside the timeline."""
    yield from workspace("Video Editing", template="Video_Editing")
    area = timeline().area
    area.spaces.active.show_region_ui = True
    yield 0.5
    yield from sidebar.choose_tab(tab())
    yield from view_all()


def timeline() -> Place:
    """The strips' region of the largest sequencer that shows them."""
    areas = [area for area in window().screen.areas if area.type == "SEQUENCE_EDITOR"]
    shown = [area for area in areas if area.spaces.active.view_type != "PREVIEW"]
    area = max(shown, key=lambda each: each.width * each.height)
    return Place(area, next(one for one in area.regions if one.type == "WINDOW"))


def tab() -> Place:
    """The timeline's sidebar."""
    area = timeline().area
    return Place(area, next(one for one in area.regions if one.type == "UI"))


def preview() -> Place:
    """The region that shows the pictures."""
    areas = [area for area in window().screen.areas if area.type == "SEQUENCE_EDITOR"]
    area = next(area for area in areas if area.spaces.active.view_type == "PREVIEW")
    return Place(area, next(one for one in area.regions if one.type == "PREVIEW"))


@contextmanager
def over_timeline() -> Iterator[Place]:
    """Runs operators as if the mouse were over the strips."""
    found = timeline()
    with bpy.context.temp_override(
        window=window(), screen=window().screen, area=found.area, region=found.region,
        space_data=found.area.spaces.active,
    ):  # fmt: skip
        yield found


def view_all() -> Steps:
    with over_timeline():
        bpy.ops.sequencer.view_all()
    yield 0.6


def show_scene(scene: bpy.types.Scene) -> None:
    """In the window, and in its sequencers."""
    window().scene = scene
    if hasattr(window().workspace, "sequencer_scene"):
        window().workspace.sequencer_scene = scene


def picture(name: str, frame: int, in_guide: bool = False) -> Steps:
    """The whole window at a frame."""
    window().scene.frame_set(frame)
    yield from shot(name, [(0, 0, window().width, window().height)] if in_guide else None)


# Strips


def strips() -> Any:
    """All that lie in the scene's sequencer, not inside of metas."""
    return extension("blender.compat").strips_of(window().scene.sequence_editor)


def own_strip() -> Any:
    """The portrait's one strip."""
    (strip,) = extension("portraits.sequencer").find_strips(portrait().uid)
    return strip


def own_number(frame: int) -> int:
    """The number of the file that the portrait's strip shows at a frame, by what the strip keeps."""
    strip = own_strip()
    numbers = extension("portraits.sequencer").own_numbers(strip)
    return int(numbers[frame - extension("blender.compat").strip_start(strip)])


def range_of(strip: Any) -> range:
    """The scene frames at which it is seen."""
    return extension("blender.compat").strip_range(strip)


def spot(frame: float, channel: int) -> tuple[int, int]:
    """On the screen: a place in the timeline, in the middle of a channel."""
    found = timeline()
    return found.pixel(*found.region.view2d.view_to_region(frame, channel + 0.5, clip=False))


def click(strip: Any) -> Steps:
    """Selects a strip with the mouse, as whoever wants to change it."""
    shown = range_of(strip)
    yield from move(spot((shown.start + shown.stop) / 2, strip.channel))
    xdo("click", 1)
    yield 0.5


def add(kind: str, **settings: object) -> Any:
    """A new strip, made by Blender's own operator for its kind; it stays where it is put."""
    before = set(strips())
    operator = getattr(bpy.ops.sequencer, f"{kind}_strip_add")
    if "move_strips" in operator.get_rna_type().properties:  # else Blender 5 lets the mouse carry it
        settings["move_strips"] = False
    with over_timeline():
        operator(**settings)
    return next(strip for strip in strips() if strip not in before)


def choose(*chosen: Any) -> None:
    """Selects strips without the mouse; the first is active."""
    for strip in strips():
        strip.select = strip in chosen
    window().scene.sequence_editor.active_strip = chosen[0] if chosen else None


def drag_handle(strip: Any, right: bool, frames: int) -> Steps:
    """Drags one end of a strip with the mouse by so many frames."""
    shown = range_of(strip)
    x, y = spot(shown.stop if right else shown.start, strip.channel)
    x += -_EDGE_PIXELS if right else _EDGE_PIXELS
    far = x + spot(frames, 1)[0] - spot(0, 1)[0]
    yield from drag([(x, y), *((round(x + (far - x) * part / 8), y) for part in range(1, 9))])
    yield 0.3


def type_into(key: str, typed: str) -> Steps:
    """A tool that takes numbers, over the timeline: its key, the number, Return."""
    yield from press(key, timeline().point(0.3, 0.9))
    xdo("type", typed)
    yield 0.3
    xdo("key", "Return")
    yield 0.5


# Which frame plays


def plays(frame: int, folder: Path | None = None) -> int:
    """The number of the portrait's file that the scene, rendered through its sequencer, shows at a frame.

    Raises:
        AssertionError: it shows none of them.
    """
    files = {int(path.stem.split(".")[-1]): path for path in _files(folder or portrait().folder())}
    seen = rendered(frame)
    misses = {number: np.abs(_of_file(path) - seen).mean() for number, path in files.items()}
    best = min(misses, key=misses.__getitem__)
    if misses[best] > _ALIKE:
        raise AssertionError(f"frame {frame} shows no file: nearest is {best}, {255 * misses[best]:.1f} of 255 off")
    return best


def rendered(frame: int) -> np.ndarray:
    """(H, W, 3) float32 of what the scene's sequencer gives at a frame, 0 to 1."""
    scene = window().scene
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.render.dither_intensity = 0
    scene.render.filepath = str(FOLDER / "seen.png")
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    return pixels(FOLDER / "seen.png")[..., :3]


def each_plays(text: str, expected: dict[int, int]) -> None:
    """A fact: {scene frame: number of the file that is seen there}."""
    found = {frame: plays(frame) for frame in expected}
    fact(text, found == expected, f"{found}" if found == expected else f"{found}, not {expected}")


_kept: dict[tuple[str, int], np.ndarray] = {}


def _of_file(path: Path) -> np.ndarray:
    key = (str(path), path.stat().st_mtime_ns)
    if key not in _kept:
        _kept[key] = pixels(path)[..., :3]
    return _kept[key]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.png"))
