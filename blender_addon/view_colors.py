# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the scene shows the photo's own colours, under Blender's own colour configuration or a studio's."""

from __future__ import annotations

import bpy


def altered_colors(scene: bpy.types.Scene) -> str:
    """Why the scene does not show the photo's own colours; empty where it does."""
    view = scene.view_settings
    reasons = []
    if scene.display_settings.display_device not in ("sRGB", "None") and view.view_transform != "Raw":
        return ""  # a wide-gamut or HDR display maps colours on purpose
    if view.view_transform != "Standard":
        reasons.append(f"the view transform is {view.view_transform}")
    if view.look not in ("None", ""):
        reasons.append(f"the look is {view.look}")
    if abs(view.exposure) > 1e-6 or abs(view.gamma - 1) > 1e-6:
        reasons.append("exposure or gamma is set")
    if view.use_curve_mapping:
        reasons.append("curves are on")
    return ", ".join(reasons)


def use_own_colors(scene: bpy.types.Scene) -> None:
    """Sets the view so that the photo's colours come out as they are."""
    view = scene.view_settings
    view.view_transform = "Standard"
    view.look = "None"
    view.exposure, view.gamma = 0.0, 1.0
    view.use_curve_mapping = False
