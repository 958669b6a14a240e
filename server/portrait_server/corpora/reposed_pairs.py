# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of two real photographs of one person, the reference warped to another pose: a smile from a neutral face."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from portrait_server.corpora.assembly import aligned_face, assemble, recolored
from portrait_server.corpora.reposed import ReposedPhotos
from portrait_server.corpora.sample import Sample
from portrait_server.corpora.shards import open_shards
from portrait_server.geometry.alignment import aligned_transform


class ReposedPairs(ReposedPhotos):
    """Samples whose target is one photograph of a person and whose references are warped copies of another.

    The shards are of PERSON/PICTURE files (`portrait corpus build photos`); a person is an identity.
    """

    def __init__(self, folder: Path, *, augmented: bool = True, detected: bool = False) -> None:
        """Args and Raises: as of `ReposedPhotos`."""
        super().__init__(folder, augmented=augmented, detected=detected)
        people: dict[str, list[int]] = {}
        sources = [shard.sources[int(number)] for shard in open_shards(folder) for number in shard.entries["source"]]
        for number, source in enumerate(sources):
            people.setdefault(str(PurePosixPath(source).parent), []).append(number)
        self._people = [pictures for pictures in people.values() if len(pictures) > 1]
        self.identities = len(self._people)

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        first, second = rng.choice(self._people[identity], 2, replace=False)
        face = self.face(int(first))
        copies = self._copies(face, aligned_transform(face.points, side), references, side, rng)
        target, views = aligned_face(self.face(int(second)), side), [copy.view.with_flow(None, None) for copy in copies]
        if self._augmented:
            target, views = recolored(target, views, rng)
        sample = assemble(target, views, identity)
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample
