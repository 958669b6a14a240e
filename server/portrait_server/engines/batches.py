# SPDX-License-Identifier: GPL-3.0-or-later
"""How many frames are drawn at once: one on the processor, on a device as many as its memory allows."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from portrait_shared.devices import kind_of

from portrait_server.engines.base import Engine
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.kernels.base import Array, Kernels
from portrait_server.kernels.opencv import OpenCV
from portrait_server.networks.device import FRAME_BYTES, look_at, torch_device
from portrait_server.networks.device_errors import device_error, out_of_memory

log = logging.getLogger(__name__)

_DEVICE_FRAMES: Final = 64  # a batch takes a device some 14,000 operations to begin, however many frames it has
_DEVICE_PIXELS: Final = 10 << 20  # so many frames of 512 x 512
# How many crops painters see at once, where each takes some 4 MB: on a GPU of so much memory, and on others.
_LARGE_BYTES, _PICTURES, _FEW_PICTURES = 4 << 30, 64, 8
_LAYER_SHARE: Final = 8  # part of what a device has free that layers may take
_CALM_BATCHES: Final = 64  # after which a larger batch is tried again: what took the memory may have ended


class Layers(Protocol):
    """What frames are drawn from."""

    def placed(self, kernels: Kernels) -> Any:
        """The same with its pixels where the kernels have theirs."""


L = TypeVar("L", bound=Layers)


class Batches(ABC):
    """Draws an engine's frames.

    Attributes:
        kernels: with which they are drawn.
        most_frames, most_pixels: of a batch.
    """

    kernels: Kernels
    most_frames: int
    most_pixels: int

    @abstractmethod
    def pictures_at_once(self, count: int) -> int:
        """How many crops painters see at once, where there are so many.

        One of few numbers, for in batches of another size torch may sum in another order and change the last bits.
        """

    @abstractmethod
    def layers(self, portrait: Any, size: tuple[int, int], expected_bytes: int, build: Callable[[], L]) -> L:
        """A portrait's layers at (width, height), where the kernels have their pixels; kept there, or built now."""

    @abstractmethod
    def frames(self, count: int, pixels: int, draw: Callable[[slice], Array]) -> np.ndarray:
        """Frames (count, H, W, C).

        Args:
            pixels: of each.
            draw: makes some of them, finished, where the kernels have their pixels.

        Raises:
            PortraitError: DEVICE_UNAVAILABLE where a device's memory does not suffice for a single one.
        """


def batches_on(device: str) -> Batches | None:
    """How a device draws; None for the processor, where engines have threads of their own."""
    if device == "cpu":
        return None
    from portrait_server.kernels.on_device import OnDevice

    place = torch_device(device)
    return None if place.type == "cpu" else OnDeviceBatches(OnDevice(place), device)


class OneByOne(Batches):
    """On the processor.

    Args:
        mapping: calls a function with each of several numbers, as `map` does, perhaps in several threads.
        most_frames: of a batch.
    """

    device, most_pixels = "cpu", Engine.batch_pixels

    def __init__(
        self, mapping: Callable[..., Iterable[np.ndarray]] = map, most_frames: int = Engine.batch_size
    ) -> None:
        self.kernels = OpenCV()
        self.most_frames = most_frames
        self._mapping = mapping

    def pictures_at_once(self, count: int) -> int:
        return 1

    def layers(self, portrait: Any, size: tuple[int, int], expected_bytes: int, build: Callable[[], L]) -> L:
        return build()

    def frames(self, count: int, pixels: int, draw: Callable[[slice], Array]) -> np.ndarray:
        drawn = self._mapping(lambda number: draw(slice(number, number + 1)), range(count))
        frames: np.ndarray | None = None
        for number, frame in enumerate(drawn):
            if count == 1:
                return frame
            # At once, so that the memory of one serves the next.
            frames = np.empty((count, *frame.shape[1:]), frame.dtype) if frames is None else frames
            frames[number] = frame[0]
            del frame
        assert frames is not None
        return frames


class OnDeviceBatches(Batches):
    """On a device: the next batch is drawn while the finished frames of the last are copied to the processor.

    Attributes:
        memory: of the device, for layers.
    """

    most_frames, most_pixels = _DEVICE_FRAMES, _DEVICE_PIXELS

    def __init__(self, kernels: Kernels, device: str) -> None:
        self.kernels = kernels
        found = look_at(device)
        free = found.room_bytes
        self._large = kind_of(device) != "cpu" and (found.total_bytes or 0) >= _LARGE_BYTES
        self._many = self._large
        self.memory = LayerMemory(free // _LAYER_SHARE)
        self._fits = self._fitted = max(1, min(_DEVICE_PIXELS, free // 2 // FRAME_BYTES))
        self._calm = 0

    def pictures_at_once(self, count: int) -> int:
        return _PICTURES if self._many and count > _FEW_PICTURES else _FEW_PICTURES

    def layers(self, portrait: Any, size: tuple[int, int], expected_bytes: int, build: Callable[[], L]) -> L:
        return self.memory.get(portrait, size, expected_bytes, lambda: build().placed(self.kernels))

    def frames(self, count: int, pixels: int, draw: Callable[[slice], Array]) -> np.ndarray:
        finished: list[np.ndarray] = []
        last: Callable[[], np.ndarray] | None = None
        start = 0
        while start < count:
            stop = min(count, start + self._at_once(pixels))
            try:
                fetched = self.kernels.fetch(draw(slice(start, stop)))
            except Exception as error:
                if not out_of_memory(error):
                    raise
                self._take_less(pixels, stop - start, error)
                continue
            if last is not None:
                finished.append(last())
            last, start = fetched, stop
            self._take_more()
        if last is not None:
            finished.append(last())
        return finished[0] if len(finished) == 1 else np.concatenate(finished)

    def _at_once(self, pixels: int) -> int:
        return max(1, min(_DEVICE_FRAMES, self._fits // pixels))

    def _take_less(self, pixels: int, count: int, error: Exception) -> None:
        if count == 1 and not self._many:
            raise device_error(error) or error
        log.warning("%s frames at once do not fit into the device's memory; fewer are tried", count)
        self.memory.clear()
        self._many, self._fits, self._calm = False, max(1, count // 2) * pixels, 0

    def _take_more(self) -> None:
        self._calm += 1
        if self._calm >= _CALM_BATCHES and self._fits < self._fitted:
            self._many, self._fits, self._calm = self._large, min(2 * self._fits, self._fitted), 0
