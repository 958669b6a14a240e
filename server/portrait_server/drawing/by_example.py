# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture does not show, made by example: of pieces of the picture itself.

Small copies of the picture tell what belongs where: patches around what is unknown find those among the examples that
look most like them, and each unknown pixel becomes what these say of it, again and again from coarse to fine (Wexler,
Shechtman, Irani, "Space-Time Completion of Video", 2007). That lacks detail. So larger pieces are copied instead, joined
where seams are seen least (Pritch, Kav-Venaki, Peleg, "Shift-Map Image Editing", 2009), at last at the picture's own
resolution; where there is no detail, their light is that of what was found.
"""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.drawing.fill import push_pull
from portrait_server.drawing.patches import Examples, Gap
from portrait_server.drawing.pieces import Pieces
from portrait_server.kernels.levels import held

_FINEST = 512  # pixels of the longest side, on which pieces are joined
_SEARCHED = 128  # and on which patches are searched
_ROUNDS = (3, 5, 8)  # of the search, at that size, half of it, and a quarter
_FEWEST = 64  # pixels: fewer examples say nothing of a texture
_BLOCK = 10  # pixels of the searched size: a piece to start with, where patches lose the texture
_LIKENESS = (1.0, 0.3, 0.1)  # how much what was found counts beside seams: first much, then little
_DETAIL = 2.0  # sigma, pixels: what is finer is detail
_TEXTURE = 2.0  # levels of detail that a texture has at least
_LOST = 0.7  # of the detail around it, that a copy should keep
_STRANGE = 1.6  # times as much is another texture
_COHERENT = 0.6  # of neighbours that copy neighbours, from which on patches have found more than a mean of many
_NUDGES = 4  # rounds, at each size, in which pieces move by a pixel: half of them in each
_FLAT = 14.0  # deviation, levels, from which on there is more to be seen than light
_SURROUNDINGS = 2.0  # sigma, pixels of the searched size, of the surroundings in which that is measured
_SPREADING = (7, 3)  # pixels: a background changes less from side to side than from top to bottom
_COARSEST = 16  # pixels of the longest side, from which light spreads on to finer sizes
_RELAXED = 40  # rounds in which light spreads, at each size
_STRIP_ROWS = 512


def continued(picture: np.ndarray, known: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The picture with what is unknown made of what is allowed.

    Always the same for the same picture.

    Args:
        picture: (H, W, C) uint8 or float32, see `kernels.levels`.
        known: (H, W) bool, the pixels that stay as they are.
        allowed: (H, W) bool, the known pixels that may serve as examples.

    Returns:
        (H, W, C) of the picture's type. Where there are too few examples, smoothly continued from what is known; where
        nothing is known, the picture as it was.
    """
    if known.all() or not known.any():
        return picture.copy()
    size = _limited(known.shape, _FINEST)
    small = _resized(picture, size).astype(np.float32)
    pieces = _pieces(small, _whole(known, size), _whole(allowed & known, size))
    if pieces is None:
        smooth = push_pull(small, _whole(known, size).astype(np.float32))
        smooth = cv2.resize(smooth, known.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(picture.shape)
        return np.where(known[..., None], picture, held(smooth, picture.dtype))
    return _drawn(picture, known, *pieces)


def _limited(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(width, height) of a shape (height, width) that is shrunk to a longest side."""
    scale = min(1.0, longest / max(shape))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _whole(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels of a smaller (width, height) lie in a mask (H, W) as a whole."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999


def _scaled(shifts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shifts (h, w, 2) at another (width, height)."""
    (rows, columns), (width, height) = shifts.shape[:2], size
    nearest = (np.arange(height) * rows // height)[:, None], np.arange(width) * columns // width
    return np.round(shifts[nearest] * np.array([height / rows, width / columns])).astype(np.int64)


def _found(small: np.ndarray, known: np.ndarray, allowed: np.ndarray) -> Gap | None:
    """What is unknown of a picture (h, w, C), from coarse to fine; None where there are too few examples."""
    sizes = [_limited(known.shape, _SEARCHED >> halved) for halved in range(len(_ROUNDS))]
    found: Gap | None = None
    for size, rounds in zip(reversed(sizes), reversed(_ROUNDS), strict=True):
        there, examples = _whole(known, size), _whole(allowed, size)
        if examples.sum() < _FEWEST:
            continue
        picture = _membrane(_resized(small, size), there)
        gap = Gap(picture, ~there, Examples(picture, examples))
        if found is not None:
            gap.start(_scaled(found.shifts, size))
        gap.refine(rounds)
        found = gap
    return found


def _pieces(small: np.ndarray, known: np.ndarray, allowed: np.ndarray) -> tuple[Pieces, np.ndarray] | None:
    """Pieces for what is unknown of a picture (h, w, C), and how much lighter (h, w, C) than what they copy they are."""
    found = _found(small, known, allowed)
    if found is None:
        return None
    rng = np.random.default_rng(0)
    first = size = _limited(known.shape, _SEARCHED)
    flat = _flat(_resized(small, size), _whole(known, size))
    plain = _membrane(_resized(small, size), _whole(known, size))
    wanted = flat * plain + (1 - flat) * found.guess
    pieces, shifts = None, found.shifts
    while True:
        there, examples = _whole(known, size), _whole(allowed, size)
        picture = push_pull(_resized(small, size), there.astype(np.float32))
        smooth = cv2.GaussianBlur(picture, (0, 0), size[0] / first[0]).reshape(picture.shape)
        guide = _resized(wanted, size)
        pieces, coarser = Pieces(picture, ~there, examples, smooth, guide), pieces
        if coarser is None:
            blocks = _blocks(shifts)
            pieces.start(blocks, rng)
            lively = pieces.copied
            pieces.start(shifts, rng)
            lost = _lost(found, pieces.copied, lively, there)
            pieces.start(np.where(lost[..., None], blocks, shifts), rng)
            for likeness in _LIKENESS:
                pieces.join(likeness)
                pieces.join(likeness)
                pieces.propose(shifts, likeness)
        else:
            pieces.start(_scaled(coarser.shifts, size), rng)
        for _ in range(_NUDGES):
            pieces.nudge(_LIKENESS[-1], rng)
        pieces.join(_LIKENESS[-1])
        if size == small.shape[1::-1]:
            return pieces, _resized(flat, size) * (guide - pieces.copied_from(smooth))
        size = _limited(known.shape, 2 * max(size))


def _membrane(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A picture (h, w, C) whose unknown pixels are about the mean of what lies around each: light alone."""
    height, width = known.shape
    if not known.any():
        return picture  # it was continued at a finer size, where narrow gaps between people still counted
    if max(height, width) <= _COARSEST:
        return push_pull(picture, known.astype(np.float32))
    half = max(1, width // 2), max(1, height // 2)
    filled = _resized(
        _membrane(_resized(push_pull(picture, known.astype(np.float32)), half), _whole(known, half)), (width, height)
    )
    filled[known] = picture[known]
    for _ in range(_RELAXED):
        filled[~known] = cv2.blur(filled, _SPREADING, borderType=cv2.BORDER_REPLICATE).reshape(filled.shape)[~known]
    return filled


def plain_light(picture: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What would lie behind what is unknown of a picture if there were nothing to be seen but light.

    Args:
        picture: (H, W, C) uint8 or float32, see `kernels.levels`.
        known: (H, W) bool.

    Returns:
        (H, W, C) float32; and the deviation of what is to be seen around, (H, W) float32, levels.
    """
    size, own = _limited(known.shape, _SEARCHED), (known.shape[1], known.shape[0])
    small, there = _resized(picture.astype(np.float32), size), _whole(known, size)
    spread = push_pull(_spread(small, there), there.astype(np.float32))
    return _resized(_membrane(small, there), own), _resized(spread, own)[..., 0]


def _spread(small: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The deviation (h, w, 1), levels, of the colours around each known pixel of a picture (h, w, C)."""
    share = cv2.GaussianBlur(known.astype(np.float32), (0, 0), _SURROUNDINGS)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(values * known[..., None], (0, 0), _SURROUNDINGS).reshape(values.shape)
        return blurred / np.maximum(share, 1e-3)

    return np.sqrt(np.maximum((mean(small**2) - mean(small) ** 2).max(-1, keepdims=True), 0))


def _flat(small: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How little but light is to be seen around each pixel of a picture (h, w, C): (h, w, 1), 0 to 1."""
    return push_pull(1 / (1 + (_spread(small, known) / _FLAT) ** 4), known.astype(np.float32))


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w, C) at (width, height)."""
    way = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=way).reshape(*size[::-1], -1)


def _blocks(shifts: np.ndarray) -> np.ndarray:
    """Shifts (h, w, 2) by blocks, each as its middle."""
    rows, columns = (np.arange(count) // _BLOCK * _BLOCK + _BLOCK // 2 for count in shifts.shape[:2])
    return shifts[np.minimum(rows, len(rows) - 1)[:, None], np.minimum(columns, len(columns) - 1)]


def _lost(found: Gap, copied: np.ndarray, blocks: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where patches found no texture although there is one around, and blocks have one like it: (h, w) bool.

    Args:
        copied, blocks: (h, w, C), the picture as patches and as blocks make it, pixel by pixel.
        known: (h, w) bool.
    """

    def around(detail: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(detail, (0, 0), 3.0)

    there = _detail(found.guess)
    expected = around(push_pull(there[..., None], known.astype(np.float32))[..., 0])
    same = np.zeros(known.shape, np.float32)
    for axis in (0, 1):
        for way in (-1, 1):
            same += (np.roll(found.shifts, way, axis) == found.shifts).all(-1) / 4
    lost = (expected > _TEXTURE) & (around(np.minimum(there, _detail(copied))) < _LOST * expected)
    return lost & (cv2.blur(same, (5, 5)) < _COHERENT) & (around(_detail(blocks)) < _STRANGE * expected)


def _detail(picture: np.ndarray) -> np.ndarray:
    grey = picture[..., :3].mean(-1)
    return np.abs(grey - cv2.GaussianBlur(grey, (0, 0), _DETAIL))


def _drawn(picture: np.ndarray, known: np.ndarray, pieces: Pieces, light: np.ndarray) -> np.ndarray:
    """The unknown at the picture's own resolution, (H, W, C) of its type, copied from where pieces lie."""
    scale = np.array(known.shape) / pieces.unknown.shape
    shifts = np.round(pieces.shifts * scale).astype(np.int64)
    drawn = picture.copy()
    for top in range(0, len(known), _STRIP_ROWS):
        y, x = np.nonzero(~known[top : top + _STRIP_ROWS])
        drawn[y + top, x] = held(_copied(picture, shifts, pieces.unknown, light, y + top, x), picture.dtype)
    return drawn


def _copied(
    picture: np.ndarray, shifts: np.ndarray, unknown: np.ndarray, light: np.ndarray, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """The colours (N, C) float32 of pixels at rows y and columns x (N,), cross-faded where pieces of four cells meet."""
    (height, width), (rows, columns) = picture.shape[:2], unknown.shape
    v, u = (y + 0.5) * (rows / height) - 0.5, (x + 0.5) * (columns / width) - 0.5
    top, left = np.floor(v).astype(int), np.floor(u).astype(int)
    total = np.zeros((len(y), picture.shape[2]), np.float32)
    weights = np.zeros((len(y), 1), np.float32)
    for row in (top, top + 1):
        for column in (left, left + 1):
            cell = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
            weight = (1 - np.abs(row - v)) * (1 - np.abs(column - u)) * unknown[cell]
            weight = weight[:, None].astype(np.float32)
            down, right = shifts[cell].T
            colour = picture[np.clip(y + down, 0, height - 1), np.clip(x + right, 0, width - 1)]
            total += weight * (colour + light[cell])
            weights += weight
    return total / np.maximum(weights, 1e-6)
