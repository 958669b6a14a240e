# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine with weights keeps of a person's photographs: what its painters know, and the warp's portrait."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from portrait_server.drawing.lent_mouth import lent_mouth
from portrait_server.drawing.painting import filled_outlines
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.warp_portrait import WarpPortrait, checked_points
from portrait_server.geometry.alignment import crop as cut_out
from portrait_server.geometry.alignment import transform_points
from portrait_server.geometry.crops import CROPS, crop_outlines, crop_transforms
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.kernels.levels import levels
from portrait_server.kernels.opencv import OpenCV
from portrait_server.media.images import opaque


@dataclass(frozen=True)
class Shown:
    """What a photo shows, by the crops' names.

    Attributes:
        crops: (S, S, 3), 0 to 255; rasters (S, S, 2) uint8.
    """

    crops: dict[str, np.ndarray]
    rasters: dict[str, np.ndarray]

    @classmethod
    def of(cls, reference: Reference) -> Shown:
        """Raises: PortraitError: BAD_POINTS."""
        points, image = checked_points(reference.points[None]), opaque(levels(reference.image))
        crops, rasters = {}, {}
        for crop in CROPS.values():
            matrices = crop_transforms(crop, points)
            crops[crop.name] = cut_out(image, matrices[0], crop.side).astype(np.float32)
            outlines = crop_outlines(crop, transform_points(matrices, points))
            rasters[crop.name] = filled_outlines(OpenCV(), crop, outlines)[0]
        return cls(crops, rasters)


@dataclass(frozen=True)
class Known:
    """What a painter knows of a person: C crops, one of the mouth or two of the eyes.

    Attributes:
        reference: (C, 3, S, S), 0 to 1, of the first photo, which drafts are made of; seen (C, 2, S, S) its rasters.
        style: (C, N), of all photos.
    """

    reference: Tensor
    seen: Tensor
    style: Tensor

    def of_frames(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The same for each of so many frames: (count C, …)."""
        return (
            self.reference.repeat(count, 1, 1, 1), self.seen.repeat(count, 1, 1, 1), self.style.repeat(count, 1),
        )  # fmt: skip


@dataclass
class FewshotPortrait:
    """What the engine keeps of its references.

    Attributes:
        photo: the first one, which is drawn.
        known: of each of `PARTS`.
        opened: the pixels of a photo that shows the inside of the mouth, where the first does not, and its head.
        layers: where what is made of that is kept.
    """

    photo: WarpPortrait
    known: tuple[Known, ...]
    opened: tuple[np.ndarray, HeadMesh] | None
    layers: LayerMemory

    def scene(self, size: tuple[int, int]) -> Scene:
        """The layers at (width, height) pixels."""
        scene, opened = self.photo.scene(size), self.opened
        if opened is None:
            return scene
        image, head = opened
        mouth = self.layers.get(self, size, 0, lambda: lent_mouth(scene, opaque(levels(image)), head))
        return replace(scene, mouth=mouth)
