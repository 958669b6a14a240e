# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on pixels on a device that torch knows, for whole batches at a time.

Nothing but `fetch` waits for the device, and nothing but `put` and `fetch` crosses between it and the processor.
What is done to a frame's own part of a patch does not depend on the other frames of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from portrait_server.geometry.alignment import inverse
from portrait_server.kernels import filters, polygons, rasteriser, sampling
from portrait_server.kernels.base import SHIFT, Array, Kernels, Look, Patches, Slices
from portrait_server.kernels.levels import held

_BLEND_EPSILON: Final = 1e-5


class OnDevice(Kernels):
    """Kernels on a torch device.

    Attributes:
        device: where pixels are.
        puts, fetches: how often numbers went there, and frames came back.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.puts, self.fetches = 0, 0
        # Of devices with streams, on which the processor can go on while they compute.
        self._streams: Any = torch.get_device_module(device) if device.type in ("cuda", "xpu") else None
        self._copying: Any = self._streams and self._streams.Stream(device)

    def put(self, numbers: np.ndarray) -> Array:
        self.puts += 1
        numbers = np.ascontiguousarray(numbers, np.float32 if numbers.dtype.kind == "f" else None)
        tensor = torch.from_numpy(numbers)
        if self._streams is None:
            return tensor.to(self.device, copy=True)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def placed(self, picture: np.ndarray) -> Array:
        self.puts += 1
        return torch.from_numpy(np.ascontiguousarray(picture)).to(self.device, copy=True)

    def fetch(self, frames: Array) -> Callable[[], np.ndarray]:
        self.fetches += 1
        frames = frames.contiguous()
        if self._streams is None:
            here = frames.cpu().numpy()
            return lambda: here
        # On a stream of its own the copy runs beside what is drawn meanwhile.
        ready = self._streams.current_stream(self.device).record_event()
        kept = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
        with self._streams.stream(self._copying):
            self._copying.wait_event(ready)
            kept.copy_(frames, non_blocking=True)
            frames.record_stream(self._copying)
            done = self._copying.record_event()

        def wait() -> np.ndarray:
            done.synchronize()
            return kept.numpy()

        return wait

    def strips(self, height: int, most: int = 256) -> list[slice]:
        return [slice(0, height)]

    def grid(self, patches: Patches) -> tuple[Array, Array]:
        x, y = self.put(np.stack([patches.x, patches.y]).astype(np.float32))
        shape = (len(x), patches.height, patches.width)
        columns = x[:, None, None] + torch.arange(patches.width, dtype=torch.float32, device=self.device)
        rows = y[:, None, None] + torch.arange(patches.height, dtype=torch.float32, device=self.device)[:, None]
        return columns.expand(shape), rows.expand(shape)

    def taken(self, pictures: Array, patches: Patches) -> Array:
        if patches.covers((pictures.shape[2], pictures.shape[1])):
            return pictures if len(pictures) == len(patches.x) else pictures.expand(len(patches.x), *pictures.shape[1:])
        return pictures[self._places(pictures, patches)]

    def laid(self, pictures: Array, patches: Patches, values: Array) -> Array:
        if patches.covers((pictures.shape[2], pictures.shape[1])) and patches.there.all() and patches.own is None:
            return pictures.copy_(values)
        places = self._places(pictures, patches)
        there = self.put(patches.there)[:, None, None]
        if patches.own is not None:
            left, top, right, bottom = self.put(patches.own.T)[..., None, None]
            _, row, column = places
            there = there & (row >= top) & (row < bottom) & (column >= left) & (column < right)
        there = there.reshape(*there.shape, *[1] * (pictures.ndim - 3))
        pictures[places] = torch.where(there, values.to(pictures.dtype), pictures[places])
        return pictures

    def _places(self, pictures: Array, patches: Patches) -> tuple[Array, Array, Array]:
        """The patches' pixels as indices of frame, row and column."""
        height, width = pictures.shape[1:3]
        x, y = self.put(np.stack([patches.x, patches.y]).astype(np.int64))
        frame = torch.arange(len(x), device=self.device) * (len(pictures) > 1)
        row = (y[:, None] + torch.arange(patches.height, device=self.device)).clamp(0, height - 1)
        column = (x[:, None] + torch.arange(patches.width, device=self.device)).clamp(0, width - 1)
        return frame[:, None, None], row[:, :, None], column[:, None]

    def looked_up(
        self, pictures: Array, x: Array, y: Array, look: Look = Look.CUBIC, outside: float | None = None
    ) -> Array:
        return sampling.looked_up(pictures, x, y, look, outside)

    def resized(self, planes: Array, size: tuple[int, int], part: Patches | None = None) -> Array:
        whole = sampling.resized(planes, size)
        return whole if part is None or part.covers(size) else self.taken(whole, part)

    def warped(self, pictures: Array, matrices: np.ndarray, patches: Patches) -> Array:
        matrices = np.array(matrices, np.float64)
        first = np.stack([patches.x, patches.y], -1)
        # Positions are rounded by their distance to the first pixel, so that has to be the one of the frame alone.
        own = first if patches.own is None else patches.own[:, :2]
        matrices[:, :, 2:] += matrices[:, :, :2] @ own[..., None]
        x, y = self._at_affine(matrices, patches.width, patches.height, first - own)
        return sampling.looked_up(pictures, x, y, Look.LINEAR, 0.0)

    def aligned(self, pictures: Array, matrices: np.ndarray, side: int) -> Array:
        height, width = pictures.shape[1:3]
        small, from_small = sampling.shrink_first(matrices, width, height)
        values = pictures.to(torch.float32).reshape(len(pictures), height, width, -1)
        for axis, length in ((1, height), (2, width)):
            first, weights = sampling.area_taps(length, small[:, 2 - axis])
            values = sampling.shrunk_by(values, self.put(first), self.put(weights), axis)
        values = values.reshape(*values.shape[:3], *pictures.shape[3:])
        # Here OpenCV rounds halves up, as it halves pictures of whole levels most of all.
        pictures = values if pictures.dtype.is_floating_point else (values + 0.5).to(pictures.dtype)
        x, y = self._at_affine(inverse(from_small.astype(np.float64)), side, side)
        return sampling.looked_up(pictures, x, y, Look.CUBIC, None)

    def _at_affine(
        self, matrices: np.ndarray, width: int, height: int, first: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        columns, rows = sampling.affine_positions(matrices, width, height, first)
        return sampling.at_affine(self.put(columns), self.put(rows))

    def blurred(self, planes: Array, sigma: float | np.ndarray, reach: int | None = None) -> Array:
        sigmas = np.atleast_1d(sigma)
        if (sigmas <= 0).all():
            return planes
        return self._convolved(planes, filters.gaussian_kernels(sigmas, reach, not planes.dtype.is_floating_point))

    def averaged(self, planes: Array, across: int) -> Array:
        return self._convolved(planes, np.full((1, across), 1 / across, np.float32))

    def _convolved(self, planes: Array, kernels: np.ndarray) -> Array:
        reach = kernels.shape[1] // 2
        height, width = planes.shape[1:3]
        columns, rows = (self.put(filters.mirrored(length, reach)) for length in (width, height))
        return filters.convolved(planes, self.put(kernels), columns, rows)

    def grown(self, planes: Array, across: int) -> Array:
        return filters.grown(planes, across)

    def shrunk(self, planes: Array, across: np.ndarray) -> Array:
        widths, kinds = np.unique(across, return_inverse=True)
        if len(widths) == 1:
            return filters.shrunk(planes, int(widths[0]))
        result = torch.empty_like(planes)
        for kind, width in enumerate(widths.tolist()):
            frames = self.put(np.flatnonzero(kinds == kind))
            result[frames] = filters.shrunk(planes[frames], width)
        return result

    def blended(self, front: Array, back: Array, matte: Array) -> Array:
        share = (matte.to(torch.float32) * (1 / 255))[..., None]
        if front.dtype.is_floating_point:
            return (front - back) * share + back
        # OpenCV divides by the weights' sum and a little more.
        mixed = front * share + back * (1 - share)
        return (mixed / (1 + _BLEND_EPSILON)).round().to(torch.uint8)

    def added(self, pictures: Array, differences: Array, share: Array) -> Array:
        if pictures.dtype.is_floating_point:
            return pictures + differences * share[..., None]
        part = (64 * share).round().to(torch.int16)[..., None]
        return (pictures + ((differences * part) >> 6)).clamp(0, 255).to(torch.uint8)

    def mixed(self, pictures: Array, others: Array, share: Array) -> Array:
        pictures, dtype = pictures.to(torch.float32), pictures.dtype
        return held(pictures + share[..., None] * (others - pictures), dtype)

    def held_near(self, pictures: Array, centres: Array, most: int) -> Array:
        lowest, highest = centres.clip(most, 255) - most, centres.clip(0, 255 - most) + most
        return torch.minimum(torch.maximum(pictures, lowest), highest)

    def steep(self, planes: Array, limit: float) -> Array:
        found = torch.zeros_like(planes[:, 0], dtype=torch.bool)
        for axis, ends in ((-1, (found[..., :-1], found[..., 1:])), (-2, (found[..., :-1, :], found[..., 1:, :]))):
            jumps = planes.diff(dim=axis).abs().amax(1) > limit
            for end in ends:
                end |= jumps
        return found

    def scaled(self, pictures: Array, planes: Array) -> Array:
        return torch.cat([held(pictures[..., :3] * planes[..., None], pictures.dtype), pictures[..., 3:]], -1)

    def with_fourth(self, pictures: Array, planes: Array) -> Array:
        return torch.cat([pictures[..., :3], planes[..., None]], -1)

    def touched(self, planes: Array) -> Patches:
        count, height, width = planes.shape
        return Patches.whole(count, (width, height))

    def mirrored(self, pictures: Array, planes: Array) -> Array:
        return filters.mirrored_beyond(pictures, planes > 0)

    def scattered(self, planes: Array, around: int) -> list[tuple[Slices, Slices]]:
        whole = slice(0, planes.shape[1]), slice(0, planes.shape[2])
        return [(whole, whole)]

    def filled(self, outlines: np.ndarray, patches: Patches) -> Array:
        corners = patches.fixed_points(outlines)
        size = (patches.width, patches.height)
        longest, most = polygons.extent(corners, *size)
        return polygons.filled(self.put(corners), *size, longest, most, self._polygon_tables)

    @cached_property
    def _polygon_tables(self) -> polygons.Tables:
        return polygons.Tables.put(self.put)

    def covered(self, triangles: np.ndarray, counted: np.ndarray, patches: Patches) -> Array:
        shape = (len(triangles), patches.height, patches.width)
        if not counted.any():
            return torch.zeros(shape, dtype=torch.uint8, device=self.device)
        corners = patches.fixed_points(triangles)
        crossed = rasteriser.rows_crossed(corners, counted, patches.height)
        found = rasteriser.drawn(
            self.put(corners), self.put(counted.astype(np.int32)), patches.width, patches.height, crossed
        )
        return (255 * found).to(torch.uint8)

    def nearest_triangles(
        self, corners: Array, order: Array, columns: int, rows: int, crossed: Callable[[], int]
    ) -> Array:
        there = order >= 0
        place = torch.where(there, torch.arange(1, order.shape[1] + 1, dtype=torch.int32, device=self.device), 0)
        sorted_corners = corners.gather(1, order.clamp(min=0).long()[:, :, None, None].expand(-1, -1, 3, 2))
        fixed = torch.round(sorted_corners * (1 << SHIFT)).int()
        found = rasteriser.drawn(fixed, place, columns, rows, crossed()).flatten(1)
        number = order.gather(1, (found - 1).clamp(min=0).long()).int() + 1
        return torch.where(found > 0, number, 0).reshape(-1, rows, columns)

    def evaluated(self, ids: Array, tables: Array, low: Array, high: Array, x: Array, y: Array) -> Array:
        shown, at = (ids > 0)[:, None], (ids - 1).clamp(min=0).long().flatten(1)

        def of_cells(values: Array) -> Array:
            planes = values.transpose(1, 2)
            found = planes.gather(2, at[:, None].expand(-1, planes.shape[1], -1))
            return found.unflatten(2, ids.shape[1:])

        a, b, c = (of_cells(tables[..., i]) for i in range(3))
        value = a * x[:, None, None] + b * y[:, None, :, None] + c
        value = torch.minimum(torch.maximum(value, of_cells(low)), of_cells(high))
        return torch.where(shown, value, 0)

    def evaluated_over(
        self, planes: Array, ids: Array, tables: Array, low: Array, high: Array, x: Array, y: Array
    ) -> Array:
        return torch.where((ids > 0)[:, None], self.evaluated(ids, tables, low, high, x, y), planes)
