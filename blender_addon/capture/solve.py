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
_SWEEPS = 12
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
    basis = _Basis(rest)
    shapes, names, shy = basis.shapes, basis.names, basis.shy
    gram, aim = basis.gram, basis.aim(offsets)
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


class FrameSolver:
    """Weights for one frame at once, as for a performance that is seen while it is given: as `solve`, without what
    comes after. Coordinate descent, which begins with the weights of the frame before."""

    def __init__(self, rest: np.ndarray) -> None:
        """Args:
        rest: (70, 3) pixels, the portrait at rest.
        """
        self._basis = _Basis(np.asarray(rest, np.float64))
        self._slopes = self._basis.gram + np.diag(_SMALL * self._basis.shy)
        self._weights = np.zeros(len(self._basis.names))

    def weights(self, offsets: np.ndarray) -> dict[str, float]:
        """Of each slider, 0 to 1.

        Args:
            offsets: (70, 3) pixels, from the portrait at rest.
        """
        weights, diagonal = self._weights, np.diag(self._slopes)
        slope = self._slopes @ weights - self._basis.aim(offsets[np.newaxis])[0] + _FEW * self._basis.shy
        for _ in range(_SWEEPS):
            for index in range(len(weights)):
                new = min(max(weights[index] - slope[index] / diagonal[index], 0.0), 1.0)
                if change := new - weights[index]:
                    slope += change * self._slopes[index]
                    weights[index] = new
        return dict(zip(self._basis.names, weights.tolist(), strict=True))


class _Basis:
    """What the sliders do to a portrait's points, in distances between its outer eye corners, weighed by importance.

    Attributes:
        names: S of the sliders: those that points show.
        shapes: see `shape_offsets`.
        gram: (S, S) how alike any two of them are.
        shy: (S,) how much a slider is held back.
    """

    def __init__(self, rest: np.ndarray) -> None:
        self.shapes = shape_offsets(rest)
        self.names = [name for name in ARKIT_NAMES if name not in _UNSEEN]
        self._weighed = _importance() / FaceFrame.of(rest).unit
        self._rows = np.stack([(self.shapes[name] * self._weighed).ravel() for name in self.names])
        self.gram = self._rows @ self._rows.T
        self.shy = np.array([0.02 if name in _FREE else 1.0 for name in self.names])

    def aim(self, offsets: np.ndarray) -> np.ndarray:
        """How alike offsets (T, 70, 3) are to each slider's, (T, S)."""
        return np.asarray((offsets * self._weighed).reshape(len(offsets), -1) @ self._rows.T)


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
