# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig's handles: what each is called, where it sits on the face, and which of the rig's sliders it pulls.

The person's left has the suffix .L and is at the picture's right, so that Blender's own Paste Flipped works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import bpy
import numpy as np
from portrait_shared.landmarks import MIRROR

from ..plane.plane_space import PlaneSpace
from . import bone_shapes
from .blendshapes import ARKIT_NAMES, FaceFrame

HANDLES_COLLECTION: Final = "Controls"
POINTS_COLLECTION: Final = "Points"
MECHANISM_COLLECTION: Final = "Mechanism"
LIMIT: Final = "Portrait Limits"
FRAME_BONE: Final = "MCH-lips_frame"
FRAME_HANDLE: Final = "lips"
FRAME_SIZE: Final = 0.21

PICTURE_AXES: Final = np.array(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)))
"""Rows are right, up and towards the viewer in the armature's space."""

SPLIT: Final = ("browInnerUp", "mouthPucker")
"""Sliders that move both sides, while each side has a handle of its own."""

CHANNELS: Final[tuple[str, ...]] = tuple(
    channel
    for name in ARKIT_NAMES
    if name != "tongueOut"  # moves none of the 70 points
    for channel in ((f"{name}Left", f"{name}Right") if name in SPLIT else (name,))
)
"""What the points follow: a slider and the handles that pull it, added up; one for each side of those in `SPLIT`."""


def property_of(channel: str) -> str:
    """The slider, by ARKit's name, that a channel adds up."""
    return next((name for name in SPLIT if channel.startswith(name)), channel)


@dataclass(frozen=True)
class Pull:
    """One direction of a handle.

    Attributes:
        axis: 0 to the picture's right, 1 up, 2 out of the face.
        sign: 1, or -1 for the opposite direction.
        travel: how far the handle goes for weight 1, in distances between the outer eye corners.
        channels: {channel: its weight at the end of the travel}.
    """

    axis: int
    sign: int
    travel: float
    channels: Mapping[str, float]


@dataclass(frozen=True)
class Handle:
    """A bone that an animator moves to move the landmarks.

    Attributes:
        name: its bone's.
        anchors: indices of the points in whose middle it sits, moved by `offset`: right, up, out of the face,
            in distances between the outer eye corners.
        shape: one of `bone_shapes.HANDLE_SHAPES`.
        size: of the shape, in the same unit.
        color: right, left, middle or gaze.
        rides: whether it goes along with the points under it when something else moves them.
        aims: whether it is a target of the eyes: it has no limits, and constraints may move it.
        limits: (3, 2) how far it goes each way on each axis, in the same unit; from `pulls`.
    """

    name: str
    anchors: tuple[int, ...]
    offset: tuple[float, float, float]
    shape: str
    size: float
    color: str
    pulls: tuple[Pull, ...]
    rides: bool = True
    aims: bool = False
    limits: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limits = np.zeros((3, 2))
        for pull in self.pulls:
            limits[pull.axis, (pull.sign + 1) // 2] = pull.sign * pull.travel
        object.__setattr__(self, "limits", limits)

    def mirrored(self) -> Handle:
        """The same handle on the person's left."""

        def other(name: str) -> str:
            return name.removesuffix("Right") + "Left"

        pulls = tuple(
            Pull(pull.axis, -pull.sign if pull.axis == 0 else pull.sign, pull.travel,
                 {other(channel): weight for channel, weight in pull.channels.items()})
            for pull in self.pulls
        )  # fmt: skip
        x, y, z = self.offset
        anchors = tuple(MIRROR[point] for point in self.anchors)
        name = self.name.removesuffix(".R") + ".L"
        return Handle(
            name,
            anchors,
            (-x, y, z),
            self.shape,
            self.size,
            "left" if self.color == "right" else self.color,
            pulls,
            self.rides,
            self.aims,
        )


_X, _Y, _Z = 0, 1, 2
GAZE_FORWARD: Final = 0.6
"""How far before the face, in distances between the outer eye corners, the eyes look where their handles are moved to.

The handles themselves lie on the eyes: before them, they would leave the eyes when the head turns.
"""
GAZE_MEETS: Final = 2.0
"""From how far before the face on, in the same unit, the lines of both eyes meet at their handle.

A handle that lies on the face means a look far away, as a photo shows one. Between `GAZE_FORWARD` and here the eyes come
together bit by bit, so that a handle pulled out of the face moves them without a jump.
"""
GAZE_TRAVEL: Final = 0.25
"""How far a handle of the eyes goes for a whole slider, in the same unit."""


def _of_both(*names: str) -> dict[str, float]:
    return {f"{name}{side}": 1.0 for name in names for side in ("Left", "Right")}


_RIGHT = (
    Handle("brow_inner.R", (21,), (0, 0.10, 0), "chevron", 0.055, "right",
            (Pull(_Y, 1, 0.12, {"browInnerUpRight": 1}), Pull(_Y, -1, 0.12, {"browDownRight": 1}))),
    Handle("brow_outer.R", (18,), (0, 0.10, 0), "chevron", 0.055, "right",
            (Pull(_Y, 1, 0.12, {"browOuterUpRight": 1}), Pull(_Y, -1, 0.12, {"browDownRight": 0.5}))),
    Handle("lid_upper.R", (37, 38), (0, 0.085, 0), "upper_arc", 0.085, "right",
            (Pull(_Y, -1, 0.12, {"eyeBlinkRight": 1}), Pull(_Y, 1, 0.08, {"eyeWideRight": 1}))),
    Handle("lid_lower.R", (40, 41), (0, -0.085, 0), "lower_arc", 0.085, "right",
            (Pull(_Y, 1, 0.08, {"eyeSquintRight": 1}),)),
    Handle("eye.R", (68,), (0, 0, 0), "ring", 0.215, "gaze",
            (Pull(_X, -1, GAZE_TRAVEL, {"eyeLookOutRight": 1}), Pull(_X, 1, GAZE_TRAVEL, {"eyeLookInRight": 1}),
             Pull(_Y, 1, GAZE_TRAVEL, {"eyeLookUpRight": 1}), Pull(_Y, -1, GAZE_TRAVEL, {"eyeLookDownRight": 1})),
            rides=False, aims=True),
    Handle("mouth_corner.R", (48,), (-0.10, 0, 0), "diamond", 0.05, "right",
            (Pull(_Y, 1, 0.12, {"mouthSmileRight": 1}), Pull(_Y, -1, 0.12, {"mouthFrownRight": 1}),
             Pull(_X, -1, 0.12, {"mouthStretchRight": 1}), Pull(_X, 1, 0.12, {"mouthPuckerRight": 1}))),
)  # fmt: skip
_MIDDLE = (
    Handle("gaze", (68, 69), (0, 0, 0), "crosshair", 0.085, "gaze",
            (Pull(_X, 1, GAZE_TRAVEL, {"eyeLookOutLeft": 1, "eyeLookInRight": 1}),
             Pull(_X, -1, GAZE_TRAVEL, {"eyeLookInLeft": 1, "eyeLookOutRight": 1}),
             Pull(_Y, 1, GAZE_TRAVEL, _of_both("eyeLookUp")), Pull(_Y, -1, GAZE_TRAVEL, _of_both("eyeLookDown"))),
            rides=False, aims=True),
    Handle("lip_upper", (51,), (0, 0.075, 0), "upper_arc", 0.07, "middle",
            (Pull(_Y, 1, 0.12, _of_both("mouthUpperUp")), Pull(_Y, -1, 0.12, {"mouthRollUpper": 1}))),
    Handle("lip_lower", (57,), (0, -0.075, 0), "lower_arc", 0.07, "middle",
            (Pull(_Y, -1, 0.14, _of_both("mouthLowerDown")), Pull(_Y, 1, 0.12, {"mouthRollLower": 1}))),
    Handle("mouth", (57, 8), (0, 0, 0), "double_arrow", 0.10, "middle",
            (Pull(_X, 1, 0.12, {"mouthLeft": 1}), Pull(_X, -1, 0.12, {"mouthRight": 1}),
             Pull(_Y, 1, 0.12, {"mouthShrugLower": 1, "mouthShrugUpper": 0.6}))),
    # Beside the mouth at the lips' own depth: farther away than they, it would come before them when the head turns.
    Handle("lips", (54,), (0.56, 0, 0), "knob", 0.055, "middle",
            (Pull(_Y, 1, 0.15, {"mouthFunnel": 1}), Pull(_Y, -1, 0.15, {"mouthRollUpper": 1, "mouthRollLower": 1}),
             Pull(_X, 1, 0.15, _of_both("mouthPucker")), Pull(_X, -1, 0.15, _of_both("mouthPress"))),
            rides=False),
    Handle("jaw", (8,), (0, -0.11, 0), "jaw", 0.16, "middle",
            (Pull(_Y, -1, 0.29, {"jawOpen": 1}), Pull(_Y, 1, 0.10, {"mouthClose": 0.35}),
             Pull(_X, 1, 0.10, {"jawLeft": 1}), Pull(_X, -1, 0.10, {"jawRight": 1}),
             Pull(_Z, 1, 0.10, {"jawForward": 1}))),
)  # fmt: skip

HANDLES: Final[dict[str, Handle]] = {
    handle.name: handle for handle in (*_MIDDLE, *_RIGHT, *(handle.mirrored() for handle in _RIGHT))
}


@dataclass(frozen=True)
class RigFrame:
    """The face at rest in the armature's space, in metres: where handles are placed and how they are turned.

    Attributes:
        points: (70, 3) pixels at rest.
        axes: (3, 3), rows to the picture's right, up and out of the face.
        unit: distance between the outer eye corners, metres.
    """

    points: np.ndarray
    space: PlaneSpace
    axes: np.ndarray
    unit: float

    @classmethod
    def of(cls, points: np.ndarray, space: PlaneSpace) -> RigFrame:
        points = np.asarray(points, np.float64)
        frame = FaceFrame.of(points)
        turned = frame.axes[:, (0, 2, 1)] * (1.0, 1.0, -1.0)  # pixels' down is the plane's -z, away is its y
        return cls(points, space, turned, frame.unit * space.metres_per_pixel)

    def axes_of(self, handle: Handle) -> np.ndarray:
        """The handle's axes: the face's own for one that rides on it, the picture's for one beside it."""
        return self.axes if handle.rides else PICTURE_AXES

    def place(self, handle: Handle) -> np.ndarray:
        """Where a handle rests, (3,) metres."""
        middle = self.space.to_local(self.points[list(handle.anchors)]).mean(0)
        return middle + self.unit * np.asarray(handle.offset) @ self.axes_of(handle)

    @property
    def pupils_apart(self) -> float:
        """Distance of the pupils across the face, in distances between the outer eye corners."""
        return float(self.in_face(self.points[69] - self.points[68])[0]) / self.unit

    def in_face(self, offsets: np.ndarray) -> np.ndarray:
        """Pixels' offsets (..., 3) as metres to the right, up and out of the face."""
        return np.asarray(offsets)[..., (0, 2, 1)] * (1.0, 1.0, -1.0) * self.space.metres_per_pixel @ self.axes.T


def dress(rig: bpy.types.Object, handle: Handle, unit: float) -> None:
    """Shape, colour, locks and limits of a handle; `unit` in metres."""
    bone = rig.pose.bones[handle.name]
    bone.custom_shape = bone_shapes.handle_shape(handle.shape)
    bone.use_custom_shape_bone_size = True
    bone.rotation_mode = "XYZ"
    bone.lock_rotation = bone.lock_scale = (True, True, True)
    bone.lock_rotation_w = True
    bone_shapes.color_bone(bone.bone, bone_shapes.HANDLE_COLORS[handle.color])
    limit = bone.constraints.get(LIMIT)
    if handle.aims:
        if limit is not None:  # rigs of older versions have one on the eyes' handles
            bone.constraints.remove(limit)
            bone.lock_location = (False, False, False)
        return
    bone.lock_location = [not low < high for low, high in handle.limits]
    limit = limit or bone.constraints.new("LIMIT_LOCATION")
    limit.name, limit.owner_space, limit.use_transform_limit = LIMIT, "LOCAL", True
    for axis, name in enumerate("xyz"):
        for end, value in zip(("min", "max"), handle.limits[axis] * unit, strict=True):
            setattr(limit, f"use_{end}_{name}", True)
            setattr(limit, f"{end}_{name}", value)


def dress_frame(rig: bpy.types.Object) -> None:
    """The shape and colour of the pad in which the handle of the lips moves; it cannot be selected."""
    bone = rig.pose.bones[FRAME_BONE]
    bone.custom_shape = bone_shapes.handle_shape("lips_frame")
    bone.use_custom_shape_bone_size = True
    bone.bone.hide_select = True
    bone_shapes.color_bone(bone.bone, bone_shapes.HANDLE_COLORS["middle"])
