# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees and has selected: a new portrait is looked at from the front, with its rig at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import bpy
from mathutils import Quaternion

from . import modes

if TYPE_CHECKING:
    from .properties import PORTRAIT_PG_portrait

_FRONT: Final = Quaternion((0.7071068, 0.7071068, 0.0, 0.0))  # numpad 1
_MARGIN: Final = 1.25
_SENSOR_MILLIMETRES: Final = 36.0
_ORTHO_ZOOM: Final = 2.0  # CAMERA_PARAM_ZOOM_INIT_PERSP of Blender's own camera code


def look_from_front(space: bpy.types.SpaceView3D, width: int, height: int, portrait: PORTRAIT_PG_portrait) -> None:
    """Turns a 3D viewport squarely to the portrait's plane and fits it in.

    Args:
        width, height: of the viewport's region, pixels.
    """
    plane = portrait.plane
    place, turn, scale = plane.matrix_world.decompose()
    half_x, half_z = portrait.space.half_size
    shares = 2 * half_x * abs(scale.x) / max(width, 1), 2 * half_z * abs(scale.z) / max(height, 1)
    longer = max(shares) * max(width, height)  # the metres that the region's longer side is to show
    view = space.region_3d
    view.view_perspective = "ORTHO"
    view.view_rotation = turn @ _FRONT
    view.view_location = place
    view.view_distance = _MARGIN * longer * space.lens / (_SENSOR_MILLIMETRES * _ORTHO_ZOOM)


def shows_pictures(space: bpy.types.SpaceView3D) -> bool:
    """Whether a 3D viewport shows the pictures on their planes, and not just their grey shapes."""
    shading = space.shading
    return shading.type in ("MATERIAL", "RENDERED") or (shading.type == "SOLID" and shading.color_type == "TEXTURE")


def show_pictures(space: bpy.types.SpaceView3D) -> None:
    """Lets a 3D viewport show pictures in their own colours, where it does not: unlit, without any view transform.

    Solid shading draws many times faster than Material Preview on a machine with a weak graphics card or none.
    """
    if not shows_pictures(space):
        shading = space.shading
        shading.type, shading.light, shading.color_type = "SOLID", "FLAT", "TEXTURE"


def look_in_window(context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
    """Does so, and shows the photo, in the 3D viewport under the mouse, else in the window's largest."""
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"]
    if not areas:
        return
    context.view_layer.update()  # a new plane's matrix is not known yet
    area = context.area if context.area in areas else max(areas, key=lambda area: area.width * area.height)
    region = next(region for region in area.regions if region.type == "WINDOW")
    look_from_front(area.spaces.active, region.width, region.height, portrait)
    show_pictures(area.spaces.active)
    area.tag_redraw()


def select_only(layer: bpy.types.ViewLayer, item: bpy.types.Object) -> None:
    """Makes an object the only one selected, and active, in Object Mode."""
    modes.leave(bpy.context)
    for other in list(layer.objects):  # selecting may make the layer anew
        other.select_set(other == item, view_layer=layer)
    layer.objects.active = item


def is_untouched(layer: bpy.types.ViewLayer, item: bpy.types.Object) -> bool:
    """Whether the user has done nothing else since the object was selected: what they have now may be replaced."""
    active = layer.objects.active
    return active in (None, item) and (active is None or active.mode == "OBJECT")
