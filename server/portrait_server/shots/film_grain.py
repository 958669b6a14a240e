# SPDX-License-Identifier: GPL-3.0-or-later
"""The grain of a shot, measured in flat skin, and given to what was drawn anew as far as it lacks it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS

from portrait_server.geometry.ramps import between

_COARSEST: Final = 2.0  # sigma in pixels: what is smoother counts as shading
_FLAT: Final = 0.7  # of a region's pixels, those with the least detail around them
_AROUND: Final = 8.0  # sigma in pixels, within which that is judged
_BESIDE: Final = 0.12  # in eye distances: so far around eyes, brows, nose and mouth is no flat skin
_FEWEST: Final = 256  # pixels to measure by
_WEAKER: Final = (
    0.15,
    0.35,
)  # of its variance, that must be lacking to be given at all; in full: no two frames have the same
_ROWS: Final = 96  # of a picture, in which grain is measured at most
_LEAST: Final = 0.3  # levels: less grain is not seen
_SOFTNESSES: Final = (0.0, 0.35, 0.45, 0.55, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0)  # sigma in pixels, of grains
_FEATURES: Final = (
    ("right_eye",), ("left_eye",), ("right_brow",), ("left_brow",), ("nose_bridge", "nose_base"), ("outer_lip",)
)  # fmt: skip


@dataclass(frozen=True)
class Grain:
    """Grain of a picture.

    Attributes:
        covariance: (3, 3) of its colours, squared levels, of what is finer than shading.
        softness: sigma of the blur, in pixels, that white noise would have got to be as coarse.
    """

    covariance: np.ndarray
    softness: float

    @property
    def level(self) -> float:
        """Its standard deviation, levels."""
        return float(np.sqrt(np.trace(self.covariance) / 3))

    @classmethod
    def of(cls, picture: np.ndarray, where: np.ndarray) -> Grain | None:
        """The grain in a region (H, W) bool of a picture (H, W, 3), 0 to 255; None where that is too small."""
        if np.count_nonzero(where) < _FEWEST:
            return None
        left, top, width, height = cv2.boundingRect(where.astype(np.uint8))
        if height > _ROWS:  # those that have most of it tell enough
            skin = np.cumsum([0, *np.count_nonzero(where[top : top + height], axis=1)])
            top, height = top + int((skin[_ROWS:] - skin[:-_ROWS]).argmax()), _ROWS
        part = slice(top, top + height), slice(left, left + width)
        where, fine = where[part], _fine(picture[part].astype(np.float32))
        detail = cv2.GaussianBlur((fine**2).sum(2), (0, 0), _AROUND)
        flat = where & (detail <= np.quantile(detail[where], _FLAT))
        found = fine[flat]
        covariance = found.T @ found / len(found)
        return cls(covariance.astype(float), _softness_of(_likeness(fine, flat)))

    def lacking(self, other: Grain) -> np.ndarray:
        """What another, weaker grain lacks of this: a (3, 3) matrix that makes it of white noise; 0 for hardly weaker."""
        strengths, axes = np.linalg.eigh(self.covariance - other.covariance)
        strengths = np.maximum(strengths, 0)
        strengths = strengths * between(strengths.sum() / max(np.trace(self.covariance), 1e-9), *_WEAKER)
        return np.asarray((axes * np.sqrt(strengths)) @ axes.T)


def flat_skin(points: np.ndarray, size: tuple[int, int], eyes: float) -> np.ndarray:
    """Where a face with landmarks (70, 2 or 3) shows skin alone: (H, W) bool of a picture (width, height).

    Args:
        eyes: the distance of the eyes, pixels.
    """
    skin, features = (np.zeros(size[::-1], np.uint8) for _ in range(2))
    oval = (*GROUPS["jaw"], *reversed((*GROUPS["right_brow"], *GROUPS["left_brow"])))
    at = np.round(points[:, :2]).astype(np.int32)
    cv2.fillPoly(skin, [at[list(oval)]], 1)
    for groups in _FEATURES:
        cv2.fillConvexPoly(features, cv2.convexHull(at[[point for group in groups for point in GROUPS[group]]]), 1)
    away = _BESIDE * eyes
    inner, outer = (cv2.distanceTransform(mask, cv2.DIST_L2, 3) > away for mask in (skin, 1 - features))
    return np.asarray(inner & outer)


def with_grain(picture: np.ndarray, share: np.ndarray, where: np.ndarray, grain: Grain | None, seed: int) -> np.ndarray:
    """A picture (H, W, 3) float32, 0 to 255, with as much of a grain as it lacks where it was drawn anew.

    Args:
        share: (H, W) 0 to 1, how far each pixel was.
        where: (H, W) bool, in what is measured what it lacks.
        grain: None where it is not known.
        seed: of the grain, which is another in each frame.
    """
    has = Grain.of(picture, where)
    if has is None or grain is None:
        return picture
    lacking = grain.lacking(has)
    if np.sqrt((lacking**2).sum() / 3) < _LEAST:
        return picture
    left, top, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    part = slice(top, top + height), slice(left, left + width)
    noise = np.random.default_rng(seed).standard_normal((height, width, 3), np.float32)
    if grain.softness > 0:
        noise = cv2.GaussianBlur(noise, (0, 0), grain.softness)
    noise /= _strength_of(grain.softness)
    result = picture.copy()
    result[part] += share[part][..., None] * (noise @ lacking.T.astype(np.float32))
    return result


def _fine(picture: np.ndarray) -> np.ndarray:
    return picture - cv2.GaussianBlur(picture, (0, 0), _COARSEST)


def _likeness(fine: np.ndarray, flat: np.ndarray) -> float:
    """How alike pixels of a region are to the next ones, across and down: the correlation of fine detail (H, W, 3)."""
    across, down = flat[:, 1:] & flat[:, :-1], flat[1:] & flat[:-1]
    beside = (fine[:, 1:] * fine[:, :-1])[across].sum() + (fine[1:] * fine[:-1])[down].sum()
    pairs = across.sum() + down.sum()
    whole = (fine[flat] ** 2).sum() / max(flat.sum(), 1)
    return float(beside / max(pairs * whole, 1e-9))


@cache
def _kernel_of(softness: float) -> np.ndarray:
    """What becomes of a single pixel of white noise: made as soft, then without shading."""
    point = np.zeros((33, 33, 1), np.float32)
    point[16, 16] = 1
    soft = cv2.GaussianBlur(point, (0, 0), softness)[..., None] if softness > 0 else point
    return _fine(soft[..., 0])


def _strength_of(softness: float) -> float:
    """The standard deviation that white noise of 1 keeps, of what is finer than shading."""
    return float(np.sqrt((_kernel_of(softness) ** 2).sum()))


@cache
def _likenesses() -> np.ndarray:
    kernels = [_kernel_of(softness) for softness in _SOFTNESSES]
    return np.array([(kernel[:, 1:] * kernel[:, :-1]).sum() / (kernel**2).sum() for kernel in kernels])


def _softness_of(likeness: float) -> float:
    return float(np.interp(likeness, _likenesses(), _SOFTNESSES))
