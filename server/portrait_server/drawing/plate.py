# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate: the background of a photo, made up where the person hides it."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.drawing.by_example import continued, plain_light
from portrait_server.drawing.fill import continued_where_clear, smoothly_continued
from portrait_server.geometry.face_mesh import OVAL
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.levels import held
from portrait_server.kernels.opencv import OpenCV

_SHOWN = 0.02  # a smaller share of a person is not seen
# Of the longest side: how far beyond its matte the person may still be seen, its single hairs too, and how far nothing
# is an example of the background.
REACH, _WISPS, _BARRED = 0.018, 0.045, 0.03
_FADE = 0.015  # of the longest side, outside of what is hidden
_PIXELS = 1024  # the longest side on which hairs are looked for
# Deviations, levels, of walls before which hairs can be told, and a lens' halo; and how much these differ from the wall.
_WALL, _PLAIN_WALL, _HAIR, _HALO = 6.0, 2.0, 3.0, 1.5
_TEXTURE = 2.0  # sigma in pixels: what is finer is grain and texture
_USUAL = 3.0  # times its mean deviation, beyond which it is something else


def build_plate(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> np.ndarray:
    """The background behind a person, by example, at the photo's own resolution. It takes seconds.

    Args:
        image: (H, W, 3 or 4) uint8 or float32, see `kernels.levels`.
        matte: (H, W) float32, 0 to 1.
        mesh: in pixels of the image.

    Returns:
        (H, W, 3 or 4) of the image's type.
    """
    return filled_behind(image, with_face(matte, mesh.vertices[list(OVAL), :2]))


def filled_behind(image: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The same for people whose faces their matte (H, W) surely holds."""
    colours, distance = continued_where_clear(image), distance_to(matte)
    hidden = (distance <= REACH) | _wisps(colours, distance <= _WISPS)
    if hidden.all() or not hidden.any():
        return colours
    beside = clear_of(hidden)
    filled = continued(colours, beside > 1, distance > _BARRED)
    # The photo fades into what is made up, so that no difference in light ends in a line.
    return OpenCV().blended(colours[None], filled[None], held(255 * smoothstep(beside), colours.dtype)[None])[0]


def _wisps(colours: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Single hairs and a lens' halo beside the person, told where the background is plain: (H, W) bool.

    Args:
        colours: (H, W, 3 or 4), see `kernels.levels`.
        around: (H, W) bool, where they may be.
    """
    height, width = around.shape
    shrink = min(1.0, _PIXELS / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(colours, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    inside = cv2.resize(around.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if inside.all():
        return np.zeros_like(around)
    plain, spread = plain_light(small, ~inside)
    difference = small - plain
    apart = np.abs(difference).max(-1)
    soft = np.abs(cv2.GaussianBlur(difference, (0, 0), max(size) / 256)).max(-1)
    hair = (spread < _WALL) & (apart > _HAIR * (1 + spread))
    found = inside & (hair | (spread < _PLAIN_WALL) & (soft > _HALO))
    found = cv2.dilate(found.astype(np.uint8), np.ones((5, 5), np.uint8))
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST) > 0


def smooth_plate(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> np.ndarray:
    """As `build_plate`, but a blur, at once: for pictures in which nobody looks at the background."""
    colours, known = continued_where_clear(image), distance_to(with_face(matte, mesh.vertices[list(OVAL), :2])) > REACH
    return np.where(known[..., None], colours, smoothly_continued(colours, known))


def plate_of_frame(image: np.ndarray, matte: np.ndarray, mesh: HeadMesh) -> np.ndarray:
    """As `smooth_plate`, without locks beside the matte, and with the grain and the fine texture that the background has
    beside the person, mirrored."""
    colours, known = (
        continued_where_clear(image),
        distance_to(with_face(matte, mesh.vertices[list(OVAL), :2])) > _BARRED,
    )
    plate = np.where(known[..., None], colours, smoothly_continued(colours, known))
    if known.all() or not known.any():
        return plate
    shown = plate[..., :3].astype(np.float32)
    fine = shown - cv2.GaussianBlur(shown, (0, 0), _TEXTURE)
    # A single hair or an edge beside the person is no texture.
    most = _USUAL * np.abs(fine[known]).mean(0)
    y, x, from_y, from_x = _mirrored(known)
    shown[y, x] += fine[from_y, from_x].clip(-most, most)
    plate[..., :3] = held(shown, plate.dtype)
    return plate


def _mirrored(known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of unknown pixels, and of the known ones (H, W) bool that lie as far on the border's other side."""
    height, width = known.shape
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    places = np.flatnonzero(known)
    nearest = np.zeros(labels.max() + 1, np.int64)
    nearest[labels.ravel()[places]] = places
    y, x = np.nonzero(~known)
    at_y, at_x = np.divmod(nearest[labels[y, x]], width)
    from_y, from_x = 2 * at_y - y, 2 * at_x - x
    there = (from_y >= 0) & (from_x >= 0) & (from_y < height) & (from_x < width)
    there &= known[from_y.clip(0, height - 1), from_x.clip(0, width - 1)]
    return y[there], x[there], from_y[there], from_x[there]


def clear_of(hidden: np.ndarray) -> np.ndarray:
    """How far each pixel lies outside of what is hidden (H, W) bool: 0 to 1 where what is shown need not fade any more."""
    return cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, 3) / (_FADE * max(hidden.shape))


def with_face(matte: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """The matte (H, W) with the face inside an outline (P, 2), pixels: that is the person, whatever the segmentation says."""
    covered = np.ascontiguousarray(matte, np.float32).copy()
    cv2.fillPoly(covered, [np.round(outline).astype(np.int32)], (1.0,))
    return covered


def distance_to(matte: np.ndarray) -> np.ndarray:
    """How far each pixel is from the person, (H, W) float32, in units of the longest side."""
    free = (matte <= _SHOWN).astype(np.uint8)
    if free.all():
        return np.ones(matte.shape, np.float32)
    return cv2.distanceTransform(free, cv2.DIST_L2, 3) / max(matte.shape)
