# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys the demo's performance onto a rig."""

from __future__ import annotations

import bpy
import numpy as np

from ..curves.curve_arrays import plain_keys
from ..curves.rig_curves import SLIDER_GROUP, Curve, property_path
from ..rig import head_turns
from ..rig.armature import HEAD_BONE
from ..rig.rig_keys import key_whole_rig
from . import acting


def animate(rig: bpy.types.Object) -> None:
    """Keys the performance onto a rig: the turns of the head's handle, and the sliders, each on its own keys."""
    head = acting.head_keys()
    angles = np.array([(pitch, yaw, -roll) for _, (yaw, pitch, roll) in head])
    frames = [frame for frame, _ in head]
    head_turns.use_angles(rig)
    turn, width = head_turns.turn_channel(rig)
    curves = [
        Curve(turn, axis, HEAD_BONE, plain_keys(frames, column), automatic=True)
        for axis, column in enumerate(head_turns.turn_values(rig, angles).T)
    ]
    for name, keys in acting.slider_keys().items():
        at, weights = zip(*keys, strict=True)
        curves.append(Curve(property_path(name), 0, SLIDER_GROUP, plain_keys(at, weights), automatic=True))
    key_whole_rig(rig, "Demo performance", curves, (turn, width), acting.FIRST, acting.LAST)
