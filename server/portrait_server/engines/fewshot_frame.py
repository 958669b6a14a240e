# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame: the warp's draft of the person, mended with what the network drew for it in the aligned frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from portrait_server.drawing.frame import Moved
from portrait_server.drawing.scene import Scene
from portrait_server.engines.fewshot_light import in_flesh, in_its_light
from portrait_server.geometry.alignment import pixel_grid
from portrait_server.geometry.face_mesh import MOUTH, OVAL
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.base import Patches
from portrait_server.kernels.levels import held, signed
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


@dataclass(frozen=True)
class Layers:
    """What frames of one size are drawn from.

    Attributes:
        scene: the first reference's layers.
        matrices: (K, 2, 3) from each reference, as large as it is kept here, to the aligned frame.
        others: the further references and what is surely the person of their mattes, (h, w, 4), see `kernels.levels`.
    """

    scene: Scene
    matrices: np.ndarray
    others: list[np.ndarray]


@dataclass(frozen=True)
class Drawing:
    """What the network drew for one target, S pixels a side, float32.

    Attributes:
        warped: (S, S, 3), 0 to 1, painted: what is added to it.
        flow: (K, S, S, 2) positions in the draft, then in the further aligned references, pixels. merge: (K, S, S).
    """

    warped: np.ndarray
    painted: np.ndarray
    flow: np.ndarray
    merge: np.ndarray


def unpacked(output: Output, count: int) -> list[Drawing]:
    """The first `count` drawings of a batch."""
    assert output.warped is not None and output.flow is not None and output.merge is not None
    planes = torch.cat([output.warped, output.image - output.warped], 1).permute(0, 2, 3, 1)
    drawn, flow, merge = (x.float().cpu().numpy() for x in (planes, output.flow, output.merge[:, :, 0]))
    return [
        Drawing(
            warped=np.ascontiguousarray(drawn[i, ..., :3]), painted=np.ascontiguousarray(drawn[i, ..., 3:]),
            flow=flow[i], merge=merge[i],
        )
        for i in range(count)
    ]  # fmt: skip


def mended(layers: Layers, moved: Moved, matrix: np.ndarray, drawing: Drawing) -> Moved:
    """The draft with what the network changed: shifts, further references, colours.

    The outline stays the draft's, which is as sharp as the photo's. The network's is softer: taken over, with the
    shift of what lies around it, it left halos and seams around heads turned by 30 degrees.

    Args:
        matrix: (2, 3) from the frame's pixels to the target's aligned frame.
    """
    side = len(drawing.warped)
    region = _region(matrix, side, layers.scene.size)
    if region is None:
        return moved
    there = _composed(matrix, np.array([[1.0, 0, region[1].start], [0, 1, region[0].start]]))
    size = (region[1].stop - region[1].start, region[0].stop - region[0].start)

    def laid(values: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(values, there, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    # Where the draft is the photo itself there is nothing to mend, and a portrait at rest does not flicker.
    still = moved.field.stillness
    calm = cv2.resize(still[0], layers.scene.size, interpolation=cv2.INTER_LINEAR)[region]
    window, freedom = _window(side), 1 - calm
    person = shifted(
        layers.scene, moved, region, matrix, laid(_shift(drawing) * window[..., None]) * freedom[..., None]
    )
    color = person[region][..., :3].astype(np.float32)
    color += freedom[..., None] * _other_colors(layers, drawing, laid, window, color)
    merged = color.copy()
    (vertices,) = moved.motion.vertices[..., :2]
    inside = window * _face(vertices[list(OVAL)], matrix, side)
    detail = laid(_covered(drawing.painted) * inside) * freedom
    color += (255 * freedom)[..., None] * laid(drawing.painted * inside[..., None])
    color += detail[..., None] * (255 * laid(drawing.warped) - merged)
    color = in_its_light(color, merged, layers.scene.mouth.teeth)
    upper, lower = (vertices[list(rim)] - (region[1].start, region[0].start) for rim in MOUTH)
    in_flesh(color, merged, upper, lower, layers.scene.mouth.lip)
    person[region][..., :3] = held(color, person.dtype)
    return replace(moved, person=person[None])


def _face(oval: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """How far each place of the aligned frame lies in the face, whose outline (N, 2) is in pixels of the frame: (S, S).

    Paint is kept to it: on hair and necks it is a guess, and left a pale arc beside a neck.
    """
    outline = cv2.convexHull(np.round(_through(matrix, oval)).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((side, side), np.float32), outline, 1.0)
    return cv2.GaussianBlur(mask, (0, 0), _FACE_EDGE * side)


def _covered(painted: np.ndarray) -> np.ndarray:
    """How far what is painted (S, S, 3) stands in for the draft's fine detail: (S, S) float32, 0 to 1."""
    reach = _CONTOUR * len(painted)
    contrast = np.abs(painted - cv2.GaussianBlur(painted, (0, 0), reach)).max(-1)
    contrast = cv2.GaussianBlur(contrast, (0, 0), reach / 2)
    return between(contrast, *_COVERING).astype(np.float32)


def _shift(drawing: Drawing) -> np.ndarray:
    """How far from each place of the aligned frame the draft shows what belongs there: (S, S, 2) pixels."""
    return drawing.flow[0] - pixel_grid(len(drawing.warped))


def shifted(
    scene: Scene, moved: Moved, region: tuple[slice, slice], matrix: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """A copy of the person, a region of it looked up where the shift (h, w, 2) says.

    Skin is looked up in the photo itself, its two moves in one: a picture of a picture would be softer. What was drawn
    over it (eyes, mouth) is a difference to the skin, and moves as one. Where near skin hides what lies behind, the
    photo's places jump, and between two of them there is none: there the draft's picture is moved.
    """
    person = moved.person[0].copy()
    at = (shift @ _inverse(matrix)[:, :2].T.astype(np.float32)).astype(np.float32)
    if np.abs(at).max(initial=0) < _LEAST_SHIFT:
        return person
    rows, columns = region
    at[..., 0] += np.arange(at.shape[1], dtype=np.float32)
    at[..., 1] += np.arange(at.shape[0], dtype=np.float32)[:, None]
    draft = person[region]
    first = np.array([columns.start]), np.array([rows.start])
    part = Patches(*first, columns.stop - columns.start, rows.stop - rows.start, np.ones(1, bool))
    (origin,) = np.stack(moved.field.positions(part), -1)
    drawn = signed(draft) - _looked_up(scene.person, origin)
    places = _looked_up(origin, at, cv2.INTER_LINEAR)
    skin = signed(_looked_up(scene.person, places, cv2.INTER_LANCZOS4))  # the sharpest way, for pores
    found = np.clip(skin + _looked_up(drawn, at), 0, 255)
    folds = moved.field.folds
    if folds is not None:
        rim = cv2.blur(cv2.dilate(np.sign(folds[0]), np.ones((_FOLD_RIM,) * 2)), (3, 3))
        near = cv2.resize(rim, scene.size, interpolation=cv2.INTER_LINEAR)[region]
        near = _looked_up(near, at, cv2.INTER_LINEAR)[..., None]
        found = found + near * (_looked_up(draft, at) - found)
    person[region] = held(found, person.dtype)
    return person


def _looked_up(picture: np.ndarray, at: np.ndarray, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    """A picture at positions (h, w, 2), its border continued outwards."""
    return cv2.remap(picture, at, None, how, borderMode=cv2.BORDER_REPLICATE)


def _other_colors(
    layers: Layers, drawing: Drawing, laid: Callable[[np.ndarray], np.ndarray], window: np.ndarray, color: np.ndarray
) -> np.ndarray:
    """What the further references add to a region's colours (h, w, 3)."""
    change = np.zeros_like(color)
    # Of further references the head alone: shoulders were elsewhere in each photo.
    around_head = window * head(len(window), torch.device("cpu"))[0, 0].numpy()
    for number, other in enumerate(layers.others, 1):
        part = drawing.merge[number] * around_head
        if part.max() < _LEAST_SHARE:
            continue
        at = laid(_through(_inverse(layers.matrices[number]), drawing.flow[number]).astype(np.float32))
        seen = _looked_up(other, at)
        # Of a further photo the person alone is taken. Its own matte tells where that is, finer than the network does.
        share = laid(part) * _within(at, other) * between(seen[..., 3] / 255, _UNSURE, 1)
        change += share[..., None] * (seen[..., :3] - color)
    return change


def _window(side: int) -> np.ndarray:
    """1 inside the aligned frame, falling to 0 at its rim: (side, side) float32."""
    axis = np.arange(side) + 0.5
    edge = smoothstep(np.minimum(axis, side - axis) / (_RIM * side))
    return (edge[:, None] * edge).astype(np.float32)


def _region(matrix: np.ndarray, side: int, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the aligned frame covers."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
    found = _through(_inverse(matrix), corners)
    low = np.clip(np.floor(found.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(found.max(0)) + 1, 0, size).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _within(at: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """1 at positions (h, w, 2) well inside a photo, 0 outside: (h, w) float32."""
    last = np.array([photo.shape[1] - 1, photo.shape[0] - 1], np.float32)
    return np.clip(np.minimum(at, last - at).min(-1) / _PHOTO_RIM, 0, 1)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    return cv2.invertAffineTransform(matrix)


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    result = second[:, :2] @ first
    result[:, 2] += second[:, 2]
    return result


def _through(matrix: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions (..., 2) through an affine (2, 3)."""
    return at @ matrix[:, :2].T.astype(at.dtype) + matrix[:, 2].astype(at.dtype)
