# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of the faces that were found on photos: their landmarks."""

from __future__ import annotations

import bpy
import numpy as np
from bpy.props import CollectionProperty, FloatVectorProperty, PointerProperty, StringProperty
from portrait_shared.landmarks import LANDMARK_COUNT


class PORTRAIT_PG_point(bpy.types.PropertyGroup):
    """One landmark as it was detected on the photo."""

    co: FloatVectorProperty(name="Pixel", description="Tells where it is on the photo, in pixels", size=3, precision=3)


def points_in(held: bpy.types.bpy_prop_collection) -> np.ndarray | None:
    """(70, 3) float32, or None where there are none."""
    if len(held) != LANDMARK_COUNT:
        return None
    points = np.empty(LANDMARK_COUNT * 3, np.float32)
    held.foreach_get("co", points)
    return points.reshape(LANDMARK_COUNT, 3)


def store_points(held: bpy.types.bpy_prop_collection, points: np.ndarray) -> None:
    held.clear()
    for _ in range(LANDMARK_COUNT):
        held.add()
    held.foreach_set("co", np.asarray(points, np.float32).ravel())


class PORTRAIT_PG_reference(bpy.types.PropertyGroup):
    """A further photo of the person."""

    photo: PointerProperty(name="Photo", type=bpy.types.Image)
    photo_digest: StringProperty(options={"HIDDEN"})
    detected: CollectionProperty(type=PORTRAIT_PG_point)

    @property
    def points(self) -> np.ndarray | None:
        """(70, 3) float32 pixels of the photo, or None where no face has been found yet."""
        return points_in(self.detected)

    def set_points(self, points: np.ndarray) -> None:
        store_points(self.detected, points)


class PORTRAIT_PG_found_face(bpy.types.PropertyGroup):
    """A face that was found on a photo with several."""

    detected: CollectionProperty(type=PORTRAIT_PG_point)

    @property
    def points(self) -> np.ndarray:
        """(70, 3) float32 pixels of the photo."""
        return points_in(self.detected)

    def set_points(self, points: np.ndarray) -> None:
        store_points(self.detected, points)


CLASSES = (PORTRAIT_PG_point, PORTRAIT_PG_reference, PORTRAIT_PG_found_face)
