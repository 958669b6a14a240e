# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs made of one real photograph: the target is the photograph, the references are warps of it.

Skin, hair, teeth and glasses are so learnt from reality, whatever the warp does badly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portrait_server.corpora.augment import degraded, random_colors, tremble
from portrait_server.corpora.draft import draw_draft, middle
from portrait_server.corpora.expressions import random_change
from portrait_server.corpora.reposing import warp
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, Faces
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.networks.alignment import aligned_transform, compose, crop, inverse, transform_points


class ReposedPhotos(Corpus):
    """Samples whose target is always a photograph of a folder of shards (`portrait corpus build photos`)."""

    def __init__(self, folder: Path, *, augmented: bool = True, drafts: bool = True) -> None:
        """Args: augmented: change colours, degrade references, mirror, and let landmarks tremble.
            drafts: draw them, for networks that want one.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._faces = Faces(folder)
        self._augmented, self._drafts = augmented, drafts
        self.identities = len(self._faces)

    def face(self, identity: int) -> Face:
        """The photograph with the given number."""
        return self._faces.read(identity)

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        face = self.face(identity)
        head = build_head_mesh(face.points, face.mesh, face.image.shape[1], face.image.shape[0])
        seen = face.points + self._tremble(face.points, rng)
        matrix = aligned_transform(seen, side)
        target = crop(face.image, matrix, side)
        warped = []
        for _ in range(references):
            other = self.face(int(rng.integers(self.identities)))
            pose, moved = random_change(face.points, other.points, rng)
            warped.append(warp(face, head, pose, moved, self._tremble(face.points, rng), matrix, side))
        wide = [reference.wide for reference in warped]
        if self._augmented:
            colors = random_colors(rng)
            target = colors.apply(target)
            wide = [degraded(colors.apply(picture), rng) for picture in wide]
        first, placed = warped[0], transform_points(matrix, seen).astype(np.float32)
        to_target = compose(matrix, inverse(first.matrix))
        sample = Sample(
            references=np.stack([middle(picture) for picture in wide]),
            reference_points=np.stack([reference.points for reference in warped]),
            target=target,
            target_points=placed,
            identity=identity,
            matte=crop(face.matte, matrix, side),
            reference_mattes=np.stack([reference.matte for reference in warped]),
            draft=draw_draft(wide[0], first.wide_matte, first.points, first.mesh, placed, to_target)
            if self._drafts
            else None,
            flow=warped[-1].flow,
            visibility=warped[-1].visibility,
        )
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample

    def _tremble(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return tremble(points, rng) if self._augmented else np.zeros_like(points)
