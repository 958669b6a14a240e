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

# Of a head in profile: its skull, an ellipse between the ears, in heights of the face from the forehead to the chin.
_PROFILE: Final = 0.7  # sine of the turn from which on a head counts as one
_SKULL_ABOVE, _SKULL_BEHIND = 0.34, 0.1  # its middle, from the ears' middle
_SKULL_LONG, _SKULL_HIGH = 0.6, 0.44  # its half axes, without hair
_SURELY_SKULL: Final = 0.8
_HAIR: Final = 1.2  # how much larger the head may be, where the search begins
_BEYOND: Final = 2.0  # farther above and beside lies background
_EARS, _FOREHEAD, _CHIN, _NOSE = (234, 454), 10, 152, 1  # vertices of the mesh


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
    mesh = np.array(face, float)
    mesh[:, :2] *= (size[0] / width, size[1] / height)
    profile = _profile_labels(mesh, size) if mesh.shape[1] == 3 else None
    labels = _first_labels(mesh[list(OVAL), :2], size) if profile is None else profile
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


def _profile_labels(mesh: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """What GrabCut begins with for a head (468 or more, 3) in profile, (h, w) uint8; None for one that faces us: behind its
    face lies the skull, as long as the face is high."""
    ears, up = mesh[list(_EARS)].mean(0), mesh[_FOREHEAD] - mesh[_CHIN]
    height = max(float(np.linalg.norm(up)), 1.0)
    up /= height
    ahead = np.cross(up, mesh[_EARS[1]] - mesh[_EARS[0]])
    ahead *= np.sign(ahead @ (mesh[_NOSE] - ears)) / max(float(np.linalg.norm(ahead)), 1e-6)
    if np.linalg.norm(ahead[:2]) < _PROFILE:
        return None
    middle = (ears + height * (_SKULL_ABOVE * up - _SKULL_BEHIND * ahead))[:2]
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)[:, None]
    rim = height * (_SKULL_LONG * np.cos(turn) * ahead[:2] + _SKULL_HIGH * np.sin(turn) * up[:2])
    face = mesh[:468, :2]
    head = np.concatenate([face, middle + rim])
    labels = np.full((size[1], size[0]), cv2.GC_BGD, np.uint8)
    _fill(labels, head, _BEYOND, cv2.GC_PR_BGD)
    labels[min(max(round(mesh[_CHIN, 1]), 0), size[1]) :] = cv2.GC_PR_BGD
    neck = middle + np.array([[-0.35, 0], [0.35, 0], [0.9, 2.5], [-0.9, 2.5]]) * height
    _fill(labels, neck, 1, cv2.GC_PR_FGD)
    _fill(labels, head, _HAIR, cv2.GC_PR_FGD)
    _fill(labels, middle + rim, _SURELY_SKULL, cv2.GC_FGD)
    _fill(labels, face, _SURELY, cv2.GC_FGD)
    return labels


def _fill(labels: np.ndarray, points: np.ndarray, larger: float, label: int) -> None:
    """Fills the hull of points (N, 2), so many times as large, in place."""
    middle = (points.min(0) + points.max(0)) / 2
    hull = cv2.convexHull(np.round(middle + larger * (points - middle)).astype(np.int32))
    cv2.fillConvexPoly(labels, hull, (int(label),))


def _in_one_piece(figure: np.ndarray, face: np.ndarray) -> np.ndarray:
    """What is connected with the face, its holes filled: (h, w) bool."""
    _, pieces = cv2.connectedComponents(figure, connectivity=4)
    held = np.isin(pieces, np.unique(pieces[face])) & (figure > 0)
    _, gaps = cv2.connectedComponents((~held).astype(np.uint8), connectivity=4)
    open_gaps = np.unique(np.concatenate([gaps[0], gaps[:, 0], gaps[:, -1]]))
    return held | ((gaps > 0) & ~np.isin(gaps, open_gaps))
