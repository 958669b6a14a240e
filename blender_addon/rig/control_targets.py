# SPDX-License-Identifier: GPL-3.0-or-later
"""What one hand moves at a time: a slider, two of both sides, or the head or the gaze along one axis. Knows nothing of bpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from portrait_shared.body import HIGHEST

from .blendshapes import ARKIT_NAMES

_DEGREE: Final = math.radians(1)


@dataclass(frozen=True)
class Target:
    """Something that a control can move.

    Attributes:
        low, high: the range that a control gets at first; degrees for turns, parts of the face's width for shifts.
        up, down: {a slider or axis of `Sample.sliders`: what it gets for each 1 above, and below 0}.
        both_ways: whether it rests in the middle of its range.
        most: the highest that a slider of it takes; None for turns and shifts of the head, and for sliders that are
            somebody's own.
    """

    low: float
    high: float
    up: Mapping[str, float]
    down: Mapping[str, float]
    both_ways: bool
    most: float | None = 1.0

    def sliders(self, value: float) -> dict[str, float]:
        """{slider or axis: its value}, all that it moves; a value below 0 counts only where it goes both ways."""
        above, below = (max(value, 0.0), max(-value, 0.0)) if self.both_ways else (value, 0.0)
        names = dict.fromkeys((*self.up, *self.down))
        return {name: above * self.up.get(name, 0.0) + below * self.down.get(name, 0.0) for name in names}


def _axis(name: str, reach: float, unit: float = 1.0) -> Target:
    return Target(-reach, reach, {name: unit}, {name: -unit}, True, None)


def _opposed(up: tuple[str, ...], down: tuple[str, ...]) -> Target:
    return Target(-1.0, 1.0, dict.fromkeys(up, 1.0), dict.fromkeys(down, 1.0), True)


def _sliders(*names: str, most: float = 1.0) -> Target:
    return Target(0.0, most, dict.fromkeys(names, 1.0), {}, False, most)


HEAD_TURN, HEAD_NOD, HEAD_TILT = "Head Turn", "Head Nod", "Head Tilt"
GAZE_ACROSS, GAZE_UP, BROWS = "Gaze Across", "Gaze Up", "Brows"
_BOTH: Final = " (Both)"


def both(name: str) -> str:
    """What the sliders NAMELeft and NAMERight are called together."""
    return name + _BOTH


def _pairs() -> dict[str, Target]:
    names = [name.removesuffix("Left") for name in ARKIT_NAMES if name.endswith("Left")]
    paired = [name for name in names if name not in ("jaw", "mouth")]  # these two move one thing to the left and right
    return {both(name): _sliders(f"{name}Left", f"{name}Right") for name in paired}


TARGETS: Final[Mapping[str, Target]] = {
    HEAD_TURN: _axis("headYaw", 30.0, _DEGREE),
    HEAD_NOD: _axis("headPitch", 20.0, -_DEGREE),  # up is above 0, the handle's own turn goes down
    HEAD_TILT: _axis("headRoll", 15.0, -_DEGREE),  # to the right of the picture
    "Head Across": _axis("headX", 0.2),
    "Head Up": _axis("headY", 0.2),
    "Head Near": _axis("headZ", 0.2),
    GAZE_ACROSS: _opposed(("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")),
    GAZE_UP: _opposed(("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight")),
    BROWS: _opposed(("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("browDownLeft", "browDownRight")),
    "Smile or Frown": _opposed(("mouthSmileLeft", "mouthSmileRight"), ("mouthFrownLeft", "mouthFrownRight")),
    "Mouth Across": _opposed(("mouthLeft",), ("mouthRight",)),  # the person's left is the picture's right
    "Jaw Across": _opposed(("jawLeft",), ("jawRight",)),
    **_pairs(),
    **{name: _sliders(name) for name in ARKIT_NAMES},
    "shoulders": _sliders("shoulders", most=HIGHEST[0]),
    "breathing": _sliders("breathing", most=HIGHEST[1]),
}  # fmt: skip
"""By the names that users see. Across goes to the picture's right."""


def target_of(name: str) -> Target | None:
    """What a name means: one of `TARGETS`, or a slider of somebody's own; None for an empty one."""
    if name in TARGETS:
        return TARGETS[name]
    return Target(0.0, 1.0, {name: 1.0}, {}, False, None) if name else None
