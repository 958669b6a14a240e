# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys the demo's performance onto a rig."""

from __future__ import annotations

import bpy
import numpy as np

from ..animation import property_path, write_keys
from ..rig import HEAD_BONE
from . import performance


def animate(rig: bpy.types.Object) -> None:
    """Keys the performance onto a rig: the head control's turns, and the sliders, each on its own keys."""
    head = performance.head_keys()
    turns = np.array([(pitch, yaw, -roll) for _, (yaw, pitch, roll) in head])
    frames = np.array([frame for frame, _ in head])
    write_keys(rig, "Demo performance", {(HEAD_BONE, "rotation_euler"): (frames, turns)})
    for name, keys in performance.slider_keys().items():
        for frame, weight in keys:
            rig[name] = weight
            rig.keyframe_insert(property_path(name), frame=frame, group="Sliders")
