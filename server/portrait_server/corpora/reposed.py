# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs made of one real photograph: mostly the target is the photograph, and the references are warps of it.

Skin, hair, teeth and glasses are so learnt from reality, whatever the warp does badly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portrait_server.corpora.augment import degraded, random_colors, tremble
from portrait_server.corpora.draft import away_from_openings, draw_draft, middle, wide_side, widened
from portrait_server.corpora.expressions import random_change
from portrait_server.corpora.reposing import Warped, warp
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, Faces
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.networks.alignment import aligned_transform, compose, crop, inverse, transform_points

_TURNED_AROUND = 0.4  # share of the samples whose target is the copy


class ReposedPhotos(Corpus):
    """Samples whose target is always a photograph of a folder of shards (`portrait corpus build photos`)."""

    def __init__(self, folder: Path, *, augmented: bool = True, drafts: bool = True, detected: bool = False) -> None:
        """Args: augmented: change colours, degrade references, mirror, and let landmarks tremble.
            drafts: draw them, for networks that want one.
            detected: the copies' landmarks and meshes are those that a detector finds there (`corpora.detected`).

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._faces = Faces(folder)
        self._augmented, self._drafts, self._detected = augmented, drafts, detected
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
        warped = []
        for _ in range(references):
            other = self.face(int(rng.integers(self.identities)))
            pose, moved = random_change(face.points, other.points, rng)
            copy = warp(face, head, pose, moved, self._tremble(face.points, rng), matrix, side)
            warped.append(copy.as_detected() if self._detected else copy)
        if self._augmented and rng.random() < _TURNED_AROUND:
            sample = self._turned_around(face, matrix, seen, warped, identity, rng)
        else:
            sample = self._of_photograph(face, matrix, seen, warped, identity, rng)
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample

    def _of_photograph(
        self, face: Face, matrix: np.ndarray, seen: np.ndarray, warped: list[Warped], identity: int,
        rng: np.random.Generator,
    ) -> Sample:  # fmt: skip
        """The target is the photograph, the references are copies."""
        side = len(warped[0].visibility)
        target, wide = crop(face.image, matrix, side), [reference.wide for reference in warped]
        target, wide = self._colored(target, wide, rng)
        alone = len(warped) == 1
        first, placed = warped[0], transform_points(matrix, seen).astype(np.float32)
        to_target = compose(matrix, inverse(first.matrix))
        draft = (
            draw_draft(wide[0], first.wide_matte, first.points, first.mesh, placed, to_target) if self._drafts else None
        )
        return Sample(
            references=np.stack([middle(picture) for picture in wide]),
            reference_points=np.stack([reference.points for reference in warped]),
            target=target,
            target_points=placed,
            identity=identity,
            matte=crop(face.matte, matrix, side),
            reference_mattes=np.stack([reference.matte for reference in warped]),
            draft=None if draft is None else draft.picture,
            draft_origin=None if draft is None else draft.origin,
            carried=away_from_openings(placed, side),
            flow=warped[-1].flow,
            visibility=warped[-1].visibility,
            first_flow=None if alone else first.flow,
            first_visibility=None if alone else first.visibility,
        )

    def _turned_around(
        self, face: Face, matrix: np.ndarray, seen: np.ndarray, warped: list[Warped], identity: int,
        rng: np.random.Generator,
    ) -> Sample:  # fmt: skip
        """The target is a copy, judged where it shows what the photograph shows; the first reference is the photograph.

        People look into the camera when they are photographed. Without these, every target would do so, and what
        was learnt there (to draw out the far cheek) would be done to heads that turn away, too.
        """
        copy, side = warped[0], len(warped[0].visibility)
        around, size = widened(matrix, side), wide_side(side)
        wide_matte = crop(face.matte, around, size)
        target, wide = self._colored(
            copy.image, [crop(face.image, around, size), *(other.wide for other in warped[1:])], rng
        )
        placed = transform_points(matrix, seen).astype(np.float32)
        to_target = compose(copy.matrix, inverse(matrix))
        mesh = transform_points(matrix, face.mesh)
        draft = draw_draft(wide[0], wide_matte, placed, mesh, copy.points, to_target) if self._drafts else None
        alone = len(warped) == 1  # the way to the photograph is known, to the other copies it is not
        return Sample(
            references=np.stack([middle(picture) for picture in wide]),
            reference_points=np.stack([placed, *(other.points for other in warped[1:])]),
            target=target,
            target_points=copy.points,
            identity=identity,
            matte=copy.matte,
            reference_mattes=np.stack([middle(wide_matte), *(other.matte for other in warped[1:])]),
            draft=None if draft is None else draft.picture,
            draft_origin=None if draft is None else draft.origin,
            carried=away_from_openings(copy.points, side),
            flow=copy.origin if alone else None,
            visibility=copy.shown if alone else None,
            first_flow=None if alone else copy.origin,
            first_visibility=None if alone else copy.shown,
            color_weight=copy.shown,
        )

    def _colored(
        self, target: np.ndarray, wide: list[np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Target and references in other colours, the same for all; references as soft and noisy as they come."""
        if not self._augmented:
            return target, wide
        colors = random_colors(rng)
        return colors.apply(target), [degraded(colors.apply(picture), rng) for picture in wide]

    def _tremble(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        trembling = self._augmented and not self._detected
        return tremble(points, rng) if trembling else np.zeros_like(points)
