# SPDX-License-Identifier: GPL-3.0-or-later
"""What one person's photographs teach: each other, themselves from re-posed copies, and the copies from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from portrait_shared.files.private_folders import PrivateFolder

from portrait_server.corpora.assembly import aligned_face, assemble
from portrait_server.corpora.expressions import random_change
from portrait_server.corpora.pool import Pool
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.reposing import warp
from portrait_server.corpora.sample import Corpus, Mixture, Sample
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.geometry.alignment import aligned_transform, compose, inverse
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.pose import Pose, rotation_of

# Making a sample takes longer than learning from it, and to learn from the same ones again serves as well.
_LEAST_SAMPLES: Final = 96
_SAMPLES_A_PHOTOGRAPH: Final = 12
_REAL_SHARE: Final = 0.5  # of samples whose references are photographs too, where there are several
# Of a chance change: beyond it a copy is no example of what a real frame would show.
_LEARNT_STRENGTHS: Final = (0.1, 0.5)
_HELD_STRENGTHS: Final = (0.2, 0.6)


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
        # As of frames of a video: how far the head moved from one photograph to the other is not known.
        views = [aligned_face(face, side, wide=number == 0) for number, face in enumerate(shown)]
        return assemble(aligned_face(target, side), views, 0)


class Copies(Corpus):
    """The other way round: the reference is a photograph, the target a copy of it, re-posed a little.

    Targets so differ, also where there is one photograph. A copy counts only where it shows what the photograph
    shows: not where skin was drawn out, nor in a mouth that was opened.
    """

    identities = 1

    def __init__(self, faces: Sequence[Face], strengths: tuple[float, float]) -> None:
        """Args: strengths: least and largest share of a chance change (`random_change`) that is made."""
        self._faces, self._strengths = list(faces), strengths

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        face, other = (self._faces[int(i)] for i in rng.integers(len(self._faces), size=2))
        strength = float(rng.uniform(*self._strengths))
        pose, moved = random_change(face.points, other.points, rng)
        expression = face.points + strength * (moved - face.points)
        head = build_head_mesh(face.points, face.mesh, face.image.shape[1], face.image.shape[0])
        matrix = aligned_transform(face.points, side)
        copy = warp(face, head, _weaker(pose, strength), expression, np.zeros_like(face.points), matrix, side)
        copy = copy.as_detected()
        photograph, to_copy = aligned_face(face, side, wide=True), compose(copy.matrix, inverse(matrix))
        return assemble(copy.view, [photograph] * references, 0, to_target=to_copy, color_weight=copy.shown)


@dataclass(frozen=True)
class PersonCorpora:
    """What tuning draws from.

    Attributes:
        learnt: mixes both directions.
        held: what is measured, by direction: the target is a `photograph`, or a `copy` of one.
    """

    learnt: Corpus
    held: dict[str, Corpus]


@contextmanager
def person_corpora(faces: Sequence[Face]) -> Iterator[PersonCorpora]:
    """Samples to learn from and samples to be measured by.

    Of two photographs or more, one in five, and at least one, is left out: nothing is learnt from it, and it is what
    is measured, re-posed and against the others. Of one, copies alone are measured, drawn by another seed and
    moved otherwise.
    """
    left_out, learnt = list(faces[1::5]), [face for number, face in enumerate(faces) if number % 5 != 1]
    with PrivateFolder() as folder:
        reposed = [_reposed(folder / "learnt", learnt)]
        if left_out:
            reposed.append(_reposed(folder / "left-out", left_out))
        size = max(_LEAST_SAMPLES, _SAMPLES_A_PHOTOGRAPH * len(learnt))
        both = Mixture([Person(learnt, learnt, reposed[0]), Copies(learnt, _LEARNT_STRENGTHS)], [1, 1])
        held = left_out or learnt
        yield PersonCorpora(
            Pool(both, size, folder / "pool"),
            {"photograph": Person(learnt, held, reposed[-1]), "copy": Copies(held, _HELD_STRENGTHS)},
        )


def _weaker(pose: Pose, strength: float) -> Pose:
    """A share of a pose."""
    turn = cv2.Rodrigues(pose.rotation)[0][:, 0]
    return Pose(rotation_of(strength * turn), pose.scale**strength, pose.centre, strength * pose.shift)


def _reposed(folder: Path, faces: Sequence[Face]) -> ReposedPhotos:
    folder.mkdir()
    write_shard(
        folder / "00000.shard", [(i, 0, face) for i, face in enumerate(faces)], [str(i) for i in range(len(faces))], {}
    )
    return ReposedPhotos(folder, augmented=False, detected=True)
