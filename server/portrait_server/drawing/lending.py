# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels that a photo does not show, lent by another picture to vertices of a moved mesh as they come into view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_server.drawing.offsets import Raster
from portrait_server.drawing.opening import patches_around, planes
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.raster import Window
from portrait_server.kernels.base import Array, Kernels, Look, Patches, Slices
from portrait_server.kernels.levels import held
from portrait_server.kernels.one_frame import runs

LEAST: float = 0.05
"""A smaller share is not seen."""
_CELLS = 512  # the longest side of the frame's grid, as the motion's
_STRIP_ROWS, _STRIP_PIXELS = 32, 1 << 13  # at least, in which what is lent is looked for: it is a rim of the head
# Of what is there then: less that is lent changes no colour and no matte by half a level.
_UNSEEN = 0.0019
_BEYOND = 7  # cells, how wide what is drawn out of a photo's edge may lie around the mesh
_EDGE = 0.008  # in face sizes, softness of what is lent


@dataclass(frozen=True)
class Lender:
    """What lends.

    Attributes:
        colours: (h, w, 3 or 4).
        start: (2,) where their first pixel lies in the reference, pixels of the frame.
        places: (V, 2) where each vertex takes its colour from, pixels of the frame.
        triangles: (T, 3); those that lend nothing hide what they are in front of.
        nothing: (h, w), of the colours' type, how far they show nothing at all, so that what lies behind is seen; or None.
        among: (M,) bool, which of a whole mesh's triangles those are; None where they are of no other.
        soft: softness of the edge of what is lent, pixels of the frame where the head is as large as in the reference.
    """

    colours: Array
    start: np.ndarray
    places: np.ndarray
    triangles: np.ndarray
    soft: float
    among: np.ndarray | None = None
    nothing: Array | None = None

    def placed(self, kernels: Kernels) -> Lender:
        """The same with its pixels where the kernels have theirs."""
        nothing = None if self.nothing is None else kernels.placed(self.nothing)
        return replace(self, colours=kernels.placed(self.colours), nothing=nothing)

    def lend(
        self,
        kernels: Kernels,
        person: Array,
        alpha: Array,
        share: np.ndarray,
        moved: np.ndarray,
        scale: np.ndarray,
        behind: np.ndarray | None = None,
        raster: Raster | None = None,
        bare: np.ndarray | None = None,
    ) -> tuple[Patches, Array] | None:
        """Draws over moved persons, in place.

        Args:
            person: (N, H, W, 3 or 4); alpha: (N, H, W), its matte.
            share: (N, V) how far each vertex is lent; moved: (N, V, 3) where it is, pixels of the frame, and depth.
            scale: (N,) how much larger the head is than in the reference.
            behind: (N, V) how far what is lent also lies behind the person there, where its matte has holes; no less
                than the share.
            raster: in which the whole mesh has been drawn already.
            bare: (N,) how far that shows nothing which is said to be nothing; none of it where None.

        Returns:
            how far each pixel of a patch is lent, (N, height, width) float32; None where nothing is.
        """
        size, soft = (alpha.shape[2], alpha.shape[1]), self.soft * scale
        lent = share if behind is None else behind
        if lent.max() < LEAST:
            return None
        steps = None if raster is None else raster.steps(size)
        patches = _patches_of(lent, moved[..., :2], self.triangles, 3 * soft + 2, size, steps or (1, 1))
        if not patches.there.any():
            return None
        share = share * patches.there[:, None]
        width, height = patches.width, patches.height
        if raster is not None and steps is not None and self.among is not None:
            raster = raster.part(patches, self.among)
        else:
            window = Window.over(patches.x, patches.y, width, height, max(1.0, max(size) / _CELLS))
            raster = Raster.drawn(kernels, window, moved[..., :2], moved[..., 2], self.triangles)
        places = np.broadcast_to(self.places, (*share.shape, 2))
        values = [share] if behind is None else [share, behind]
        carried = np.concatenate([places, np.stack(values, -1)], -1)
        offsets = raster.offsets(carried)
        # Clipped, for slivers overshoot; and ended inside the mesh, for beside it there is no place to take it from.
        sigma = np.maximum(1.0, soft / raster.window.step_x)
        xp = array_namespace(offsets)
        inside = xp.astype(raster.ids > 0, xp.uint8)
        # A cell that no triangle covers, as happens between two of them, would be a hole as wide as that end, for a frame.
        inside = kernels.shrunk(kernels.grown(inside, 3), 2 + 2 * np.ceil(2 * sigma).astype(int) + 1)
        lent = kernels.blurred(offsets[:, 2].clip(0, 1) * inside, sigma)
        (there,) = planes(kernels, patches.there)
        gone = self._gone(kernels, raster, offsets, bare)
        back = None if behind is None else kernels.blurred(offsets[:, 3].clip(0, 1) * inside, sigma)
        lent = kernels.resized(lent, (width, height)) * there
        none, least = np.zeros(len(share), int), _UNSEEN if person.dtype == xp.uint8 else 0.0
        # Some rows at a time, for what is lent is a rim of the head.
        for rows in kernels.strips(height, max(_STRIP_ROWS, _STRIP_PIXELS // width)):
            strip = Patches(none, none + rows.start, width, rows.stop - rows.start, patches.there)
            mine = lent[:, rows]
            own = (1 - mine) * (kernels.taken(alpha, patches.part(rows, slice(0, width))) * np.float32(1 / 255))
            covered = mine + own
            if back is not None:
                behind_it = kernels.resized(back, (width, height), strip) * there
                covered = covered + behind_it * (1 - mine - own).clip(0, None)
            changed = covered - own > least * covered
            if gone is not None:
                less, own_less = (kernels.resized(gone[:, number], (width, height), strip) for number in (0, 1))
                changed = changed | (own * own_less > least)
                covered, own = (covered - own) * (1 - less), own * (1 - own_less)
                covered = covered + own
            self._lay(kernels, person, alpha, patches, strip, own, covered, changed, offsets)
        return patches, lent

    def _gone(self, kernels: Kernels, raster: Raster, offsets: Array, bare: np.ndarray | None) -> Array | None:
        """How far what is lent shows nothing, and how far the person does not either: (N, 2, rows, columns) of the grid.

        What the photo hardly shows of such a place is its own edge, drawn out, and that goes on a little beyond the mesh.
        None where there is no such place.
        """
        if self.nothing is None or bare is None or not bare.any():
            return None
        xp = array_namespace(offsets)
        x, y = (xp.astype(kernels.put(axis), xp.float32) for axis in raster.window.centres)
        right = offsets[:, 0] + (x[:, None] - float(self.start[0]))
        down = offsets[:, 1] + (y[:, :, None] - float(self.start[1]))
        (there,) = planes(kernels, bare)
        nothing = xp.astype(kernels.looked_up(self.nothing[None], right, down, Look.LINEAR), xp.float32) / 255 * there
        drawn_out = kernels.grown(nothing * offsets[:, 2].clip(0, 1) * xp.astype(raster.ids > 0, xp.float32), _BEYOND)
        return xp.stack([nothing, drawn_out], axis=1)

    def _lay(
        self, kernels: Kernels, person: Array, alpha: Array, patches: Patches, strip: Patches, own: Array,
        covered: Array, changed: Array, offsets: Array,
    ) -> None:  # fmt: skip
        """Lays colours over a strip of patches of persons and their matte, in place.

        Args:
            strip: in pixels of the patches.
            own: (N, rows, width) how far a person is there; covered: with what is lent; changed: bool, where that is to be
                laid.
            offsets: (N, 2 or more, rows, columns) along x and y to where each is taken from, on a grid.
        """
        size = patches.width, patches.height
        for rows, columns in _parts(kernels, changed):
            within = strip.part(rows, columns)
            part, there = patches.part(*within.slices), covered[:, rows, columns]
            mixed = (there - own[:, rows, columns]) / there.clip(1e-3, None)
            x, y = kernels.grid(part)
            right = kernels.resized(offsets[:, 0], size, within) + (x[:, :1] - float(self.start[0]))
            down = kernels.resized(offsets[:, 1], size, within) + (y[:, :, :1] - float(self.start[1]))
            seen = kernels.looked_up(self.colours[None], right, down)
            kernels.laid(person, part, kernels.mixed(kernels.taken(person, part), seen, mixed))
            kernels.laid(alpha, part, held(255 * there, alpha.dtype))


def _parts(kernels: Kernels, planes: Array) -> list[Slices]:
    """Rows and columns that hold all that is not 0 in planes (N, h, w) bool; on the processor as few columns as there are."""
    found = kernels.touched(planes)
    if not found.there.any():
        return []
    rows, columns = found.slices
    if not isinstance(planes, np.ndarray) or len(planes) > 1:
        return [(rows, columns)]
    across = runs(planes[0, rows, columns].any(0))
    return [(rows, slice(columns.start + part.start, columns.start + part.stop)) for part in across]


def edge_softness(face_size: float, scale: np.ndarray) -> float:
    """`Lender.soft` for a face of so many pixels of the reference; scale (2,) pixels of the frame in one of them."""
    return _EDGE * face_size * float(scale.min())


def _patches_of(
    share: np.ndarray, moved: np.ndarray, triangles: np.ndarray, margin: np.ndarray, size: tuple[int, int],
    steps: tuple[int, int],
) -> Patches:  # fmt: skip
    """The patches of frames (width, height) in which vertices (N, V, 2) are lent by a share (N, V)."""
    a, b, c = triangles.T
    ends, some = np.repeat(moved[:, :1], 2, axis=1), False
    for (least, most), lent, at in zip(ends, share > 0, moved, strict=True):
        used = np.flatnonzero(lent[a] | lent[b] | lent[c])
        if len(used):
            points, some = at.take(triangles.take(used, axis=0).ravel(), axis=0), True
            least[:], most[:] = points.min(0), points.max(0)
    return patches_around(ends, margin, size, steps).only((share.max(1) >= LEAST) & some)
