# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of rendered heads: flow, visibility, matte and landmarks are exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from portrait_server.corpora.augment import degraded, random_colors, tremble
from portrait_server.corpora.draft import draw_draft, middle, wide_side, widened
from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.performance import random_performance
from portrait_server.corpora.rendered.person import Person, Posed
from portrait_server.corpora.rendered.regions import Regions, regions_of
from portrait_server.corpora.rendered.renderer import Drawn, Renderer, camera_matrix
from portrait_server.corpora.rendered.skins import Fit, fit_head, skin_from
from portrait_server.corpora.rendered.surroundings import CANVAS, random_background, random_light
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, Faces
from portrait_server.networks.alignment import aligned_transform, compose, crop, inverse, transform_points

_PEOPLE: Final = 20_000
_PHOTOGRAPHED: Final = 0.75  # share of people with a photograph as skin
_LEAST_COLOR: Final = 0.15  # how far a skin's channels differ, against the strongest
_PIXEL_CENTIMETRES: Final = 40.0  # on the head, of a pixel of a frame with one pixel a side
_HEAD_PIXELS: Final = 9.0  # pixels of the made-up photograph a centimetre: a head of about 250
_EYE_MARGIN: Final = 0.02  # sides of the frame


@dataclass(frozen=True)
class _Shot:
    """One picture of a person: the pose, and the camera that draws it in its aligned frame."""

    posed: Posed
    points: np.ndarray
    matrix: np.ndarray
    background: np.ndarray
    camera: np.ndarray

    def wide(self, side: int) -> _Shot:
        """The same in its wide frame (`corpora.draft`)."""
        camera = self.camera.copy()
        camera[:2] *= side / wide_side(side)
        return replace(self, background=widened(self.background, side), camera=camera)


class RenderedHeads(Corpus):
    """Made-up people, drawn on the fly.

    The eyes' colours are marked as no example (`color_weight`): a painted eyeball is not yet a real one.
    """

    identities = _PEOPLE

    def __init__(
        self, model: HeadModel, photographs: Path | None = None, *, augmented: bool = True, drafts: bool = True
    ) -> None:
        """
        Args:
            photographs: shards of portraits (`portrait corpus build photos`): skin for most heads, and backgrounds.
            augmented: change colours, degrade references, mirror, and let landmarks tremble.
            drafts: draw them, for networks that want one.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._model = model
        self._photographs = None if photographs is None else Faces(photographs)
        self._fits: dict[int, Fit] = {}
        self._augmented, self._drafts = augmented, drafts

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer()

    @cached_property
    def _regions(self) -> Regions:
        return regions_of(self._model)

    def __getstate__(self) -> dict[str, Any]:
        # An OpenGL context belongs to one process.
        return {name: value for name, value in self.__dict__.items() if name != "_renderer"}

    def person(self, identity: int) -> Person:
        """The person with the given number."""
        rng = np.random.default_rng((2019, identity))
        skin = None
        if self._photographs is not None and rng.random() < _PHOTOGRAPHED:
            number = int(rng.integers(len(self._photographs)))
            face = self._photographs.read(number)
            skin = skin_from(face, self._fit(number, face), self._model, self._regions)
            # A photograph without colours would meet coloured eyes and lips.
            skin = skin if np.ptp(skin.color) > _LEAST_COLOR * skin.color.max() else None
        return Person(self._model, self._regions, skin, rng)

    def _fit(self, number: int, face: Face) -> Fit:
        # Small, and slow to find: one for each photograph is kept.
        if number not in self._fits:
            self._fits[number] = fit_head(self._model, face.points)
        return self._fits[number]

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        person = self.person(identity)
        light = random_light(rng)
        background = random_background(rng, self._photograph(rng))
        distance = rng.uniform(70, 220)
        still = rng.random() < 0.8
        shots = [self._shot(person, distance, still, side, rng) for _ in range(references + 1)]
        target, *others = shots
        drawn = [self._renderer.picture(person, shot.posed, shot.camera, light, side) for shot in (target, *others[1:])]
        pictures = [_over(one, background, shot, side) for one, shot in zip(drawn, (target, *others[1:]), strict=True)]
        first, size = others[0].wide(side), wide_side(side)
        around = self._renderer.picture(person, first.posed, first.camera, light, size)
        wide = _over(around, background, first, size)
        if self._augmented:
            colors = random_colors(rng)
            pictures = [colors.apply(picture) for picture in pictures]
            wide = degraded(colors.apply(wide), rng)
            pictures[1:] = [degraded(picture, rng) for picture in pictures[1:]]
        pictures.insert(1, middle(wide))
        alphas = [one.alpha for one in drawn]
        alphas.insert(1, middle(around.alpha))
        flow, visibility, part = self._way(person, target, others[-1], alphas[-1], side)
        mattes = [np.round(255 * alpha).astype(np.uint8) for alpha in alphas]
        wide_matte = np.round(255 * around.alpha).astype(np.uint8)
        to_target = compose(target.matrix, inverse(others[0].matrix))
        sample = Sample(
            references=np.stack(pictures[1:]),
            reference_points=np.stack([shot.points for shot in others]),
            target=pictures[0],
            target_points=target.points,
            identity=identity,
            matte=mattes[0],
            reference_mattes=np.stack(mattes[1:]),
            draft=draw_draft(wide, wide_matte, others[0].points, None, target.points, to_target)
            if self._drafts
            else None,
            flow=flow,
            visibility=visibility,
            color_weight=_away_from_eyes(part, side),
        )
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample

    def _photograph(self, rng: np.random.Generator) -> np.ndarray | None:
        if self._photographs is None or rng.random() < 0.5:
            return None
        return self._photographs.read(int(rng.integers(len(self._photographs)))).image

    def _shot(self, person: Person, distance: float, still: bool, side: int, rng: np.random.Generator) -> _Shot:
        posed = person.posed(random_performance(rng), distance)
        focal = _HEAD_PIXELS * distance
        middle = np.full(2, CANVAS / 2)
        landmarks = posed.landmarks
        pixels = np.column_stack(
            [landmarks[:, :2] / landmarks[:, 2:] * focal + middle, (landmarks[:, 2] - distance) * _HEAD_PIXELS]
        )
        seen = pixels + tremble(pixels, rng) if self._augmented else pixels
        matrix = aligned_transform(seen, side)
        background = np.eye(2, 3)
        if not still:
            background[:, 2] = rng.normal(0, 12, 2)
        return _Shot(
            posed,
            transform_points(matrix, seen).astype(np.float32),
            matrix,
            compose(matrix, background),
            camera_matrix(focal, middle, matrix, side),
        )

    def _way(
        self, person: Person, target: _Shot, reference: _Shot, alpha: np.ndarray, side: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flow (S, S, 2), visibility (S, S) uint8, and the part (S, S) that each pixel of the target shows."""
        draw = self._renderer.places
        place, surface = draw(person, target.posed, reference.posed, target.camera, reference.camera, side)
        _, there = draw(person, reference.posed, reference.posed, reference.camera, reference.camera, side)
        somebody = surface[..., 3] > 0
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).astype(np.float32)
        behind = cv2.transform(grid, compose(reference.background, inverse(target.background)))
        flow = np.where(somebody[..., None], place, behind).astype(np.float32)
        inside = ((flow > -0.5) & (flow < side - 0.5)).all(-1)
        at = flow.clip(-2, side + 1)
        found = cv2.remap(there, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        part = cv2.remap(there[..., 3], at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        same = np.linalg.norm(found[..., :3] - surface[..., :3], axis=-1) < _PIXEL_CENTIMETRES / side
        alpha = cv2.remap(alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        visible = inside & np.where(somebody, same & (part == surface[..., 3]), alpha < 0.5)
        return flow, visible.astype(np.uint8) * 255, surface[..., 3].astype(np.int16) - 1


def _over(drawn: Drawn, background: np.ndarray, shot: _Shot, side: int) -> np.ndarray:
    behind = crop(background, shot.background, side).astype(np.float32)
    return np.round(drawn.color + behind * (1 - drawn.alpha[..., None])).clip(0, 255).astype(np.uint8)


def _away_from_eyes(part: np.ndarray, side: int) -> np.ndarray:
    """(S, S) uint8, 0 at eyeballs and just around them."""
    eyes = (part == Part.EYE).astype(np.uint8)
    reach = max(1, round(_EYE_MARGIN * side))
    eyes = cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    return 255 - cv2.GaussianBlur(eyes * 255, (0, 0), reach / 2)
