# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees: a new portrait from the front, its face while it is posed, in 3D viewports that show pictures."""

from __future__ import annotations

from typing import Final, NamedTuple

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Quaternion, Vector
from portrait_shared.landmarks import NAMES

from .properties import PORTRAIT_PG_portrait

_FRONT: Final = Quaternion((0.7071068, 0.7071068, 0.0, 0.0))  # numpad 1
_MARGIN: Final = 1.25
_LEAST_SHARE: Final = 0.25  # of a region, that must be free for a picture to be fitted into it
_NEAR: Final = Vector((0.0, 0.0, 1.0))
_FACING: Final = 0.7  # within some 45 degrees of the front
_LEAST_FACE: Final = 0.6  # of the viewport, handles and all: a smaller face has handles that are hard to pick
_FACE_MARGIN: Final = 1.1
_HANDLES_ROOM: Final = 0.1  # of the face's width and height, on each side
_OUTER_HANDLES: Final = ("head", "lips", "jaw")  # the halo above the crown, the pad beside the mouth, the bow below
_SENSOR_MILLIMETRES: Final = 36.0
_ORTHO_ZOOM: Final = 2.0  # CAMERA_PARAM_ZOOM_INIT_PERSP of Blender's own camera code


class Rectangle(NamedTuple):
    """A part of a region, pixels from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float


def free_part(area: bpy.types.Area, region: bpy.types.Region) -> Rectangle:
    """What of a region no sidebar, toolbar or header lies on: Blender draws them over the viewport."""
    left, bottom, right, top = 0.0, 0.0, float(region.width), float(region.height)
    for other in area.regions:
        x, y = other.x - region.x, other.y - region.y
        hidden = other.width <= 1 or other.height <= 1
        apart = x >= region.width or y >= region.height or x + other.width <= 0 or y + other.height <= 0
        if other == region or other.type in ("WINDOW", "HUD") or hidden or apart:
            continue
        if other.width > other.height:
            if y + other.height / 2 > region.height / 2:
                top = min(top, y)
            else:
                bottom = max(bottom, y + other.height)
        elif x + other.width / 2 > region.width / 2:
            right = min(right, x)
        else:
            left = max(left, x + other.width)
    if right - left < _LEAST_SHARE * region.width or top - bottom < _LEAST_SHARE * region.height:
        return Rectangle(0, 0, region.width, region.height)  # next to nothing is free
    return Rectangle(left, bottom, right, top)


def look_from_front(
    space: bpy.types.SpaceView3D, width: int, height: int, portrait: PORTRAIT_PG_portrait,
    free: Rectangle | None = None,
) -> None:  # fmt: skip
    """Turns a 3D viewport squarely to the portrait's plane and fits it in.

    Args:
        width, height: of the viewport's region, pixels.
        free: the part of it to fit it into; all of it where None.
    """
    part = free or Rectangle(0, 0, width, height)
    plane = portrait.plane
    place, turn, scale = plane.matrix_world.decompose()
    half_x, half_z = portrait.space.half_size
    shares = (
        2 * half_x * abs(scale.x) / max(part.right - part.left, 1),
        2 * half_z * abs(scale.z) / max(part.top - part.bottom, 1),
    )
    pixel = _MARGIN * max(shares)  # metres
    view = space.region_3d
    view.view_perspective = "ORTHO"
    view.view_rotation = turn @ _FRONT
    aside = Vector(((part.left + part.right - width) / 2, (part.bottom + part.top - height) / 2, 0)) * pixel
    view.view_location = place - view.view_rotation @ aside
    view.view_distance = pixel * max(width, height) * space.lens / (_SENSOR_MILLIMETRES * _ORTHO_ZOOM)


def look_at_face(
    region: bpy.types.Region, space: bpy.types.SpaceView3D, portrait: PORTRAIT_PG_portrait, free: Rectangle
) -> bool:
    """Fits the face with its handles into a part of a 3D viewport, unless it is seen well there; whether it did.

    A camera's view is left alone: it belongs to the scene.
    """
    view = space.region_3d
    if view.view_perspective == "CAMERA":
        return False
    corners = _face_corners(portrait)
    turn = portrait.plane.matrix_world.to_quaternion() @ _FRONT
    facing = (turn @ _NEAR).dot(view.view_rotation @ _NEAR) > _FACING
    if facing and _is_seen_well([location_3d_to_region_2d(region, view, corner) for corner in corners], free):
        return False
    if not facing:
        view.view_rotation = turn
    wide, high = (corners[1] - corners[0]).length, (corners[2] - corners[0]).length
    pixel = _FACE_MARGIN * max(wide / max(free.right - free.left, 1), high / max(free.top - free.bottom, 1))
    aside = Vector(((free.left + free.right - region.width) / 2, (free.bottom + free.top - region.height) / 2, 0))
    view.view_location = sum(corners, Vector()) / len(corners) - view.view_rotation @ (aside * pixel)
    longer = pixel * max(region.width, region.height)
    view.view_distance = longer * space.lens / (_SENSOR_MILLIMETRES * _ORTHO_ZOOM)
    return True


def _is_seen_well(places: list[Vector | None], free: Rectangle) -> bool:
    """Whether the corners of a face, pixels of the region or None behind the viewer, lie free and are large enough."""
    if any(place is None for place in places):
        return False
    across, up = [place.x for place in places], [place.y for place in places]
    inside = min(across) >= free.left and max(across) <= free.right and min(up) >= free.bottom and max(up) <= free.top
    share = max(
        (max(across) - min(across)) / max(free.right - free.left, 1),
        (max(up) - min(up)) / max(free.top - free.bottom, 1),
    )
    return inside and share > _LEAST_FACE


def _face_corners(portrait: PORTRAIT_PG_portrait) -> list[Vector]:
    """Lower left, lower right, upper left, upper right of the face as it is posed, with its handles."""
    bones = portrait.rig.pose.bones
    spots = [bones[name].head for name in NAMES]
    for handle in (bones[name] for name in _OUTER_HANDLES if name in bones):
        shape = handle.custom_shape
        if shape is not None and shape.type == "MESH":
            spots += [handle.matrix @ (corner.co * handle.bone.length) for corner in shape.data.vertices]
    heads = np.array(spots)
    low, high = heads.min(0), heads.max(0)
    room = _HANDLES_ROOM * (high - low)
    middle = (low[1] + high[1]) / 2
    xs, zs = (low[0] - room[0], high[0] + room[0]), (low[2] - room[2], high[2] + room[2])
    return [portrait.rig.matrix_world @ Vector((x, middle, z)) for z in zs for x in xs]


def face_in_window(context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
    """`look_at_face` in the 3D viewport under the mouse, else in the window's largest."""
    area = viewport_of(context)
    if area is not None:
        context.view_layer.update()
        region = next(region for region in area.regions if region.type == "WINDOW")
        if look_at_face(region, area.spaces.active, portrait, free_part(area, region)):
            area.tag_redraw()


def viewport_of(context: bpy.types.Context) -> bpy.types.Area | None:
    """The 3D viewport under the mouse, else the window's largest; None where none is open."""
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"]
    if context.area in areas:
        return context.area
    return max(areas, key=lambda area: area.width * area.height, default=None)


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
    """`look_in_area` in the 3D viewport under the mouse, else in the window's largest."""
    area = viewport_of(context)
    if area is not None:
        look_in_area(context, area, portrait)


def look_in_area(context: bpy.types.Context, area: bpy.types.Area, portrait: PORTRAIT_PG_portrait) -> None:
    """`look_from_front` in a 3D viewport, with the photo shown there."""
    context.view_layer.update()  # a new plane's matrix is not known yet
    region = next(region for region in area.regions if region.type == "WINDOW")
    look_from_front(area.spaces.active, region.width, region.height, portrait, free_part(area, region))
    show_pictures(area.spaces.active)
    area.tag_redraw()
