# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Rest: from now on the portrait moves by how far its drivers are from where they are at this moment."""

from __future__ import annotations

import math
from typing import Any, Final

import bpy
import numpy as np
from mathutils import Matrix
from portrait_shared.landmarks import INDEX_OF, NAMES

from ..blender.problems import SceneError
from ..rig.armature import BONE_AXES, HEAD_BONE
from ..rig.sampling import check_rig, view_layer
from . import mechanism, sources
from .mechanism import in_bone, out_bone
from .placing import SIDES, Placing, place, tells_head

_VIEW: Final = "view"
_FRAME: Final = "head frame"
_PIVOT: Final = "pivot"
_FRONT: Final = Matrix.Rotation(math.radians(90), 4, "X")


def set_rest(context: bpy.types.Context, scene: bpy.types.Scene, portrait: Any) -> list[SceneError]:
    """Builds the mechanism anew for all entries that can drive.

    Returns:
        What is wrong with the entries that were left out.

    Raises:
        PortraitError: SCENE; what drove the portrait before then goes on.
    """
    check_rig(scene, portrait.rig)
    driving = portrait.driving
    wrong = {entry.target: sources.problem_of(scene, portrait, entry) for entry in driving.entries}
    usable = [entry for entry in driving.entries if wrong[entry.target] is None]
    found = [problem for problem in wrong.values() if problem is not None]
    if not usable:
        raise found[0] if found else SceneError("Nothing is mapped yet.", "Map by name, or pick drivers and points.")
    view = _view_object(scene, portrait, usable)
    for entry in usable:
        entry.item = mechanism.item_of(driving, entry)
    with mechanism.workshop(scene) as collection:
        built = _Build(context, scene, portrait, collection, usable)
        try:
            built.measure(view)
            built.assemble(view)
        except (SceneError, ValueError):
            mechanism.discard(built.face, built.stage)
            raise
        mechanism.remove(driving, portrait.rig)
        driving.face, driving.stage = built.face, built.stage
        built.attach()
    driving.rest_frame = scene.frame_current
    driving.enabled = True
    return found


def let_broken_rest(scene: bpy.types.Scene, portrait: Any) -> list[SceneError]:
    """Points whose driver is gone or not what it was stay as in the photo; those that were mended move again.

    Returns:
        What is wrong, entry by entry.
    """
    wrong = {entry.target: sources.problem_of(scene, portrait, entry) for entry in portrait.driving.entries}
    found = {target: problem for target, problem in wrong.items() if problem is not None}
    mechanism.rest_broken(portrait.driving, list(found))
    return list(found.values())


def _view_object(scene: bpy.types.Scene, portrait: Any, usable: list[Any]) -> bpy.types.Object | None:
    """What the drivers are seen from, None for the world; raises SCENE where it is missing."""
    driving = portrait.driving
    if driving.view == "CAMERA":
        if scene.camera is None:
            raise SceneError(
                "The scene has no camera to see the drivers through.",
                "Add a camera and make it the scene's, or see the drivers from their own front.",
            )
        if scene.camera.type == "CAMERA" and scene.camera.data.type not in ("PERSP", "ORTHO"):
            raise SceneError(
                f"The camera “{scene.camera.name}” sees all around.",
                "Make it a camera with perspective, or orthographic.",
            )
        view = scene.camera
    elif driving.view == "PLANE":
        if driving.plane is None or driving.plane.name not in scene.objects:
            raise SceneError(
                "The plane to see the drivers along was not chosen, or deleted.",
                "Choose an object whose X and Y are right and up.",
            )
        view = driving.plane
    else:
        # An object seen from itself would never move.
        view = next((entry.source for entry in usable if entry.kind != "OBJECT"), None)
    if view is not None and view != portrait.plane and sources.depends_on(view, portrait.rig):
        raise SceneError(
            f"“{view.name}” follows the rig that it would drive.", "See the drivers through something else."
        )
    return view


class _Build:
    """Builds the mechanism: measures drivers, head and view, then makes bones that carry their motion."""

    def __init__(self, context: bpy.types.Context, scene: bpy.types.Scene, portrait: Any,
                 collection: bpy.types.Collection, entries: list[Any]) -> None:  # fmt: skip
        self.face = mechanism.new_armature(collection, f"{portrait.name} drivers")
        self.stage = mechanism.new_armature(collection, f"{portrait.name} view of drivers")
        self._context, self._layer = context, view_layer(scene)
        self._portrait, self._collection, self._entries = portrait, collection, entries
        self._points = [entry.target for entry in entries if entry.target != HEAD_BONE]
        self._perspective = False

    def measure(self, view: bpy.types.Object | None) -> None:
        """Where drivers, head and view are now, whether they are shown or not."""
        names = [_VIEW, *(in_bone(entry.target) for entry in self._entries)]
        mechanism.set_bones(self._context, self.face, dict.fromkeys(names, (0.0, 0.0, 0.0)))
        self.face.pose.bones[_VIEW].constraints.new("COPY_TRANSFORMS").target = view
        for entry in self._entries:
            mechanism.tie(self._collection, self.face, entry, entry.item)
        places = mechanism.world_places(self._layer, self.face)
        driving = self._portrait.driving
        self._perspective = driving.view == "CAMERA" and view.type == "CAMERA" and view.data.type == "PERSP"
        self._ridden = _still(places[_VIEW], "" if view is None else view.name)
        self._view = self._ridden @ _FRONT if driving.view == "FRONT" else self._ridden
        to_view = self._view.inverted()
        self._at = {
            entry.target: np.array(to_view @ places[in_bone(entry.target)].translation) for entry in self._entries
        }
        head = next((entry for entry in self._entries if entry.target == HEAD_BONE), None)
        self._head = head
        self._head_place = None if head is None else _still(places[in_bone(HEAD_BONE)], head.source.name)
        for target, at in self._at.items():
            if self._perspective and at[2] > -1e-3:
                raise SceneError(
                    f"The driver of {target} is behind the camera “{view.name}”.",
                    "Point the camera at the driving face, and set the rest again.",
                )
        self._placing = self._fitted()

    def _fitted(self) -> Placing:
        rig, driving = self._portrait.rig, self._portrait.driving
        fitted = self._points or [HEAD_BONE]
        own = np.array([rig.data.bones[name].head_local for name in fitted], np.float64) @ BONE_AXES.T
        pivot = BONE_AXES @ np.array(rig.data.bones[HEAD_BONE].head_local, np.float64)
        drivers = np.array([self._at[name] for name in fitted], np.float64)
        try:
            return place(drivers, own, pivot, self._perspective, None if driving.automatic_scale else driving.scale)
        except ValueError as error:
            raise SceneError(
                f"The scale cannot be found from the mapped points: {error}.",
                "Map points that lie apart, mend a driver that is scaled to nothing, or turn Automatic Scale off.",
            ) from error

    def assemble(self, view: bpy.types.Object | None) -> None:
        """The bones at their rest, riding on view and head, and the expressions that carry their motion."""
        self._from_points = (
            self._head is None
            and self._portrait.driving.separate_head
            and tells_head({INDEX_OF[name]: self._at[name] for name in self._points})
        )
        heads = {in_bone(target): at for target, at in self._at.items()}
        heads |= {out_bone(target): self._at[target] for target in self._points}
        mechanism.set_bones(self._context, self.face, {**heads, _PIVOT: self._placing.pivot})
        self.face.matrix_basis = self.stage.matrix_basis = self._view
        staged = [HEAD_BONE, out_bone(HEAD_BONE)]
        staged += [*(f"side {number}" for number in range(3)), _FRAME] if self._from_points else []
        mechanism.set_bones(self._context, self.stage, dict.fromkeys(staged, self._placing.pivot))
        if view is not None:
            mechanism.ride(self.stage, view, "", self._ridden)
        if self._from_points:
            self._frame_from_points()
            frame = mechanism.world_places(self._layer, self.stage)[_FRAME]
            mechanism.ride(self.face, self.stage, _FRAME, mechanism.without_scale(frame))
        elif self._head is not None:
            part = self._head.item if self._head.kind == "BONE" else ""
            mechanism.ride(self.face, self._head.source, part, self._head_place)
        else:
            mechanism.ride(self.face, self.stage, "", self._view)
        copied = self.stage.pose.bones[HEAD_BONE].constraints.new("COPY_TRANSFORMS")
        copied.target, copied.subtarget = self.face, _PIVOT
        self._drive()

    def _frame_from_points(self) -> None:
        """Ties a bone to the points that expressions hardly move: it turns as the head does."""
        bones = self.stage.pose.bones
        for number, side in enumerate(SIDES):
            names = [NAMES[index] for index in side if NAMES[index] in self._points]
            ties = [self.face.pose.bones[in_bone(name)].constraints[0] for name in names]
            mechanism.lay(bones[f"side {number}"], ties)
        for number in range(2):
            middle = bones[_FRAME].constraints.new("COPY_LOCATION")
            middle.target, middle.subtarget, middle.influence = self.stage, f"side {number}", 1 / (number + 1)
        across = bones[_FRAME].constraints.new("DAMPED_TRACK")
        across.target, across.subtarget, across.track_axis = self.stage, "side 1", "TRACK_X"
        out = bones[_FRAME].constraints.new("LOCKED_TRACK")
        out.target, out.subtarget, out.track_axis, out.lock_axis = self.stage, "side 2", "TRACK_Z", "LOCK_X"

    def _drive(self) -> None:
        """Drives with plain offsets first, to learn what Blender computes for them at rest, and then subtracts that: the
        portrait at rest is the photo exactly."""
        bones = self.face.pose.bones
        for target in self._points:
            mechanism.drive(bones[out_bone(target)], "location", (self.face, in_bone(target)), "xyz")
        measured, out = (self.stage, HEAD_BONE), self.stage.pose.bones[out_bone(HEAD_BONE)]
        mechanism.drive(out, "location", measured, "xyz")
        still = mechanism.local_places(self._layer, self.face, [out_bone(target) for target in self._points])
        for target, offset in zip(self._points, still, strict=True):
            mechanism.express(self.face, out_bone(target), "location", self._placing.moves(self._at[target], offset))
        (offset,) = mechanism.local_places(self._layer, self.stage, [out.name])
        mechanism.express(self.stage, out.name, "location", self._placing.moves(self._placing.pivot, offset))
        size = self._placing.size(self._placing.pivot, offset[2])
        if size is not None:
            mechanism.drive(out, "scale", measured, [size] * 3)

    def attach(self) -> None:
        """Lets the portrait's rig follow."""
        rig = self._portrait.rig
        for target in self._points:
            mechanism.follow(rig, target, self.face, "COPY_LOCATION", out_bone(target))
        if self._head is None and not self._from_points:
            return
        mechanism.follow(rig, HEAD_BONE, self.stage, "COPY_ROTATION", HEAD_BONE)
        mechanism.follow(rig, HEAD_BONE, self.stage, "COPY_LOCATION", out_bone(HEAD_BONE))
        if self._perspective:
            mechanism.follow(rig, HEAD_BONE, self.stage, "COPY_SCALE", out_bone(HEAD_BONE))


def _still(matrix: Matrix, name: str) -> Matrix:
    try:
        return mechanism.without_scale(matrix)
    except ValueError as error:
        raise SceneError(
            f"“{name}” is scaled to nothing.", "Give it back its scale, then set the rest again."
        ) from error
