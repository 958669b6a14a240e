# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of crops: who is drawn, and how the crops differ from what is on disk.

Colours, softness, noise and compression change alike in all pictures of a pair, so that a painter learns what a mouth
looks like, and neither one studio's light nor its camera; what it draws shall be as sharp as what lies around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from torch import Tensor

from portrait_server.corpora.augment import random_colors
from portrait_server.corpora.crops import MARGIN, CropPairs
from portrait_server.geometry.alignment import compose, transform_points
from portrait_server.geometry.crops import Crop, crop_outlines
from portrait_server.kernels.base import Patches
from portrait_server.kernels.opencv import OpenCV

_TURN, _ZOOM, _SHIFT = np.radians(3.0), 0.06, 0.02  # standard deviations; the last in sides
_SOFT, _SOFTEST = 0.3, 2.0  # share of pairs that are made softer, and by how much at most
_NOISY, _COMPRESSED = 0.2, 0.25  # shares
_MOVING = 0.6  # share of the draws that choose of two


@dataclass(frozen=True)
class CropBatch:
    """Tensors float32: pictures (B, 3, S, S) from 0 to 1.

    Attributes:
        draft, target, reference: of the reference the draft was made of.
        raster, seen: (B, 2, S, S), of the target and of that reference.
        references: (B, K, 3, S, S), rasters (B, K, 2, S, S): all that tell of the person.
        weight: (B, 1, S, S), how much a pixel of the target counts.
    """

    draft: Tensor
    target: Tensor
    reference: Tensor
    raster: Tensor
    seen: Tensor
    references: Tensor
    rasters: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> CropBatch:
        """The same on a device."""
        return CropBatch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})


class Pairs:
    """Crops of several corpora, drawn by the corpora's weights and then by person, each as often as the others."""

    def __init__(self, crop: Crop, corpora: Sequence[CropPairs], weights: Sequence[float]) -> None:
        self._crop, self._corpora = crop, tuple(corpora)
        self._shares = np.asarray(weights, float) / np.sum(weights)
        self._people = [[np.flatnonzero(c.person == p) for p in np.unique(c.person)] for c in self._corpora]
        outlined = [point for outline in crop.outlines for point in outline]
        self._change = [np.abs(np.diff(c.points[:, :2, outlined], axis=1)).mean((1, 2, 3)) for c in self._corpora]

    def batch(self, size: int, rng: np.random.Generator) -> CropBatch:
        """A batch, changed by chance; one K for all, 1 in half of the batches."""
        chosen = []
        for _ in range(size):
            number = int(rng.choice(len(self._corpora), p=self._shares))
            people = self._people[number]
            pairs = rng.choice(people[int(rng.integers(len(people)))], 2)
            # People mostly sit still: of two pairs it is often the one that moves more.
            most = self._change[number][pairs].argmax() if rng.random() < _MOVING else 0
            chosen.append((self._corpora[number], int(pairs[most])))
        count = 1 if rng.random() < 0.5 else max(corpus.references.shape[1] for corpus in self._corpora)
        return stacked([_changed(self._crop, corpus, pair, count, rng) for corpus, pair in chosen])


def plain(crop: Crop, pairs: CropPairs, chosen: Sequence[int]) -> CropBatch:
    """Pairs as they are on disk, with one reference each."""
    inner = slice(MARGIN, -MARGIN)
    rows = []
    for pair in chosen:
        points = pairs.points[pair, :2] - MARGIN
        cuts = (pairs.draft, pairs.target, pairs.references[:, 0], pairs.weight)
        draft, target, reference, weight = (pictures[pair, inner, inner] for pictures in cuts)
        rows.append(_arrays(crop, draft, target, reference, weight, points, [reference], points[1:]))
    return stacked(rows)


def stacked(rows: Sequence[dict[str, np.ndarray]]) -> CropBatch:
    """A batch of pairs, their pictures uint8 (…, S, S, 3 or none)."""
    return CropBatch(**{f.name: _tensor(np.stack([row[f.name] for row in rows])) for f in fields(CropBatch)})


def _tensor(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).float().div_(255)


def _arrays(
    crop: Crop, draft: np.ndarray, target: np.ndarray, reference: np.ndarray, weight: np.ndarray, points: np.ndarray,
    references: Sequence[np.ndarray], reference_points: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    rasters = rasterized(crop, np.concatenate([points, reference_points]))
    return {
        "draft": draft.transpose(2, 0, 1), "target": target.transpose(2, 0, 1),
        "reference": reference.transpose(2, 0, 1), "raster": rasters[0], "seen": rasters[1],
        "references": np.stack(references).transpose(0, 3, 1, 2), "rasters": rasters[len(points) :],
        "weight": weight[None],
    }  # fmt: skip


def rasterized(crop: Crop, points: np.ndarray) -> np.ndarray:
    """Where lips or lids and irises are: (N, 2, S, S) uint8 of landmarks (N, 70, 2), pixels of the crop."""
    none, kernels = np.zeros(1, int), OpenCV()
    whole = Patches(none, none, crop.side, crop.side, np.ones(1, bool))
    outlines = crop_outlines(crop, points)
    return np.stack([[kernels.filled(line[n : n + 1], whole)[0] for line in outlines] for n in range(len(points))])


def _changed(crop: Crop, pairs: CropPairs, pair: int, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    look = _Look(rng)
    there = pairs.references.shape[1]
    # Where there are fewer than K references some come twice: the style is then as of fewer.
    chosen = [0, *(rng.permutation(np.arange(1, there))[: count - 1] if there > 1 else [])]
    chosen += [0] * (count - len(chosen))
    turn = _turn(crop, rng)
    turns = [_turn(crop, rng) for _ in range(there)]
    mirror = crop.name == "mouth" and rng.random() < 0.5
    draft, target = (look.apply(_moved(p[pair], turn, crop), rng) for p in (pairs.draft, pairs.target))
    weight = _moved(pairs.weight[pair], turn, crop)
    seen = {n: look.apply(_moved(pairs.references[pair, n], turns[n], crop), rng) for n in set(chosen)}
    points = np.stack([transform_points(m, p) for m, p in zip([turn, *turns], pairs.points[pair], strict=True)])
    row = _arrays(
        crop, draft, target, seen[0], weight, points[:2], [seen[n] for n in chosen], points[[1 + n for n in chosen]]
    )
    return {name: values[..., ::-1] for name, values in row.items()} if mirror else row


def _turn(crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """A small similarity (2, 3) from what is on disk to the crop, as detectors tremble and heads differ."""
    angle, zoom = np.clip(rng.normal(0, 1, 2), -1.5, 1.5) * (_TURN, _ZOOM)
    middle = np.full(2, (crop.side - 1) / 2)
    linear = np.exp(zoom) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = middle - linear @ middle + np.clip(rng.normal(0, _SHIFT, 2), -2 * _SHIFT, 2 * _SHIFT) * crop.side
    return compose(np.column_stack([linear, shift]), np.array([[1, 0, -MARGIN], [0, 1, -MARGIN]]))


def _moved(picture: np.ndarray, matrix: np.ndarray, crop: Crop) -> np.ndarray:
    how = cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR
    return cv2.warpAffine(picture, matrix, (crop.side, crop.side), flags=how, borderMode=cv2.BORDER_REPLICATE)


class _Look:
    """How a camera sees: one for all pictures of a pair."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.colors = random_colors(rng)
        self.shrink = rng.uniform(1, _SOFTEST) if rng.random() < _SOFT else 1.0
        self.noise = rng.uniform(0.5, 4) if rng.random() < _NOISY else 0.0
        self.quality = int(rng.integers(50, 96)) if rng.random() < _COMPRESSED else None

    def apply(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(S, S, 3) uint8 to the same."""
        picture, side = self.colors.apply(picture), len(picture)
        if self.shrink > 1:
            small = max(8, round(side / self.shrink))
            picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        if self.noise:
            picture = np.clip(picture + rng.normal(0, self.noise, picture.shape), 0, 255).astype(np.uint8)
        if self.quality is not None:
            written = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
            picture = cv2.imdecode(written, cv2.IMREAD_COLOR)
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC) if self.shrink > 1 else picture
