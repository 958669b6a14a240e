# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and videos to shards: detect, crop, landmarks, matte. An interrupted build goes on where it stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_error
from tqdm import tqdm

from portrait_server.corpora.shards import SUFFIX, Face, Shard, write_shard
from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.matte import person_matte
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.geometry.alignment import aligned_transform

# An interruption loses at most the work on one shard: a minute or two.
_FACES_PER_SHARD: Final = 256
_ALIGNED_SIDE: Final = 512  # pixels of the aligned frame that are kept of larger pictures
_LEAST_SIDE: Final = 96
_AROUND: Final = 1.5  # side of what is kept, in aligned frames: a head that turns shows what lies beside them


class Source(ABC):
    """A kind of files that faces are taken from.

    Attributes:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def find(self) -> list[str]:
        """The files, relative to the folder, in order."""

    @abstractmethod
    def faces(self, name: str, detector: Detector) -> Iterator[tuple[int, Face]]:
        """(number of the frame, face) of one file.

        Raises:
            PortraitError: where it cannot be used; the file is then skipped, and the reason kept.
        """


@dataclass(frozen=True)
class Built:
    """What a folder of shards holds.

    Attributes:
        faces: how many; `sources` files they are from; `skipped` files without a usable face, and why.
    """

    faces: int
    sources: int
    skipped: dict[str, str]


def build(source: Source, output: Path) -> Built:
    """Adds to the folder `output` what it does not hold yet.

    Raises:
        PortraitError: FILE_MISSING where there is nothing to read; OUTPUT_NOT_WRITABLE, DISK_FULL; BAD_IMAGE for a
            damaged shard.
    """
    names = source.find()
    if not names:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is nothing to read in {source.folder}.", "Choose another folder."
        )
    number, done = _resume(output)
    left = [name for name in names if name not in done]
    upcoming = _NextShard()
    with closing(MediaPipeDetector()) as detector, tqdm(total=len(names), unit="file", desc="Corpus") as progress:
        progress.update(len(names) - len(left))
        for name in left:
            try:
                # Complete before it counts: a clip may fail half way through.
                upcoming.add(name, list(source.faces(name, detector)))
            except PortraitError as error:
                upcoming.skipped[name] = error.message
            progress.update()
            if upcoming.full:
                upcoming.write(output / f"{number:05d}{SUFFIX}")
                number, upcoming = number + 1, _NextShard()
    if upcoming.sources or upcoming.skipped:
        upcoming.write(output / f"{number:05d}{SUFFIX}")
    return _summary(output)


class _NextShard:
    """What goes into the next shard."""

    def __init__(self) -> None:
        self.faces: list[tuple[int, int, Face]] = []
        self.sources: list[str] = []
        self.skipped: dict[str, str] = {}

    @property
    def full(self) -> bool:
        return max(len(self.faces), len(self.skipped)) >= _FACES_PER_SHARD

    def add(self, name: str, faces: list[tuple[int, Face]]) -> None:
        self.faces += [(len(self.sources), frame, face) for frame, face in faces]
        self.sources.append(name)

    def write(self, path: Path) -> None:
        write_shard(path, self.faces, self.sources, self.skipped)


def _summary(output: Path) -> Built:
    shards = [Shard(path) for path in sorted(output.glob(f"*{SUFFIX}"))]
    skipped = {name: why for shard in shards for name, why in shard.skipped.items()}
    return Built(sum(map(len, shards)), sum(len(shard.sources) for shard in shards), skipped)


def _resume(output: Path) -> tuple[int, set[str]]:
    """The number of the next shard, and the files that need no more work."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        for partial in output.glob(f"*{SUFFIX}.partial"):
            partial.unlink()
    except OSError as error:
        raise write_error(output, error) from error
    shards = [Shard(path) for path in sorted(output.glob(f"*{SUFFIX}"))]
    done = {name for shard in shards for name in (*shard.sources, *shard.skipped)}
    return 1 + max((int(shard.path.stem) for shard in shards if shard.path.stem.isdigit()), default=-1), done


def cut(image: np.ndarray, found: DetectedFace) -> Face:
    """The picture around one face, shrunk where it is larger than training needs, and its matte.

    Args:
        image: (H, W, 3) uint8 RGB.

    Raises:
        PortraitError: NO_FACE where the detector found no dense mesh, or the face is too small to learn from.
    """
    if found.mesh478 is None:
        raise PortraitError(ErrorCode.NO_FACE, "The face has no dense mesh.")
    back = cv2.invertAffineTransform(aligned_transform(found.points, _ALIGNED_SIDE))
    middle = back @ np.array([_ALIGNED_SIDE / 2, _ALIGNED_SIDE / 2, 1])
    side = float(np.linalg.norm(back[:, 0])) * _ALIGNED_SIDE
    if side < _LEAST_SIDE:
        raise PortraitError(ErrorCode.NO_FACE, f"The face is too small: its aligned frame is {side:.0f} pixels a side.")
    low = np.maximum(np.floor(middle - side * _AROUND / 2), 0).astype(int)
    high = np.minimum(np.ceil(middle + side * _AROUND / 2), image.shape[1::-1]).astype(int)
    kept = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    matte = person_matte(kept)
    shift = np.array([*low, 0], np.float32)
    points, mesh = found.points - shift, found.mesh478 - shift
    scale = min(1.0, _ALIGNED_SIDE / side)
    if scale < 1:
        size = (round(kept.shape[1] * scale), round(kept.shape[0] * scale))
        scales = np.array([size[0] / kept.shape[1], size[1] / kept.shape[0], scale], np.float32)
        kept = cv2.resize(kept, size, interpolation=cv2.INTER_AREA)
        matte = cv2.resize(matte, size, interpolation=cv2.INTER_AREA)
        # Positions count from the middle of the first pixel.
        half = np.array([0.5, 0.5, 0], np.float32)
        points, mesh = (points + half) * scales - half, (mesh + half) * scales - half
    return Face(
        kept, points.astype(np.float32), mesh.astype(np.float32), np.round(255 * np.clip(matte, 0, 1)).astype(np.uint8)
    )
