# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of mouths and eyes on disk: what painters learn from. Cut out of samples, whatever their source.

A folder of safetensors files, each complete in itself. For each crop of `geometry.crops` an array ``NAME.draft``,
``NAME.target`` (N, P, P, 3), ``NAME.references`` (N, K, P, P, 3) and ``NAME.weight`` (N, P, P), all uint8, and
``NAME.points`` (N, 1 + K, 70, 2) float32, the target's landmarks and the references', pixels of the crop. P is the
crop's side and `MARGIN` more on every side, for crops that are moved and turned while they are learnt from. ``person``
(N,) int32 tells who it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.files.whole_files import partial_file
from safetensors import safe_open
from safetensors.numpy import load_file, save

from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.geometry.alignment import crop as cut
from portrait_server.geometry.alignment import transform_points
from portrait_server.geometry.crops import CROPS, Crop, crop_transforms

SUFFIX: Final = ".safetensors"
MARGIN: Final = 8
_PAIRS_PER_FILE: Final = 100
_TRIES: Final = 20  # draws in a row that were all there already: so few different pairs there are


@dataclass(frozen=True)
class CropPairs:
    """Crops of one kind.

    Attributes:
        draft, target: (N, P, P, 3) uint8; references (N, K, P, P, 3), the first of which the draft was made of.
        weight: (N, P, P) uint8, how much a pixel of the target counts.
        points: (N, 1 + K, 70, 2) float32, the target's landmarks and the references', pixels.
        person: (N,) int32.
    """

    draft: np.ndarray
    target: np.ndarray
    references: np.ndarray
    weight: np.ndarray
    points: np.ndarray
    person: np.ndarray

    def __len__(self) -> int:
        return len(self.person)


def make_crops(corpus: Corpus, output: Path, count: int, references: int, side: int, seed: int) -> int:
    """Draws samples, none twice, and adds files of their crops to a folder; how many there are then.

    Args:
        count: how many samples there shall be. Files that are there already are kept, and count.
        references: K.
        side: of the aligned frames that crops are cut from, pixels.

    Raises:
        PortraitError: BAD_IMAGE where what is on disk is damaged; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    output.mkdir(parents=True, exist_ok=True)
    files = sorted(output.glob(f"*{SUFFIX}"))
    done, number = sum(map(_count, files)), len(files)
    samples = _different(corpus, references, side, (seed, number))
    while done < count and (drawn := list(islice(samples, min(_PAIRS_PER_FILE, count - done)))):
        arrays = {name: values for crop in CROPS.values() for name, values in _cut_out(crop, drawn).items()}
        arrays["person"] = np.array([sample.identity for sample in drawn], np.int32)
        with partial_file(output / f"{number:05d}{SUFFIX}") as partial:
            partial.write_bytes(save(arrays))
        done, number = done + len(drawn), number + 1
    return done


def read_crops(folder: Path, crop: Crop) -> CropPairs:
    """All crops of one kind that a folder holds, in memory."""
    names = ("draft", "target", "references", "weight", "points")
    parts = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        arrays = load_file(path)
        parts.append([*(arrays[f"{crop.name}.{name}"] for name in names), arrays["person"]])
    return CropPairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _count(path: Path) -> int:
    with safe_open(path, "numpy") as file:
        return int(file.get_slice("person").get_shape()[0])


def _different(corpus: Corpus, references: int, side: int, seed: tuple[int, ...]) -> Iterator[Sample]:
    rng, seen, tries = np.random.default_rng(seed), set(), 0
    while tries < _TRIES:
        sample = corpus.sample(rng, references, side)
        known = hashlib.sha256(sample.target.tobytes() + sample.references[0].tobytes()).digest()
        if known in seen:
            tries += 1
            continue
        seen.add(known)
        tries = 0
        yield sample


def _cut_out(crop: Crop, samples: list[Sample]) -> dict[str, np.ndarray]:
    parts = [_of_sample(crop, sample) for sample in samples]
    return {f"{crop.name}.{name}": np.stack([part[name] for part in parts]) for name in parts[0]}


def _of_sample(crop: Crop, sample: Sample) -> dict[str, np.ndarray]:
    if sample.draft is None:
        raise ValueError("crops are cut out of samples with a draft")
    wide = crop.side + 2 * MARGIN
    points = np.concatenate([sample.target_points[None], sample.reference_points])
    matrices = crop_transforms(crop, points, wide)
    weight = sample.color_weight
    return {
        "draft": cut(np.ascontiguousarray(sample.draft[..., :3]), matrices[0], wide),
        "target": cut(sample.target, matrices[0], wide),
        "references": np.stack(
            [cut(image, matrix, wide) for image, matrix in zip(sample.references, matrices[1:], strict=True)]
        ),
        "weight": np.full((wide, wide), 255, np.uint8) if weight is None else cut(weight, matrices[0], wide),
        "points": transform_points(matrices, points)[..., :2],
    }
