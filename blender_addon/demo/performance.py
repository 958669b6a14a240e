# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's six seconds of acting: a line of speech, with turns, nods, blinks, brows and gaze. Knows nothing of bpy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from portrait_shared.expressions import MOVEMENTS, offsets

FPS = 24
FIRST, LAST = 1, 144

# Mouth shapes as the animators' charts name them, made of the movements of `portrait_shared.expressions`.
_VISEMES: dict[str, dict[str, float]] = {
    "rest": {},
    "MBP": {"lips_press": 1.0},
    "AI": {"jaw_open": 0.75, "smile": 0.1},
    "E": {"jaw_open": 0.35, "smile": 0.55},
    "O": {"jaw_open": 0.5, "pucker": 0.65},
    "U": {"jaw_open": 0.18, "pucker": 1.0},
    "L": {"jaw_open": 0.4, "smile": 0.15},
    "FV": {"jaw_open": 0.08, "smile": 0.2},
    "etc": {"jaw_open": 0.22, "smile": 0.2},
}

# (frame, viseme): "Hello. From up here … you all look so small!"
_SPEECH = (
    (20, "rest"), (23, "E"), (26, "L"), (30, "O"), (34, "U"), (38, "rest"),
    (50, "FV"), (53, "AI"), (56, "MBP"), (59, "AI"), (62, "MBP"), (65, "E"), (69, "etc"), (73, "rest"),
    (80, "U"), (84, "O"), (87, "L"), (90, "etc"), (93, "L"), (97, "U"), (100, "etc"), (103, "O"), (106, "MBP"),
    (110, "AI"), (114, "L"), (118, "rest"),
)  # fmt: skip

# Acting, each movement's own keys: (frame, strength).
_ACTING: dict[str, tuple[tuple[int, float], ...]] = {
    "gaze_side": ((5, 0), (8, -0.9), (18, -0.9), (21, 0), (40, 0), (43, 0.9), (70, 0.9), (74, 0), (119, 0), (121, -0.3), (144, 0)),
    "gaze_up": ((5, 0), (8, 0.2), (18, 0.2), (21, 0), (40, 0), (43, 0.8), (60, 0.8), (66, -0.6), (72, -0.6), (76, 0), (144, 0)),
    "brows_raise": ((20, 0), (25, 0.7), (34, 0.1), (48, 0.1), (54, 0.9), (70, 0.3), (78, 0), (100, 0), (108, 0.8), (124, 0.2), (144, 0)),
    "brows_lower": ((76, 0), (82, 0.55), (96, 0.5), (102, 0), (144, 0)),
    "smile": ((1, 0), (34, 0.1), (40, 0.55), (48, 0.1), (112, 0.1), (122, 0.9), (134, 0.8), (144, 0)),
}  # fmt: skip
_BLINKS = (19, 45, 75, 99, 120)  # the frame on which the lids are shut

# The head: (frame, yaw, pitch, roll) in degrees; yaw to the picture's right, pitch down, roll clockwise.
_HEAD = (
    (1, 0, 0, 0), (8, -4, 0, 0), (16, -16, 2, -3), (22, -6, 0, -2), (27, 0, 6, 0), (32, 2, -1, 2), (40, 4, 1, 3),
    (52, 17, -6, 5), (60, 18, -4, 6), (68, 14, 5, 4), (76, 2, 3, 0), (84, -5, 7, -2), (90, -8, 1, -4), (98, -6, 5, -5),
    (106, 3, -4, 0), (112, 0, 5, 3), (120, 2, 1, 6), (132, 3, 0, 5), (144, 0, 0, 0),
)  # fmt: skip


def head_keys() -> list[tuple[int, tuple[float, float, float]]]:
    """Keys of the head control: (frame, (yaw, pitch, roll) in radians)."""
    return [(frame, (math.radians(yaw), math.radians(pitch), math.radians(roll))) for frame, yaw, pitch, roll in _HEAD]


def point_keys(rest: np.ndarray) -> dict[int, np.ndarray]:
    """Keys of the 70 points: what is added to each on each key frame.

    Args:
        rest: (70, 3) pixels, the portrait at rest.

    Returns:
        {frame: (70, 3) offsets in pixels, in the face's own frame at rest}.
    """
    curves = _curves()
    frames = sorted({frame for curve in curves.values() for frame, _ in curve} | {FIRST, LAST})
    return {frame: offsets(rest, _strengths_at(curves, frame)) for frame in frames}


def _curves() -> dict[str, list[tuple[int, float]]]:
    curves = {name: [] for name in MOVEMENTS} | {name: list(keys) for name, keys in _ACTING.items()}
    for name in ("jaw_open", "pucker", "lips_press"):
        curves[name] = [(frame, _VISEMES[viseme].get(name, 0.0)) for frame, viseme in _SPEECH]
    for side in ("blink_right", "blink_left"):
        keys = [[(shut - 3, 0.0), (shut, 1.0), (shut + 1, 1.0), (shut + 5, 0.0)] for shut in _BLINKS]
        curves[side] = [key for blink in keys for key in blink]
    return curves


def _strengths_at(curves: Mapping[str, list[tuple[int, float]]], frame: int) -> dict[str, float]:
    strengths = {name: _eased(curve, frame) for name, curve in curves.items() if curve}
    speech = [(at, _VISEMES[viseme].get("smile", 0.0)) for at, viseme in _SPEECH]
    strengths["smile"] = strengths["smile"] + _eased(speech, frame)
    return strengths


def _eased(curve: list[tuple[int, float]], frame: int) -> float:
    """The curve's value, flat at each key as an animator's auto-clamped handles make it."""
    if frame <= curve[0][0]:
        return curve[0][1]
    for (before, low), (after, high) in itertools.pairwise(curve):
        if frame <= after:
            t = (frame - before) / (after - before)
            return low + (high - low) * t * t * (3 - 2 * t)
    return curve[-1][1]
