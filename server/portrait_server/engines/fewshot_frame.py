# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: the warp's draft of the person, mended with what the network drew for it in the aligned frame.

N frames at a time; S is the side of the aligned frame, (h, w) the patch of a frame that it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import torch
from array_api_compat import array_namespace

from portrait_server.drawing.frame import Moved
from portrait_server.drawing.opening import patches_around, planes
from portrait_server.drawing.scene import Scene
from portrait_server.engines.fewshot_light import in_flesh, in_its_light
from portrait_server.geometry.alignment import inverse
from portrait_server.geometry.face_mesh import MOUTH, OVAL
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Array, Kernels, Look, Patches
from portrait_server.kernels.levels import held, signed, strongest
from portrait_server.networks.output import Output
from portrait_server.networks.regions import head

_RIM = 0.06  # of the aligned frame: there the network's drawing gives way to what lies around
_FACE_EDGE = 0.015  # of the aligned frame, softness of the face's outline
_LEAST_SHARE = 0.02
_LEAST_SHIFT = 0.1  # pixels of the frame: what moves less is left as sharp as it is
_UNSURE = 0.6  # of a further reference's matte, up to which nothing of it is taken
_PHOTO_RIM = 4.0  # pixels along a further photo's edge in which it gives way to the first: it ends there
# What is painted covers the draft's fine detail where it has contours of its own; where it only recolours, the detail
# stays.
_CONTOUR = 1 / 64  # of the aligned frame: what changes over less is a contour
_COVERING = (0.1, 0.25)  # contrast, of 1, between which it takes over
_FOLD_RIM = 5  # cells of the grid of motion around a fold, where a look-up in the photo would mix its two sides

Laid = Callable[[Array], Array]
"""Lays values (N, S, S[, C]) of the aligned frames over the frames' patches: (N, h, w[, C])."""


@dataclass(frozen=True)
class Layers:
    """What frames of one size are drawn from.

    Attributes:
        scene: the first reference's layers.
        matrices: (K, 2, 3) from each reference, as large as it is kept here, to the aligned frame.
        others: the further references and what is surely the person of their mattes, (h, w, 4), see `kernels.levels`.
        window: (S, S) float32, 1 inside the aligned frame, falling to 0 at its rim.
        around_head: (S, S) float32, the same, of the head alone: shoulders are elsewhere in each photo.
    """

    scene: Scene
    matrices: np.ndarray
    others: list[Array]
    window: Array
    around_head: Array

    def placed(self, kernels: Kernels) -> Layers:
        """The same with its pixels where the kernels have theirs."""
        return replace(
            self, scene=self.scene.placed(kernels), others=[kernels.placed(other) for other in self.others],
            window=kernels.placed(self.window), around_head=kernels.placed(self.around_head),
        )  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """What the network drew for N targets, float32.

    Attributes:
        warped: (N, S, S, 3), 0 to 1; painted: what is added to it.
        flow: (N, K, S, S, 2) positions in the draft, then in the further aligned references, pixels.
        merge: (N, K, S, S).
    """

    warped: Array
    painted: Array
    flow: Array
    merge: Array


def drawing_of(outputs: Sequence[Output], count: int, on_host: bool) -> Drawing:
    """The first `count` drawings of the networks' batches; as NumPy's arrays where they are `on_host`."""
    warped = torch.cat([_present(output.warped) for output in outputs])[:count]
    painted = torch.cat([output.image for output in outputs])[:count] - warped
    parts = (
        warped.permute(0, 2, 3, 1), painted.permute(0, 2, 3, 1),
        torch.cat([_present(output.flow) for output in outputs])[:count],
        torch.cat([_present(output.merge) for output in outputs])[:count, :, 0],
    )  # fmt: skip
    arrays = (part.float().contiguous() for part in parts)
    return Drawing(*(array.numpy() if on_host else array for array in arrays))


def _present(part: torch.Tensor | None) -> torch.Tensor:
    assert part is not None, "the generator copies"
    return part


@cache
def windows(side: int) -> tuple[np.ndarray, np.ndarray]:
    """`window` and `around_head` of `Layers` for an aligned frame of `side` pixels."""
    axis = np.arange(side) + 0.5
    edge = smoothstep(np.minimum(axis, side - axis) / (_RIM * side))
    window = (edge[:, None] * edge).astype(np.float32)
    return window, window * head(side, torch.device("cpu"))[0, 0].numpy()


def mended(kernels: Kernels, layers: Layers, moved: Moved, matrices: np.ndarray, drawing: Drawing) -> None:
    """Changes `moved.person`, the draft, as the network says: shifts, further references, colours.

    The outline stays the draft's, which is as sharp as the photo's. The network's is softer: taken over, with the
    shift of what lies around it, it left halos and seams around heads turned by 30 degrees.

    Args:
        matrices: (N, 2, 3) from the frames' pixels to the targets' aligned frames.
    """
    side, scene = drawing.warped.shape[1], layers.scene
    inverses = inverse(matrices)
    covered = _through(inverses, np.array([[0, 0], [side, 0], [0, side], [side, side]], float))
    patches = patches_around(covered, 0, scene.size)
    if not patches.there.any():
        return

    def laid(values: Array) -> Array:
        return kernels.warped(values, matrices, patches)

    # Where the draft is the photo itself there is nothing to mend, and a portrait at rest does not flicker.
    freedom = 1 - moved.field.fine(moved.field.stillness, patches)
    shift = laid(_shift(kernels, drawing) * layers.window[..., None]) * freedom[..., None]
    shift_person(kernels, scene, moved, patches, inverses, shift)
    xp = array_namespace(shift)
    person = moved.person[..., :3]
    color = xp.astype(kernels.taken(person, patches), xp.float32)
    change = _other_colors(kernels, layers, drawing, laid, color)
    if change is not None:
        color = color + freedom[..., None] * change
    inside = layers.window * _face(kernels, moved.motion.vertices[:, list(OVAL), :2], matrices, side)
    detail = laid(_contours(kernels, drawing.painted) * inside) * freedom
    merged = color
    color = color + (255 * freedom)[..., None] * laid(drawing.painted * inside[..., None])
    color = color + detail[..., None] * (255 * laid(drawing.warped) - merged)
    in_its_light(kernels, color, merged, scene.mouth.teeth)
    first = np.stack([patches.x, patches.y], -1)[:, None]
    upper, lower = (moved.motion.vertices[:, list(rim), :2] - first for rim in MOUTH)
    in_flesh(kernels, color, merged, upper, lower, scene.mouth.lip)
    kernels.laid(person, patches, held(color, person.dtype))


def _face(kernels: Kernels, ovals: np.ndarray, matrices: np.ndarray, side: int) -> Array:
    """How far each place of the aligned frames lies in the face, whose outline (N, P, 2) is in pixels of the frame:
    (N, S, S).

    Paint is kept to it: on hair and necks it is a guess, and left a pale arc beside a neck.
    """
    hulls = _hulls(np.round(_through(matrices, ovals)).astype(np.int32))
    mask = kernels.covered(*hulls, Patches.whole(len(ovals), (side, side)))
    xp = array_namespace(mask)
    return kernels.blurred(xp.astype(mask, xp.float32) / 255, _FACE_EDGE * side)


def _hulls(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The convex hulls of points (N, P, 2) int32, as triangles (N, P - 2, 3, 2), and which of these count."""
    # OpenCV takes 10 microseconds for one; nothing that NumPy could do for all at once comes near.
    hulls = [cv2.convexHull(frame)[:, 0] for frame in points]
    count = points.shape[1]
    corners = np.stack([np.concatenate([hull, np.repeat(hull[-1:], count - len(hull), 0)]) for hull in hulls])
    first = np.broadcast_to(corners[:, :1], (len(points), count - 2, 2))
    counted = np.arange(count - 2) < np.array([[max(1, len(hull) - 2)] for hull in hulls])
    return np.stack([first, corners[:, 1:-1], corners[:, 2:]], 2), counted


def _contours(kernels: Kernels, painted: Array) -> Array:
    """How far what is painted (N, S, S, 3) stands in for the draft's fine detail: (N, S, S) float32, 0 to 1."""
    xp = array_namespace(painted)
    reach = _CONTOUR * painted.shape[1]
    contrast = strongest(xp.abs(painted - kernels.blurred(painted, reach)))[..., 0]
    return between(kernels.blurred(contrast, reach / 2), *_COVERING)


def _shift(kernels: Kernels, drawing: Drawing) -> Array:
    """How far from each place of the aligned frames the draft shows what belongs there: (N, S, S, 2) pixels."""
    side = drawing.warped.shape[1]
    xp = array_namespace(drawing.flow)
    return drawing.flow[:, 0] - xp.stack(kernels.grid(Patches.whole(1, (side, side))), axis=-1)


def shift_person(
    kernels: Kernels, scene: Scene, moved: Moved, patches: Patches, inverses: np.ndarray, shift: Array
) -> None:  # fmt: skip
    """Looks patches of `moved.person` up where the shift (N, h, w, 2), pixels of the aligned frames, says; in place.

    Skin is looked up in the photo itself, its two moves in one: a picture of a picture would be softer. What was drawn
    over it (eyes, mouth) is a difference to the skin, and moves as one. Where near skin hides what lies behind, the
    photo's places jump, and between two of them there is none: there the draft's picture is moved.

    Args:
        inverses: (N, 2, 3) from the aligned frames to the frames.
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
    drawn = signed(draft) - kernels.looked_up(person, from_x, from_y)
    from_x, from_y = (kernels.looked_up(axis, right, down, Look.LINEAR) for axis in (from_x, from_y))
    skin = signed(kernels.looked_up(person, from_x, from_y, Look.LANCZOS))  # the sharpest way, for pores
    found = (skin + kernels.looked_up(drawn, right, down)).clip(0, 255)
    if moved.field.folds is not None:
        rim = kernels.averaged(kernels.grown(xp.astype(moved.field.folds > 0, xp.float32), _FOLD_RIM), 3)
        near = moved.field.fine(rim, patches)
        near = xp.maximum(kernels.looked_up(near, right, down, Look.LINEAR), 1 - shifts)[..., None]
        found = found + near * (kernels.looked_up(draft, right, down) - found)
    kernels.laid(moved.person, patches, held(found, moved.person.dtype))


def _other_colors(kernels: Kernels, layers: Layers, drawing: Drawing, laid: Laid, color: Array) -> Array | None:
    """What the further references add to patches' colours (N, h, w, 3); None where it is known to be nothing."""
    change = None
    xp = array_namespace(color)
    for number, other in enumerate(layers.others, 1):
        part = drawing.merge[:, number] * layers.around_head
        part = xp.where(xp.max(part, axis=(1, 2), keepdims=True) < _LEAST_SHARE, xp.zeros_like(part), part)
        if not kernels.touched(part).there.any():
            continue
        (a, b, first), (c, d, second) = inverse(layers.matrices[number]).tolist()
        right, down = drawing.flow[:, number, ..., 0], drawing.flow[:, number, ..., 1]
        right, down = laid(a * right + b * down + first), laid(c * right + d * down + second)
        seen = kernels.looked_up(other[None], right, down)
        # Of a further photo the person alone is taken. Its own matte tells where that is, finer than the network does.
        share = laid(part) * _within(right, down, other) * between(seen[..., 3] / 255, _UNSURE, 1)
        more = xp.astype(share[..., None] * (seen[..., :3] - color), xp.float32)
        change = more if change is None else change + more
    return change


def _within(right: Array, down: Array, photo: Array) -> Array:
    """1 at positions (N, h, w) well inside a photo (H, W, C), 0 outside: (N, h, w) float32."""
    xp = array_namespace(right)
    across, along = (
        xp.minimum(place, last - 1 - place) for place, last in ((right, photo.shape[1]), (down, photo.shape[0]))
    )
    return (xp.minimum(across, along) / _PHOTO_RIM).clip(0, 1)


def _through(matrices: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions (P, 2) or (N, P, 2) through affines (N, 2, 3): (N, P, 2)."""
    return at @ np.swapaxes(matrices[:, :, :2], 1, 2).astype(at.dtype) + matrices[:, None, :, 2].astype(at.dtype)
