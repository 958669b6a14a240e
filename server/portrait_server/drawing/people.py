# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of several people taken apart: each before a picture of those behind, who go on where others hide them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from portrait_server.drawing.by_example import plain_light
from portrait_server.drawing.plate import REACH, clear_of, distance_to, filled_behind, with_face
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_SURELY: Final = 0.95  # of a person's matte: its pixels are examples of the person
_HARDLY: Final = 0.02  # less is not seen
_BACKGROUND: Final = 0.3  # of a matte: where all show less, two people do not touch
_EDGE: Final = 8.0  # how much steeper than a diffusion the edge of a hidden part is
# In face sizes: how far a person surely goes on where another hides it, and how far at most.
_GOES_ON: Final = (0.1, 0.3)
_MIRRORED: Final = 0.4  # how deep inside of what is seen a hidden pixel's colour is taken, in ways to there
_SOFT: Final = 0.006  # in face sizes, sigma


@dataclass(frozen=True)
class Standing:
    """One of several people of a picture (H, W).

    Attributes:
        shown: (H, W, 3 or 4), see `kernels.levels`: the picture without those in front.
        plate: the same without this one.
        matte: (H, W) float32, 0 to 1, how far each pixel is this one in `shown`.
    """

    shown: np.ndarray
    plate: np.ndarray
    matte: np.ndarray


def taken_apart(image: np.ndarray, mattes: Sequence[np.ndarray], outlines: Sequence[np.ndarray]) -> list[Standing]:
    """The people of a picture, each before those behind. It takes seconds.

    Args:
        image: (H, W, 3 or 4) uint8 or float32, see `kernels.levels`.
        mattes: (H, W) float32, 0 to 1, what is seen of each person, from the farthest to the nearest.
        outlines: of their faces, (P, 2) pixels.
    """
    covered = [with_face(matte, outline) for matte, outline in zip(mattes, outlines, strict=True)]
    below = filled_behind(image, np.max(covered, axis=0))
    people = []
    for number, (matte, outline) in enumerate(zip(mattes, outlines, strict=True)):
        shown = image
        if covered[number + 1 :]:
            front = np.max(covered[number + 1 :], axis=0)
            hidden, face = distance_to(front) <= REACH, float(np.ptp(outline, axis=0).max())
            matte = _gone_on(covered[number], front, hidden, face)
            shown = _without_front(image, below, matte, hidden, face)
        people.append(Standing(shown, below, matte))
        below = shown
    return people


def _gone_on(matte: np.ndarray, front: np.ndarray, hidden: np.ndarray, face: float) -> np.ndarray:
    """A person's matte (H, W) where it is hidden, too: it goes on where those in front cut it off, not where it had ended.

    Args:
        front: (H, W), of all in front.
        hidden: (H, W) bool, where they may still be seen.
        face: its size, pixels.
    """
    covered = front > np.maximum(matte, _BACKGROUND)
    # Where two touch, each has but half of the pixels between them.
    diffused = plain_light(np.clip(2 * matte[..., None], 0, 1).astype(np.float32), ~covered)[0][..., 0]
    whole = np.clip((diffused - 0.5) * _EDGE + 0.5, 0, 1)
    seen = (matte > 0.5) & ~covered
    if not seen.any():
        return matte
    far = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, 3) / face
    whole *= 1 - between(far, *_GOES_ON)
    return np.where(hidden, np.maximum(whole, matte), matte).astype(np.float32)


def _without_front(
    image: np.ndarray, below: np.ndarray, matte: np.ndarray, hidden: np.ndarray, face: float
) -> np.ndarray:
    """The picture of a person and those behind, without those who hide them.

    Args:
        image: (H, W, C) of all.
        below: of those behind, without the person.
        matte: (H, W) of the whole person.
        hidden: (H, W) bool.
        face: its size, pixels.
    """
    own = _continued_person(image, matte, hidden, face)
    kernels = OpenCV()
    filled = kernels.blended(own[None], below[None], held(255 * matte, image.dtype)[None])
    kept = held(255 * smoothstep(clear_of(hidden)), image.dtype)[None]
    return kernels.blended(image[None], filled, kept)[0]


def _continued_person(image: np.ndarray, matte: np.ndarray, hidden: np.ndarray, face: float) -> np.ndarray:
    """The picture (H, W, C), a person (H, W) drawn on from what is seen of it nearby, where it is hidden (H, W) bool.

    Args:
        face: its size, pixels.
    """
    wanted, known = hidden & (matte > _HARDLY), ~hidden & (matte > _SURELY)
    if not wanted.any() or not known.any():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(wanted)
    order = np.empty(labels.max() + 1, np.int64)
    places = np.argwhere(known)
    order[labels[known]] = np.arange(len(places))
    nearest = places[order[labels[rows, columns]]]
    # Mirrored, or one colour would be drawn out into lines; and not far, or there would be a third eye.
    inside = np.round(nearest + _MIRRORED * (nearest - np.column_stack([rows, columns]))).astype(int)
    inside = inside.clip(0, np.array(known.shape) - 1)
    inside = np.where(known[inside[:, 0], inside[:, 1]][:, None], inside, nearest)
    own = image.copy()
    own[rows, columns] = image[inside[:, 0], inside[:, 1]]
    soft = cv2.GaussianBlur(own, (0, 0), max(0.5, _SOFT * face))
    own[rows, columns] = soft[rows, columns]
    return own
