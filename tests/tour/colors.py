# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo, PNG frames and OpenEXR frames look alike on the plane and in the sequencer, in every view of the colour
configuration that Blender was started with (see run.py's --ocio)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bpy
import edit_window as edit
import numpy as np
from acting import render
from bpy_extras.view3d_utils import location_3d_to_region_2d
from desktop import FOLDER, PLAN, Place, Steps, at, extension, fact, park, place, portrait, report, settled, window
from first_frames import preferences
from new_scenes import with_rig

from tests.loaded_picture import pixels

_BLENDERS_VIEWS = ("AgX", "Filmic", "ACES 1.3", "ACES 2.0")
_VIEWS = 6  # of another configuration, at most
_INSIDE = 0.06  # of the picture's width: what is compared begins so far from its edge
_WINDOW = range(-2, 3)  # pixels around one that are looked at
_EVEN = 12  # of 255
_PARTS = 32  # in each direction
_LEAST = 5000  # pixels that are compared
_MEAN, _MOST = 1.2, 3.0  # of 255, between two that look alike
_OWN = 2.0  # of 255, from the file; smoothed in light, which viewports do, a fine pattern looks lighter


def steps() -> Steps:
    preferences().watermark = False  # it alters the frames by about what is measured here
    try:
        yield from _compared()
    finally:
        preferences().watermark = True


def _compared() -> Steps:
    yield from with_rig("colors")
    scene, space = window().scene, place("VIEW_3D").area.spaces.active
    with at():
        bpy.ops.portrait.use_own_colors()
        bpy.ops.portrait.frame_scene()
    neutral = scene.view_settings.view_transform
    said = extension("plane.image_plane").altered_colors(scene)
    fact("the photo's own colors can be shown", not said, f"{scene.display_settings.display_device}, {neutral}")
    spaces = extension("plane.color_spaces").color_spaces()
    fact("the names of the colour spaces are found", bool(spaces.picture and spaces.linear), spaces)
    space.overlay.show_overlays, space.show_gizmo = False, False
    scene.eevee.taa_samples = 1  # else the viewport goes on refining edges for long
    portrait().use_scene_range, portrait().frame_start, portrait().frame_end = False, 1, 2
    views = _views(neutral)
    seen = {"photo": {}, "PNG": {}, "EXR": {}}
    yield from _on_plane(views, seen["photo"], "photo")
    yield from render()
    yield from _on_plane(views, seen["PNG"], "PNG")
    portrait().file_format = "EXR"
    yield from render()
    shown = extension("plane.image_plane").texture_node(portrait().plane).image
    fact("the plane plays the OpenEXR files", shown.filepath.endswith(".exr"), shown.colorspace_settings.name)
    yield from _on_plane(views, seen["EXR"], "EXR")
    # A solid viewport takes no view of the scene's but the display's first, which a studio's may not be plain.
    _check_own(seen["photo"]["MATERIAL", neutral], "the photo on the plane")
    for kind in ("PNG", "EXR"):
        for key, one in seen[kind].items():
            _alike(f"{kind} on the plane looks as the photo does: {', '.join(key)}", one, seen["photo"][key])
    yield from _in_sequencer(views, neutral)


def _views(neutral: str) -> list[str]:
    """Those that are looked at, the one that alters nothing first."""
    names = extension("plane.view_colors").enum_values(window().scene.view_settings, "view_transform")
    chosen = [name for name in names if name in _BLENDERS_VIEWS] if "AgX" in names else names[:_VIEWS]
    return list(dict.fromkeys([neutral, *chosen]))


def _on_plane(views: list[str], seen: dict[tuple[str, ...], np.ndarray], kind: str) -> Steps:
    """What the viewport shows, solid and as a material: {(shading, view): (H, W, 3)}."""
    scene, space = window().scene, place("VIEW_3D").area.spaces.active
    for shading in ("SOLID", "MATERIAL"):
        space.shading.type = shading
        for view in views:
            scene.view_settings.view_transform = view
            yield from _settled(shading == "MATERIAL" and view == views[0])
            seen[shading, view] = _grabbed(f"plane_{kind}_{shading}_{view}", place("VIEW_3D"), _corners_of_plane())
    space.shading.type = "SOLID"
    scene.view_settings.view_transform = views[0]


def _in_sequencer(views: list[str], neutral: str) -> Steps:
    """The strip of PNG frames, and that of OpenEXR ones, whose layers the sequencers of 4.2 and 4.3 cannot read."""
    seen: dict[str, dict[str, np.ndarray]] = {"PNG": {}, "EXR": {}}
    if not extension("blender.compat").sequencer_reads_layers():
        portrait().layer_choice = set()
    yield from edit.open_window()
    for kind in seen:
        portrait().file_format = kind
        portrait().use_strip = True
        yield from render(editor="SEQUENCE_EDITOR")
        element = edit.own_strip().elements[0].filename
        fact(f"the strip plays {kind}", element == f"0001.{kind.lower()}", element)
        for view in views:
            window().scene.view_settings.view_transform = view
            yield from _settled(False)
            region = edit.preview()
            seen[kind][view] = _grabbed(f"strip_{kind}_{view}", region, _corners_of_preview(region))
        window().scene.view_settings.view_transform = neutral
    _check_own(seen["PNG"][neutral], "the strip")
    for view in views:
        _alike(f"EXR in the sequencer looks as PNG does: {view}", seen["EXR"][view], seen["PNG"][view])


def _settled(compiling: bool) -> Steps:
    park()
    yield 3.0 if compiling else 0.0
    yield from settled()


def _corners_of_plane() -> tuple[float, float, float, float]:
    """Left, bottom, right and top of the picture, pixels of the viewport."""
    view, plane = place("VIEW_3D"), portrait().plane
    region = view.area.spaces.active.region_3d
    spots = [location_3d_to_region_2d(view.region, region, plane.matrix_world @ v.co) for v in plane.data.vertices]
    xs, ys = [spot.x for spot in spots], [spot.y for spot in spots]
    return min(xs), min(ys), max(xs), max(ys)


def _corners_of_preview(found: Place) -> tuple[float, float, float, float]:
    """As `_corners_of_plane`, of the picture in the sequencer's preview."""
    width, height = window().scene.render.resolution_x, window().scene.render.resolution_y
    left, bottom = found.region.view2d.view_to_region(-width / 2, -height / 2, clip=False)
    right, top = found.region.view2d.view_to_region(width / 2, height / 2, clip=False)
    return left, bottom, right, top


def _grabbed(name: str, found: Place, corners: tuple[float, float, float, float]) -> np.ndarray:
    """The inside of a picture on the screen, (H, W, 3) float32 from 0 to 255, the lowest row first."""
    path = FOLDER / f"colors_{name.replace(' ', '_').replace('/', '_')}.png"
    subprocess.run(["import", "-window", "root", str(path)], check=True, timeout=30)
    left, bottom, right, top = corners
    edge = _INSIDE * (right - left)
    rows = slice(round(found.region.y + bottom + edge), round(found.region.y + top - edge))
    columns = slice(round(found.region.x + left + edge), round(found.region.x + right - edge))
    return 255 * pixels(path)[rows, columns, :3]


def _alike(text: str, one: np.ndarray, other: np.ndarray) -> None:
    """Where both are even: what lies at an edge depends on how a viewport smooths it, and on its texture's size."""
    off = np.rint(np.abs(one - other)).max(axis=2)[_is_even(one) & _is_even(other)]  # the screen has 256 levels
    most = float(np.percentile(off, 95))
    report["figures"][text] = [round(float(off.mean()), 2), round(most, 2), off.size]
    fact(
        text,
        off.size > _LEAST and off.mean() <= _MEAN and most <= _MOST,
        f"mean {off.mean():.2f}, most within {most:.1f}",
    )


def _is_even(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: where the neighbours, two pixels far, are nearly as bright in all channels."""
    shifted = [np.roll(picture, (y, x), (0, 1)) for y in _WINDOW for x in _WINDOW]
    even = (np.max(shifted, axis=0) - np.min(shifted, axis=0)).max(axis=2) < _EVEN
    return even


def _check_own(seen: np.ndarray, what: str) -> None:
    """Against the file, by parts in which both are even: the screen has it in another size."""
    own = 255 * pixels(Path(PLAN["photo"]))[..., :3]
    edge = round(_INSIDE * own.shape[1])
    (one, spread), (other, other_spread) = _parts(seen), _parts(own[edge:-edge, edge:-edge])
    off = np.abs(one - other).max(axis=1)[np.maximum(spread, other_spread).max(axis=1) < _EVEN]
    middle = float(np.median(off))
    fact(f"{what} has the colors of the file", off.size > _PARTS and middle <= _OWN, f"half within {middle:.1f} of 255")


def _parts(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of parts of it: (parts, 3) each."""
    parts = [part for rows in np.array_split(picture, _PARTS, 0) for part in np.array_split(rows, _PARTS, 1)]
    return np.array([part.mean(axis=(0, 1)) for part in parts]), np.array([part.std(axis=(0, 1)) for part in parts])
