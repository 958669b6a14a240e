# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the scene shows the photo's own colours, under Blender's own colour configuration or a studio's."""

from __future__ import annotations

import ast
from typing import Final

import bpy
import numpy as np
from portrait_shared.files.private_folders import PrivateFolder

# What Blender's own configuration and OpenColorIO's ACES ones call the view that only encodes for the display. Other
# names tell nothing: “sRGB” does only that in some configurations, and is the whole output transform in ACES 1.2.
_NEUTRAL_VIEWS: Final = ("Standard", "Un-tone-mapped")
_DISPLAYS: Final = ("sRGB", "sRGB - Display", "sRGB Display", "sRGB - 2.2 Gamma", "Rec.1886 Rec.709 - Display")
_NO_DISPLAY: Final = ("None", "")
_PROBE: Final = np.array([[0.0, 0.1, 0.2], [0.5, 0.5, 0.5], [1.0, 1.0, 1.0], [0.9, 0.2, 0.1], [0.2, 0.6, 0.9]])
_TOLERANCE: Final = 3 / 255

_measured: dict[str, str] = {}


def altered_colors(scene: bpy.types.Scene) -> str:
    """Why the scene does not show the photo's own colours; empty where it does."""
    view, display = scene.view_settings, scene.display_settings.display_device
    reasons = []
    if display in _NO_DISPLAY:
        reasons.append("there is no display device")
    if view.view_transform != known_neutral_view(scene):
        reasons.append(f"the view transform is {view.view_transform}")
    if view.look not in ("None", ""):
        reasons.append(f"the look is {view.look}")
    if abs(view.exposure) > 1e-6 or abs(view.gamma - 1) > 1e-6:
        reasons.append("exposure or gamma is set")
    if view.use_curve_mapping:
        reasons.append("curves are on")
    if getattr(view, "use_white_balance", False):
        reasons.append("white balance is on")
    return ", ".join(reasons)


def known_neutral_view(scene: bpy.types.Scene) -> str:
    """The view that shows colours as they are on the scene's display; empty where its name is not known."""
    known = (name for name in _NEUTRAL_VIEWS if _has(scene.view_settings, "view_transform", name))
    return next(known, "") or _measured.get(scene.display_settings.display_device, "")


def use_own_colors(scene: bpy.types.Scene) -> bool:
    """Sets the view so that the photo's colours come out as they are; whether the configuration can.

    Where it has no view of a known name, each is tried on a few colours, and the one that alters them least is taken.
    """
    view = scene.view_settings
    if scene.display_settings.display_device in _NO_DISPLAY:
        displays = enum_values(scene.display_settings, "display_device")
        _assign(scene.display_settings, "display_device", [*_DISPLAYS, *(d for d in displays if d not in _NO_DISPLAY)])
    _assign(view, "look", ["None", ""])
    view.exposure, view.gamma = 0.0, 1.0
    view.use_curve_mapping = False
    if hasattr(view, "use_white_balance"):
        view.use_white_balance = False
    neutral = known_neutral_view(scene)
    if neutral:
        view.view_transform = neutral
        return True
    before, errors = view.view_transform, {}
    for name in enum_values(view, "view_transform"):
        view.view_transform = name
        errors[name] = _error(scene)
    best = min(errors, key=errors.__getitem__, default=before)
    if errors.get(best, 1.0) > _TOLERANCE:
        view.view_transform = before
        return False
    view.view_transform = _measured[scene.display_settings.display_device] = best
    return True


def enum_values(owner: bpy.types.bpy_struct, name: str) -> list[str]:
    """What a property of a colour configuration can be. Blender tells it only where a wrong value is assigned, which
    is not allowed while a panel is drawn."""
    try:
        setattr(owner, name, "\0")
    except TypeError as error:
        _, _, listed = str(error).rpartition("not found in ")
        try:
            found = ast.literal_eval(listed)
        except (ValueError, SyntaxError):
            return [getattr(owner, name)]
        return list(found) if isinstance(found, tuple) else [found]
    return [getattr(owner, name)]


def _has(owner: bpy.types.bpy_struct, name: str, value: str) -> bool:
    return bool(bpy.types.UILayout.enum_item_name(owner, name, value))


def _assign(owner: bpy.types.bpy_struct, name: str, values: list[str]) -> None:
    """The first of the values that the property can have."""
    chosen = next((value for value in values if _has(owner, name, value)), None)
    if chosen is not None:
        setattr(owner, name, chosen)


def _error(scene: bpy.types.Scene) -> float:
    """How much the view alters a few colours of a picture: the largest difference, of 1."""
    pixels = np.ones((1, len(_PROBE), 4), np.float32)
    pixels[0, :, :3] = _PROBE
    settings = scene.render.image_settings
    kept = {name: getattr(settings, name) for name in ("file_format", "color_mode", "color_depth")}
    image = bpy.data.images.new("probe", len(_PROBE), 1)
    try:
        image.pixels.foreach_set(pixels.ravel())
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
        with PrivateFolder() as folder:
            path = folder / "probe.png"
            image.save_render(str(path), scene=scene)
            shown = bpy.data.images.load(str(path), check_existing=False)
            values = np.empty(pixels.size, np.float32)
            shown.pixels.foreach_get(values)
            bpy.data.images.remove(shown)
    finally:
        bpy.data.images.remove(image)
        for name, value in kept.items():
            setattr(settings, name, value)
    return float(np.abs(values.reshape(pixels.shape) - pixels)[..., :3].max())
