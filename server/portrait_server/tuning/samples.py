# SPDX-License-Identifier: GPL-3.0-or-later
"""What one person's photographs teach painters: each other, and themselves from re-posed copies.

All are pairs of crops, as in training: a draft of a reference, and the target that it should have been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

import cv2
import numpy as np

from portrait_server.corpora.assembly import View, aligned_face, assemble
from portrait_server.corpora.crops import CropPairs, cut_out
from portrait_server.corpora.expressions import random_change
from portrait_server.corpora.reposing import Warped, warp
from portrait_server.corpora.sample import Sample
from portrait_server.corpora.shards import Face
from portrait_server.geometry.alignment import aligned_transform, compose, inverse, scale_of
from portrait_server.geometry.crops import LEFT_EYE, MOUTH, RIGHT_EYE
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.pose import Pose, rotation_of

_LEAST_SIDE, _MOST_SIDE = 128, 416  # pixels of aligned frames; in the larger one crops are cut out as large as they are
_MOST_TOLD: Final = 4  # references that tell of the person in one pair
_COPIES_SHARE: Final = 0.25  # of what is learnt from; the targets of the others are photographs
_REAL_SHARE: Final = 0.6  # of pairs whose reference is a photograph too, where there are several
# Of a chance change (`random_change`), where the copy is the target: beyond it a copy is no example of what a real frame
# would show.
_LITTLE: Final = (0.2, 0.6)


CropsOfParts = Mapping[str, CropPairs]
"""By painter (`networks.painters.PARTS`)."""


class Person:
    """Pairs of one person.

    Of two photographs or more, one in five, and at least one, is left out: nothing is learnt from it, and it is what is
    measured, re-posed and against the others. Of one, it is itself measured, moved otherwise.
    """

    def __init__(self, faces: Sequence[Face]) -> None:
        """Args: faces: 1 to 32 photographs (`corpora.build.cut`)."""
        self._known = [face for number, face in enumerate(faces) if number % 5 != 1]
        self._measured = list(faces[1::5]) or self._known
        self._side = _side(faces)
        self._told_by = min(_MOST_TOLD, len(self._known))

    def learnt(self, count: int, seed: int) -> CropsOfParts:
        """What is learnt from."""
        rng = np.random.default_rng(seed)
        copies = round(_COPIES_SHARE * count)
        towards = chain(self._photographs(self._known, count - copies, rng), self._copies(self._known, copies, rng))
        return _cut(towards)

    def held(self, count: int, seed: int) -> dict[str, CropsOfParts]:
        """What is measured by, each of these for itself: the target is a `photograph`, or a `copy` of one."""
        rng = np.random.default_rng(seed)
        return {
            "photograph": _cut(self._photographs(self._measured, count, rng)),
            "copy": _cut(self._copies(self._measured, count, rng)),
        }

    def _photographs(self, targets: Sequence[Face], count: int, rng: np.random.Generator) -> Iterator[Sample]:
        """The target is a photograph. The reference is another one, or a copy of the target."""
        for number in range(count):
            face = targets[number % len(targets)]
            others = [other for other in self._known if other is not face]
            target, to_target = aligned_face(face, self._side), None
            if others and rng.random() < _REAL_SHARE:
                # As of frames of a video: how far the head moved from one photograph to the other is not known.
                reference = aligned_face(others[int(rng.integers(len(others)))], self._side, wide=True)
            else:
                copy, to_target = self._reposed(face, 1.0, rng)
                reference, to_target = copy.view.with_flow(None, None), inverse(to_target)
            yield assemble(target, [reference, *self._told(face, reference, rng)], 0, to_target=to_target)

    def _copies(self, sources: Sequence[Face], count: int, rng: np.random.Generator) -> Iterator[Sample]:
        """The other way round: the reference is a photograph, the target a copy of it, re-posed a little.

        A copy counts only where it shows what the photograph shows: not where skin was drawn out, nor in a mouth that was
        opened.
        """
        for number in range(count):
            face = sources[number % len(sources)]
            copy, to_copy = self._reposed(face, float(rng.uniform(*_LITTLE)), rng)
            reference = aligned_face(face, self._side, wide=True)
            told = self._told(face, reference, rng)
            yield assemble(copy.view, [reference, *told], 0, to_target=to_copy, color_weight=copy.shown)

    def _told(self, target: Face, reference: View, rng: np.random.Generator) -> list[View]:
        """What tells of the person beside the reference; of one photograph nothing else does."""
        others = [face for face in self._known if face is not target]
        chosen = rng.permutation(len(others))[: self._told_by - 1]
        views = [aligned_face(others[int(number)], self._side) for number in chosen]
        return views + [reference] * (self._told_by - 1 - len(views))

    def _reposed(self, face: Face, strength: float, rng: np.random.Generator) -> tuple[Warped, np.ndarray]:
        """The photograph changed by chance, and the way (2, 3) from its aligned frame to the copy's."""
        other = self._known[int(rng.integers(len(self._known)))]
        pose, moved = random_change(face.points, other.points, rng)
        expression = face.points + strength * (moved - face.points)
        head = build_head_mesh(face.points, face.mesh, face.image, face.matte.astype(np.float32) / 255)
        matrix = aligned_transform(face.points, self._side)
        still = np.zeros_like(face.points)
        copy = warp(face, head, _weaker(pose, strength), expression, still, matrix, self._side).as_detected()
        return copy, compose(copy.matrix, inverse(matrix))


def _side(faces: Sequence[Face]) -> int:
    """Pixels of the aligned frames: as large as most photographs are, within bounds."""
    own = float(np.median([1 / scale_of(aligned_transform(face.points, 1)) for face in faces]))
    return 4 * round(min(max(own, _LEAST_SIDE), _MOST_SIDE) / 4)


def _weaker(pose: Pose, strength: float) -> Pose:
    """A share of a pose."""
    turn = cv2.Rodrigues(pose.rotation)[0][:, 0]
    return Pose(rotation_of(strength * turn), pose.scale**strength, pose.centre, strength * pose.shift)


def _cut(samples: Iterable[Sample]) -> dict[str, CropPairs]:
    """The crops of all samples, by painter."""
    mouths, eyes = [], []
    for sample in samples:
        mouths.append(cut_out(MOUTH, sample))
        eyes += [cut_out(RIGHT_EYE, sample), cut_out(LEFT_EYE, sample).as_right_eyes()]
    return {"mouth": CropPairs.joined(mouths), "eye": CropPairs.joined(eyes)}
