# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of a shot's frames: colours as in PNG files, all else of the whole frame's person, moved by geometry alone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from portrait_shared.layers import FOLLOWING, channels_of, in_order
from portrait_shared.track import LandmarkTrack

from portrait_server.drawing.confidence import differing
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.kernels.levels import levels

_BODY = np.zeros((2, 2), np.float32)  # shoulders stay the frame's own
_ALIKE_PIXELS = 5  # over which colours are compared: grain that was made anew is the shot's own still


class ShotLayers:
    """Makes layers of frames that were drawn; used from several threads at once.

    Args:
        performance: the points found in each of the shot's frames, and their dense meshes as `mesh478` where known.
        layers: see `portrait_shared.layers.LAYERS`.
    """

    def __init__(self, performance: LandmarkTrack, layers: Sequence[str]) -> None:
        self._performance, self._layers = performance, in_order(layers)
        meshes = performance.extra.get("mesh478")
        self._meshes = meshes if meshes is not None and meshes.shape == (len(performance), 478, 3) else None
        self._engine = WarpEngine()

    def of(
        self, drawn: np.ndarray, shown: np.ndarray, frame: np.ndarray, index: int, target: np.ndarray,
        following: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """A frame's layers.

        Args:
            drawn: (H, W, 3 or 4) uint8 or uint16, the frame with its face changed; shown: the same with what it shows of
                having been made; frame: the shot's own.
            index: of it, from 0.
            target, following: (70, 2 or 3) where its points were moved to, and where those of the next frame are.

        Returns:
            (H, W, K) float32, as `Engine.render_layers` has them.

        Raises:
            PortraitError: BAD_POINTS.
        """
        found = self._moved(frame, index, target, following)
        colours = levels(shown).astype(np.float32)
        opaque = np.full(drawn.shape[:2], 255, np.float32)
        found |= dict(zip("RGBA", [*np.moveaxis(colours, -1, 0), opaque], strict=False))
        if "confidence" in self._layers:
            found["confidence.Y"] = _confidence(drawn, frame, found["moved"], found["confidence.Y"])
        return np.stack([found[channel] for channel in channels_of(self._layers)], -1)

    def _moved(
        self, frame: np.ndarray, index: int, target: np.ndarray, following: np.ndarray
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """The channels of the frame's person, and as `moved` its colours (H, W, 3), moved by geometry alone."""
        asked = [layer for layer in self._layers if layer != "rgba"]
        if not asked:
            return {}
        if "confidence" in asked:
            asked = ["rgba", *asked]
        mesh = None if self._meshes is None else self._meshes[index]
        portrait = self._engine.prepare_frame(Reference(frame, self._performance.points[index], mesh))
        points = np.stack([target, following])[: 1 if FOLLOWING.isdisjoint(asked) else 2].astype(np.float32)
        size = frame.shape[1], frame.shape[0]
        (planes,) = self._engine.render_layers(portrait, points, size, False, asked, _BODY[: len(points)])
        found = dict(zip(channels_of(asked), np.moveaxis(planes, -1, 0), strict=True))
        return found if "R" not in found else {**found, "moved": planes[..., :3]}


def _confidence(drawn: np.ndarray, frame: np.ndarray, moved: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """(H, W) 1 where a pixel is the shot's own; elsewhere that of the moved person, less where other colours were drawn."""
    own = (drawn == frame).all(2)
    across = (_ALIKE_PIXELS, _ALIKE_PIXELS)
    one, other = (cv2.blur(picture, across) for picture in (levels(drawn[..., :3]).astype(np.float32), moved))
    anew = differing(one[None], other[None])[0]
    return np.where(own, np.float32(1), sure * (1 - anew))
