# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits of several people of one picture, drawn into the same frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from portrait_shared.layers import FOLLOWING
from portrait_shared.other_faces import OtherFaces, checked_others

from portrait_server.drawing.crowd import InFrame, composite_people, draw_people_layers
from portrait_server.drawing.frame import Moved
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import DrivenPhoto
from portrait_server.engines.batches import Batches
from portrait_server.kernels.base import Array

Mover = Callable[["Person", Scene, Motion, np.ndarray], Moved]
"""Moves a person's scene by the motion of N frames, to points (N, 70, 2 or 3)."""


class Photo(Protocol):
    """What an engine makes of a photo of one person."""

    image: np.ndarray
    matte: np.ndarray

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

    @property
    def driven_photo(self) -> DrivenPhoto:
        """See `Engine.driven_photo`."""
        # Nobody stands before the nearest, whose picture is the whole photo.
        return DrivenPhoto(
            self.people[-1].photo.image, np.maximum.reduce([person.photo.matte for person in self.people])
        )

    def frames(
        self, batches: Batches, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None,
        others: OtherFaces | None, mover: Mover,
    ) -> np.ndarray:  # fmt: skip
        """Frames as `Engine.render` draws them; arguments as it takes them. Who rests is the photo's own.

        Raises:
            PortraitError: BAD_POINTS.
        """

        def draw(people: Sequence[_InFrames], part: slice) -> Array:
            shown = [InFrame(each.scene, each.moved(part, mover) if each.moves else None) for each in people]
            return composite_people(batches.kernels, shown, part.stop - part.start, matte)

        return self._drawn(batches, points, len(points), size, body, others, draw)

    def layered(
        self, batches: Batches, points: np.ndarray, size: tuple[int, int], matte: bool, layers: Sequence[str],
        body: np.ndarray | None, others: OtherFaces | None, mover: Mover,
    ) -> np.ndarray:  # fmt: skip
        """Frames in layers as `Engine.render_layers` draws them; arguments as it takes them.

        Raises:
            PortraitError: BAD_POINTS.
        """
        count = len(points) if FOLLOWING.isdisjoint(layers) else len(points) // 2

        def draw(people: Sequence[_InFrames], part: slice) -> Array:
            moved = [each.moved(part, mover) for each in people]
            shown = [
                InFrame(each.scene, found if each.moves else None) for each, found in zip(people, moved, strict=True)
            ]
            following = [each.following(part) for each in people]
            return draw_people_layers(batches.kernels, shown, moved, following, layers, matte)

        return self._drawn(batches, points, count, size, body, others, draw)

    def _drawn(
        self, batches: Batches, points: np.ndarray, count: int, size: tuple[int, int], body: np.ndarray | None,
        others: OtherFaces | None, draw: Callable[[Sequence[_InFrames], slice], Array],
    ) -> np.ndarray:  # fmt: skip
        """What is drawn of N = `count` frames, those together in which the same people rest.

        Args:
            points, body, others: of N frames, or of 2 N, then of the frames that follow too.
            draw: makes some of such frames, finished, where the kernels have their pixels.
        """
        driven = self._driven(points, body, others)
        still = np.stack([each.still[:count] for each in driven], 1)
        frames: np.ndarray | None = None
        for pattern in np.unique(still, axis=0):
            chosen = np.flatnonzero((still == pattern).all(1))
            rows = chosen if count == len(points) else np.concatenate([chosen, chosen + count])
            people = [
                each.in_frames(batches, rows, len(chosen), size, not rests)
                for each, rests in zip(driven, pattern, strict=True)
            ]
            drawn = batches.frames(len(chosen), size[0] * size[1], partial(draw, people))
            if frames is None:
                frames = np.empty((count, *drawn.shape[1:]), drawn.dtype)
            frames[chosen] = drawn
        assert frames is not None
        return frames

    def _driven(self, points: np.ndarray, body: np.ndarray | None, others: OtherFaces | None) -> list[_Driven]:
        height, width = self.people[0].photo.image.shape[:2]
        others = checked_others(others, range(len(points)), (width, height), len(self.people) - 1)
        return [_Driven.of(person, points, body, others) for person in self.people]


@dataclass(frozen=True)
class _InFrames:
    """One person in N frames, in all or in none of which it moves.

    Attributes:
        scene: where the kernels have their pixels.
        motion: of N frames, or of 2 N: then of the frames that follow too.
        points: (N or 2 N, 70, 2 or 3).
        count: N.
        moves: else it rests, as the photo shows it.
    """

    person: Person
    scene: Scene
    motion: Motion
    points: np.ndarray
    count: int
    moves: bool

    def moved(self, part: slice, mover: Mover) -> Moved:
        return mover(self.person, self.scene, self.motion.only(part), self.points[part])

    def following(self, part: slice) -> Motion | None:
        if len(self.motion) == self.count:
            return None
        return self.motion.only(slice(part.start + self.count, part.stop + self.count))


@dataclass(frozen=True)
class _Driven:
    """What frames say of one person.

    Attributes:
        points: (T, 70, 2 or 3), where they can be drawn; body: (T, 2) or None.
        still: (T,) bool, whether it rests.
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

    def in_frames(
        self, batches: Batches, rows: np.ndarray, count: int, size: tuple[int, int], moves: bool
    ) -> _InFrames:
        """The person in some of the frames, the first `count` of which are drawn."""
        photo, portrait = self.person.photo, self.person.portrait
        scene = batches.layers(portrait, size, photo.scene_bytes(size), partial(portrait.scene, size))
        body = None if self.body is None else self.body[rows]
        motion = motion_of(scene, self.points[rows], body)
        return _InFrames(self.person, scene, motion, self.points[rows], count, moves)
