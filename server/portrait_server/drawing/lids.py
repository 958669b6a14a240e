# SPDX-License-Identifier: GPL-3.0-or-later
"""What a detector's landmarks of the eyes are worth: lids that close as far as they do in truth, corners that stay.

A detector finds closing lids too far open. On talking people whose eyes were drawn with lids at every height, what came
nearest to the frame was shut by 0.31 of the eye's height where the landmarks say 0.15, by 0.5 at 0.35, by 0.9 at 0.75.
Both lids' way counts. Less than that much farther is nearest to films kept for choosing, and leaves a half-shut eye of a
rig half open; one that is three quarters shut shows a slit, one of nine tenths none.
It is the upper lid that closes an eye; the lower one comes up by a tenth of the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from portrait_shared import landmarks

from portrait_server.drawing.noise import without_noise
from portrait_server.geometry.ramps import between, smoothstep

_CLOSING = 0.05  # of the eye's height: by how much farther a closing lid goes than its landmarks do
_SURE = 0.2  # of the eye's height: what is less may be noise: only from here on the lid goes all of that farther
_LAST, _NEARLY = 0.07, (0.5, 0.8)  # of the eye's height: and by how much more where it is nearly shut
_MEETING, _SHUT = 0.1, 0.03  # of the eye's height: an eye open by less is closed; by so little it counts as shut
_LEAST = 0.15  # height over width that an eye is taken to have at least, should the photo's be nearly shut
_RAISED = 0.1  # of the eye's height: how far the lower lid comes up to a shut one
_IRIS_ABOVE = (
    0.13  # in eye widths: how far a pupil may be above the lower lid of a half-shut eye, which follows its lid
)
_CORNER = 0.03  # in eye widths: by how much a corner's landmark strays; it has bone beside it, and hardly moves itself


@dataclass(frozen=True)
class Lids:
    """Eyes of N frames.

    Attributes:
        points: (N, 70, 2) the landmarks, corners and lids as far as they are believed.
        closed: (N, 2) how far each upper lid has closed its eye: 0 as in the photo, 1 shut; below 0 wider open.
        shut: (N, 2) bool, which lids meet.
    """

    points: np.ndarray
    closed: np.ndarray
    shut: np.ndarray


def believed(target: np.ndarray, posed: np.ndarray) -> Lids:
    """Target landmarks (N, 70, 2), as far as they are believed, given where the head's pose alone brings them."""
    points, own = np.array(target, float), target - posed
    closed, shut = np.zeros((len(target), 2)), np.zeros((len(target), 2), bool)
    for number, eye in enumerate(landmarks.EYES):
        left, right = eye.corners
        corners = [left, right]
        above, below = (list(lid) for lid in zip(*eye.lids, strict=True))
        wide = np.linalg.norm(posed[:, right] - posed[:, left], axis=-1) + 1e-6
        high = np.linalg.norm(posed[:, below] - posed[:, above], axis=-1).mean(1)
        high = np.maximum(high, _LEAST * wide)
        down = _square_to(target[:, right] - target[:, left])
        # The eye as a whole goes where its corners go; what each of its points does beside that is its own.
        along = own[:, corners].mean(1, keepdims=True)
        points[:, corners] = posed[:, corners] + along + without_noise(own[:, corners] - along, _CORNER * wide)
        fall, sink = (_down(own[:, lid] - along, down).mean(1) / high for lid in (above, below))
        # A lower lid that rises counts beside an upper one that falls; alone it squints.
        sure = smoothstep(fall / _SURE)
        told = fall - sure * sink.clip(None, 0)
        closing = told + _CLOSING * sure + _LAST * between(told, *_NEARLY)
        stays = np.clip(closing, 0, 1)
        lower = target[:, below] - stays[:, None, None] * (own[:, below] - along)
        raised = _RAISED * stays
        lower -= (raised * high)[:, None, None] * down[:, None]
        upper = target[:, above] + ((closing - raised - fall) * high)[:, None, None] * down[:, None]
        open_ = 1 - closing + sink * (1 - stays)
        meet = np.maximum(1 - smoothstep(open_ / _MEETING)[:, None, None], _down(upper - lower, down)[..., None] > 0)
        points[:, above], points[:, below] = upper + meet * (lower - upper), lower
        points[:, eye.pupil] += _lowered(points[:, eye.pupil], lower.mean(1), down, wide, stays)
        closed[:, number], shut[:, number] = np.minimum(closing, 1), open_ < _SHUT
    return Lids(points, closed, shut)


def _lowered(pupil: np.ndarray, lower: np.ndarray, down: np.ndarray, wide: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """How pupils (N, 2) go down with a closing lid, so that no white shows below the iris: (N, 2)."""
    above = ((lower - pupil) * down).sum(-1) - _IRIS_ABOVE * wide
    return (smoothstep(stays / 0.5) * above.clip(0, None))[:, None] * down


def _square_to(across: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 2) that point down, square to those (N, 2) that point right."""
    down = np.stack([-across[:, 1], across[:, 0]], -1)
    return down / (np.linalg.norm(down, axis=-1, keepdims=True) + 1e-6)


def _down(vectors: np.ndarray, down: np.ndarray) -> np.ndarray:
    """How far vectors (N, P, 2) go down: (N, P)."""
    return (vectors * down[:, None]).sum(-1)
