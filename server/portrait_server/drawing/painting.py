# SPDX-License-Identifier: GPL-3.0-or-later
"""Where painters work: crops cut out of moved persons, and what was painted in them laid back at the frame's resolution.

What a painter adds is a shift of the draft and a colour, so the draft's own detail stays, however large the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from portrait_server.drawing.opening import patches_around
from portrait_server.geometry.alignment import inverse, scale_of, transform_points
from portrait_server.geometry.crops import Crop, crop_transforms
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import held


@dataclass(frozen=True)
class Placed:
    """Where a crop lies in N frames.

    Attributes:
        matrices: (N, 2, 3) from the frames' pixels to the crop's.
        patches: the frames' rectangles around it.
    """

    crop: Crop
    matrices: np.ndarray
    patches: Patches

    def draft(self, kernels: Kernels, person: Array) -> Array:
        """The crops (N, S, S, 3) of moved persons (N, H, W, 3 or 4), of their type."""
        beside = np.array(self.matrices)
        beside[:, :, 2] += (beside[:, :, :2] @ np.stack([self.patches.x, self.patches.y], -1)[..., None])[..., 0]
        return kernels.aligned(kernels.taken(person, self.patches)[..., :3], beside, self.crop.side)

    def lay(self, kernels: Kernels, person: Array, shift: Array, colour: Array) -> None:
        """Paints moved persons (N, H, W, 3 or 4) in place.

        Args:
            shift: (N, S, S, 2) float32, by how far what is drawn is looked up elsewhere, pixels of the crop.
            colour: (N, S, S, 3) float32, what is added, 1 being white.
        """
        if not self.patches.there.any():
            return
        back, x_and_y = inverse(self.matrices)[:, :, :2], kernels.grid(self.patches)
        shift, colour = (kernels.warped(planes, self.matrices, self.patches) for planes in (shift, colour))
        xp = array_namespace(shift)
        turn = kernels.put(back.astype(np.float32))[:, :, :, None, None]
        x, y = (
            at + turn[:, axis, 0] * shift[..., 0] + turn[:, axis, 1] * shift[..., 1] for axis, at in enumerate(x_and_y)
        )
        colours = kernels.looked_up(person, x, y)
        painted = xp.astype(colours[..., :3], xp.float32) + 255 * colour
        painted = held(painted, person.dtype)
        if person.shape[-1] == 4:
            painted = xp.concat([painted, colours[..., 3:]], axis=-1)
        kernels.laid(person, self.patches, painted)


def place(crop: Crop, points: np.ndarray, size: tuple[int, int]) -> Placed:
    """Where a crop lies in frames (width, height) with landmarks (N, 70, 2 or 3), pixels of the frames."""
    matrices = crop_transforms(crop, points)
    last = crop.side - 1.0
    corners = np.array([[0, 0], [last, 0], [last, last], [0, last]])
    around = transform_points(inverse(matrices), np.broadcast_to(corners, (len(matrices), 4, 2)))
    return Placed(crop, matrices, patches_around(around, 2.0 / float(scale_of(matrices).min()), size))
