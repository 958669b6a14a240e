# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's size and camera, taken from a portrait's photo: what is rendered is the picture and nothing beside it."""

from __future__ import annotations

from math import pi
from typing import Final

import bpy
from mathutils import Matrix

from .properties import PORTRAIT_PG_portrait

_DISTANCE_METRES: Final = 6.0
_CAMERA_KEY: Final = "talking_portrait_camera"


def frame(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait) -> bpy.types.Object:
    """Makes the scene as large as the portrait's frames, and puts a camera squarely before its plane.

    The camera is the portrait's own: one that the user made stays where it is, but is not the scene's any more.
    """
    render = scene.render
    render.resolution_x, render.resolution_y = portrait.size
    render.resolution_percentage = portrait.resolution_percentage
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    camera = next((item for item in scene.objects if item.get(_CAMERA_KEY) == portrait.uid), None)
    if camera is None:
        camera = bpy.data.objects.new(f"{portrait.name} camera", bpy.data.cameras.new(f"{portrait.name} camera"))
        camera[_CAMERA_KEY] = portrait.uid
        scene.collection.objects.link(camera)
    # As it is evaluated: a plane that was made or moved just now has no world matrix yet.
    bpy.context.view_layer.update()
    location, rotation, scale = portrait.plane.matrix_world.decompose()
    place = Matrix.LocRotScale(location, rotation, None)
    camera.matrix_world = (
        place @ Matrix.Translation((0, -_DISTANCE_METRES * scale.y, 0)) @ Matrix.Rotation(pi / 2, 4, "X")
    )
    camera.data.type = "ORTHO"
    camera.data.sensor_fit = "AUTO"
    camera.data.shift_x = camera.data.shift_y = 0.0
    half_width, half_height = portrait.space.half_size
    camera.data.ortho_scale = 2 * max(half_width * scale.x, half_height * scale.z)
    camera.data.clip_end = max(camera.data.clip_end, 2 * _DISTANCE_METRES * scale.y)
    scene.camera = camera
    return camera
