# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a sample together from pictures of one person, whether photographed, filmed, warped or rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from portrait_server.corpora.augment import Colors, degraded, random_colors
from portrait_server.corpora.draft import draw_draft, middle, wide_side, widened
from portrait_server.corpora.sample import Sample
from portrait_server.corpora.shards import Face
from portrait_server.geometry.alignment import aligned_transform, crop, transform_points


@dataclass(frozen=True)
class View:
    """One picture of a person in its aligned frame, S pixels a side.

    Attributes:
        image: (S, S, 3) uint8 RGB; matte (S, S) uint8.
        points: (70, 3) float32, pixels of the frame.
        mesh: (468 or 478, 3) float32, MediaPipe's, likewise; None for the mean face laid on the points.
        wide: (W, W, 3) and (W, W) uint8, image and matte in the wide frame (`corpora.draft`): what a first reference
            needs for its draft.
        flow, visibility: as of `Sample`, where the target's pixels are in this view; None where that is unknown.
    """

    image: np.ndarray
    matte: np.ndarray
    points: np.ndarray
    mesh: np.ndarray | None = None
    wide: tuple[np.ndarray, np.ndarray] | None = None
    flow: np.ndarray | None = None
    visibility: np.ndarray | None = None

    @classmethod
    def out_of(cls, wide: tuple[np.ndarray, np.ndarray], points: np.ndarray, mesh: np.ndarray | None) -> View:
        """What a wide frame shows in its middle."""
        image, matte = wide
        return cls(middle(image), middle(matte), points, mesh, wide)

    def with_flow(self, flow: np.ndarray | None, visibility: np.ndarray | None) -> View:
        """The same with another flow from the target."""
        return replace(self, flow=flow, visibility=visibility)


def wide_frame(face: Face, matrix: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and matte of a photograph in the wide frame around an aligned one, into which `matrix` (2, 3) leads."""
    around, size = widened(matrix, side), wide_side(side)
    return crop(face.image, around, size), crop(face.matte, around, size)


def aligned_face(face: Face, side: int, points: np.ndarray | None = None, *, wide: bool = False) -> View:
    """A photograph aligned by its landmarks, or by other ones (70, 3), which it then has; with `wide` in both frames."""
    seen = face.points if points is None else points
    matrix = aligned_transform(seen, side)
    return View(
        crop(face.image, matrix, side),
        crop(face.matte, matrix, side),
        transform_points(matrix, seen),
        transform_points(matrix, face.mesh),
        wide_frame(face, matrix, side) if wide else None,
    )


def recolored(target: View, references: Sequence[View], rng: np.random.Generator) -> tuple[View, list[View]]:
    """All in other colours, the same for all; references also as soft and noisy as pictures come."""
    colors = random_colors(rng)
    return replace(target, image=colors.apply(target.image)), [_as_it_comes(view, colors, rng) for view in references]


def _as_it_comes(view: View, colors: Colors, rng: np.random.Generator) -> View:
    if view.wide is None:
        return replace(view, image=degraded(colors.apply(view.image), rng))
    image, matte = view.wide
    image = degraded(colors.apply(image), rng)
    return replace(view, image=middle(image), wide=(image, matte))


def assemble(
    target: View,
    references: Sequence[View],
    identity: int,
    *,
    to_target: np.ndarray | None = None,
    carried: np.ndarray | None = None,
    color_weight: np.ndarray | None = None,
) -> Sample:
    """The sample of a target and its references.

    Args:
        to_target: (2, 3) from the first reference's aligned frame to the target's, for what keeps its place; None where
            nobody knows how far the camera moved, and the frames are laid on each other.
        carried, color_weight: as of `Sample`.
    """
    first, last = references[0], references[-1]
    if first.wide is None:
        raise ValueError("a draft is drawn of the first reference's wide frame")
    still = np.eye(2, 3) if to_target is None else to_target
    draft = draw_draft(*first.wide, first.points, first.mesh, target.points, still)
    return Sample(
        references=np.stack([view.image for view in references]),
        reference_points=np.stack([view.points for view in references]),
        target=target.image,
        target_points=target.points,
        identity=identity,
        matte=target.matte,
        reference_mattes=np.stack([view.matte for view in references]),
        draft=draft,
        flow=last.flow,
        visibility=last.visibility,
        carried=carried,
        color_weight=color_weight,
    )
