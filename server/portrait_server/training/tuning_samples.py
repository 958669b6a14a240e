# SPDX-License-Identifier: GPL-3.0-or-later
"""What one person's photographs teach: each other, and re-posed copies of themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from portrait_server.corpora.draft import draw_draft
from portrait_server.corpora.pool import Pool
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.networks.alignment import aligned_transform, crop, transform_points

# Making a sample takes longer than learning from it, and the same ones do as well again.
_LEAST_SAMPLES: Final = 96
_SAMPLES_A_PHOTOGRAPH: Final = 12
_REAL_SHARE: Final = 0.5  # of samples whose references are photographs too, where there are several


class Person(Corpus):
    """Targets are `targets`; references are other photographs of the person, or re-posed copies of the target."""

    identities = 1

    def __init__(self, photographs: Sequence[Face], targets: Sequence[Face], reposed: Corpus) -> None:
        """Args: reposed: samples of re-posed copies; drawn where there is no other photograph, and half the time."""
        self._photographs, self._targets, self._reposed = list(photographs), list(targets), reposed

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        target = self._targets[int(rng.integers(len(self._targets)))]
        others = [face for face in self._photographs if face is not target]
        if not others or rng.random() >= _REAL_SHARE:
            return self._reposed.sample(rng, references, side)
        shown = [others[int(i)] for i in rng.integers(len(others), size=references)]
        mesh = transform_points(aligned_transform(shown[0].points, side), shown[0].mesh)
        images, points, mattes = zip(*(aligned_face(face, side) for face in shown), strict=True)
        image, target_points, matte = aligned_face(target, side)
        draft = draw_draft(images[0], mattes[0], points[0], mesh, target_points)
        return Sample(np.stack(images), np.stack(points), image, target_points, 0, matte, np.stack(mattes), draft)


@contextmanager
def person_corpora(faces: Sequence[Face]) -> Iterator[tuple[Corpus, Corpus]]:
    """Samples to learn from and samples to be measured by.

    From five photographs on, one in five is left out: nothing is learnt from it, and it is what is measured,
    re-posed and against the others. Of fewer, re-posed copies alone are measured, drawn by another seed.
    """
    left_out, learnt = list(faces[4::5]), [face for number, face in enumerate(faces) if number % 5 != 4]
    with tempfile.TemporaryDirectory(prefix="portrait-adapt-") as folder:
        reposed = [_reposed(Path(folder) / "learnt", learnt)]
        if left_out:
            reposed.append(_reposed(Path(folder) / "left-out", left_out))
        size = max(_LEAST_SAMPLES, _SAMPLES_A_PHOTOGRAPH * len(learnt))
        pool = Pool(Person(learnt, learnt, reposed[0]), size, Path(folder) / "pool")
        yield pool, Person(learnt, left_out or learnt, reposed[-1])


def _reposed(folder: Path, faces: Sequence[Face]) -> ReposedPhotos:
    folder.mkdir()
    write_shard(
        folder / "00000.shard", [(i, 0, face) for i, face in enumerate(faces)], [str(i) for i in range(len(faces))], {}
    )
    return ReposedPhotos(folder, augmented=False)


def aligned_face(face: Face, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photograph's aligned picture (side, side, 3), points (70, 3) there, and matte (side, side)."""
    matrix = aligned_transform(face.points, side)
    points = transform_points(matrix, face.points).astype(np.float32)
    return crop(face.image, matrix, side), points, crop(face.matte, matrix, side)
