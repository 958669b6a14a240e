# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of a take, blended from and to the keys that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Euler, Quaternion
from portrait_shared.landmarks import NAMES

from ..blender import compat
from ..capture.head_pose import PIXELS_TO_HEAD
from ..capture.takes import Take
from ..curves.rig_curves import bone_path, property_path, value_now
from ..plane.plane_space import PlaneSpace
from ..rig import head_turns
from ..rig.armature import HEAD_BONE


def blended(rig: bpy.types.Object, space: PlaneSpace, take: Take, count: int) -> Take:
    """The take, whose first and last `count` frames go over from what the rig does there now, and to it.

    The rig is to be as without a live performance, see `rig_values.put_back`.
    """
    count = min(count, len(take.frames) // 2)
    if count <= 0:
        return take
    frames = take.frames
    share = np.ones(len(frames))
    rising = np.arange(1, count + 1) / (count + 1)
    share[:count] = rising * rising * (3 - 2 * rising)
    share[-count:] = share[:count][::-1]
    there = _There(rig, frames)

    def mixed(values: np.ndarray, old: np.ndarray) -> np.ndarray:
        by = share.reshape(-1, *(1,) * (values.ndim - 1))
        return np.asarray(by * values + (1 - by) * old)

    still = np.zeros(len(frames))
    weights = {}
    for name in take.owned:
        new, old = take.weights.get(name, still), there.slider(name)
        if name in take.weights or old.any():
            weights[name] = mixed(new, old)
    sliders = {name: mixed(values, there.slider(name)) for name, values in take.sliders.items()}
    to_pixels = PIXELS_TO_HEAD / space.metres_per_pixel
    angles, moves, offsets = take.angles, take.moves, take.offsets
    if angles is not None:
        angles = mixed(angles, there.angles())
    if moves is not None:
        moves = mixed(moves, there.location(HEAD_BONE) @ to_pixels)
    if offsets is not None:
        old = np.stack([there.location(name) @ to_pixels for name in NAMES], axis=1)
        offsets = mixed(offsets, old)
    return replace(take, weights=weights, sliders=sliders, angles=angles, moves=moves, offsets=offsets)


class _There:
    """What the rig's action does on some frames; what has no curve is as it is set."""

    def __init__(self, rig: bpy.types.Object, frames: Sequence[int] | np.ndarray) -> None:
        self._rig, self._frames = rig, frames
        self._curves = {(curve.data_path, curve.array_index): curve for curve in compat.fcurves_of(rig)}

    def slider(self, name: str) -> np.ndarray:
        return self._values(property_path(name), 0)

    def location(self, bone: str) -> np.ndarray:
        """(F, 3) metres in the bone's axes."""
        return np.stack([self._values(bone_path(bone, "location"), axis) for axis in range(3)], axis=1)

    def angles(self) -> np.ndarray:
        """(F, 3) the head handle's ZXY angles, radians, whatever it turns by."""
        path, width = head_turns.turn_channel(self._rig)
        values = np.stack([self._values(path, index) for index in range(width)], axis=1)
        mode = self._rig.pose.bones[HEAD_BONE].rotation_mode
        if mode == "ZXY":
            return values
        rows: list[Euler] = []
        for row in values.tolist():
            if mode == "QUATERNION":
                turn = Quaternion(row)
            elif mode == "AXIS_ANGLE":
                turn = Quaternion(row[1:], row[0])
            else:
                turn = Euler(row, mode).to_quaternion()
            rows.append(turn.to_euler("ZXY", rows[-1]) if rows else turn.to_euler("ZXY"))
        return np.array(rows)

    def _values(self, path: str, index: int) -> np.ndarray:
        curve = self._curves.get((path, index))
        if curve is not None and not compat.is_muted(curve):
            return np.array([curve.evaluate(float(frame)) for frame in self._frames])
        return np.full(len(self._frames), value_now(self._rig, path, index) or 0.0)
