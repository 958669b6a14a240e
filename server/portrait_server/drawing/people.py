# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of several people taken apart: each before a picture of those behind, who go on where others hide them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from portrait_server.drawing.by_example import continued, plain_light
from portrait_server.drawing.plate import REACH, clear_of, distance_to, filled_behind, with_face
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_SURELY: Final = 0.95  # of a person's matte: its pixels are examples of the person
_HARDLY: Final = 0.02  # less is not seen
_EDGE: Final = 8.0  # how much steeper than a diffusion the edge of a hidden part is
_GOES_ON: Final = (
    0.15,
    0.4,
)  # in face sizes: how far a person surely goes on where another hides it, and how far at most
_BESIDE_FACE: Final = (
    1.05  # of a face's outline: nothing inside is an example of what is hidden, lest it had three eyes
)
_AROUND: Final = 0.5  # how much of the picture around a hidden part, in sizes of that, may serve as examples


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
            hidden = distance_to(np.max(covered[number + 1 :], axis=0)) <= REACH
            matte = _gone_on(covered[number], hidden, float(np.ptp(outline, axis=0).max()))
            shown = _without_front(image, below, matte, hidden, outline)
        people.append(Standing(shown, below, matte))
        below = shown
    return people


def _gone_on(matte: np.ndarray, hidden: np.ndarray, face: float) -> np.ndarray:
    """A person's matte (H, W) where it is hidden (H, W) bool, too, which joins what is seen of it.

    Args:
        face: its size, pixels.
    """
    diffused = plain_light(matte[..., None].astype(np.float32), ~hidden)[0][..., 0]
    whole = np.clip((diffused - 0.5) * _EDGE + 0.5, 0, 1)
    seen = (matte > 0.5) & ~hidden
    if not seen.any():
        return matte
    far = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, 3) / face
    whole *= 1 - between(far, *_GOES_ON)
    return np.where(hidden, np.maximum(whole, matte), matte).astype(np.float32)


def _without_front(
    image: np.ndarray, below: np.ndarray, matte: np.ndarray, hidden: np.ndarray, outline: np.ndarray
) -> np.ndarray:
    """The picture of a person and those behind, without those who hide them.

    Args:
        image: (H, W, C) of all.
        below: of those behind, without the person.
        matte: (H, W) of the whole person.
        hidden: (H, W) bool.
        outline: (P, 2) of its face, pixels.
    """
    own = _continued_person(image, matte, hidden, outline)
    kernels = OpenCV()
    filled = kernels.blended(own[None], below[None], held(255 * matte, image.dtype)[None])
    kept = held(255 * smoothstep(clear_of(hidden)), image.dtype)[None]
    return kernels.blended(image[None], filled, kept)[0]


def _continued_person(image: np.ndarray, matte: np.ndarray, hidden: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """The picture (H, W, C), a person (H, W) made of pieces of itself where it is hidden (H, W) bool."""
    wanted = hidden & (matte > _HARDLY)
    if not wanted.any():
        return image
    left, top, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    margin = int(_AROUND * max(width, height)) + 1
    part = np.s_[max(0, top - margin) : top + height + margin, max(0, left - margin) : left + width + margin]
    known = ~hidden[part] & (matte[part] > _SURELY)
    face = with_face(np.zeros(matte.shape, np.float32), outline.mean(0) + _BESIDE_FACE * (outline - outline.mean(0)))
    own = image.copy()
    own[part] = continued(np.ascontiguousarray(image[part]), known, known & (face[part] == 0))
    return own
