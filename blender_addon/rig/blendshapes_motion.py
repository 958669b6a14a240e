# SPDX-License-Identifier: GPL-3.0-or-later
"""How each of ARKit's controls moves a face, written once for the person's right side.

Lengths are in distances between the outer eye corners (about 90 mm) unless they are measured on the part itself:
lids close by their own opening, lips thin by their own thickness, pupils go a part of their way to the lids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from portrait_shared.landmarks import LANDMARK_COUNT, MIRROR

_MIDLINE = tuple(point for point in range(LANDMARK_COUNT) if MIRROR[point] == point)
_LIPS = tuple(range(48, 68))


@dataclass(frozen=True)
class FaceFrame:
    """The face's own directions at rest, in pixels' axes, and its size.

    Attributes:
        axes: (3, 3), rows are unit vectors to the picture's right, up and out of the face.
        unit: distance between the outer eye corners, pixels; above 0.
    """

    axes: np.ndarray
    unit: float

    @property
    def up(self) -> np.ndarray:
        return self.axes[1]

    @classmethod
    def of(cls, points: np.ndarray) -> FaceFrame:
        """Of (70, 3) pixels."""
        points = np.asarray(points, np.float64)
        across, middle = points[45] - points[36], (points[36] + points[45]) / 2
        unit = max(float(np.linalg.norm(across)), 1e-6)
        right = _unit(across, np.array((1.0, 0.0, 0.0)))
        up = middle - points[8]
        up = _unit(up - right * (up @ right), np.array((0.0, -1.0, 0.0)))
        return cls(np.stack((right, up, np.cross(right, up))), unit)


@dataclass(frozen=True)
class Face:
    """A face at rest in its own frame: x to the picture's right, y up, z out of the face; pixels."""

    RIGHT_POINTS: ClassVar[tuple[int, ...]] = (
        *range(0, 8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 58, 59, 60, 61, 67, 68,
    )  # fmt: skip
    LEFT_POINTS: ClassVar[tuple[int, ...]] = tuple(MIRROR[point] for point in RIGHT_POINTS)

    frame: FaceFrame
    local: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> Face:
        frame = FaceFrame.of(points)
        return cls(frame, (points - points[27]) @ frame.axes.T)

    def mirrored(self) -> Face:
        """As in a mirror: the person's left side is then measured where the right one was."""
        return Face(self.frame, self.back(self.local))

    @staticmethod
    def back(local: np.ndarray) -> np.ndarray:
        """Points or offsets of a mirrored face, (70, 3), as those of the face itself; and the other way round."""
        return local[list(MIRROR)] * (-1.0, 1.0, 1.0)


Motion = Callable[[Face], np.ndarray]
"""Offsets at weight 1, (70, 3) pixels in the face's own frame."""


def _unit(vector: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-9 else otherwise


def _move(shares: Mapping[int, float], out: float = 0.0, up: float = 0.0, forward: float = 0.0) -> Motion:
    """Each point goes its share of the way; `out` is towards the person's right."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        for point, share in shares.items():
            moved[point] = share * face.frame.unit * np.array((-out, up, forward))
        return moved

    return motion


def _towards(pairs: Mapping[tuple[int, int], float]) -> Motion:
    """The first point of each pair goes its share of the way to where the second one rests."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        for (point, goal), share in pairs.items():
            moved[point] += share * (face.local[goal] - face.local[point])
        return moved

    return motion


def _narrow(share: float) -> Motion:
    """The lips' points come nearer to the mouth's middle."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        lips = list(_LIPS)
        middle = (face.local[48, 0] + face.local[54, 0]) / 2
        moved[lips, 0] = share * (middle - face.local[lips, 0])
        return moved

    return motion


def _add(*motions: Motion) -> Motion:
    return lambda face: np.sum([motion(face) for motion in motions], axis=0)


def _scaled(motion: Motion, share: float) -> Motion:
    return lambda face: share * motion(face)


def _half(motion: Motion) -> Motion:
    """Of a motion of both sides, what the right side adds: all of its own points, half of the midline's."""
    share = np.zeros((LANDMARK_COUNT, 1))
    share[list(Face.RIGHT_POINTS)] = 1.0
    share[list(_MIDLINE)] = 0.5
    return lambda face: share * motion(face)


# --- Jaw ------------------------------------------------------------------------------------------------------

# How much of the jaw's way each point goes along.
_JAW = {
    3: 0.05, 4: 0.25, 5: 0.5, 6: 0.75, 7: 0.95, 8: 1.0,
    48: 0.36, 60: 0.4, 49: 0.08, 61: 0.03, 59: 0.8, 58: 0.94, 57: 0.97, 67: 0.9, 66: 0.95,
}  # fmt: skip
_JAW_ALL = _JAW | {MIRROR[point]: share for point, share in _JAW.items()}
_JAW_OPENS = _add(_move(_JAW, up=-0.29, forward=-0.08), _move({48: 1.0, 60: 1.0, 59: 0.3, 67: 0.15}, out=-0.03))

_LIP_PAIRS = ((61, 67), (62, 66))
_LIPS_MEET_AT = 0.35  # of the gap, from the upper lip
_OUTER_OF = {61: {50: 1.0, 49: 0.5}, 62: {51: 1.0}, 67: {58: 1.0, 59: 0.75}, 66: {57: 1.0}}


def _closing(opened: Motion | None) -> Motion:
    """Brings the inner lips together from where they rest, or from where a motion has opened them."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        now = face.local if opened is None else face.local + opened(face)
        for upper, lower in _LIP_PAIRS:
            gap = (now[upper] - now[lower]) * (0.0, 1.0, 0.0)
            for point, way in ((upper, -_LIPS_MEET_AT * gap), (lower, (1 - _LIPS_MEET_AT) * gap)):
                moved[point] = way
                for follower, share in _OUTER_OF[point].items():
                    moved[follower] = share * way
        return moved

    return motion


# --- Mouth ----------------------------------------------------------------------------------------------------

# What goes along with a corner, measured on 42 people who smile with their lips shut (Face Research Lab London Set, DeBruine and
# Jones 2017): aside in proportion to the way from the middle; upwards hardly more than the middle but near the corner, so
# that the line between the lips is a curve and no V. The middle's share is that of one side.
_CORNER_ASIDE = {48: 1.0, 60: 0.95, 49: 0.5, 59: 0.5, 50: 0.28, 58: 0.28, 61: 0.27, 67: 0.27}
_CORNER_UP = {
    48: 1.0, 60: 0.91, 49: 0.44, 59: 0.55, 50: 0.3, 58: 0.44, 61: 0.38, 67: 0.36, 51: 0.15, 57: 0.2, 62: 0.17, 66: 0.17,
}  # fmt: skip
_CORNER_ALONE = {48: 1.0, 60: 0.86, 49: 0.18, 59: 0.26, 58: 0.1, 61: 0.05, 67: 0.03}  # the same where the middle stays
_UPPER_LIP = {49: 0.6, 50: 1.0, 51: 0.55, 61: 1.0, 62: 0.55}
_LOWER_LIP = {59: 0.6, 58: 1.0, 57: 0.55, 67: 1.0, 66: 0.55}
_ALL_LIPS = dict.fromkeys(_LIPS, 1.0)
_UPPER_EDGE, _LOWER_EDGE = {49: 0.5, 50: 1.0, 51: 1.0}, {59: 0.7, 58: 1.0, 57: 1.0}
_UPPER_INNER, _LOWER_INNER = {61: 1.0, 62: 1.0}, {67: 1.0, 66: 1.0}
_THIN_UPPER, _THIN_LOWER = (
    {(50, 61): 1.0, (51, 62): 1.0, (49, 61): 0.35},
    {(58, 67): 1.0, (57, 66): 1.0, (59, 67): 0.5},
)

# --- Eyes -----------------------------------------------------------------------------------------------------

_LIDS = ((37, 41), (38, 40))
_LIDS_MEET_AT = 0.85  # of the opening, from the upper lid
# In eye widths: an eyeball of 12 mm turned by 30 degrees carries its pupil 6 mm aside, in an opening of 28 mm. Inwards as
# far as outwards, so that a pair of eyes that look aside looks at one thing, however its pupils lie between the corners.
_GAZE_ASIDE, _GAZE_UP, _GAZE_DOWN = 0.22, 0.13, 0.13


def _lids(upper: float, lower: float) -> Motion:
    """Parts of the eye's own opening by which the upper lid goes down and the lower lid up."""
    return _towards({pair: upper for pair in _LIDS} | {(below, above): lower for above, below in _LIDS})


def _gaze_aside(share: float) -> Motion:
    """The pupil goes inwards by a part of the eye's width; it keeps its height."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        moved[68] = share * (face.local[39] - face.local[36]) * (1.0, 0.0, 1.0)
        return moved

    return motion


def _gaze_up(share: float, upper: float, lower: float) -> Motion:
    """The pupil goes up by a part of the eye's width; the lids go along by their parts of that way."""

    def motion(face: Face) -> np.ndarray:
        moved = np.zeros((LANDMARK_COUNT, 3))
        way = share * np.linalg.norm(face.local[39] - face.local[36])
        moved[68, 1] = way
        moved[[37, 38], 1], moved[[40, 41], 1] = upper * way, lower * way
        return moved

    return motion


ONE_SIDE: Final[dict[str, Motion]] = {
    "eyeBlink": _lids(_LIDS_MEET_AT, 1 - _LIDS_MEET_AT),
    "eyeLookDown": _gaze_up(-_GAZE_DOWN, 0.75, 0.15),
    "eyeLookIn": _gaze_aside(_GAZE_ASIDE),
    "eyeLookOut": _gaze_aside(-_GAZE_ASIDE),
    "eyeLookUp": _gaze_up(_GAZE_UP, 0.6, 0.25),
    "eyeSquint": _lids(0.15, 0.3),
    "eyeWide": _add(_move({37: 1.0, 38: 1.0}, up=0.032), _move({40: 1.0, 41: 1.0}, up=-0.01)),
    "jaw": _move(_JAW_ALL, out=0.08),
    "mouth": _add(_move(_ALL_LIPS, out=0.075), _move({48: 1.0, 60: 1.0, 49: 0.5, 59: 0.5}, up=0.015)),
    "mouthSmile": _add(
        _move(_CORNER_ASIDE, out=0.075, forward=-0.03), _move(_CORNER_UP, up=0.095),
        _move({40: 0.7, 41: 1.0}, up=0.012), _move({31: 1.0}, out=0.01, up=0.008),
        _move({3: 0.6, 4: 1.0, 5: 0.6}, out=0.012),
    ),
    "mouthFrown": _add(_move(_CORNER_ASIDE, out=0.012), _move(_CORNER_ALONE, up=-0.075), _move({58: 0.5, 67: 0.5, 57: 0.3, 66: 0.3}, up=0.012)),
    "mouthDimple": _add(_move(_CORNER_ASIDE, out=0.045, forward=-0.03), _move(_CORNER_ALONE, up=0.008)),
    "mouthStretch": _add(_move(_CORNER_ASIDE, out=0.085), _move(_CORNER_ALONE, up=-0.03), _move({58: 0.5, 59: 0.5, 67: 0.5}, up=-0.015)),
    "mouthPress": _add(
        _half(_closing(None)), _scaled(_half(_towards(_THIN_UPPER)), 0.35), _scaled(_half(_towards(_THIN_LOWER)), 0.35),
        _move({48: 1.0, 60: 1.0}, out=0.008),
    ),
    "mouthLowerDown": _move(_LOWER_LIP, up=-0.07),
    "mouthUpperUp": _add(_move(_UPPER_LIP, up=0.05), _move({31: 1.0, 32: 0.6}, up=0.01)),
    "browDown": _add(
        _move({17: 0.15, 18: 0.4, 19: 0.7, 20: 0.95, 21: 1.0}, up=-0.055),
        _move({19: 0.3, 20: 0.7, 21: 1.0}, out=-0.022),
    ),
    "browOuterUp": _add(_move({17: 0.7, 18: 1.0, 19: 0.9, 20: 0.45, 21: 0.1}, up=0.075), _move({37: 1.0, 38: 0.5}, up=0.006)),
    "cheekSquint": _add(_lids(0.0, 0.22), _move({31: 0.3}, up=0.01)),
    "noseSneer": _add(
        _move({31: 1.0, 32: 0.7, 33: 0.25}, up=0.035), _move({31: 1.0}, out=0.012),
        _move({49: 0.5, 50: 1.0, 51: 0.3, 61: 0.8, 62: 0.2}, up=0.02),
        _move({20: 0.5, 21: 1.0}, up=-0.02), _move({40: 1.0, 41: 0.6}, up=0.008),
    ),
}  # fmt: skip
"""Controls with a Left and a Right, of the person's right side."""

BOTH_SIDES: Final[dict[str, Motion]] = {
    name: _half(motion)
    for name, motion in {
        "jawForward": _add(_move(_JAW, forward=0.08), _move(_JAW, up=-0.012)),
        "jawOpen": _JAW_OPENS,
        "mouthClose": _closing(_JAW_OPENS),
        "mouthFunnel": _add(
            _narrow(0.28), _move(_ALL_LIPS, forward=0.09),
            _move(_UPPER_EDGE, up=0.045), _move(_UPPER_INNER, up=0.04),
            _move(_LOWER_EDGE, up=-0.055), _move(_LOWER_INNER, up=-0.06),
            _move({58: 1.0, 67: 1.0, 59: 0.5, 50: 0.5, 61: 0.7}, out=0.022),  # round, not pointed
            _move({8: 1.0, 7: 0.9, 6: 0.6}, up=-0.02),
        ),
        "mouthPucker": _add(
            _narrow(0.4), _move(_ALL_LIPS, forward=0.1), _move(_UPPER_EDGE, up=0.012), _move(_LOWER_EDGE, up=-0.012),
            _scaled(_closing(None), 0.85),  # a photo that shows teeth would else pucker around them
        ),
        "mouthRollLower": _add(_scaled(_towards(_THIN_LOWER), 0.75), _move(_LOWER_INNER | _LOWER_EDGE, up=0.01, forward=-0.03)),
        "mouthRollUpper": _add(_scaled(_towards(_THIN_UPPER), 0.75), _move(_UPPER_INNER | _UPPER_EDGE, up=-0.008, forward=-0.03)),
        "mouthShrugLower": _add(
            _move(_LOWER_EDGE | _LOWER_INNER, up=0.04, forward=0.02), _move(_UPPER_INNER | _UPPER_EDGE, up=0.018),
            _move({8: 1.0, 7: 0.7}, up=0.02),
        ),
        "mouthShrugUpper": _move(_UPPER_EDGE | _UPPER_INNER, up=0.022, forward=0.035),
        "browInnerUp": _add(_move({18: 0.12, 19: 0.4, 20: 0.8, 21: 1.0}, up=0.085), _move({38: 1.0, 37: 0.4}, up=0.008)),
        "cheekPuff": _add(
            _move({1: 0.2, 2: 0.5, 3: 0.9, 4: 1.0, 5: 0.7, 6: 0.3}, out=0.035), _narrow(0.06), _move(_ALL_LIPS, forward=0.015),
        ),
        "tongueOut": _move({}),
    }.items()
}  # fmt: skip
"""Controls of both sides at once: what the right side adds."""
