# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's six seconds of acting: a line of speech, with turns, nods, blinks, brows and gaze. Knows nothing of bpy."""

from __future__ import annotations

import math

from ..rig.expression_library import VISEMES

FPS = 24
FIRST, LAST = 1, 144

# (frame, viseme): "Hello. From up here … you all look so small!"
_SPEECH = (
    (20, "sil"), (23, "E"), (26, "DD"), (30, "oh"), (34, "ou"), (38, "sil"),
    (50, "FF"), (53, "aa"), (56, "PP"), (59, "aa"), (62, "PP"), (65, "E"), (69, "ih"), (73, "sil"),
    (80, "ou"), (84, "oh"), (87, "DD"), (90, "ih"), (93, "DD"), (97, "ou"), (100, "ih"), (103, "oh"), (106, "PP"),
    (110, "aa"), (114, "DD"), (118, "sil"),
)  # fmt: skip

# Acting, each movement's own keys: (frame, strength). The gaze goes to the picture's left below 0, and down.
_ACTING: dict[str, tuple[tuple[int, float], ...]] = {
    "gaze_side": ((5, 0), (8, -0.9), (18, -0.9), (21, 0), (40, 0), (43, 0.9), (70, 0.9), (74, 0), (119, 0), (121, -0.3), (144, 0)),
    "gaze_up": ((5, 0), (8, 0.2), (18, 0.2), (21, 0), (40, 0), (43, 0.8), (60, 0.8), (66, -0.6), (72, -0.6), (76, 0), (144, 0)),
    "brows_raise": ((20, 0), (25, 0.7), (34, 0.1), (48, 0.1), (54, 0.9), (70, 0.3), (78, 0), (100, 0), (108, 0.8), (124, 0.2), (144, 0)),
    "brows_lower": ((76, 0), (82, 0.55), (96, 0.5), (102, 0), (144, 0)),
    "smile": ((1, 0), (34, 0.1), (40, 0.55), (48, 0.1), (112, 0.1), (122, 0.9), (134, 0.8), (144, 0)),
}  # fmt: skip
# Which half of a movement pulls which sliders.
_PULLS = (
    ("gaze_side", -1, ("eyeLookInLeft", "eyeLookOutRight")), ("gaze_side", 1, ("eyeLookOutLeft", "eyeLookInRight")),
    ("gaze_up", -1, ("eyeLookDownLeft", "eyeLookDownRight")), ("gaze_up", 1, ("eyeLookUpLeft", "eyeLookUpRight")),
    ("brows_raise", 1, ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")),
    ("brows_lower", 1, ("browDownLeft", "browDownRight")),
    ("smile", 1, ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight")),
)  # fmt: skip
_BLINKS = (19, 45, 75, 99, 120)  # the frame on which the lids are shut

# The head: (frame, yaw, pitch, roll) in degrees; yaw to the picture's right, pitch down, roll clockwise.
_HEAD = (
    (1, 0, 0, 0), (8, -4, 0, 0), (16, -16, 2, -3), (22, -6, 0, -2), (27, 0, 6, 0), (32, 2, -1, 2), (40, 4, 1, 3),
    (52, 17, -6, 5), (60, 18, -4, 6), (68, 14, 5, 4), (76, 2, 3, 0), (84, -5, 7, -2), (90, -8, 1, -4), (98, -6, 5, -5),
    (106, 3, -4, 0), (112, 0, 5, 3), (120, 2, 1, 6), (132, 3, 0, 5), (144, 0, 0, 0),
)  # fmt: skip


def head_keys() -> list[tuple[int, tuple[float, float, float]]]:
    """Keys of the head's handle: (frame, (yaw, pitch, roll) in radians)."""
    return [(frame, (math.radians(yaw), math.radians(pitch), math.radians(roll))) for frame, yaw, pitch, roll in _HEAD]


def slider_keys() -> dict[str, list[tuple[int, float]]]:
    """Keys of the rig's sliders: {one of ARKit's names: [(frame, weight)]}."""
    keys = {name: _clipped(_ACTING[movement], sign) for movement, sign, names in _PULLS for name in names}
    shut = [key for at in _BLINKS for key in ((at - 3, 0.0), (at, 1.0), (at + 1, 1.0), (at + 5, 0.0))]
    keys |= {"eyeBlinkLeft": shut, "eyeBlinkRight": shut}
    spoken = {name for _, viseme in _SPEECH for name in VISEMES[viseme]} - set(keys)
    for name in sorted(spoken):
        keys[name] = [(frame, VISEMES[viseme].get(name, 0.0)) for frame, viseme in _SPEECH]
    return keys


def _clipped(keys: tuple[tuple[int, float], ...], sign: int) -> list[tuple[int, float]]:
    """The half of a movement that goes one way."""
    return [(frame, max(0.0, sign * strength)) for frame, strength in keys]
