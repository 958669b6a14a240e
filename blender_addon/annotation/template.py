# SPDX-License-Identifier: GPL-3.0-or-later
"""A mean face to begin with: its 70 points, and what each of them is called."""

from __future__ import annotations

from typing import Final

import numpy as np
from portrait_shared.landmarks import GROUPS, LANDMARK_COUNT

# fmt: off
TEMPLATE: Final = np.array((
    (-0.5, -0.155, 0.436), (-0.495, -0.048, 0.461), (-0.487, 0.057, 0.458), (-0.469, 0.167, 0.433),
    (-0.437, 0.278, 0.385), (-0.337, 0.422, 0.221), (-0.27, 0.473, 0.15), (-0.155, 0.537, 0.041),
    (0, 0.564, -0.01), (0.155, 0.537, 0.041), (0.27, 0.473, 0.15), (0.337, 0.422, 0.221),
    (0.437, 0.278, 0.385), (0.469, 0.167, 0.433), (0.487, 0.057, 0.458), (0.495, -0.048, 0.461),
    (0.5, -0.155, 0.436),  # jaw
    (-0.406, -0.329, 0.102), (-0.36, -0.374, 0.047), (-0.291, -0.398, 0), (-0.202, -0.396, -0.042),
    (-0.101, -0.382, -0.065),  # right brow
    (0.101, -0.382, -0.065), (0.202, -0.396, -0.042), (0.291, -0.398, 0), (0.36, -0.374, 0.047),
    (0.406, -0.329, 0.102),  # left brow
    (0, -0.265, -0.068), (0, -0.207, -0.104), (0, -0.113, -0.184), (0, -0.005, -0.25),  # nose bridge
    (-0.107, 0.078, -0.099), (-0.054, 0.096, -0.121), (0, 0.099, -0.133), (0.054, 0.096, -0.121),
    (0.107, 0.078, -0.099),  # nose base
    (-0.321, -0.227, 0.088), (-0.276, -0.266, 0.046), (-0.198, -0.272, 0.033), (-0.119, -0.211, 0.044),
    (-0.186, -0.201, 0.032), (-0.261, -0.198, 0.044),  # right eye
    (0.119, -0.211, 0.044), (0.198, -0.272, 0.033), (0.276, -0.266, 0.046), (0.321, -0.227, 0.088),
    (0.261, -0.198, 0.044), (0.186, -0.201, 0.032),  # left eye
    (-0.171, 0.249, 0), (-0.099, 0.205, -0.104), (-0.051, 0.192, -0.13), (0, 0.201, -0.137),
    (0.051, 0.192, -0.13), (0.099, 0.205, -0.104), (0.171, 0.249, 0), (0.095, 0.305, -0.086),
    (0.051, 0.319, -0.107), (0, 0.323, -0.111), (-0.051, 0.319, -0.107), (-0.095, 0.305, -0.086),  # outer lip
    (-0.156, 0.249, -0.013), (-0.043, 0.242, -0.092), (0, 0.245, -0.099), (0.043, 0.242, -0.092),
    (0.156, 0.249, -0.013), (0.042, 0.261, -0.093), (0, 0.264, -0.1), (-0.042, 0.261, -0.093),  # inner lip
    (-0.229, -0.235, 0.053),  # right pupil
    (0.229, -0.235, 0.053),  # left pupil
))
# fmt: on
"""(70, 3): the server's mean face with its mouth shut, symmetric about x = 0, in its own widths; z smaller is nearer.

With its depth, points that were placed flat make a head that turns like a real one.
"""
TEMPLATE.setflags(write=False)

_SHARE = 0.45  # of the picture's shorter side
_HEIGHT = 0.45  # of the picture, from its top


def in_picture(width: int, height: int) -> np.ndarray:
    """The template where most portraits have their face: (70, 3) float64 pixels of a picture of that size."""
    return TEMPLATE * _SHARE * min(width, height) + (width / 2, _HEIGHT * height, 0)


PARTS: Final[dict[str, tuple[int, ...]]] = {
    "Jaw": GROUPS["jaw"],
    "Right Brow": GROUPS["right_brow"],
    "Left Brow": GROUPS["left_brow"],
    "Nose": (*GROUPS["nose_bridge"], *GROUPS["nose_base"]),
    "Right Eye": (*GROUPS["right_eye"], *GROUPS["right_pupil"]),
    "Left Eye": (*GROUPS["left_eye"], *GROUPS["left_pupil"]),
    "Mouth": (*GROUPS["outer_lip"], *GROUPS["inner_lip"]),
}
"""What is moved in one piece."""

_SINGLE: Final = {
    0: "Jaw beside the right ear", 4: "Right corner of the jaw", 8: "Chin", 12: "Left corner of the jaw",
    16: "Jaw beside the left ear", 17: "Right brow, outer end", 21: "Right brow, inner end",
    22: "Left brow, inner end", 26: "Left brow, outer end", 27: "Nose between the eyes", 30: "Tip of the nose",
    31: "Right nostril", 33: "Below the nose", 35: "Left nostril", 36: "Right eye, outer corner",
    39: "Right eye, inner corner", 42: "Left eye, inner corner", 45: "Left eye, outer corner",
    48: "Right corner of the mouth", 51: "Upper lip, middle", 54: "Left corner of the mouth", 57: "Lower lip, middle",
    60: "Right corner of the mouth, inside", 62: "Upper lip, middle of its inner edge",
    64: "Left corner of the mouth, inside", 66: "Lower lip, middle of its inner edge", 68: "Right pupil",
    69: "Left pupil",
}  # fmt: skip
_KINDS: Final = (
    ((37, 38), "Right eye, upper lid"), ((40, 41), "Right eye, lower lid"), ((43, 44), "Left eye, upper lid"),
    ((46, 47), "Left eye, lower lid"), (range(49, 54), "Upper lip"), (range(55, 60), "Lower lip"),
    (range(61, 64), "Upper lip, inner edge"), (range(65, 68), "Lower lip, inner edge"), (range(0, 17), "Jaw"),
    (range(17, 22), "Right brow"), (range(22, 27), "Left brow"), (range(27, 31), "Bridge of the nose"),
    (range(31, 36), "Below the nose"),
)  # fmt: skip

DESCRIPTIONS: Final[tuple[str, ...]] = tuple(
    _SINGLE.get(point) or next(words for points, words in _KINDS if point in points) for point in range(LANDMARK_COUNT)
)
"""What each point is on a face; right and left are the person's own."""
