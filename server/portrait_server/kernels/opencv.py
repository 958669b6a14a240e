# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels on the processor: OpenCV and NumPy, made for one frame at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Final

import cv2
import numpy as np

from portrait_server.geometry.alignment import crop
from portrait_server.kernels import one_frame
from portrait_server.kernels.base import SHIFT, Kernels, Look, Patches, Slices

_LOOKS: Final = {
    Look.NEAREST: cv2.INTER_NEAREST, Look.LINEAR: cv2.INTER_LINEAR, Look.CUBIC: cv2.INTER_CUBIC,
    Look.LANCZOS: cv2.INTER_LANCZOS4,
}  # fmt: skip


class OpenCV(Kernels):
    """A batch of several frames is drawn frame by frame; what comes of one frame is not copied."""

    def put(self, numbers: np.ndarray) -> np.ndarray:
        return numbers

    def placed(self, picture: np.ndarray) -> np.ndarray:
        return picture

    def fetch(self, frames: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: frames

    def strips(self, height: int, most: int = 256) -> list[slice]:
        return [slice(y, min(y + most, height)) for y in range(0, height, most)]

    def grid(self, patches: Patches) -> tuple[np.ndarray, np.ndarray]:
        x = patches.x[:, None] + np.arange(patches.width)
        y = patches.y[:, None] + np.arange(patches.height)
        shape = (len(x), patches.height, patches.width)
        return one_frame.spread(x.astype(np.float32)[:, None, :], shape), one_frame.spread(
            y.astype(np.float32)[:, :, None], shape
        )

    def taken(self, pictures: np.ndarray, patches: Patches) -> np.ndarray:
        return _each(
            lambda picture, rows, columns: picture[rows, columns], _repeated(pictures, patches), *_slices(patches)
        )

    def laid(self, pictures: np.ndarray, patches: Patches, values: np.ndarray) -> np.ndarray:
        if len(patches.there) == 1 and patches.own is None:
            if patches.there[0]:
                rows, columns = patches.slices
                pictures[0, rows, columns] = values[0]
            return pictures
        for number in np.flatnonzero(patches.there):
            x, y = patches.x[number], patches.y[number]
            whole = (x, y, x + patches.width, y + patches.height)
            left, top, right, bottom = whole if patches.own is None else patches.own[number]
            pictures[number, top:bottom, left:right] = values[number, top - y : bottom - y, left - x : right - x]
        return pictures

    def looked_up(
        self, pictures: np.ndarray, x: np.ndarray, y: np.ndarray, look: Look = Look.CUBIC, outside: float | None = None
    ) -> np.ndarray:
        border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
        value = (outside or 0.0,) * 4
        return _each(
            lambda picture, right, down: cv2.remap(
                picture, *one_frame.remap_places(right, down, look), _LOOKS[look], borderMode=border, borderValue=value
            ),
            _repeated(pictures, x), x, y,
        )  # fmt: skip

    def resized(self, planes: np.ndarray, size: tuple[int, int], part: Patches | None = None) -> np.ndarray:
        if part is None:
            return _each(lambda plane: cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), planes)
        return _each(
            lambda plane, rows, columns: one_frame.resized_part(plane, size, rows, columns), planes, *_slices(part)
        )

    def warped(self, pictures: np.ndarray, matrices: np.ndarray, patches: Patches) -> np.ndarray:
        there = np.array(matrices, float)
        there[:, :, 2] += (there[:, :, :2] @ np.stack([patches.x, patches.y], -1)[..., None])[..., 0]
        size = (patches.width, patches.height)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return _each(lambda picture, matrix: cv2.warpAffine(picture, matrix, size, flags=flags), pictures, there)

    def aligned(self, pictures: np.ndarray, matrices: np.ndarray, side: int) -> np.ndarray:
        return _each(
            lambda picture, matrix: crop(np.ascontiguousarray(picture), matrix, side),
            _repeated(pictures, matrices), matrices,
        )  # fmt: skip

    def blurred(self, planes: np.ndarray, sigma: float | np.ndarray, reach: int | None = None) -> np.ndarray:
        box = (0, 0) if reach is None else (2 * reach + 1, 2 * reach + 1)
        return _each(
            lambda plane, width: cv2.GaussianBlur(plane, box, width) if width > 0 else plane,
            planes, np.full(len(planes), sigma) if np.ndim(sigma) == 0 else np.asarray(sigma),
        )  # fmt: skip

    def averaged(self, planes: np.ndarray, across: int) -> np.ndarray:
        return _each(lambda plane: cv2.blur(plane, (across, across)), planes)

    def grown(self, planes: np.ndarray, across: int) -> np.ndarray:
        return _each(lambda plane: cv2.dilate(plane, np.ones((across, across), np.uint8)), planes)

    def shrunk(self, planes: np.ndarray, across: np.ndarray) -> np.ndarray:
        return _each(
            lambda plane, width: cv2.erode(
                plane, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(width), int(width)))
            ),
            planes, across,
        )  # fmt: skip

    def blended(self, front: np.ndarray, back: np.ndarray, matte: np.ndarray) -> np.ndarray:
        return _each(one_frame.blended, _repeated(front, matte), _repeated(back, matte), matte)

    def added(self, pictures: np.ndarray, differences: np.ndarray, share: np.ndarray) -> np.ndarray:
        return _each(one_frame.added, pictures, _repeated(differences, pictures), share)

    def mixed(self, pictures: np.ndarray, others: np.ndarray, share: np.ndarray) -> np.ndarray:
        return _each(one_frame.mixed, pictures, others, share)

    def held_near(self, pictures: np.ndarray, centres: np.ndarray, most: int) -> np.ndarray:
        if pictures.dtype != np.uint8:
            lowest, highest = centres.clip(most, 255) - most, centres.clip(0, 255 - most) + most
            return np.minimum(np.maximum(pictures, lowest), highest)
        # OpenCV's sums of whole levels stay from 0 to 255 by themselves.
        picture, centre = (each.reshape(-1, each.shape[-2] * each.shape[-1]) for each in (pictures, centres))
        near = cv2.min(cv2.max(picture, cv2.subtract(centre, most)), cv2.add(centre, most))
        return near.reshape(pictures.shape)

    def steep(self, planes: np.ndarray, limit: float) -> np.ndarray:
        return _each(lambda frame: one_frame.steep(frame, limit), planes)

    def scaled(self, pictures: np.ndarray, planes: np.ndarray) -> np.ndarray:
        return _each(one_frame.scaled, pictures, planes)

    def with_fourth(self, pictures: np.ndarray, planes: np.ndarray) -> np.ndarray:
        return _each(one_frame.with_fourth, pictures, planes)

    def touched(self, planes: np.ndarray) -> Patches:
        above = planes if planes.dtype in (bool, np.uint8) else planes > 0
        boxes = [cv2.boundingRect(plane.view(np.uint8)) for plane in above]
        if len(boxes) == 1:
            left, top, width, height = boxes[0]
            return Patches(np.array([left]), np.array([top]), width, height, np.array([width > 0]))
        found = np.array(boxes)
        there = (found[:, 2:] > 0).all(1)
        low, high = found[:, :2], found[:, :2] + found[:, 2:]
        # One size for all of a batch: what holds them all.
        first, last = low[there].min(0, initial=1 << 30), high[there].max(0, initial=0)
        low, high = np.broadcast_to(np.minimum(first, last), low.shape), np.broadcast_to(last, high.shape)
        width, height = (int(side) for side in (high - low)[0])
        return Patches(low[:, 0], low[:, 1], width, height, there)

    def mirrored(self, pictures: np.ndarray, planes: np.ndarray) -> np.ndarray:
        return _each(one_frame.mirrored, pictures, planes)

    def scattered(self, planes: np.ndarray, around: int) -> list[tuple[Slices, Slices]]:
        if len(planes) == 1:
            return one_frame.scattered(planes[0], around)
        whole = slice(0, planes.shape[1]), slice(0, planes.shape[2])
        return [(whole, whole)]

    def filled(self, outlines: np.ndarray, patches: Patches) -> np.ndarray:
        masks = np.zeros((len(outlines), patches.height, patches.width), np.uint8)
        for mask, outline in zip(masks, patches.fixed_points(outlines), strict=True):
            cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, SHIFT)
        return masks

    def covered(self, triangles: np.ndarray, counted: np.ndarray, patches: Patches) -> np.ndarray:
        masks = np.zeros((len(triangles), patches.height, patches.width), np.uint8)
        for mask, corners, count in zip(masks, patches.fixed_points(triangles), counted, strict=True):
            for triangle in corners[count]:
                cv2.fillConvexPoly(mask, triangle, 255, cv2.LINE_8, SHIFT)
        return masks

    def nearest_triangles(
        self, corners: np.ndarray, order: np.ndarray, columns: int, rows: int, crossed: Callable[[], int]
    ) -> np.ndarray:
        ids = np.zeros((len(corners), rows, columns), np.int32)
        fixed = np.round(corners * (1 << SHIFT)).astype(np.int32, order="C")
        for grid, triangles, numbers in zip(ids, fixed, order, strict=True):
            drawn = numbers[numbers >= 0]
            deque(
                map(
                    cv2.fillConvexPoly, repeat(grid), triangles[drawn], (drawn + 1).tolist(), repeat(cv2.LINE_8),
                    repeat(SHIFT),
                ),
                maxlen=0,
            )  # fmt: skip
        return ids

    def evaluated(
        self, ids: np.ndarray, tables: np.ndarray, low: np.ndarray, high: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        values = np.empty((len(ids), tables.shape[2], *ids.shape[1:]), np.float32)
        for frame in zip(ids, tables, low, high, x, y, values, strict=True):
            one_frame.evaluate(*frame)
        return values

    def evaluated_over(
        self, planes: np.ndarray, ids: np.ndarray, tables: np.ndarray, low: np.ndarray, high: np.ndarray,
        x: np.ndarray, y: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        for frame in zip(ids, tables, low, high, x, y, planes, strict=True):
            one_frame.evaluate_few(*frame)
        return planes


def _each(one: Callable[..., np.ndarray], *stacks: np.ndarray | list[slice]) -> np.ndarray:
    """What a function makes of each frame of a batch: (N, …)."""
    results = [one(*parts) for parts in zip(*stacks, strict=True)]
    return results[0][None] if len(results) == 1 else np.stack(results)


def _repeated(pictures: np.ndarray, frames: np.ndarray | Patches) -> np.ndarray:
    """Pictures (N or 1, …), as many as frames."""
    count = len(frames.x) if isinstance(frames, Patches) else len(frames)
    return pictures if len(pictures) == count else np.broadcast_to(pictures, (count, *pictures.shape[1:]))


def _slices(patches: Patches) -> tuple[list[slice], list[slice]]:
    """Rows and columns of each frame's patch."""
    return (
        [slice(y, y + patches.height) for y in patches.y.tolist()],
        [slice(x, x + patches.width) for x in patches.x.tolist()],
    )
