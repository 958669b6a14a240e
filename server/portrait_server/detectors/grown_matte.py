# SPDX-License-Identifier: GPL-3.0-or-later
"""The rough matte of a face that is no photographed person's: grown from the face by colours and edges of the picture.

Rother, Kolmogorov, Blake, “GrabCut”, SIGGRAPH 2004, as OpenCV has it: the face is surely the figure, the picture's rim
far above and beside it surely is not, and a head with shoulders around the face is where the search begins.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from portrait_server.geometry.face_mesh import OVAL

_PIXELS: Final = 320  # the longest side: bounds the time to about a second
_ROUNDS: Final = 5
_SEED: Final = 7  # of the clustering of colours, so that a picture always gives the same matte
_SURELY: Final = 0.9  # of the face's outline
# The skull above the forehead, and with it the hair: its middle above the face's, half its width and height, of the
# outline's. A head ends about 0.5 half heights above the outline.
_SKULL: Final = (0.85, 0.5, 0.42)
_HEAD: Final = (1.4, 1.7)  # of the outline, half widths and half heights: hair and ears, where the search begins
_FAR: Final = 2.6  # of the outline: farther above and beside lies background, where the picture goes that far
_SHOULDERS: Final = (
    0.55,
    1.5,
)  # half face widths beside the middle: of a neck, and how much wider in a face's height below
_RIM: Final = 0.015  # of the longest side


def grown_matte(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """How far each pixel is of the figure whose face is given, on a smaller picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: (468 or more, 2 or 3) the face's mesh, pixels.

    Returns:
        (h, w) float32, 0 to 1, at most 320 pixels on the longest side; without holes, and in one piece with the face.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _PIXELS / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    outline = np.asarray(face, float)[list(OVAL), :2] * (size[0] / width, size[1] / height)
    labels = _first_labels(outline, size)
    surely = labels == cv2.GC_FGD
    if surely.any() and (labels != cv2.GC_FGD).any() and not (labels == cv2.GC_PR_FGD).all():
        cv2.setRNGSeed(_SEED)
        cv2.grabCut(
            cv2.GaussianBlur(small, (0, 0), 0.8), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )  # fmt: skip
    figure = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    whole = _in_one_piece(cv2.morphologyEx(figure, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) | surely, surely)
    return cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 1.0)


def _first_labels(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What GrabCut begins with: (h, w) uint8."""
    centre, (half_width, half_height) = (outline.min(0) + outline.max(0)) / 2, np.ptp(outline, axis=0) / 2
    y, x = np.mgrid[: size[1], : size[0]]
    aside, down = (x - centre[0]) / max(half_width, 1), (y - centre[1]) / max(half_height, 1)
    labels = np.full((size[1], size[0]), cv2.GC_PR_BGD, np.uint8)
    rim = max(1, round(_RIM * max(size)))
    edge = np.ones_like(labels, bool)
    edge[rim:, rim:-rim] = False  # the lower edge cuts figures off
    labels[edge & (down < 1) & (np.hypot(aside, down) > _HEAD[1])] = cv2.GC_BGD
    labels[(np.hypot(aside, down) > _FAR) & (down < 1)] = cv2.GC_BGD
    likely = np.hypot(aside / _HEAD[0], down / _HEAD[1]) < 1
    likely |= (down > 0) & (np.abs(aside) < _SHOULDERS[0] + _SHOULDERS[1] * np.maximum(down - 1.2, 0))
    labels[likely & (labels != cv2.GC_BGD)] = cv2.GC_PR_FGD
    inner = np.round(centre + _SURELY * (outline - centre)).astype(np.int32)
    cv2.fillPoly(labels, [inner], (int(cv2.GC_FGD),))
    above, wide, high = _SKULL
    labels[np.hypot(aside / wide, (down + above) / high) < 1] = cv2.GC_FGD
    return labels


def _in_one_piece(figure: np.ndarray, face: np.ndarray) -> np.ndarray:
    """What is connected with the face, its holes filled: (h, w) bool."""
    _, pieces = cv2.connectedComponents(figure, connectivity=4)
    held = np.isin(pieces, np.unique(pieces[face])) & (figure > 0)
    _, gaps = cv2.connectedComponents((~held).astype(np.uint8), connectivity=4)
    open_gaps = np.unique(np.concatenate([gaps[0], gaps[:, 0], gaps[:, -1]]))
    return held | ((gaps > 0) & ~np.isin(gaps, open_gaps))
