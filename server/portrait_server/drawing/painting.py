# SPDX-License-Identifier: GPL-3.0-or-later
"""Where painters work: crops cut out of moved persons, and what was painted in them laid back at the frame's resolution.

What a painter adds is a shift of the draft and a colour, so the draft's own detail stays, however large the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_server.drawing.frame import Moved
from portrait_server.drawing.grain import looked_up_sharply
from portrait_server.drawing.opening import patches_around, planes
from portrait_server.drawing.painted_light import in_the_mouth, white_of, whitened
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.alignment import inverse, scale_of, transform_points
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.crops import MOUTH, Crop, crop_outlines, crop_transforms
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.base import Array, Kernels, Look, Patches
from portrait_server.kernels.levels import held, signed

_MOVES = 2.0  # pixels of the crop: what moves by less is painted in part
_LEAST_SHIFT = 0.1  # pixels of the frame: what moves less is left as sharp as it is
_FOLD_RIM = 5  # cells of the grid of motion around a fold, where a look-up in the photo would mix its two sides
# Of a painting that shrinks: so much of its pixels' width in one of the frame's is smoothed, or fine teeth would shimmer.
_SMOOTHED = 0.35


@dataclass(frozen=True)
class Placed:
    """Where a crop lies in N frames.

    Attributes:
        matrices: (N, 2, 3) from the frames' pixels to the crop's.
        patches: the frames' rectangles around it.
        outlines: of what the crop shall show, (N, P, 2) pixels of the crop each.
        freedom: (N,) from 0, where the photo's own landmarks shall be shown, to 1.
    """

    crop: Crop
    matrices: np.ndarray
    patches: Patches
    outlines: list[np.ndarray]
    freedom: np.ndarray

    def draft(self, kernels: Kernels, scene: Scene, moved: Moved) -> Array:
        """The crops (N, S, S, 3) of what was moved, over the background, as painters see them in training too."""
        person, plate, alpha = (
            kernels.taken(layer, self.patches)
            for layer in (moved.person[..., :3], scene.plate[None, ..., :3], moved.alpha)
        )
        beside = np.array(self.matrices)
        beside[:, :, 2] += (beside[:, :, :2] @ np.stack([self.patches.x, self.patches.y], -1)[..., None])[..., 0]
        return kernels.aligned(kernels.blended(person, plate, alpha), beside, self.crop.side)

    def raster(self, kernels: Kernels) -> Array:
        """Where lips or lids and irises shall be: (N, S, S, 2) uint8."""
        return filled_outlines(kernels, self.crop, self.outlines)

    def lay(self, kernels: Kernels, scene: Scene, moved: Moved, shift: Array, colour: Array) -> None:
        """Paints `moved.person` in place; what hardly moves stays the photo, whose detector is as unsure.

        Args:
            shift: (N, S, S, 2) float32, by how far what is drawn is looked up elsewhere, pixels of the crop.
            colour: (N, S, S, 3) float32, what is added, 1 being white.
        """
        if not self.patches.there.any():
            return
        sigma = _SMOOTHED * np.sqrt(np.maximum(scale_of(self.matrices) ** 2 - 1, 0))
        (freedom,) = planes(kernels, self.freedom)
        shift, colour = (
            freedom[..., None] * kernels.warped(kernels.blurred(painted, sigma), self.matrices, self.patches)
            for painted in (shift, colour)
        )
        shift_person(kernels, scene, moved, self.patches, inverse(self.matrices), shift)
        xp = array_namespace(colour)
        person = moved.person[..., :3]
        drawn = xp.astype(kernels.taken(person, self.patches), xp.float32)
        if self.crop.name == MOUTH.name:
            painted = in_the_mouth(kernels, scene, moved, self.patches, drawn, colour)
        else:
            painted = whitened(drawn, colour, white_of(kernels, scene))
        kernels.laid(person, self.patches, held(painted, person.dtype))


def place(crop: Crop, points: np.ndarray, scene: Scene) -> Placed:
    """Where a crop lies in a scene's frames with landmarks (N, 70, 2 or 3), pixels of the reference."""
    matrices = crop_transforms(crop, points)
    outlines = crop_outlines(crop, transform_points(matrices, points))
    outlined = [point for outline in crop.outlines for point in outline]
    motion = points[:, outlined, :2].astype(float) - scene.mesh.points[outlined, :2]
    farthest = np.linalg.norm(motion, axis=-1).max(1) * scale_of(matrices)
    matrices = for_resized(matrices, scene.scale)
    last = crop.side - 1.0
    corners = np.array([[0, 0], [last, 0], [last, last], [0, last]])
    around = transform_points(inverse(matrices), np.broadcast_to(corners, (len(matrices), 4, 2)))
    patches = patches_around(around, 2.0 / float(scale_of(matrices).min()), scene.size)
    return Placed(crop, matrices, patches, outlines, smoothstep(farthest / _MOVES))


def for_resized(matrices: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Affines (…, 2, 3) from a picture, for the picture resized by `scale` (2,): (…, 2, 3) float64."""
    back, linear = 1 / scale, matrices[..., :2].astype(float)
    shift = matrices[..., 2] + linear @ (back / 2 - 0.5)
    return np.concatenate([linear * back, shift[..., None]], -1)


def filled_outlines(kernels: Kernels, crop: Crop, outlines: list[np.ndarray]) -> Array:
    """Outlines (N, P, 2), pixels of a crop, filled: (N, S, S, 2) uint8."""
    whole = Patches.whole(len(outlines[0]), (crop.side, crop.side))
    rasters = [kernels.filled(outline, whole) for outline in outlines]
    return array_namespace(rasters[0]).stack(rasters, axis=-1)


def shift_person(
    kernels: Kernels, scene: Scene, moved: Moved, patches: Patches, inverses: np.ndarray, shift: Array
) -> None:  # fmt: skip
    """Looks patches of `moved.person` up where the shift (N, h, w, 2), pixels of the crops, says; in place.

    Skin is looked up in the photo itself, its two moves in one: a picture of a picture would be softer. What was drawn
    over it (eyes, mouth) is a difference to the skin, and moves as one. Where near skin hides what lies behind, the
    photo's places jump, and between two of them there is none: there the draft's picture is moved.

    Args:
        inverses: (N, 2, 3) from the crops to the frames.
    """
    a, b, c, d = planes(kernels, *inverses[:, :, :2].reshape(-1, 4).T)
    across, along = shift[..., 0], shift[..., 1]
    right, down = a * across + b * along, c * across + d * along
    xp = array_namespace(right)
    farthest = xp.max(xp.maximum(xp.abs(right), xp.abs(down)), axis=(1, 2), keepdims=True)
    shifts = xp.astype(farthest >= _LEAST_SHIFT, xp.float32)
    if not kernels.touched(shifts).there.any():
        return
    right = right * shifts + kernels.put(np.arange(patches.width, dtype=np.float32))
    down = down * shifts + kernels.put(np.arange(patches.height, dtype=np.float32)[:, None])
    person = scene.person[None]
    draft = kernels.taken(moved.person, patches)
    from_x, from_y = moved.field.positions(patches)
    drawn = signed(draft) - looked_up_sharply(kernels, person, from_x, from_y, scene.grain)
    from_x, from_y = (kernels.looked_up(axis, right, down, Look.LINEAR) for axis in (from_x, from_y))
    # Looked up the sharpest way, for pores.
    skin = signed(looked_up_sharply(kernels, person, from_x, from_y, scene.grain, Look.LANCZOS))
    found = (skin + kernels.looked_up(drawn, right, down)).clip(0, 255)
    if moved.field.folds is not None:
        rim = kernels.averaged(kernels.grown(xp.astype(moved.field.folds > 0, xp.float32), _FOLD_RIM), 3)
        near = moved.field.fine(rim, patches)
        near = xp.maximum(kernels.looked_up(near, right, down, Look.LINEAR), 1 - shifts)[..., None]
        found = found + near * (kernels.looked_up(draft, right, down) - found)
    kernels.laid(moved.person, patches, held(found, moved.person.dtype))
