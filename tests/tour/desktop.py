# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside Blender: real mouse and keys, waiting, and photographs of the screen.

What takes time is a generator: each `yield SECONDS` gives Blender the time to draw and to handle input.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bpy

Steps = Generator[float, None, None]
EXTENSION = "bl_ext.user_default.talking_portraits"

PLAN: dict[str, Any] = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text(encoding="utf-8"))
FOLDER = Path(PLAN["folder"])
_COMPILING_SECONDS = 15
WIDTH, HEIGHT = PLAN["screen"]
report: dict[str, Any] = {"blender": bpy.app.version_string, "facts": [], "figures": {}, "pictures": {}}


def extension(module: str = "") -> Any:
    """A module of the installed extension, to read facts from."""
    return importlib.import_module(f"{EXTENSION}.{module}" if module else EXTENSION)


def fact(text: str, holds: bool, more: object = "") -> None:
    """Notes what was found; the tour fails where it does not hold."""
    print(f"tour: {'ok' if holds else 'WRONG'}: {text} {more}".rstrip(), flush=True)
    report["facts"].append(f"{text} {more}".rstrip())
    if not holds:
        raise AssertionError(f"{text} {more}".rstrip())


def until(condition: Callable[[], bool], limit: float, what: str) -> Steps:
    """Waits for it; fails where it does not come."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {limit:.0f} s")
        yield 0.05


def becomes(text: str, condition: Callable[[], bool], limit: float = 10, more: Callable[[], object] = str) -> Steps:
    """A fact that Blender may take a moment to bring about."""
    end = time.monotonic() + limit
    while not condition() and time.monotonic() < end:
        yield 0.05
    fact(text, condition(), "" if more is str else more())


# Editors


class Place(NamedTuple):
    """An editor's region."""

    area: bpy.types.Area
    region: bpy.types.Region

    def point(self, across: float, up: float) -> tuple[int, int]:
        """On the screen, from parts of the region's width and height."""
        return self.pixel(across * self.region.width, up * self.region.height)

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """On the screen, from pixels of the region, whose origin is at the bottom left."""
        return round(self.region.x + x), round(HEIGHT - 1 - self.region.y - y)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, width, height) on the screen."""
        region = self.region
        return region.x, HEIGHT - region.y - region.height, region.width, region.height


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def place(kind: str, region: str = "WINDOW") -> Place:
    """The largest editor of a kind."""
    areas = [area for area in window().screen.areas if area.type == kind]
    area = max(areas, key=lambda area: area.width * area.height)
    return Place(area, next(r for r in area.regions if r.type == region))


def box_of(area: bpy.types.Area) -> tuple[int, int, int, int]:
    return area.x, HEIGHT - area.y - area.height, area.width, area.height


@contextmanager
def at(kind: str = "VIEW_3D", region: str = "WINDOW") -> Iterator[Place]:
    """Runs operators as if the mouse were in that editor."""
    found = place(kind, region)
    with bpy.context.temp_override(
        window=window(), screen=window().screen, area=found.area, region=found.region,
        space_data=found.area.spaces.active,
    ):  # fmt: skip
        yield found


def view_layer() -> bpy.types.ViewLayer:
    return window().view_layer


def redraw() -> None:
    for area in window().screen.areas:
        area.tag_redraw()


def workspace(name: str, template: str = "") -> Steps:
    """Shows a workspace; one that the file lacks comes from an application template."""
    if name in bpy.data.workspaces:
        window().workspace = bpy.data.workspaces[name]
    else:
        folder = next(iter(bpy.utils.app_template_paths(path=template)))
        with bpy.context.temp_override(window=window()):
            bpy.ops.workspace.append_activate(idname=name, filepath=f"{folder}/startup.blend")
    yield 1.0
    for area in window().screen.areas:
        if area.type == "FILE_BROWSER":
            area.spaces.active.show_region_ui = False  # its path names folders of the machine that takes the pictures
    if hasattr(window().workspace, "sequencer_scene"):  # Blender 5: the sequencer's scene is the workspace's own
        window().workspace.sequencer_scene = window().scene
    yield 0.5


def portrait() -> Any:
    return bpy.data.scenes[0].talking_portraits.active


def rig() -> bpy.types.Object:
    return portrait().rig


# Mouse, keys, pictures


def xdo(*words: object) -> None:
    """`xdotool`: xdo("mousemove", 100, 200, "click", 1)."""
    subprocess.run(["xdotool", *map(str, words)], check=True, timeout=20)


def move(point: tuple[int, int]) -> Steps:
    xdo("mousemove", *point)
    yield 0.15


def press(keys: str, over: tuple[int, int] | None = None) -> Steps:
    """A key such as "ctrl+z", with the mouse over a place."""
    if over is not None:
        yield from move(over)
    xdo("key", keys)
    yield 0.3


def drag(points: list[tuple[int, int]], seconds: float = 0.04, settle: float = 0.3) -> Steps:
    """With the left button held."""
    yield from move(points[0])
    xdo("mousedown", 1)
    yield 0.15
    for point in points[1:]:
        xdo("mousemove", *point)
        yield seconds
    yield settle
    xdo("mouseup", 1)
    yield 0.3


def settled() -> Steps:
    """Until shaders are compiled and everything is drawn."""
    redraw()
    for _ in range(3):  # shaders come in batches
        yield 0.4
        yield from until(lambda: not bpy.app.is_job_running("SHADER_COMPILATION"), 120, "shaders")
    redraw()
    yield 0.4


def park() -> None:
    """Takes the pointer to where it is over nothing: no tooltip in the way, and no report beside it."""
    xdo("mousemove", WIDTH // 2, HEIGHT - 1)


def shot(
    name: str, boxes: list[tuple[int, int, int, int]] | None = None, compiling: bool = False,
    over: tuple[int, int] | None = None,
) -> Steps:  # fmt: skip
    """Photographs the screen into NAME.png.

    Args:
        boxes: parts (left, top, width, height) that the documentation shows: the picture is cut to their hull.
        compiling: a material is shown for the first time; Blender 5 tells nobody when its shaders are ready.
        over: where the pointer stays; else it is parked.
    """
    if over is None:
        park()
    yield from settled()
    for _ in range(_COMPILING_SECONDS if compiling else 0):
        redraw()
        yield 1.0
    take(name, boxes)


def take(name: str, boxes: list[tuple[int, int, int, int]] | None = None) -> None:
    """At once, as the screen is now."""
    subprocess.run(["import", "-window", "root", str(FOLDER / f"{name}.png")], check=True, timeout=30)
    crop = None
    if boxes:
        left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
        crop = (max(left, 0), max(top, 0), min(right, WIDTH), min(bottom, HEIGHT))
    report["pictures"][name] = crop
    print(f"tour: picture {name}", flush=True)
