# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame of a shot: its own face, moved from where it was found to where it shall be, put back into the frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from portrait_shared.shots import is_unchanged
from portrait_shared.track import LandmarkTrack

from portrait_server.detectors.matte import segmented
from portrait_server.engines.base import Engine, Reference
from portrait_server.shots.lending import Lender
from portrait_server.shots.reader import eight_bit_rgb
from portrait_server.shots.region import Region

_BODY = np.zeros((1, 2), np.float32)  # shoulders stay the frame's own, and breathe as they did


class FrameDrawer:
    """Draws frames of one shot; used from several threads at once."""

    def __init__(
        self, engine: Engine, performance: LandmarkTrack, picture_at: Callable[[int], np.ndarray]
    ) -> None:  # fmt: skip
        """
        Args:
            performance: the points found in each of the shot's frames, and their dense meshes as `mesh478`, (T, 478, 3),
                where they are known.
            picture_at: the shot's frame of an index, for what it lends to others; asked by one thread at a time.
        """
        self._engine, self._performance = engine, performance
        self._lender = Lender.of(performance, picture_at)
        meshes = performance.extra.get("mesh478")
        self._meshes = meshes if meshes is not None and meshes.shape == (len(performance), 478, 3) else None

    def draw(self, frame: np.ndarray, index: int, target: np.ndarray) -> np.ndarray:
        """A frame with its face changed.

        Args:
            frame: (H, W, 3 or 4) uint8 or uint16, the shot's own.
            index: of it, from 0.
            target: (70, 2 or 3) where the points shall be, pixels.

        Returns:
            The same shape and type; outside of a region around the face, and where nothing moves, the frame's own pixels.

        Raises:
            PortraitError: BAD_POINTS.
        """
        found = self._performance.points[index]
        if is_unchanged(target, found):
            return frame
        region = Region.around(found, target, (frame.shape[1], frame.shape[0]))
        if region is None:
            return frame
        own = region.cut(frame)
        drawn = self._drawn(own, region, index, target, self._people(frame, region, index, target))
        drawn = self._lender.lent(drawn, region.corner, frame, index, target)
        return region.paste(frame, drawn)

    def _people(self, frame: np.ndarray, region: Region, index: int, target: np.ndarray) -> np.ndarray:
        """Where the region shows people (h, w): told by more of the frame, for a face alone is too little to see a person."""
        head = Region.of_head(self._performance.points[index], target, region.frame_size) or region
        return region.part_of(head, segmented(eight_bit_rgb(head.cut(frame))))

    def _drawn(self, own: np.ndarray, region: Region, index: int, target: np.ndarray, people: np.ndarray) -> np.ndarray:
        """The region (height, width, C), as the engine draws it."""
        engine, found = self._engine, self._performance.points[index]
        mesh = None if self._meshes is None else _moved(self._meshes[index], region)
        portrait = engine.prepare_frame(Reference(own, _moved(found, region), mesh, people))
        return engine.render(portrait, _moved(target, region)[None], region.size, False, _BODY)[0]


def _moved(points: np.ndarray, region: Region) -> np.ndarray:
    """Points (…, 2 or 3) of the frame, as float32 pixels of the region."""
    moved = np.array(points, np.float32)
    moved[..., :2] -= np.array(region.corner, np.float32)
    return moved
