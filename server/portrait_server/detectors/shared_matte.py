# SPDX-License-Identifier: GPL-3.0-or-later
"""A matte that several people share, divided among them, and which of them stands in front.

The network that makes mattes tells people from background, not one person from the next. Each pixel is given to the
person from whose face the cheapest way leads there: ways over edges of the picture cost more, and bodies hang down
(geodesic distances, as in Bai, Sapiro, "A Geodesic Framework for Interactive Image Segmentation", 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from portrait_server.detectors.matte import follow_edges

_PIXELS: Final = 256  # the longest side on which ways are sought
_INNER: Final = 0.75  # of a face's outline: surely the person's own
_NECK: Final = (0.3, 0.45)  # of a face's width and height: of the strip below its chin that is the person's own too
_DOWN: Final = 0.6  # what a step down or up costs, where one to the side costs 1
_EDGE: Final = 0.12  # cost of each level of 255 that a step's two pixels differ by
_SEEN: Final = 0.1  # of the matte: less is no person, and no way leads there
_LOWER: Final = 0.5  # a face that lies lower by its height counts as nearer by this power of e


def divided(image: np.ndarray, matte: np.ndarray, outlines: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Whose each part of a matte is.

    Args:
        image: (H, W, 3) uint8 RGB.
        matte: (H, W) float32, 0 to 1, of all people.
        outlines: of each of F faces, (P, 2) pixels.

    Returns:
        (F, H, W) float32 mattes, which together are the whole one; and the faces' numbers from the farthest to the
        nearest person.
    """
    height, width = matte.shape
    shrink = min(1.0, _PIXELS / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    scale = np.array(size) / (width, height)
    small = cv2.medianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 3)
    shown = cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > _SEEN
    faces = [outline * scale for outline in outlines]
    ways = _ways(small, shown)
    distances = np.stack([_cheapest(ways, seed) for seed in _seeds(faces, shown.shape)])
    nearest = distances.argmin(0)
    shares = np.stack([follow_edges(image, (nearest == face).astype(np.float32)) for face in range(len(faces))])
    shares = np.clip(shares, 0, 1) + 1e-6
    return matte * (shares / shares.sum(0)), _from_behind(faces)


def _seeds(faces: Sequence[np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Where (h, w) bool each person surely is: its face's middle, and its neck where no other face is."""
    inner, seeds = [], []
    for face in faces:
        middle = face.mean(0)
        inner.append(_filled([middle + _INNER * (face - middle)], shape))
    for number, face in enumerate(faces):
        chin, (across, high) = face[face[:, 1].argmax()], np.ptp(face, axis=0)
        half = np.array([_NECK[0] * across / 2, 0])
        end = np.array([0, _NECK[1] * high])
        neck = _filled([np.array([chin - half, chin + half, chin + half + end, chin - half + end])], shape)
        for other, beside in enumerate(faces):
            if other != number:
                neck &= ~_filled([beside], shape)
        seeds.append(inner[number] | neck)
    return seeds


def _filled(polygons: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32) for polygon in polygons], (1,))
    return mask > 0


def _ways(small: np.ndarray, shown: np.ndarray) -> csr_array:
    """What steps between neighbouring pixels of a picture (h, w, 3) cost, where people are shown (h, w)."""
    height, width = shown.shape
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    numbers = np.arange(height * width).reshape(height, width)
    starts, ends, costs = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        b = np.s_[down:, max(0, right) : width - max(0, -right)]
        step = np.hypot(_DOWN * down, right) + _EDGE * np.abs(colours[a] - colours[b]).max(-1)
        # Beside people ways are not barred: a picture may show a head and its body apart.
        step = step * np.where(shown[a] & shown[b], 1, 20)
        starts.append(numbers[a].ravel())
        ends.append(numbers[b].ravel())
        costs.append(step.ravel())
    places = np.concatenate(starts), np.concatenate(ends)
    return csr_array((np.concatenate(costs), places), shape=(height * width, height * width))


def _cheapest(ways: csr_array, seed: np.ndarray) -> np.ndarray:
    """What the cheapest way from a seed (h, w) bool to each pixel costs: (h, w)."""
    sources = np.flatnonzero(seed.ravel())
    return np.asarray(dijkstra(ways, directed=False, indices=sources, min_only=True)).reshape(seed.shape)


def _from_behind(faces: Sequence[np.ndarray]) -> list[int]:
    """The faces' numbers from the farthest to the nearest: larger ones are nearer, and so are those lower down, as rows of
    people are."""
    heights = [float(np.ptp(face, axis=0).max()) for face in faces]
    usual = float(np.mean(heights))
    nearness = [np.log(height) + _LOWER * face[:, 1].max() / usual for face, height in zip(faces, heights, strict=True)]
    return np.argsort(nearness, kind="stable").tolist()
