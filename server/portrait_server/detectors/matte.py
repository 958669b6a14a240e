# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's matte: MediaPipe's selfie segmentation, its edge drawn after the picture's own.

Drawings, animals and statues are no persons to it: there the matte is grown from the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from portrait_server.detectors.grown_matte import grown_matte
from portrait_server.detectors.installed_mediapipe import installed_networks
from portrait_server.detectors.matte_halo import surely_wall
from portrait_server.detectors.mediapipe_networks import Networks
from portrait_server.detectors.native_log import without_harmless_lines
from portrait_server.geometry.face_mesh import OVAL

_MODEL_PIXELS: Final = 512  # the network sees 256; more only adds aliasing
GUIDE_PIXELS: Final = 1024
_RADIUS: Final = 1 / 100  # of the longest side: how far the edge may move to follow the picture
_COVERED: Final = 0.5  # of a face, by a matte that is to be of its person
_AGREES: Final = 0.85  # intersection over union, with what grows from a face that no detector knows
_SMOOTHNESS: Final = 1e-4  # variance of brightness, in 0..1, below which there is no edge to follow


@dataclass(frozen=True)
class MarkedFace:
    """A face whose person a matte is to show.

    Attributes:
        mesh: (478, 3) pixels.
        detected: whether a detector has seen it.
    """

    mesh: np.ndarray
    detected: bool


def person_matte(
    image: np.ndarray,
    guide_pixels: int = GUIDE_PIXELS,
    faces: Sequence[MarkedFace] = (),
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """How far each pixel shows the person.

    Args:
        image: (H, W, 3) uint8 RGB.
        guide_pixels: the longest side at which its edges are looked at; most of the time goes by their square.
        faces: where no person is seen on one of them, the matte is grown from it. Of one that no detector has seen the
            segmentation is believed only where it and what grows are much the same, for it takes other things for
            persons, too.
        seen: what `segmented` saw there, at any size; it is asked where None.

    Returns:
        (H, W) float32, 0 to 1.
    """
    rough = _of_faces(segmented(image) if seen is None else seen, image, faces)
    matte = np.clip((follow_edges(image, rough, guide_pixels) - 0.05) / 0.9, 0, 1)
    guide = _at_most(image, guide_pixels)
    wall = surely_wall(guide, _at_most(matte, guide_pixels))
    return np.minimum(matte, 1 - cv2.resize(wall, matte.shape[::-1], interpolation=cv2.INTER_LINEAR))


def follow_edges(image: np.ndarray, rough: np.ndarray, guide_pixels: int = GUIDE_PIXELS) -> np.ndarray:
    """A rough matte whose edge is drawn after a picture's own.

    Args:
        image: (H, W, 3) uint8 RGB.
        rough: (h, w) float32, 0 to 1, of any size.
        guide_pixels: as of `person_matte`.

    Returns:
        (H, W) float32, about 0 to 1.
    """
    height, width = image.shape[:2]
    guide = _at_most(image, guide_pixels)
    rough = cv2.resize(rough, guide.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    slope, constant = _guided(guide.astype(np.float32) / 255, _steeper(rough))
    slope = cv2.resize(slope, (width, height), interpolation=cv2.INTER_LINEAR)
    matte = cv2.resize(constant, (width, height), interpolation=cv2.INTER_LINEAR)
    for channel in range(3):
        matte += slope[..., channel] * image[..., channel].astype(np.float32) / 255
    return matte


def _of_faces(rough: np.ndarray, image: np.ndarray, faces: Sequence[MarkedFace]) -> np.ndarray:
    """The segmentation (h, w), where it is of these faces' persons; what grows from the others."""
    grown = [each for each in (_grown_where_unseen(rough, image, face) for face in faces) if each is not None]
    if not grown:
        return rough
    believed = [rough] if len(grown) < len(faces) else []
    return np.asarray(np.max([*believed, *grown], axis=0))


def _grown_where_unseen(rough: np.ndarray, image: np.ndarray, face: MarkedFace) -> np.ndarray | None:
    """The matte (h, w) that grows from a face; None where the segmentation (h, w) is of its person."""
    height, width = rough.shape
    outline = face.mesh[list(OVAL), :2] * (width / image.shape[1], height / image.shape[0])
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], (1,))
    if not inside.any():
        return None
    covers = rough[inside > 0].mean() >= _COVERED
    if covers and face.detected:
        return None
    grown = cv2.resize(grown_matte(image, face.mesh), (width, height), interpolation=cv2.INTER_LINEAR)
    one, other = rough > 0.5, grown > 0.5
    return None if covers and (one & other).sum() >= _AGREES * (one | other).sum() else grown


def segmented(image: np.ndarray, networks: Networks | None = None) -> np.ndarray:
    """Where a picture (H, W, 3) uint8 RGB shows people, roughly: (h, w) float32, 0 to 1, 512 pixels a side at most.

    Args:
        networks: MediaPipe's; those of the package that is installed where None.
    """
    networks = networks or installed_networks()
    with without_harmless_lines():
        return np.clip(networks.people(_at_most(image, _MODEL_PIXELS)), 0, 1)


def _at_most(image: np.ndarray, pixels: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = pixels / max(height, width)
    if scale >= 1:
        return image
    return cv2.resize(
        image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )


def _steeper(mask: np.ndarray) -> np.ndarray:
    """The network is unsure over a wide band; the edge itself is narrow."""
    return np.clip((mask - 0.5) * 2 + 0.5, 0, 1)


def _guided(guide: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the matte as a local linear function of colour (He, Sun, Tang, "Guided Image Filtering", 2010).

    Args:
        guide: (h, w, 3) float32, 0 to 1.
        mask: (h, w) float32, 0 to 1.

    Returns:
        (h, w, 3) and (h, w) float32.
    """
    radius = max(2, round(_RADIUS * max(mask.shape)))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    centre, level = mean(guide), mean(mask)
    shared = mean(guide * mask[..., None]) - centre * level[..., None]
    spread = np.empty((*mask.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            spread[..., i, j] = spread[..., j, i] = (
                mean(guide[..., i] * guide[..., j]) - centre[..., i] * centre[..., j]
            )
    spread += _SMOOTHNESS * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, shared[..., None])[..., 0]
    constant = level - (slope * centre).sum(-1)
    return mean(slope), mean(constant)
