# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's 52 face controls as offsets of the 70 points, measured on the face that they move.

Names and meanings are those of Apple's `ARFaceAnchor.BlendShapeLocation`. Left and Right are the person's own:
the person's left is at the picture's right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT

from .blendshapes_motion import BOTH_SIDES, ONE_SIDE, Face, FaceFrame

__all__ = [
    "ARKIT_NAMES", "DESCRIPTIONS", "GUARDS", "MIRRORED_NAMES", "REGIONS", "FaceFrame", "Guard",
    "combine", "shape_offsets", "split_offsets",
]  # fmt: skip

_EYE = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")

ARKIT_NAMES: Final[tuple[str, ...]] = (
    *(f"{name}Left" for name in _EYE),
    *(f"{name}Right" for name in _EYE),
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""Apple's 52 names, in the order of Live Link Face recordings."""

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "Brows": tuple(name for name in ARKIT_NAMES if name.startswith("brow")),
    "Eyes": tuple(name for name in ARKIT_NAMES if name.startswith("eye")),
    "Jaw": tuple(name for name in ARKIT_NAMES if name.startswith("jaw")),
    "Mouth": tuple(name for name in ARKIT_NAMES if name.startswith("mouth")),
    "Cheeks and Nose": tuple(name for name in ARKIT_NAMES if name.startswith(("cheek", "nose", "tongue"))),
}
"""The names by the part of the face they move."""

MIRRORED_NAMES: Final[dict[str, str]] = {
    name: name[:-4] + "Right" if name.endswith("Left") else name[:-5] + "Left" if name.endswith("Right") else name
    for name in ARKIT_NAMES
}
"""What each control becomes when the face is mirrored left to right."""

_OF_SIDE = {
    "eyeBlink": "Closes the {side} eye.",
    "eyeLookDown": "Turns the {side} eye down; the upper lid follows.",
    "eyeLookIn": "Turns the {side} eye towards the nose.",
    "eyeLookOut": "Turns the {side} eye away from the nose.",
    "eyeLookUp": "Turns the {side} eye up; the lids follow.",
    "eyeSquint": "Narrows the {side} eye.",
    "eyeWide": "Opens the {side} eye wide.",
    "jaw": "Moves the jaw to the person's {side}.",
    "mouth": "Moves both lips to the person's {side}.",
    "mouthSmile": "Lifts the {side} corner of the mouth.",
    "mouthFrown": "Lowers the {side} corner of the mouth.",
    "mouthDimple": "Draws the {side} corner of the mouth back.",
    "mouthStretch": "Stretches the {side} corner of the mouth outwards and down.",
    "mouthPress": "Presses the lips together on the {side}.",
    "mouthLowerDown": "Lowers the lower lip on the {side}.",
    "mouthUpperUp": "Raises the upper lip on the {side}.",
    "browDown": "Lowers the {side} brow.",
    "browOuterUp": "Raises the outer half of the {side} brow.",
    "cheekSquint": "Raises the {side} cheek under the eye.",
    "noseSneer": "Raises the {side} wing of the nose.",
}
_OF_BOTH = {
    "jawForward": "Pushes the jaw forward.",
    "jawOpen": "Opens the jaw.",
    "mouthClose": "Closes the lips, however far the jaw is open.",
    "mouthFunnel": "Opens the lips into a wide ring, as for “oh”.",
    "mouthPucker": "Draws the lips together and forward, as for a kiss.",
    "mouthRollLower": "Rolls the lower lip in over the teeth.",
    "mouthRollUpper": "Rolls the upper lip in over the teeth.",
    "mouthShrugLower": "Pushes the lower lip and the chin up.",
    "mouthShrugUpper": "Pushes the upper lip up and out.",
    "browInnerUp": "Raises the inner halves of both brows.",
    "cheekPuff": "Blows the cheeks out.",
    "tongueOut": "Puts the tongue out: kept for recordings; none of the 70 points shows it.",
}


def _description(name: str) -> str:
    for side in ("Left", "Right"):
        if name.endswith(side):
            return _OF_SIDE[name.removesuffix(side)].format(side=side.lower())
    return _OF_BOTH[name]


DESCRIPTIONS: Final[dict[str, str]] = {name: _description(name) for name in ARKIT_NAMES}
"""A sentence for each control."""


@dataclass(frozen=True)
class Guard:
    """Two points, one above the other, that may touch and never cross.

    Where controls that add up would cross them, both give way along the face's own vertical: the upper one by
    `upper_share` of the overlap, the lower one by the rest, each taking its followers along.

    Attributes:
        upper, lower: indices of the points.
        upper_share: 0 to 1.
        upper_followers, lower_followers: {point's index: how much of the way it goes along}.
    """

    upper: int
    lower: int
    upper_share: float
    upper_followers: Mapping[int, float]
    lower_followers: Mapping[int, float]

    def moves(self) -> dict[int, float]:
        """What one unit of overlap moves each point by, upwards."""
        up = {point: share * self.upper_share for point, share in {self.upper: 1.0, **self.upper_followers}.items()}
        down = 1.0 - self.upper_share
        return up | {point: -share * down for point, share in {self.lower: 1.0, **self.lower_followers}.items()}


_LIDS_MEET_AT, _LIPS_MEET_AT = 0.85, 0.35

GUARDS: Final[tuple[Guard, ...]] = (
    Guard(37, 41, _LIDS_MEET_AT, {}, {}),
    Guard(38, 40, _LIDS_MEET_AT, {}, {}),
    Guard(43, 47, _LIDS_MEET_AT, {}, {}),
    Guard(44, 46, _LIDS_MEET_AT, {}, {}),
    Guard(61, 67, _LIPS_MEET_AT, {50: 1.0, 49: 0.5}, {58: 1.0, 59: 0.75}),
    Guard(62, 66, _LIPS_MEET_AT, {51: 1.0}, {57: 1.0}),
    Guard(63, 65, _LIPS_MEET_AT, {52: 1.0, 53: 0.5}, {56: 1.0, 55: 0.75}),
)
"""Lids and lips: blink and squint may add up, and so may mouthClose without jawOpen."""


def shape_offsets(points: np.ndarray) -> dict[str, np.ndarray]:
    """What each of the 52 controls at weight 1 adds to the points of a face at rest.

    Args:
        points: (70, 3) pixels, the face at rest; x right, y down, z smaller is nearer.

    Returns:
        {name: (70, 3) float64 offsets, pixels}.

    Raises:
        ValueError: the points are not (70, 3), or not finite.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (LANDMARK_COUNT, 3) or not np.isfinite(points).all():
        raise ValueError(f"{LANDMARK_COUNT} finite points in 3 dimensions are needed, not {points.shape}.")
    face = Face.of(points)
    mirrored = face.mirrored()
    local: dict[str, np.ndarray] = {}
    for name, motion in ONE_SIDE.items():
        local[f"{name}Right"] = motion(face)
        local[f"{name}Left"] = mirrored.back(motion(mirrored))
    for name, motion in BOTH_SIDES.items():
        local[name] = motion(face) + mirrored.back(motion(mirrored))
    return {name: local[name] @ face.frame.axes for name in ARKIT_NAMES}


def split_offsets(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A symmetric control's offsets, (70, 3), as what moves the person's left and what moves the right.

    Points of the midline get half of their way from either side; the two add up to the whole.
    """
    share = np.full((LANDMARK_COUNT, 1), 0.5)
    share[list(Face.RIGHT_POINTS)] = 0.0
    share[list(Face.LEFT_POINTS)] = 1.0
    return offsets * share, offsets * (1.0 - share)


def combine(
    points: np.ndarray, weights: Mapping[str, float], shapes: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """What a set of controls adds to the points of a face at rest: their sum, lids and lips never crossing.

    Args:
        points: (70, 3) pixels, the face at rest.
        weights: strength of each control, usually 0 to 1; those not named are 0.
        shapes: `shape_offsets` of these points where they are at hand, for speed.

    Returns:
        (70, 3) float64 offsets, pixels.

    Raises:
        KeyError: a control that does not exist.
    """
    points = np.asarray(points, np.float64)
    shapes = shape_offsets(points) if shapes is None else shapes
    total = np.zeros((LANDMARK_COUNT, 3))
    for name, weight in weights.items():
        total += weight * shapes[name]
    up = FaceFrame.of(points).up
    height = points @ up
    moved_height = height + total @ up
    for guard in GUARDS:
        allowed = min(height[guard.upper] - height[guard.lower], 0.0)  # a photo's own points may cross a little
        overlap = max(0.0, allowed - (moved_height[guard.upper] - moved_height[guard.lower]))
        for point, share in guard.moves().items():
            total[point] += share * overlap * up
    return total
