# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded number of samples, each made once and kept on disk: where making one takes longer than learning from it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from portrait_shared.files.npz import DamagedArchive, read_npz
from portrait_shared.files.whole_files import partial_file, write_error

from portrait_server.corpora.sample import Corpus, Sample

_SEED = 83
_VERSION = 8  # of how samples are made: with another, those that were kept are no longer what would be made


def pool_key(corpora: object, sources: Iterable[Path]) -> str:
    """A folder's name for samples of corpora, by the text that describes them and the state of what they read.

    Args:
        sources: files, or folders of files.
    """
    state = []
    for source in sources:
        for path in sorted(source.iterdir()) if os.path.isdir(source) else [source]:
            found = path.stat()
            state.append((path.name, found.st_size, found.st_mtime_ns))
    return hashlib.sha256(f"{_VERSION} {corpora!r} {state!r}".encode()).hexdigest()[:16]


class Pool(Corpus):
    """Draws from `size` samples of another corpus.

    A sample depends on its number alone, so it makes no difference which process made it, or whether it was there.
    """

    def __init__(self, corpus: Corpus, size: int, folder: Path, side: int = 0, *, mirrored: bool = False) -> None:
        """
        Args:
            folder: of these samples alone; made where it is missing. It may be deleted at any time.
            side: pixels of the samples that are kept, 0 for what is asked for. Twice what is asked for serves, too: the
                same pool then teaches networks of two sizes.
            mirrored: every other draw shows its sample with left and right exchanged: twice as many, for nothing.
        """
        self._corpus, self._size, self._folder = corpus, size, folder
        self._side, self._mirrored = side, mirrored
        self.identities = corpus.identities

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        number = int(rng.integers(self._size))
        sample = self._kept(number, references, self._side or side)
        while sample.target.shape[0] > side:
            sample = sample.halved()
        return sample.mirrored() if self._mirrored and rng.random() < 0.5 else sample

    def _kept(self, number: int, references: int, side: int) -> Sample:
        path = self._folder / f"{references}-{side}-{number:06d}.npz"
        if (kept := _read(path)) is not None:
            return kept
        made = self._corpus.sample(np.random.default_rng((_SEED, number)), references, side)
        _write(path, made)
        return made


def _read(path: Path) -> Sample | None:
    """A kept sample; None where there is none, or only a damaged one."""
    try:
        values: dict[str, Any] = read_npz(path)
        return Sample(**(values | {"identity": int(values["identity"])}))
    except (FileNotFoundError, DamagedArchive, KeyError, TypeError, ValueError):
        return None


def _write(path: Path, sample: Sample) -> None:
    values = {field.name: getattr(sample, field.name) for field in dataclasses.fields(sample)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as partial, partial.open("r+b") as file:
            np.savez(file, **{name: value for name, value in values.items() if value is not None})
    except OSError as error:
        raise write_error(path, error, "Choose another folder, or set data.pool to 0.") from error
