# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up person photographed: one moment, the camera, the picture in its aligned frame, and who finds the face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from portrait_server.corpora import detected
from portrait_server.corpora.assembly import View
from portrait_server.corpora.augment import tremble
from portrait_server.corpora.draft import middle, wide_side, widened
from portrait_server.corpora.rendered.lights import Light
from portrait_server.corpora.rendered.performance import Performance
from portrait_server.corpora.rendered.person import Person, Posed
from portrait_server.corpora.rendered.renderer import Renderer, camera_matrix
from portrait_server.corpora.rendered.surroundings import CANVAS
from portrait_server.geometry.alignment import aligned_transform, compose, crop, transform_points

_HEAD_PIXELS: Final = 9.0  # pixels of the made-up photograph a centimetre: a head of about 250
_MIDDLE: Final = np.full(2, CANVAS / 2)  # of that photograph


@dataclass(frozen=True)
class Studio:
    """Who is photographed, in what light, before what and from how far: what a sample's pictures have in common.

    Attributes:
        background: (CANVAS, CANVAS, 3) uint8.
        distance: from the camera, centimetres.
    """

    person: Person
    light: Light
    background: np.ndarray
    distance: float


@dataclass(frozen=True)
class Shot:
    """One moment of a person in an aligned frame of `side` pixels.

    Attributes:
        points: (70, 3) float32 landmarks, pixels of the frame.
        matrix: (2, 3) from the made-up photograph to the frame; background (2, 3) from the backdrop to it.
        focal: pixels of the photograph.
    """

    posed: Posed
    points: np.ndarray
    matrix: np.ndarray
    background: np.ndarray
    focal: float
    side: int

    def camera(self, *, wide: bool = False) -> np.ndarray:
        """(4, 4), into the frame or into its wide frame (`corpora.draft`)."""
        camera = camera_matrix(self.focal, _MIDDLE, self.matrix, self.side)
        if wide:
            camera[:2] *= self.side / wide_side(self.side)
        return camera

    def aligned_by(self, points: np.ndarray) -> tuple[Shot, np.ndarray]:
        """The same by other landmarks (70, 3) of its frame, and the affine (2, 3) from the old frame to the new."""
        turn = aligned_transform(points, self.side)
        return replace(
            self,
            points=transform_points(turn, points),
            matrix=compose(turn, self.matrix),
            background=compose(turn, self.background),
        ), turn


@dataclass(frozen=True)
class Picture:
    """What a shot shows.

    Attributes:
        image: (s, s, 3) uint8, alpha (s, s) float32: of the frame, or of its wide frame.
        mesh: (478, 3) a detector's, pixels of the frame; None where the landmarks are the true ones.
    """

    shot: Shot
    image: np.ndarray
    alpha: np.ndarray
    mesh: np.ndarray | None = None

    @property
    def frame_alpha(self) -> np.ndarray:
        """(S, S) float32, of the aligned frame."""
        return self.alpha if len(self.alpha) == self.shot.side else middle(self.alpha)

    @property
    def view(self) -> View:
        """The picture as samples have it."""
        matte = np.round(255 * self.alpha).astype(np.uint8)
        if len(matte) == self.shot.side:
            return View(self.image, matte, self.shot.points)
        return View.out_of((self.image, matte), self.shot.points, self.mesh)

    def as_detected(self) -> Picture | None:
        """The same, aligned by the landmarks that a detector finds in it; None where it finds no face."""
        size = self.image.shape[0]
        around = (size - self.shot.side) / 2
        step = np.array([around, around, 0], np.float32)
        found = detected.find(self.image, self.shot.points + step)
        if found is None:
            return None
        shot, turn = self.shot.aligned_by(found.points - step)
        back = np.array([[1, 0, -around], [0, 1, -around]], np.float32)
        moved = compose(turn, back) + np.array([[0, 0, around], [0, 0, around]], np.float32)
        image, alpha = (
            cv2.warpAffine(layer, moved, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for layer in (self.image, self.alpha)
        )
        return Picture(shot, image, np.clip(alpha, 0, 1), transform_points(turn, found.mesh - step))


def take(
    studio: Studio, moment: Performance, side: int, *, still: bool, trembling: bool, rng: np.random.Generator
) -> Shot:
    """A shot in the frame of its true landmarks.

    Args:
        still: the camera does not move against the backdrop.
        trembling: the landmarks are as inexact as a detector's.
    """
    posed = studio.person.posed(moment, studio.distance)
    focal = _HEAD_PIXELS * studio.distance
    landmarks = posed.landmarks
    flat = landmarks[:, :2] / landmarks[:, 2:] * focal + _MIDDLE
    pixels = np.column_stack([flat, (landmarks[:, 2] - studio.distance) * _HEAD_PIXELS])
    seen = pixels + tremble(pixels, rng) if trembling else pixels
    matrix = aligned_transform(seen, side)
    background = np.eye(2, 3)
    if not still:
        background[:, 2] = rng.normal(0, 12, 2)
    points = transform_points(matrix, seen).astype(np.float32)
    return Shot(posed, points, matrix, compose(matrix, background), focal, side)


def draw(renderer: Renderer, studio: Studio, shot: Shot, *, wide: bool) -> Picture:
    """The picture, in the shot's frame or in its wide frame."""
    size = wide_side(shot.side) if wide else shot.side
    drawn = renderer.picture(studio.person, shot.posed, shot.camera(wide=wide), studio.light, size)
    backdrop = widened(shot.background, shot.side) if wide else shot.background
    behind = crop(studio.background, backdrop, size).astype(np.float32)
    image = np.round(drawn.color + behind * (1 - drawn.alpha[..., None])).clip(0, 255).astype(np.uint8)
    return Picture(shot, image, drawn.alpha)
