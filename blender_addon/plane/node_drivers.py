# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a material's nodes that follow the scene's frame: drivers with keys, which Blender evaluates without Python."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from ..blender import compat
from .plane_reel import Key


def drive_by_frame(tree: bpy.types.NodeTree, path: str, keys: Sequence[Key], stretch: float) -> bool:
    """Gives a value keys over the scene's frames, held before and after; whether that changed anything.

    Args:
        path: of the value in the tree.
        keys: none takes the driver away.
        stretch: see `scene_time.stretch`.
    """
    driver = driver_at(tree, path)
    if not keys:
        return driver is not None and tree.driver_remove(path)
    places = np.array([(frame * stretch, value) for frame, value, _ in keys], np.float32).ravel()
    if driver is not None and _places(driver) == places.tolist():
        return False
    if driver is not None:
        tree.driver_remove(path)
    # A driver and not an action: the material's own keys stay apart, and a copy of the material has its own.
    driver = compat.new_driver(tree, path)
    driver.driver.type, driver.driver.expression = "SCRIPTED", "frame"  # simple enough for Blender to need no Python
    driver.keyframe_points.add(len(keys))
    driver.keyframe_points.foreach_set("co", places)
    driver.keyframe_points.foreach_set("interpolation", [kind for *_, kind in keys])
    driver.extrapolation = "CONSTANT"
    driver.update()
    return True


def driver_at(tree: bpy.types.NodeTree, path: str) -> bpy.types.FCurve | None:
    return tree.animation_data.drivers.find(path) if tree.animation_data is not None else None


def _places(driver: bpy.types.FCurve) -> list[float]:
    places = np.empty(2 * len(driver.keyframe_points), np.float32)
    driver.keyframe_points.foreach_get("co", places)
    found: list[float] = places.tolist()
    return found
