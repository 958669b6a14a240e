# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion of N frames: where each pixel comes from, how still it is, and where near skin folds over what is behind."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from portrait_server.drawing.folds import Folds
from portrait_server.drawing.grain import looked_up_sharply
from portrait_server.drawing.offsets import Raster, backward_offsets, sharpness
from portrait_server.drawing.opening import patches_around
from portrait_server.drawing.pull import Pull, farthest
from portrait_server.drawing.scene import Scene
from portrait_server.drawing.tiles import CLEAR, RIM, Part, Tiles
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES, MOUTH
from portrait_server.geometry.ramps import smoothstep
from portrait_server.geometry.raster import Window
from portrait_server.kernels.base import Array, Kernels, Look, Patches
from portrait_server.kernels.levels import held

_FIELD_CELLS = 512  # the longest side of the grid on which the motion is drawn
_DETAIL_CELLS = 2048  # and on that which is drawn again at openings
_STILL_PIXELS = 2.0  # of a 512-pixel frame: what moves by more shows nothing of the still photo
# Pixels, and a share of those: what moves by less looks up the pixel itself (places are rounded to 32nds), and is still.
_UNMOVED, _UNMOVED_SHARE = 0.015, 0.02
_STIRRED = 1e-4  # pixels: a vertex that moves by less has not moved
_STRIPS = 2  # of tiles, in one of what moves: fewer take longer than they save
# Strips are joined to so many pixels, and to so many more than they have.
_FEW, _JOINED, _JOINED_SHARE = 1 << 15, 1 << 17, 1.1
# Pixels, a part of the longest side more: what lies so far from a person is mixed into it by no later step, be it by the
# smoothing of folds or by painters, whose crops shrink.
_LEAST_AROUND, _AROUND_SHARE = 8, 32
_MARGIN = 4  # cells of the coarse grid around what moves, over which folds are smoothed


class Field:
    """Drawn on a coarse grid, and finely at the openings.

    Attributes:
        size: (width, height) of the frames.
        raster: which of the mesh's triangles, openings' last, the cells of the coarse grid show.
        coarse: (N, 2, rows, columns) offsets in pixels.
    """

    def __init__(self, kernels: Kernels, scene: Scene, vertices: np.ndarray, carried: np.ndarray) -> None:
        """Of a scene whose vertices (N, V, 3) are there, pixels of the frame and depth; pose and torso carried them so far."""
        self.kernels, self.size = kernels, scene.size
        self._vertices = vertices
        triangles = np.concatenate([scene.mesh.triangles, scene.mesh.openings])
        self._mesh = (scene.mesh.places * scene.scale, vertices[..., :2], vertices[..., 2], triangles)
        step = max(1.0, max(self.size) / _FIELD_CELLS)
        start = np.zeros(len(vertices), int)
        source, *mesh = self._mesh
        self.raster = Raster.drawn(kernels, Window.over(start, start, *self.size, step), *mesh)
        places = np.broadcast_to(source, vertices[..., :2].shape)
        self._functions = self.raster.functions(np.concatenate([places, carried], -1), held=True)
        stirred = (np.abs(vertices[..., :2] - source) > _STIRRED).any((0, 2))
        self.coarse = self.raster.evaluated(self._functions.only(slice(0, 2)), self.raster.holding(stirred))

    @property
    def cell(self) -> float:
        """Pixels of the frames in a cell of the coarse grid."""
        return self.size[0] / self.coarse.shape[-1]

    def carry(self, scene: Scene) -> tuple[Array, Array]:
        """The persons' colours (N, H, W, C) and mattes (N, H, W), moved; colours only as far as they are seen."""
        xp, kernels, count = array_namespace(self.coarse), self.kernels, len(self.coarse)
        person, alpha = (xp.repeat(layer[None], count, axis=0) for layer in (scene.person, scene.matte))
        for part in self._parts(scene, alpha):
            patches, (x, y) = part.patches, self.positions(part.patches)
            rows = slice(0, patches.height)
            for columns in part.mattes:
                # A matte is smooth: linearly, for a quarter of the time, it comes out the same.
                matte = kernels.looked_up(scene.matte[None], x[..., columns], y[..., columns], Look.LINEAR)
                kernels.laid(alpha, patches.part(rows, columns), held(matte, scene.matte.dtype))
            for columns in part.colours:
                colours = looked_up_sharply(kernels, scene.person[None], x[..., columns], y[..., columns], scene.grain)
                kernels.laid(person, patches.part(rows, columns), colours)
        if self.coarse.shape[:1:-1] != self.size:
            for upper, lower in (*EYES, MOUTH):
                self._refine(scene, person, self._vertices[:, [*upper, *lower], :2])
        return person, alpha

    def _parts(self, scene: Scene, alpha: Array) -> Iterable[Part]:
        """What must be looked up; of mattes (N, H, W) the rest is laid over them."""
        tiles = self._tiles
        if tiles is None:
            whole = slice(0, self.size[0])
            return [Part(Patches.whole(len(self.coarse), self.size), [whole], [whole])]
        moves, shown = tiles.move(self._least), tiles.shown(scene.cover)
        for rows, columns, matte in tiles.uniform(moves, shown):
            alpha[:, rows, columns] = matte
        seen = tiles.near(shown != CLEAR, _LEAST_AROUND + max(self.size) // _AROUND_SHARE)
        return tiles.parts(moves & (shown == RIM), moves & seen)

    @cached_property
    def _tiles(self) -> Tiles | None:
        """None on a device, which would have to be waited for."""
        return Tiles(self.coarse, self.size) if isinstance(self.coarse, np.ndarray) else None

    def _refine(self, scene: Scene, person: Array, rim: np.ndarray) -> None:
        kernels = self.kernels
        patches = patches_around(rim, 0.3 * np.ptp(rim[..., 0], axis=1), self.size)
        if not patches.there.any():
            return
        width, height = patches.width, patches.height
        window = Window.over(patches.x, patches.y, width, height, max(1.0, max(self.size) / _DETAIL_CELLS))
        source, target, depth, triangles = self._mesh
        near = triangles[self.raster.near(patches)]
        offsets = backward_offsets(kernels, window, source, target, depth, near)
        x, y = kernels.grid(patches)
        x = kernels.resized(offsets[:, 0], (width, height)) + x
        y = kernels.resized(offsets[:, 1], (width, height)) + y
        kernels.laid(person, patches, looked_up_sharply(kernels, scene.person[None], x, y, scene.grain))

    def carried(self, values: np.ndarray) -> Array:
        """Values (N, V, C) of the vertices, on the coarse grid: (N, C, rows, columns) float32; 0 where no mesh is."""
        return self.raster.offsets(np.concatenate([self._vertices[..., :2], values], -1), held=True)[:, 2:]

    def fine(self, plane: Array, patches: Patches) -> Array:
        """Planes of the coarse grid (N, rows, columns), at every pixel of patches: (N, height, width)."""
        return self.kernels.resized(plane, self.size, patches)

    def positions(self, patches: Patches) -> tuple[Array, Array]:
        """For each pixel of patches the place in the photo that it is taken from: x and y (N, height, width)."""
        x, y = self.kernels.grid(patches)
        right, down = (self.fine(self.coarse[:, axis], patches) for axis in (0, 1))
        if self.folds is not None and self.cell > 1:
            right, down = self._folding.redrawn(patches, right, down)
        return right + x, down + y

    @cached_property
    def moving(self) -> list[Patches]:
        """Patches of the frames outside of which nothing moves: the pixels are the photo's."""
        return joined(self.strips, _FEW)

    @cached_property
    def strips(self) -> list[Patches]:
        """The same in strips of the same rows whoever moves, so that those of several people can be laid together."""
        tiles = self._tiles
        if tiles is None:
            return [Patches.whole(len(self.coarse), self.size)]
        moves = tiles.move(self._least)
        for upper, lower in (*EYES, MOUTH):
            # In an opening the eye or the mouth's inside may move behind lids and lips that do not.
            rim = self._vertices[:, [*upper, *lower], :2]
            beside = 0.2 * float(np.ptp(rim[..., 0], axis=1).max())
            moves[tiles.hold(*(rim.min((0, 1)) - beside), *(rim.max((0, 1)) + beside))] = True
        return tiles.patches(moves, _MARGIN, _STRIPS)

    @property
    def folded(self) -> list[Patches]:
        """Patches of the frames outside of which nothing folds, see `folds`."""
        return self._folding.patches()

    @property
    def _least(self) -> float:
        """Pixels: what moves by less is still."""
        return min(_UNMOVED, _UNMOVED_SHARE * self._still)

    @property
    def _still(self) -> float:
        """Pixels: what moves by more shows nothing of the still photo."""
        return _STILL_PIXELS * max(self.size) / 512

    @cached_property
    def _distance(self) -> Array:
        """How far each cell moves along x or y, whichever is farther: (N, rows, columns) pixels."""
        return farthest(self.coarse)

    @cached_property
    def stillness(self) -> Array:
        """1 where nothing moves to 0 where it does, on the coarse grid: (N, rows, columns) float32."""
        return 1 - smoothstep(self._distance / self._still)

    @cached_property
    def pull(self) -> Pull:
        """What the skin pulls along of what lies beside it."""
        return Pull(self.kernels, self.size, self.raster, self._functions.only(slice(2, 4)), self.coarse, self._still)

    @cached_property
    def sharpness(self) -> Array:
        """Pixels of the photo in one of the frame, along the way that is drawn out the most; 1 where it is not drawn out.

        Returns:
            (N, rows, columns) float32, on the coarse grid.
        """
        return sharpness(self.coarse, self.cell)

    @property
    def folds(self) -> Array | None:
        """1 where near skin hides what lies behind it and the motion jumps, else 0, on the coarse grid.

        Returns:
            (N, rows, columns) float32; None where it is known that there is none.
        """
        return self._folding.share

    @cached_property
    def _folding(self) -> Folds:
        motion = self._functions.only(slice(0, 2))
        return Folds(self.kernels, self.size, self.raster, motion, self.coarse, self._tiles)


def joined(strips: list[Patches], most: int = _JOINED) -> list[Patches]:
    """Strips of frames, one below the other, as fewer of so many pixels at most, that hold hardly more together."""
    found: list[Patches] = []
    for strip in strips:
        last = found[-1] if found else strip
        (rows, columns), (above, beside) = strip.slices, last.slices
        left, right = min(columns.start, beside.start), max(columns.stop, beside.stop)
        pixels = (right - left) * (rows.stop - above.start)
        apart = strip.width * strip.height + last.width * last.height
        if above.stop == rows.start and pixels <= min(most, _JOINED_SHARE * apart):
            there = last.there | strip.there
            found[-1] = Patches(last.x - beside.start + left, last.y, right - left, rows.stop - above.start, there)
        else:
            found.append(strip)
    return found
