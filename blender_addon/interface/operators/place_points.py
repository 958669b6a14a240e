# SPDX-License-Identifier: GPL-3.0-or-later
"""Place Points by Hand: for a face that no detector finds, and for one that it found badly."""

from __future__ import annotations

from typing import Final

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, StringProperty
from portrait_shared.digest import image_digest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.landmarks import LANDMARK_COUNT
from portrait_shared.track import LandmarkTrack

from ...annotation import template
from ...blender import problems
from ...blender.problems import SceneError
from ...blender.selection import select_only
from ...portraits import photo, portrait_parts, viewport
from ...portraits.properties import PORTRAIT_PG_portrait
from .common import NeedsIdle, OnPortrait, active_portrait, has_window, report, scene_of, tell
from .points_with_mouse import PlacingWithMouse

_LEAST_FACE: Final = 4.0  # pixels of the photo


class PORTRAIT_OT_place_points(NeedsIdle, OnPortrait, bpy.types.Operator):
    """Place the 70 landmarks by hand: drag a face onto the photo, then its parts, then single points; keys of a rig that is there are kept"""

    bl_idname = "portrait.place_points"
    bl_label = "Place Points by Hand"
    bl_options = {"UNDO"}

    further: BoolProperty(
        name="Further Face", description="Place the points of another face of the picture, which gets a rig of its own",
        default=False, options={"SKIP_SAVE"},
    )  # fmt: skip
    # For scripts; with a window they are placed with the mouse.
    filepath: StringProperty(
        name="Landmarks", description="Choose a landmark track (.npz) whose first points are taken", subtype="FILE_PATH",
        options={"SKIP_SAVE", "HIDDEN"},
    )  # fmt: skip
    center: FloatVectorProperty(
        name="Center", description="Put the middle of the face here, in pixels of the photo from its upper left corner",
        size=2, options={"SKIP_SAVE", "HIDDEN"},
    )  # fmt: skip
    width: FloatProperty(
        name="Width", description="Make the face so many pixels wide; 0 puts it where most portraits have it", min=0,
        default=0, options={"SKIP_SAVE", "HIDDEN"},
    )  # fmt: skip
    roll: FloatProperty(
        name="Roll",
        description="Turn the face in the picture, clockwise",
        subtype="ANGLE",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return "Place the landmarks of another face by hand; it gets a rig of its own" if properties.further else ""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        if PlacingWithMouse.at_work is not None:
            return "Points are being placed: press Enter or Esc over the viewport"
        if active_portrait(context).shot.is_filmed:
            return "The points of a filmed shot lie on each of its frames: find them there"
        rig = active_portrait(context).rig
        linked = rig is not None and (rig.library is not None or rig.data.library is not None)
        return "The rig is linked: place the points in its own file" if linked else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        """Without a window: the points of a file, or the template at a place."""
        return _finish(self, context, portrait, self._given_points(portrait), self.further)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context) or self.filepath or self.width > 0:
            return self.execute(context)
        portrait = active_portrait(context)
        area = viewport.viewport_of(context)
        if area is None:
            return report(self, SceneError("No 3D viewport is open.", "Open one, and begin again."), portrait.uid)
        try:
            self._placing = PlacingWithMouse(context, area, portrait, self._begin_with(portrait))
        except PortraitError as error:
            return report(self, error, portrait.uid)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        placing = self._placing
        if not placing.is_there(context):
            placing.end(context)
            self.report({"WARNING"}, "The portrait or its viewport has gone: no points were placed")
            return {"CANCELLED"}
        outcome = placing.handle(context, event)
        if outcome == "CANCEL":
            placing.end(context)
            return {"CANCELLED"}
        if outcome == "DONE":
            points = placing.overlay.annotation.points
            _, portrait = placing.portrait()
            try:
                _check_size(points)
            except PortraitError as error:
                self.report({"ERROR"}, str(error))
                return {"RUNNING_MODAL"}
            placing.end(context)
            try:
                return _finish(self, context, portrait, points, self.further)
            except PortraitError as error:
                return report(self, error, portrait.uid)
        return {"PASS_THROUGH"} if outcome == "PASS" else {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file is being loaded, or the program closes."""
        self._placing.end(context)

    def _begin_with(self, portrait: PORTRAIT_PG_portrait) -> np.ndarray | None:
        """The points that are to be mended, (70, 3) pixels; None for a new face."""
        return None if self.further else portrait.detected_points

    def _given_points(self, portrait: PORTRAIT_PG_portrait) -> np.ndarray:
        size = tuple(portrait.size)
        if self.filepath:
            track = LandmarkTrack.load(bpy.path.abspath(self.filepath))
            if tuple(track.size) != size:
                raise PortraitError(
                    ErrorCode.SIZE_MISMATCH,
                    f"The landmarks were placed on a picture of {track.size[0]}x{track.size[1]} pixels; the photo has "
                    f"{size[0]}x{size[1]}.",
                    "Choose those of this photo.",
                )
            points = np.zeros((LANDMARK_COUNT, 3))
            points[:, : track.points.shape[-1]] = track.points[0]
            return points
        if self.width <= 0:
            return template.in_picture(*size)
        sine, cosine = np.sin(self.roll), np.cos(self.roll)
        points = template.TEMPLATE * self.width
        points[:, :2] = points[:, :2] @ np.array(((cosine, sine), (-sine, cosine)))
        points[:, :2] += self.center
        return points


def _check_size(points: np.ndarray) -> None:
    if np.ptp(points[:68, :2], axis=0).min() < _LEAST_FACE:
        raise SceneError("The face is too small.", "Pull its box larger, until it lies on the face of the photo.")


def _finish(
    operator: bpy.types.Operator, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait, points: np.ndarray,
    further: bool,
) -> set[str]:  # fmt: skip
    """Makes the points the rest of the portrait's rig; with `further` that of a rig for another face."""
    _check_size(points)
    portrait_parts.check_plane(scene_of(context), portrait)
    picture = photo.check(portrait.photo, tuple(portrait.size))
    if further and portrait.rig is not None:
        portrait = portrait_parts.add_face(context, portrait.uid, points)
        select_only(context.view_layer, portrait.rig)
    elif portrait.rig is not None:
        portrait_parts.move_rig(context, portrait, points)
    else:
        portrait_parts.attach_rig(context, portrait, points)
        select_only(context.view_layer, portrait.rig)
    portrait.photo_digest = image_digest(photo.pixels(picture))
    problems.forget(portrait.uid)
    return tell(operator, "The rig is on the points that were placed", ())


CLASSES = (PORTRAIT_OT_place_points,)
