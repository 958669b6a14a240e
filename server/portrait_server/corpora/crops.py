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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.safetensors_header import read_header
from portrait_shared.files.whole_files import read_bounded, write_error, write_whole
from portrait_shared.landmarks import MIRROR
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import damaged
from portrait_server.geometry.alignment import crop as cut
from portrait_server.geometry.alignment import transform_points
from portrait_server.geometry.crops import CROPS, Crop, crop_transforms

SUFFIX: Final = ".safetensors"
MARGIN: Final = 8
_MOST_BYTES: Final = 2**30
_PAIRS_PER_FILE: Final = 100
_OF_A_CROP: Final = ("draft", "target", "references", "weight", "points")  # of each crop; `person` is of all
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

    @classmethod
    def joined(cls, parts: Sequence[CropPairs]) -> CropPairs:
        """All pairs of several, which have the same K."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def as_right_eyes(self) -> CropPairs:
        """Crops of left eyes, which are turned about, with the landmarks that such right eyes have."""
        return replace(self, points=self.points[:, :, list(MIRROR)])


def make_crops(corpus: Corpus, output: Path, count: int, references: int, side: int, seed: int) -> int:
    """Draws samples, none twice, and adds files of their crops to a folder; how many there are then.

    Args:
        count: how many samples there shall be. Files that are there already are kept, and count.
        references: K.
        side: of the aligned frames that crops are cut from, pixels.

    Raises:
        PortraitError: BAD_IMAGE where what is on disk is damaged; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(output, error) from error
    files = sorted(output.glob(f"*{SUFFIX}"))
    done, number = sum(map(_count, files)), len(files)
    samples = _different(corpus, references, side, (seed, number))
    while done < count and (drawn := list(islice(samples, min(_PAIRS_PER_FILE, count - done)))):
        arrays: dict[str, np.ndarray] = {}
        for crop in CROPS.values():
            pairs = CropPairs.joined([cut_out(crop, sample) for sample in drawn])
            arrays |= {f"{crop.name}.{name}": getattr(pairs, name) for name in _OF_A_CROP} | {"person": pairs.person}
        write_whole(output / f"{number:05d}{SUFFIX}", save(arrays))
        done, number = done + len(drawn), number + 1
    return done


def read_crops(folder: Path, crop: Crop) -> CropPairs:
    """All crops of one kind that a folder holds, in memory.

    Raises:
        PortraitError: FILE_MISSING where there are none; BAD_IMAGE naming the file that is damaged, or has another K.
    """
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There are no crops in {folder}.", "Make them with `portrait corpus crops`."
        )
    parts = [_read(path, crop) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.references.shape[1] != parts[0].references.shape[1]:
            raise _damaged(path, "its pairs have another number of references than those of the files before it")
    return CropPairs.joined(parts)


def _read(path: Path, crop: Crop) -> CropPairs:
    try:
        content = read_bounded(path, _MOST_BYTES)
        read_header(content)
        arrays = load(content)
        own = {name: arrays[f"{crop.name}.{name}"] for name in _OF_A_CROP}
        pairs = CropPairs(**own, person=arrays["person"])
    except (SafetensorError, OSError, KeyError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    count, wide, references = len(pairs.person), crop.side + 2 * MARGIN, pairs.references.shape[1:2]
    shapes = {
        "draft": (count, wide, wide, 3), "target": (count, wide, wide, 3), "weight": (count, wide, wide),
        "references": (count, *references, wide, wide, 3), "points": (count, *(1 + n for n in references), 70, 2),
    }  # fmt: skip
    for name, shape in shapes.items():
        array, kind = getattr(pairs, name), np.float32 if name == "points" else np.uint8
        if array.shape != shape or array.dtype != kind or not np.isfinite(array).all():
            raise _damaged(path, f"its {crop.name}.{name} is not what it should be")
    if pairs.person.shape != (count,) or pairs.person.dtype != np.int32 or not count or not references[0]:
        raise _damaged(path, "it holds no pairs")
    return pairs


def _damaged(path: Path, why: str) -> PortraitError:
    return damaged("crops in", path, described(why), "crops")


def cut_out(crop: Crop, sample: Sample) -> CropPairs:
    """The one pair of crops of one kind that a sample with a draft holds."""
    if sample.draft is None:
        raise ValueError("crops are cut out of samples with a draft")
    wide = crop.side + 2 * MARGIN
    points = np.concatenate([sample.target_points[None], sample.reference_points])
    matrices = crop_transforms(crop, points, wide)
    weight = sample.color_weight
    return CropPairs(
        draft=cut(np.ascontiguousarray(sample.draft[..., :3]), matrices[0], wide)[None],
        target=cut(sample.target, matrices[0], wide)[None],
        references=np.stack(
            [cut(image, matrix, wide) for image, matrix in zip(sample.references, matrices[1:], strict=True)]
        )[None],
        weight=(np.full((wide, wide), 255, np.uint8) if weight is None else cut(weight, matrices[0], wide))[None],
        points=transform_points(matrices, points)[None, ..., :2],
        person=np.array([sample.identity], np.int32),
    )


def _count(path: Path) -> int:
    try:
        with safe_open(path, "numpy") as file:
            return int(file.get_slice("person").get_shape()[0])
    except (SafetensorError, OSError, LookupError) as error:
        raise _damaged(path, str(error)) from error


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
