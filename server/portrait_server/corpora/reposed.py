# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs made of one real photograph: mostly the target is the photograph, and the references are copies, warped.

Skin, hair, teeth and glasses are so learnt from reality, whatever the warp does badly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portrait_server.corpora.assembly import View, aligned_face, assemble, recolored, wide_frame
from portrait_server.corpora.augment import tremble
from portrait_server.corpora.draft import away_from_openings
from portrait_server.corpora.expressions import random_change
from portrait_server.corpora.reposing import Warped, warp
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, Faces
from portrait_server.geometry.alignment import aligned_transform, compose, inverse, transform_points
from portrait_server.geometry.head_mesh import build_head_mesh

_TURNED_AROUND = 0.4  # share of the samples whose target is the copy


class ReposedPhotos(Corpus):
    """Samples of one photograph each, of a folder of shards (`portrait corpus build photos`), and warped copies of it."""

    def __init__(self, folder: Path, *, augmented: bool = True, detected: bool = False) -> None:
        """Args: augmented: change colours, degrade references, mirror, and let landmarks tremble.
            detected: the copies' landmarks and meshes are those that a detector finds there (`corpora.detected`).

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._faces = Faces(folder)
        self._augmented, self._detected = augmented, detected
        self.identities = len(self._faces)

    def face(self, identity: int) -> Face:
        """The photograph with the given number."""
        return self._faces.read(identity)

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        face = self.face(identity)
        seen = face.points + self._tremble(face.points, rng)
        matrix = aligned_transform(seen, side)
        copies = self._copies(face, matrix, references, side, rng)
        first = copies[0]
        if self._augmented and rng.random() < _TURNED_AROUND:
            # People look into the camera when they are photographed. If every target were a photograph, networks would
            # treat heads that turn away as if they faced it, too: draw out the far cheek, for one.
            photograph = View.out_of(
                wide_frame(face, matrix, side), transform_points(matrix, seen), transform_points(matrix, face.mesh)
            )
            # The flow to the photograph is known, to the other copies it is not.
            views = [copy.view.with_flow(None, None) for copy in copies[1:]]
            target, views = first.view, [photograph.with_flow(first.origin, first.shown), *views]
            to_target, judged = compose(first.matrix, inverse(matrix)), first.shown
        else:
            target, views = aligned_face(face, side, seen), [copy.view for copy in copies]
            to_target, judged = compose(matrix, inverse(first.matrix)), None
        if self._augmented:
            target, views = recolored(target, views, rng)
        carried = away_from_openings(target.points, side)
        sample = assemble(target, views, identity, to_target=to_target, carried=carried, color_weight=judged)
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample

    def _copies(self, face: Face, matrix: np.ndarray, count: int, side: int, rng: np.random.Generator) -> list[Warped]:
        """The photograph in other poses, with expressions borrowed from other photographs; `matrix` as of `warp`."""
        head = build_head_mesh(face.points, face.mesh, face.image, face.matte.astype(np.float32) / 255)
        copies = []
        for _ in range(count):
            other = self.face(int(rng.integers(len(self._faces))))
            pose, moved = random_change(face.points, other.points, rng)
            copy = warp(face, head, pose, moved, self._tremble(face.points, rng), matrix, side)
            copies.append(copy.as_detected() if self._detected else copy)
        return copies

    def _tremble(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        trembling = self._augmented and not self._detected
        return tremble(points, rng) if trembling else np.zeros_like(points)
