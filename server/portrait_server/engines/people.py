# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits of several people of one picture, drawn into the same frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from portrait_shared.other_faces import OtherFaces, checked_others

from portrait_server.drawing.crowd import InFrame, composite_people
from portrait_server.drawing.frame import Moved
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.scene import Scene
from portrait_server.engines.batches import Batches
from portrait_server.kernels.base import Array

Mover = Callable[["Person", Scene, Motion, np.ndarray], Moved]
"""Moves a person's scene by the motion of N frames, to points (N, 70, 2 or 3)."""


class Photo(Protocol):
    """What an engine makes of a photo of one person."""

    image: np.ndarray

    def scene_bytes(self, size: tuple[int, int]) -> int: ...

    def aimed(
        self, points: np.ndarray, body: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]: ...


@dataclass(frozen=True)
class Person:
    """One of several people of a picture.

    Attributes:
        face: which of the faces: 0 the portrait's first, 1 the first of the others.
        photo: the picture without those in front, whose background is the picture of those behind.
        portrait: what the engine makes of that.
    """

    face: int
    photo: Photo
    portrait: Any


@dataclass(frozen=True)
class PeoplePortrait:
    """What an engine keeps of a picture in which several faces are driven.

    Attributes:
        people: from the farthest to the nearest.
    """

    people: tuple[Person, ...]

    def frames(
        self, batches: Batches, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None,
        others: OtherFaces | None, mover: Mover,
    ) -> np.ndarray:  # fmt: skip
        """Frames as `Engine.render` draws them; arguments as it takes them. Who rests is the photo's own.

        Raises:
            PortraitError: BAD_POINTS.
        """
        height, width = self.people[0].photo.image.shape[:2]
        checked = checked_others(others, range(len(points)), (width, height), len(self.people) - 1)
        driven = [_Driven.of(person, points, body, checked) for person in self.people]
        still = np.stack([each.still for each in driven], 1)
        frames: np.ndarray | None = None
        for pattern in np.unique(still, axis=0):
            chosen = np.flatnonzero((still == pattern).all(1))
            drawn = _drawn(batches, [each.only(chosen) for each in driven], ~pattern, size, matte, mover)
            if frames is None:
                frames = np.empty((len(points), *drawn.shape[1:]), drawn.dtype)
            frames[chosen] = drawn
        assert frames is not None
        return frames


@dataclass(frozen=True)
class _Driven:
    """What N frames say of one person.

    Attributes:
        points: (N, 70, 2 or 3), where they can be drawn; body: (N, 2) or None.
        still: (N,) bool, whether it rests.
    """

    person: Person
    points: np.ndarray
    body: np.ndarray | None
    still: np.ndarray

    @classmethod
    def of(cls, person: Person, points: np.ndarray, body: np.ndarray | None, others: OtherFaces | None) -> _Driven:
        if person.face > 0 and others is not None:
            points = others.points[:, person.face - 1]
            body = None if others.body is None else others.body[:, person.face - 1]
        return cls(person, *person.photo.aimed(points, body))

    def only(self, frames: np.ndarray) -> _Driven:
        """The same in some of the frames."""
        body = None if self.body is None else self.body[frames]
        return _Driven(self.person, self.points[frames], body, self.still[frames])


def _drawn(
    batches: Batches, driven: list[_Driven], moves: np.ndarray, size: tuple[int, int], matte: bool, mover: Mover
) -> np.ndarray:
    """Frames (N, height, width, 3 or 4) in all of which the same people (P,) bool move."""
    scenes, motions = [], []
    for each, is_moved in zip(driven, moves, strict=True):
        photo, portrait = each.person.photo, each.person.portrait
        scene = batches.layers(portrait, size, photo.scene_bytes(size), partial(portrait.scene, size))
        motions.append(motion_of(scene, each.points, each.body) if is_moved else None)
        scenes.append(scene)

    def draw(part: slice) -> Array:
        people = [
            InFrame(scene, None if motion is None else mover(each.person, scene, motion.only(part), each.points[part]))
            for each, scene, motion in zip(driven, scenes, motions, strict=True)
        ]
        return composite_people(batches.kernels, people, part.stop - part.start, matte)

    return batches.frames(len(driven[0].points), size[0] * size[1], draw)
