# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig is seen to ride: it hangs on an empty that follows the filmed head. Its own keys and its rest stay as they are.

The empty's keys lie on every frame of the shot, so that the .blend plays without the extension. What hangs on it is
sampled beside it, not with it, so riding moves no point.
"""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from mathutils import Matrix, Quaternion
from portrait_shared.head_poses import HeadPoses

from ..blender import compat
from ..curves import curve_arrays
from ..plane.plane_space import PlaneSpace

_TO_PLANE: Final = np.array(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)))
"""From the picture's axes (x right, y down, z away) to the plane's own."""
_SIZE_METRES: Final = 0.02


def ride(
    scene: bpy.types.Scene, rig: bpy.types.Object, plane: bpy.types.Object, carrier: bpy.types.Object | None,
    poses: HeadPoses, space: PlaneSpace, places: np.ndarray,
) -> bpy.types.Object:  # fmt: skip
    """Hangs the rig on an empty that follows the head.

    Args:
        carrier: the empty, where it was made before.
        poses: of the head in each of T frames, measured from the rig's rest.
        places: (T,) when, in frames of the animation.

    Returns:
        The empty.
    """
    if carrier is None:
        carrier = bpy.data.objects.new(f"{plane.name} ride", None)
    if carrier.name not in scene.objects:
        for collection in rig.users_collection:
            collection.objects.link(carrier)
    carrier.empty_display_size, carrier.hide_select, carrier.rotation_mode = _SIZE_METRES, True, "QUATERNION"
    carrier.hide_render = True
    if carrier.parent != plane:
        carrier.parent = plane
        carrier.matrix_parent_inverse.identity()
    _key(carrier, transforms(poses, space), places)
    hang(rig, carrier)
    return carrier


def hang(rig: bpy.types.Object, on: bpy.types.Object) -> None:
    """Makes the rig a child of a plane or an empty, where it lies on it as made."""
    rig.parent = on
    rig.matrix_parent_inverse = Matrix()


def transforms(poses: HeadPoses, space: PlaneSpace) -> np.ndarray:
    """(T, 10): place in metres, turn as a quaternion that goes on from the frame before, size; of the plane's own space."""
    turns = _TO_PLANE @ poses.rotations @ _TO_PLANE.T
    middle = space.to_pixels(np.zeros(3))
    carried = poses.carry(middle[np.newaxis])[:, 0]
    rows = np.empty((len(turns), 10))
    rows[:, :3] = space.to_local(carried)
    before = Quaternion()
    for row, turn in zip(rows, turns, strict=True):
        now = Matrix(turn.tolist()).to_quaternion()
        now.make_compatible(before)
        row[3:7], before = now, now
    rows[:, 7:] = poses.scales[:, None]
    return rows


def _key(carrier: bpy.types.Object, rows: np.ndarray, places: np.ndarray) -> None:
    action = bpy.data.actions.new(carrier.name)
    old = carrier.animation_data.action if carrier.animation_data is not None else None
    curves = compat.new_fcurves(carrier, action).fcurves
    if old is not None and old.users == 0:
        bpy.data.actions.remove(old)
    channels = [(path, axis) for path, width in (("location", 3), ("rotation_quaternion", 4), ("scale", 3))
                for axis in range(width)]  # fmt: skip
    for (path, axis), values in zip(channels, rows.T, strict=True):
        arrays = curve_arrays.blank(np.column_stack((places, values)))
        arrays["interpolation"][:] = curve_arrays.enum("interpolation", "LINEAR")
        curve_arrays.write(curves.new(path, index=axis), arrays)
