# SPDX-License-Identifier: GPL-3.0-or-later
"""Moved points to the weights of the rig's sliders that make them: few of them, each from 0 to 1. Knows nothing of bpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from portrait_shared.landmarks import GROUPS

from ..rig.blendshapes import ARKIT_NAMES, combine, shape_offsets
from ..rig.blendshapes_motion import FaceFrame

_STEPS = 400
# Penalties added to the squared error: for each slider used, for large weights, for uneven motion. In squared distances
# between the outer eye corners.
_FEW, _SMALL, _SMOOTH_SECONDS2 = 8e-4, 2.5e-3, 1.5e-7
# The lids' opening is known well, and a blink that does not quite shut is seen at once.
_FREE: Final = ("eyeBlinkLeft", "eyeBlinkRight")
# What the 70 points hardly show: solving for it would only explain noise.
_UNSEEN: Final = ("tongueOut", "cheekPuff", "jawForward", "mouthShrugUpper", "noseSneerLeft", "noseSneerRight")
_IMPORTANCE: Final = {
    "jaw": 0.7, "nose_base": 0.4, "nose_bridge": 0.2, "right_eye": 3.0, "left_eye": 3.0,
    "right_pupil": 3.0, "left_pupil": 3.0, "outer_lip": 1.2, "inner_lip": 1.6,
}  # fmt: skip
_DEPTH_IMPORTANCE = 0.25  # the detectors guess depth


@dataclass(frozen=True)
class Solution:
    """Moved points, shared out.

    Attributes:
        weights: {slider: (T,) 0 to 1}, those that are used at all.
        residual: (T, 70, 3) pixels, what is left for the points themselves.
    """

    weights: dict[str, np.ndarray]
    residual: np.ndarray


def solve(offsets: np.ndarray, rest: np.ndarray, fps: float, shots: np.ndarray) -> Solution:
    """The weights in 0..1 that come nearest to the offsets, least squares; few, small, and smooth within a shot.

    Projected accelerated gradient descent (Beck and Teboulle 2009) on all frames at once.

    Args:
        offsets: (T, 70, 3) pixels, from the portrait at rest.
        rest: (70, 3) pixels.
        fps: frames per second of the offsets.
        shots: (T,) the number of each frame's shot.
    """
    unit = FaceFrame.of(rest).unit
    shapes = shape_offsets(rest)
    names = [name for name in ARKIT_NAMES if name not in _UNSEEN]
    importance = _importance()
    basis = np.stack([(shapes[name] / unit * importance).ravel() for name in names])
    wanted = (offsets / unit * importance).reshape(len(offsets), -1)
    gram, aim = basis @ basis.T, wanted @ basis.T
    shy = np.array([0.02 if name in _FREE else 1.0 for name in names])
    smooth = _SMOOTH_SECONDS2 * fps**2
    bound = float(np.linalg.eigvalsh(gram)[-1]) + _SMALL + 4 * smooth
    together = (np.diff(shots) == 0)[:, None]
    weights = ahead = np.zeros((len(offsets), len(names)))
    momentum = 1.0
    for _ in range(_STEPS):
        steps = np.diff(ahead, axis=0) * together
        bend = np.concatenate((np.zeros((1, len(names))), steps)) - np.concatenate((steps, np.zeros((1, len(names)))))
        slope = ahead @ gram - aim + shy * (_FEW + _SMALL * ahead) + smooth * bend
        new = np.clip(ahead - slope / bound, 0.0, 1.0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - weights)
        weights, momentum = new, following
    used = [index for index in range(len(names)) if weights[:, index].max(initial=0.0) > 0.02]
    solved = {names[index]: weights[:, index] for index in used}
    return Solution(solved, offsets - combined(rest, solved, shapes, len(offsets)))


def combined(rest: np.ndarray, weights: dict[str, np.ndarray], shapes: dict[str, np.ndarray], count: int) -> np.ndarray:
    """What the rig's sliders add in each frame, (T, 70, 3) pixels."""
    rows = [{name: float(values[row]) for name, values in weights.items()} for row in range(count)]
    return np.stack([combine(rest, row, shapes) for row in rows]) if rows else np.zeros((0, 70, 3))


def _importance() -> np.ndarray:
    """Roots of each coordinate's weight, (70, 3)."""
    importance = np.ones((70, 3))
    for group, value in _IMPORTANCE.items():
        importance[list(GROUPS[group])] = value
    importance[:, 2] *= _DEPTH_IMPORTANCE
    return np.sqrt(importance)
