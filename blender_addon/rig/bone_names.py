# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones that were renamed get their standard names again: Blender lets keys and drivers follow a bone's name."""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from portrait_shared.landmarks import INDEX_OF, NAMES

from ..plane.plane_space import PlaneSpace, snap
from . import bone_shapes
from .armature import HEAD_BONE, face_width, head_pivot, missing_bones
from .handles import HANDLES, RigFrame
from .rig_drivers import MECHANISM_PREFIXES

_SAME_PLACE_OF_FACE: Final = 1e-3


def take_back(rig: bpy.types.Object, space: PlaneSpace, points: np.ndarray) -> int:
    """Gives every renamed head, handle and point its name again.

    It is told by its shape, and by lying where the missing one would lie.

    Args:
        points: (70, 3) pixels, the photo's landmarks.

    Returns:
        How many got their name back.
    """
    if rig.data.library is not None:
        return 0
    points = snap(points)
    frame, local = RigFrame.of(points, space), space.to_local(points)
    lost = [*missing_bones(rig), *(name for name in HANDLES if name not in rig.data.bones)]
    known = {HEAD_BONE, *NAMES, *HANDLES}
    strangers = [
        bone for bone in rig.pose.bones if bone.name not in known and not bone.name.startswith(MECHANISM_PREFIXES)
    ]
    reach = _SAME_PLACE_OF_FACE * face_width(points) * space.metres_per_pixel
    found = 0
    for name in lost:
        if name in HANDLES:
            place, shape = frame.place(HANDLES[name]), bone_shapes.handle_shape(HANDLES[name].shape)
        elif name == HEAD_BONE:
            place, shape = space.to_local(head_pivot(points)), bone_shapes.head_shape()
        else:
            place, shape = local[INDEX_OF[name]], bone_shapes.point_shape()
        near = [
            bone
            for bone in strangers
            if bone.custom_shape == shape and np.linalg.norm(np.array(bone.bone.head_local) - place) < reach
        ]
        if len(near) == 1:
            strangers.remove(near[0])
            rig.data.bones[near[0].name].name = name
            found += 1
    return found
