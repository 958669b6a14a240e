# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on pixels that drawing is made of, for N frames at a time.

Drawing is written once, with these and with plain arithmetic on arrays (`geometry.arrays.array_namespace`). On the
processor it runs frame by frame (N = 1), each frame's patches as large as they must be; on a device whole batches at
a time, the patches of a batch all as large as its largest. The numbers that say where things go are computed for a
whole batch in NumPy (`drawing`), and reach the device by `Kernels.put`.

Pictures are (N, H, W, C), planes (N, H, W); those of a reference alone, the same for all frames, have N = 1. Colours
and mattes are held as `kernels.levels` says. Positions are pixels, of pixel centres: the first pixel of a row is at 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

import numpy as np

SHIFT: Final = 4
"""Fractional bits of polygons' corners, as `cv2.fillPoly` takes them."""
_FAR: Final = 1 << 14  # pixels: what OpenCV computes with must not overflow

Array: TypeAlias = Any
"""NumPy's array, or a torch tensor."""
Slices: TypeAlias = tuple[slice, slice]
"""Rows and columns."""


class Look(Enum):
    """How a picture is looked up between its pixels."""

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"
    LANCZOS = "lanczos"  # over 8 pixels


@dataclass(frozen=True)
class Patches:
    """A rectangle of each of N frames, all of one size.

    Attributes:
        x, y: (N,) int, its first pixel.
        width, height: pixels.
        there: (N,) bool, whether the frame has one: where not, nothing that was drawn in it may be shown.
        own: (N, 4) left, top, right and bottom of the part that is the frame's own, where it would do with a smaller
            rectangle than others of the batch; None where all of it is.
    """

    x: np.ndarray
    y: np.ndarray
    width: int
    height: int
    there: np.ndarray
    own: np.ndarray | None = None

    @classmethod
    def whole(cls, count: int, size: tuple[int, int], rows: slice | None = None) -> Patches:
        """All of so many frames of (width, height), or rows of them."""
        rows = rows or slice(0, size[1])
        first = np.zeros(count, int)
        return cls(first, first + rows.start, size[0], rows.stop - rows.start, np.ones(count, bool))

    def covers(self, size: tuple[int, int]) -> bool:
        """Whether each is a whole frame of (width, height)."""
        return (self.width, self.height) == size

    def fixed_points(self, points: np.ndarray) -> np.ndarray:
        """Points (N, …, 2) in pixels of the frame, as int32 of `SHIFT` fractional bits, counted from the first pixel."""
        first = np.stack([self.x, self.y], -1).reshape(len(points), *[1] * (points.ndim - 2), 2)
        return np.round(np.clip(points - first, -_FAR, _FAR) * (1 << SHIFT)).astype(np.int32)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of patches that lie alike in all frames."""
        x, y = int(self.x[0]), int(self.y[0])
        return slice(y, y + self.height), slice(x, x + self.width)

    def part(self, rows: slice, columns: slice) -> Patches:
        """Some rows and columns of each."""
        x, y = self.x + columns.start, self.y + rows.start
        width, height = columns.stop - columns.start, rows.stop - rows.start
        own = self.own
        if own is not None:
            own = np.clip(own, np.stack([x, y, x, y], -1), np.stack([x + width, y + height] * 2, -1))
        return Patches(x, y, width, height, self.there, own)

    def only(self, chosen: np.ndarray) -> Patches:
        """The same where chosen (N,), elsewhere not there."""
        return Patches(self.x, self.y, self.width, self.height, self.there & chosen, self.own)


class Kernels(ABC):
    """What both implementations do. Results are new arrays unless a method says otherwise."""

    @abstractmethod
    def put(self, numbers: np.ndarray) -> Array:
        """Numbers (…) where the pixels are. Those with fractions become float32 on a device, others keep their type."""

    @abstractmethod
    def placed(self, picture: np.ndarray) -> Array:
        """A picture or plane (…) of a scene where the pixels are, of its own type; it is kept there."""

    @abstractmethod
    def fetch(self, frames: Array) -> Callable[[], np.ndarray]:
        """Begins to bring finished frames (N, H, W, C), uint8 or uint16, into the processor's memory.

        Returns:
            what waits until they are there, while other work may go on, and gives them.
        """

    @abstractmethod
    def strips(self, height: int, most: int = 256) -> list[slice]:
        """The rows of a frame that are worked on at once: on the processor, whose memory is small, so many; else all."""

    @abstractmethod
    def grid(self, patches: Patches) -> tuple[Array, Array]:
        """Positions x and y of each pixel of the patches: (N, height, width) float32 each."""

    @abstractmethod
    def taken(self, pictures: Array, patches: Patches) -> Array:
        """The patches of pictures (N or 1, H, W[, C]): (N, height, width[, C]), perhaps a view of them."""

    @abstractmethod
    def laid(self, pictures: Array, patches: Patches, values: Array) -> Array:
        """Pictures (N, H, W[, C]) with patches replaced by values (N, height, width[, C]), where `patches.there`.

        Of a patch what is the frame's own alone, so that no frame depends on what stands beside it. The pictures given
        are changed.
        """

    @abstractmethod
    def looked_up(
        self, pictures: Array, x: Array, y: Array, look: Look = Look.CUBIC, outside: float | None = None
    ) -> Array:
        """Pictures (N or 1, h, w[, C]) at positions (N, H, W): (N, H, W[, C]) of the pictures' type.

        Args:
            outside: what lies beyond the picture; its border continued where None.
        """

    @abstractmethod
    def resized(self, planes: Array, size: tuple[int, int], part: Patches | None = None) -> Array:
        """Planes or pictures (N, h, w[, C]) float32 at (width, height), bilinearly.

        Args:
            part: of the result, the patches that are wanted; all of it where None.
        """

    @abstractmethod
    def warped(self, pictures: Array, matrices: np.ndarray, patches: Patches) -> Array:
        """Pictures (N, h, w[, C]) float32 laid over patches of frames, bilinearly, 0 beside them.

        Args:
            matrices: (N, 2, 3) from the frames' pixels to the pictures'.
        """

    @abstractmethod
    def aligned(self, pictures: Array, matrices: np.ndarray, side: int) -> Array:
        """The aligned frames of pictures (N or 1, H, W[, C]), as `geometry.alignment.crop` makes them, of their type.

        Args:
            matrices: (N, 2, 3) from the pictures' pixels.
        """

    @abstractmethod
    def blurred(self, planes: Array, sigma: float | np.ndarray, reach: int | None = None) -> Array:
        """Planes or pictures (N, h, w[, C]) smoothed by a Gaussian of sigma pixels, one or (N,); of their type.

        Args:
            sigma: where it is 0 a plane stays as it is.
            reach: pixels to each side over which it is summed; as many as matter where None.
        """

    @abstractmethod
    def averaged(self, planes: Array, across: int) -> Array:
        """Planes (N, h, w), each pixel the mean of a square `across` pixels wide around it; of their type."""

    @abstractmethod
    def grown(self, planes: Array, across: int) -> Array:
        """Planes (N, h, w), each pixel the largest of a square `across` pixels wide around it."""

    @abstractmethod
    def shrunk(self, planes: Array, across: np.ndarray) -> Array:
        """Planes (N, h, w), each pixel the least of an ellipse `across` pixels wide, (N,) int, around it."""

    @abstractmethod
    def blended(self, front: Array, back: Array, matte: Array) -> Array:
        """Front over back (N or 1, H, W, C) by a matte (N, H, W), 0 to 255; all uint8, and rounded, or all float32."""

    @abstractmethod
    def added(self, pictures: Array, differences: Array, share: Array) -> Array:
        """Pictures (N, H, W, C) with a share (N, H, W) of differences (N or 1, H, W, C) added.

        Those of whole levels (uint8, and int16 the differences) take the share in 64ths, and stay from 0 to 255.
        """

    @abstractmethod
    def mixed(self, pictures: Array, others: Array, share: Array) -> Array:
        """Pictures (N, H, W, C), and a share (N, H, W) float32 of the way to others of their type or float32; uint8 is rounded."""

    @abstractmethod
    def held_near(self, pictures: Array, centres: Array, most: int) -> Array:
        """Pictures (N, H, W, C), from 0 to 255, no pixel more than so many levels from that of others of their type."""

    @abstractmethod
    def steep(self, planes: Array, limit: float) -> Array:
        """Above 0 where one of planes (N, K, h, w) changes by more than `limit` from a pixel to the next, at both of them.

        Returns:
            (N, h, w) bool or uint8.
        """

    @abstractmethod
    def scaled(self, pictures: Array, planes: Array) -> Array:
        """The first three channels of pictures (N, h, w, 3 or 4) times planes (N, h, w) float32, at most 255; of their type."""

    @abstractmethod
    def with_fourth(self, pictures: Array, planes: Array) -> Array:
        """The first three channels of pictures (N, h, w, 3 or 4), and planes (N, h, w) of their type as the fourth."""

    @abstractmethod
    def touched(self, planes: Array) -> Patches:
        """A patch in which all pixels of planes (N, h, w) lie that are above 0.

        On the processor the least one; on a device, which must not wait to be asked, the whole frame.
        """

    @abstractmethod
    def mirrored(self, pictures: Array, planes: Array) -> Array:
        """Pictures (N, h, w[, C]), mirrored beyond the least rectangle that holds all that is above 0 in planes (N, h, w).

        The rectangle's outer pixels are not repeated (as `BORDER_REFLECT_101` has it).
        """

    @abstractmethod
    def scattered(self, planes: Array, around: int) -> list[tuple[Slices, Slices]]:
        """Parts that hold all that is above 0 in planes (N, h, w), and those with so many pixels around, where there are.

        On the processor, of a single frame, parts of some rows and columns; else all of them.
        """

    @abstractmethod
    def filled(self, outlines: np.ndarray, patches: Patches) -> Array:
        """How far each pixel of the patches lies in a polygon (N, P, 2), pixels of the frame, its edge antialiased.

        Returns:
            (N, height, width) uint8, 0 to 255.
        """

    @abstractmethod
    def covered(self, triangles: np.ndarray, counted: np.ndarray, patches: Patches) -> Array:
        """Which pixels of the patches lie in one of the triangles (N, T, 3, 2), pixels of the frame.

        Args:
            counted: (N, T) bool, which of the triangles count.

        Returns:
            (N, height, width) uint8, 0 or 255.
        """

    @abstractmethod
    def nearest_triangles(
        self, corners: Array, order: Array, columns: int, rows: int, crossed: Callable[[], int]
    ) -> Array:
        """Which triangle is in front at each cell of a grid.

        Args:
            corners: (N, T, 3, 2), cells.
            order: (N, T), the triangles from the farthest to the nearest; those not to be drawn are -1, at the end.
            crossed: tells at least as many of the grid's rows as the triangles of a frame cross together: what a device
                makes room for.

        Returns:
            (N, rows, columns) int32, 0 where there is none, else one more than the number of the nearest triangle.
        """

    @abstractmethod
    def evaluated(self, ids: Array, tables: Array, low: Array, high: Array, x: Array, y: Array) -> Array:
        """Linear functions of the place, those of the triangle that each cell of a grid shows; 0 where it shows none.

        Args:
            ids: (N, rows, columns) from `nearest_triangles`.
            tables: (N, T, A, 3) of each triangle A functions: value = a x + b y + c.
            low, high: (N, T, A) between which values are held; infinite where they are not.
            x: (N, columns) of each cell; y: (N, rows).

        Returns:
            (N, A, rows, columns) float32.
        """

    @abstractmethod
    def evaluated_over(
        self, planes: Array, ids: Array, tables: Array, low: Array, high: Array, x: Array, y: Array
    ) -> Array:
        """As `evaluated`, laid over planes (N, A, rows, columns) where a cell shows a triangle. The planes are changed."""
