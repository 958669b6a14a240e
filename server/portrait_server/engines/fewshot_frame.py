# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame from what the network drew in the aligned frame: flow and masks applied to the photos at their own size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from portrait_server.engines.warp_scene import Scene, blend
from portrait_server.geometry.pose import smoothstep
from portrait_server.networks.output import Output

_AROUND = 0.75  # how far beyond the aligned frame motion is drawn, in its sides
_AROUND_CELLS = 48
_FIELD_CELLS = 512  # the longest side of the grid on which the motion is drawn
_STRIP_ROWS = 256
_STILL_PIXELS = 2.0  # of a 512-pixel frame: the motion by which the photo's own edge is given up
_RIM = 0.06  # of the aligned frame: there the network's drawing gives way to what lies around
# Where, from the aligned frame's middle and in its sides, the photo starts to stay in place, and is still: up and
# sideways (hair), and down (neck, shoulders).
_STILL_HAIR, _STILL_NECK = (0.45, 0.9), (0.32, 0.72)
_SLOPE = 1.6  # a stretch in which motion ends is at least so many times as long as the motion
_LEAST_SHARE = 0.02
# Further references show the head alone, so far around its middle in the aligned frame: shoulders were elsewhere in
# each photo.
_HEAD_MIDDLE, _HEAD_ENDS = 0.48, (0.36, 0.48)
_PHOTO_RIM = 4.0  # pixels within which a further reference gives way to the first: beyond its edge it shows nothing


@dataclass(frozen=True)
class Layers:
    """What frames of one size are drawn from.

    Attributes:
        scene: the first reference's layers.
        matrices: (K, 2, 3) from each reference, as large as it is kept here, to the aligned frame.
        others: the further references (h, w, 3) uint8.
    """

    scene: Scene
    matrices: np.ndarray
    others: list[np.ndarray]


@dataclass(frozen=True)
class Drawing:
    """What the network drew for one target, S pixels a side, float32.

    Attributes:
        color, warped: (S, S, 3), 0 to 1. mask, matte_change: (S, S).
        flow: (K, S, S, 2) pixels of the aligned references. merge: (K, S, S).
        around: (C, C, 2) the prior's offsets to the first reference, pixels, on a wider grid.
    """

    color: np.ndarray
    warped: np.ndarray
    mask: np.ndarray
    matte_change: np.ndarray
    flow: np.ndarray
    merge: np.ndarray
    around: np.ndarray


def unpacked(output: Output, side: int, count: int) -> list[Drawing]:
    """The first `count` drawings of a batch."""
    assert output.warped is not None and output.mask is not None and output.color is not None
    assert output.flow is not None and output.merge is not None and output.prior is not None
    assert output.matte is not None and output.warped_matte is not None
    axis = torch.tensor(_wide_axis(), dtype=torch.float32, device=output.image.device)
    around = output.prior.offsets(axis, axis)[:, 0] * side
    change = output.matte - output.warped_matte
    planes = torch.cat([output.color, output.warped, output.mask, change], 1).permute(0, 2, 3, 1)
    drawn, flow, merge, wide = (x.float().cpu().numpy() for x in (planes, output.flow, output.merge[:, :, 0], around))
    return [
        Drawing(
            color=np.ascontiguousarray(drawn[i, ..., :3]), warped=np.ascontiguousarray(drawn[i, ..., 3:6]),
            mask=np.ascontiguousarray(drawn[i, ..., 6]), matte_change=np.ascontiguousarray(drawn[i, ..., 7]),
            flow=flow[i], merge=merge[i], around=wide[i],
        )
        for i in range(count)
    ]  # fmt: skip


def _wide_axis() -> np.ndarray:
    return (np.arange(_AROUND_CELLS) + 0.5) / _AROUND_CELLS * (1 + 2 * _AROUND) - _AROUND


def draw_frame(layers: Layers, matrix: np.ndarray, drawing: Drawing, matte: bool) -> np.ndarray:
    """A frame (H, W, 3 or 4) uint8.

    Args:
        matrix: (2, 3) from the frame's pixels to the target's aligned frame.
    """
    scene = layers.scene
    follow, motion = _motion(layers.matrices[0], matrix, drawing)
    offsets = _photo_offsets(scene, layers.matrices[0], matrix, motion)
    person, alpha = _carried(scene, offsets)
    region = _region(matrix, drawing.mask.shape[0], scene.size)
    if region is not None:
        _mend(person, alpha, layers, _shifted(matrix, region), region, drawing, follow)
    return _composite(scene, person, alpha, offsets, matte)


def _motion(reference: np.ndarray, matrix: np.ndarray, drawing: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """How far each place goes with the head (S, S), and the motion (W, W, 2) beyond the photo's own stillness.

    The motion is in pixels of the aligned reference, on a canvas wider than the aligned frame, W pixels.
    """
    side = drawing.mask.shape[0]
    margin = round(_AROUND * side)
    # What keeps its place in the photo goes this way from aligned target to aligned reference.
    still = _composed(reference, _inverse(matrix))
    coarse = np.stack(np.meshgrid(_wide_axis(), _wide_axis()), -1)
    head = drawing.around + (coarse * side - 0.5) - _through(still, coarse * side - 0.5)
    centre = np.full((1, 2), side / 2)
    travelled = float(np.linalg.norm(_through(still, centre) - centre)) / side
    share = _follow(coarse, travelled)
    canvas = (side + 2 * margin,) * 2
    wide = cv2.resize((head * share[..., None]).astype(np.float32), canvas, interpolation=cv2.INTER_LINEAR)
    inner = slice(margin, margin + side)
    follow = cv2.resize(share.astype(np.float32), canvas, interpolation=cv2.INTER_LINEAR)[inner, inner]
    at = np.stack(np.meshgrid(*[np.arange(side, dtype=np.float32)] * 2), -1)
    fine = (drawing.flow[0] - _through(still, at)) * follow[..., None]
    window = _window(side)[..., None]
    wide[inner, inner] += window * (fine - wide[inner, inner])
    return follow, wide


def _follow(at: np.ndarray, travelled: float) -> np.ndarray:
    """How far the head carries places (..., 2), in sides of the aligned frame; it travelled so far in the photo."""
    arm = at - 0.5
    distance = np.linalg.norm(arm, axis=-1)
    down = smoothstep((arm[..., 1] / np.maximum(distance, 1e-6) + 0.15) / 0.75)
    starts = _STILL_HAIR[0] + down * (_STILL_NECK[0] - _STILL_HAIR[0])
    ends = _STILL_HAIR[1] + down * (_STILL_NECK[1] - _STILL_HAIR[1])
    longest = 0.5 + _AROUND - starts
    length = np.minimum(np.maximum(ends - starts, _SLOPE * travelled), longest)
    return 1 - smoothstep((distance - starts) / length)


def _window(side: int) -> np.ndarray:
    """1 inside the aligned frame, falling to 0 at its rim: (side, side) float32."""
    axis = np.arange(side) + 0.5
    edge = smoothstep(np.minimum(axis, side - axis) / (_RIM * side))
    return (edge[:, None] * edge).astype(np.float32)


def _photo_offsets(scene: Scene, reference: np.ndarray, matrix: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The motion on the frame's grid (rows, columns, 2) float32, in pixels of the frame."""
    width, height = scene.size
    step = max(1.0, max(width, height) / _FIELD_CELLS)
    columns, rows = max(1, round(width / step)), max(1, round(height / step))
    back = _inverse(reference)[:, :2]
    moved = motion @ back.T.astype(np.float32)
    steps = np.array([width / columns, height / rows])
    to_canvas = _composed(matrix, np.column_stack([np.diag(steps), steps / 2 - 0.5]))
    margin = (motion.shape[0] - round(motion.shape[0] / (1 + 2 * _AROUND))) / 2
    to_canvas[:, 2] += margin
    return cv2.warpAffine(moved, to_canvas, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _carried(scene: Scene, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The person's colours (H, W, C) and matte (H, W) uint8, moved."""
    person, alpha = np.empty_like(scene.person), np.empty_like(scene.matte)
    x = np.arange(scene.size[0], dtype=np.float32)
    for rows, moved in _strips(scene.size, offsets):
        from_x, from_y = moved[..., 0] + x, moved[..., 1] + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        for source, goal in ((scene.person, person), (scene.matte, alpha)):
            goal[rows] = cv2.remap(source, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return person, alpha


def _strips(size: tuple[int, int], offsets: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The offsets at every pixel, a strip of the frame at a time."""
    width, height = size
    if offsets.shape[:2] == (height, width):
        yield slice(0, height), offsets
        return
    cells = offsets.shape[0]
    for start in range(0, height, _STRIP_ROWS):
        rows = slice(start, min(start + _STRIP_ROWS, height))
        at = np.clip((np.arange(rows.start, rows.stop) + 0.5) * cells / height - 0.5, 0, cells - 1)
        above = np.floor(at).astype(int)
        share = (at - above).astype(np.float32)[:, None, None]
        lines = offsets[above] * (1 - share) + offsets[np.minimum(above + 1, cells - 1)] * share
        yield rows, cv2.resize(lines, (width, len(at)), interpolation=cv2.INTER_LINEAR)


def _region(matrix: np.ndarray, side: int, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the aligned frame covers."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
    found = _through(_inverse(matrix), corners)
    low = np.clip(np.floor(found.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(found.max(0)) + 1, 0, size).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _mend(
    person: np.ndarray,
    alpha: np.ndarray,
    layers: Layers,
    matrix: np.ndarray,
    region: tuple[slice, slice],
    drawing: Drawing,
    follow: np.ndarray,
) -> None:
    """Merges the further references and what the network made into a region of the person and its matte, in place."""
    share = follow * _window(len(follow))
    size = (region[1].stop - region[1].start, region[0].stop - region[0].start)

    def laid(values: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(values, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    color = person[region][..., :3].astype(np.float32)
    shown = color.copy()
    head = share * _head(len(share))
    for number, other in enumerate(layers.others, 1):
        part = drawing.merge[number] * head
        if part.max() < _LEAST_SHARE:
            continue
        source = _through(_inverse(layers.matrices[number]), drawing.flow[number]).astype(np.float32)
        at = laid(source)
        seen = cv2.remap(other, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        color += (laid(part) * _within(at, other))[..., None] * (seen - shown)
    # A mask half open recolours; only one that is open takes the photo's fine detail away.
    detail = (laid(drawing.mask * share) ** 2)[..., None]
    color += 255 * laid((drawing.mask * share)[..., None] * (drawing.color - drawing.warped))
    color += detail * (255 * laid(drawing.warped) - shown)
    person[region][..., :3] = np.clip(np.round(color), 0, 255)
    matte = alpha[region] + 255 * laid(drawing.matte_change * share)
    alpha[region] = np.clip(np.round(matte), 0, 255)


def _head(side: int) -> np.ndarray:
    """1 where the head is, 0 on the shoulders: (side, side) float32."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side
    distance = np.hypot(axis - 0.5, axis[:, None] - _HEAD_MIDDLE)
    return 1 - smoothstep((distance - _HEAD_ENDS[0]) / (_HEAD_ENDS[1] - _HEAD_ENDS[0])).astype(np.float32)


def _within(at: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """1 at positions (h, w, 2) well inside a photo, 0 outside: (h, w) float32."""
    last = np.array([photo.shape[1] - 1, photo.shape[0] - 1], np.float32)
    return np.clip(np.minimum(at, last - at).min(-1) / _PHOTO_RIM, 0, 1)


def _composite(scene: Scene, person: np.ndarray, alpha: np.ndarray, offsets: np.ndarray, matte: bool) -> np.ndarray:
    """The person over the still background; where nothing moves, with the photo's own edges."""
    height, width, channels = person.shape
    frame = np.empty((height, width, 4 if matte else channels), np.uint8)
    still = _STILL_PIXELS * max(width, height) / 512
    for rows, moved in _strips(scene.size, offsets):
        mixed = blend(person[rows], scene.plate[rows], alpha[rows])
        calm = np.round(256 * (1 - smoothstep(np.abs(moved).max(-1) / still))).astype(np.int32)[..., None]
        mixed = np.clip(mixed + ((scene.rest[rows] * calm) >> 8), 0, 255).astype(np.uint8)
        frame[rows][..., :3] = mixed[..., :3]
        if matte:
            own = person[rows][..., 3] if channels == 4 else np.uint8(255)
            frame[rows][..., 3] = (alpha[rows].astype(np.uint16) * own + 127) // 255
        elif channels == 4:
            frame[rows][..., 3] = mixed[..., 3]
    return frame


def _shifted(matrix: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
    """The affine from a region's own pixels."""
    return _composed(matrix, np.array([[1.0, 0, region[1].start], [0, 1, region[0].start]]))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    return cv2.invertAffineTransform(matrix)


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    result = second[:, :2] @ first
    result[:, 2] += second[:, 2]
    return result


def _through(matrix: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions (..., 2) through an affine (2, 3)."""
    return at @ matrix[:, :2].T.astype(at.dtype) + matrix[:, 2].astype(at.dtype)
