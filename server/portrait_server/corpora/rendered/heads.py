# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of rendered heads: flow, visibility and matte are exact; landmarks are so too, or a detector's."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from portrait_server.corpora.assembly import assemble
from portrait_server.corpora.augment import degraded, random_colors
from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.lights import Light, Places, random_light
from portrait_server.corpora.rendered.performance import random_performance
from portrait_server.corpora.rendered.person import Person
from portrait_server.corpora.rendered.renderer import Renderer
from portrait_server.corpora.rendered.shots import Picture, Shot, Studio, draw, take
from portrait_server.corpora.rendered.skin_regions import Regions, regions_of
from portrait_server.corpora.rendered.skins import Fit, fit_head, skin_from
from portrait_server.corpora.rendered.surroundings import random_background
from portrait_server.corpora.rendered.wardrobe import Wardrobe
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, Faces
from portrait_server.geometry.alignment import compose, inverse, pixel_grid

_PEOPLE: Final = 20_000
_SEED, _HELD_OUT_SEED = 2019, 2020  # of who they are
_PHOTOGRAPHED: Final = 0.75  # share of people with a photograph as skin
_LEAST_COLOR: Final = 0.15  # how far a skin's channels differ, against the strongest
_PIXEL_CENTIMETRES: Final = 40.0  # on the head, of a pixel of a frame with one pixel a side
_EYE_MARGIN: Final = 0.02  # sides of the frame
_PAINTED_EYE: Final = 128  # of 255: how much an eyeball's colour counts
_NOT_CARRIED: Final = (Part.EYE, Part.MOUTH, Part.GUMS, Part.TEETH, Part.CLOTH)  # no landmark tells how clothes move
_REFERENCE_TURN: Final = 0.5  # of a target's: people mostly face the camera when they are photographed
_TRIES: Final = 8  # pictures are drawn until the detector finds the face in one, at most so many


class RenderedHeads(Corpus):
    """Made-up people, drawn on the fly.

    Open eyes count less (`color_weight`): they are painted, and networks shall not learn to draw them so. Shut lids are
    skin and count as such.
    """

    identities = _PEOPLE

    def __init__(
        self,
        model: HeadModel,
        photographs: Path | None = None,
        *,
        hairs: Path | None = None,
        panoramas: Path | None = None,
        augmented: bool = True,
        detected: bool = False,
        held_out: bool = False,
    ) -> None:
        """
        Args:
            photographs: shards of portraits (`portrait corpus build photos`): skin for most heads, and backgrounds.
            hairs: MakeHuman's meshes (`Wardrobe.load`); None for shells of hair.
            panoramas: a folder of Radiance files (.hdr), the light of half of the pictures; None for lamps alone.
            augmented: change colours, degrade references, mirror, and let landmarks tremble.
            detected: landmarks and mesh are those that a detector finds in the pictures (`corpora.detected`).
            held_out: other people, none of whom is drawn without it.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._model = model
        self._photographs = None if photographs is None else Faces(photographs)
        self._wardrobe = None if hairs is None else Wardrobe.load(hairs)
        self._places = None if panoramas is None else Places(panoramas)
        self._fits: dict[int, Fit] = {}
        self._augmented, self._detected = augmented, detected
        self._seed = _HELD_OUT_SEED if held_out else _SEED

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
        rng = np.random.default_rng((self._seed, identity))
        skin = None
        if self._photographs is not None and rng.random() < _PHOTOGRAPHED:
            number = int(rng.integers(len(self._photographs)))
            face = self._photographs.read(number)
            skin = skin_from(face, self._fit(number, face), self._model, self._regions)
            # A black-and-white photograph as skin would not go with the coloured eyes and lips.
            skin = skin if np.ptp(skin.color) > _LEAST_COLOR * skin.color.max() else None
        return Person(self._model, self._regions, skin, rng, self._wardrobe)

    def _fit(self, number: int, face: Face) -> Fit:
        # Small, and slow to find: one for each photograph is kept.
        if number not in self._fits:
            self._fits[number] = fit_head(self._model, face.points)
        return self._fits[number]

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        person = self.person(identity)
        studio = Studio(person, self._light(rng), random_background(rng, self._photograph(rng)), rng.uniform(70, 220))
        still = rng.random() < 0.8
        colors = random_colors(rng) if self._augmented else None

        def taken(*, as_reference: bool, wide: bool = False) -> Picture:
            for _ in range(_TRIES):
                picture = self._taken(studio, side, still, _REFERENCE_TURN if as_reference else 1.0, wide, rng)
                image = picture.image if colors is None else colors.apply(picture.image)
                picture = replace(picture, image=degraded(image, rng) if as_reference and self._augmented else image)
                found = picture.as_detected() if self._detected else picture
                if found is not None:
                    return found
            return picture  # with its true landmarks

        # The first reference is taken in its wide frame, for the draft.
        target, first = taken(as_reference=False), taken(as_reference=True, wide=True)
        pictures = [first, *(taken(as_reference=True) for _ in range(references - 1))]
        views = [picture.view for picture in pictures]
        for number in {0, references - 1}:
            flow, visibility, part = self._flow_to(person, target.shot, pictures[number])
            views[number] = views[number].with_flow(flow, visibility)
        sample = assemble(
            target.view,
            views,
            identity,
            to_target=compose(target.shot.matrix, inverse(first.shot.matrix)),
            carried=255 * (~np.isin(part, _NOT_CARRIED)).astype(np.uint8),
            color_weight=_eyes_count_less(part, side),
        )
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample

    def _taken(
        self, studio: Studio, side: int, still: bool, turned: float, wide: bool, rng: np.random.Generator
    ) -> Picture:
        trembling = self._augmented and not self._detected
        shot = take(studio, random_performance(rng, turned), side, still=still, trembling=trembling, rng=rng)
        return draw(self._renderer, studio, shot, wide=wide)

    def _light(self, rng: np.random.Generator) -> Light:
        if self._places is None or rng.random() < 0.5:
            return random_light(rng)
        return self._places.light(rng)

    def _photograph(self, rng: np.random.Generator) -> np.ndarray | None:
        if self._photographs is None or rng.random() < 0.5:
            return None
        return self._photographs.read(int(rng.integers(len(self._photographs)))).image

    def _flow_to(self, person: Person, target: Shot, picture: Picture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flow (S, S, 2), visibility (S, S) uint8, and the part (S, S) that each pixel of the target shows."""
        draw, reference, side = self._renderer.places, picture.shot, target.side
        cameras = target.camera(), reference.camera()
        place, surface = draw(person, target.posed, reference.posed, *cameras, side)
        _, there = draw(person, reference.posed, reference.posed, cameras[1], cameras[1], side)
        somebody = surface[..., 3] > 0
        behind = cv2.transform(pixel_grid(side), compose(reference.background, inverse(target.background)))
        flow = np.where(somebody[..., None], place, behind).astype(np.float32)
        inside = ((flow > -0.5) & (flow < side - 0.5)).all(-1)
        at = flow.clip(-2, side + 1)
        found = cv2.remap(there, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        part = cv2.remap(there[..., 3], at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        same = np.linalg.norm(found[..., :3] - surface[..., :3], axis=-1) < _PIXEL_CENTIMETRES / side
        alpha = cv2.remap(picture.frame_alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        visible = inside & np.where(somebody, same & (part == surface[..., 3]), alpha < 0.5)
        return flow, visible.astype(np.uint8) * 255, surface[..., 3].astype(np.int16) - 1


def _eyes_count_less(part: np.ndarray, side: int) -> np.ndarray:
    """(S, S) uint8, `_PAINTED_EYE` at eyeballs and just around them, 255 elsewhere."""
    eyes = (part == Part.EYE).astype(np.uint8)
    reach = max(1, round(_EYE_MARGIN * side))
    eyes = cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    return 255 - cv2.GaussianBlur(eyes * np.uint8(255 - _PAINTED_EYE), (0, 0), reach / 2)
