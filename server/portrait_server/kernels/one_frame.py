# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processor does to one frame: of `kernels.opencv` the parts that are more than a call of OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_server.kernels.base import Look, Slices
from portrait_server.kernels.levels import held

_BAND = 1 << 15  # cells that are evaluated at a time
_GAP = 48  # columns: to mix so many more costs less than a further call
_SCATTERED = 1 << 16  # pixels: fewer are worked on in one go
_MIXED_ROWS = 32  # a rim leans: over more rows it takes more columns


def remap_places(right: np.ndarray, down: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Positions (H, W) as `cv2.remap` is told them.

    It looks up in whole 32nds of a pixel whatever it is told. Where it turns positions into those itself, a look-up that
    is more than linear takes half as long again.
    """
    return cv2.convertMaps(right, down, cv2.CV_16SC2) if look in (Look.CUBIC, Look.LANCZOS) else (right, down)


def spread(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers as if repeated along the axes on which there is but one; NumPy's `broadcast_to` takes ten times as long."""
    strides = tuple(0 if count == 1 else step for count, step in zip(values.shape, values.strides, strict=True))
    repeated: np.ndarray = np.ndarray(shape, values.dtype, values, 0, strides)
    repeated.flags.writeable = False
    return repeated


def resized_part(plane: np.ndarray, size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """Some rows and columns of a plane or picture (h, w[, C]) float32 at (width, height)."""
    width, height = size
    if plane.shape[1::-1] == size:
        return plane[rows, columns]
    cells, (times, over) = len(plane), divmod(height, len(plane))
    right, beside = divmod(width, plane.shape[1])
    # With a cell more at both ends the rows and columns are those of the whole plane.
    first, last = (0, plane.shape[1]) if beside else _cells(columns, right, plane.shape[1])
    start, wide = (0, width) if beside else (right * first, right * (last - first))
    across = slice(columns.start - start, columns.stop - start)
    if not over:
        top, end = _cells(rows, times, cells)
        part = cv2.resize(plane[top:end, first:last], (wide, times * (end - top)), interpolation=cv2.INTER_LINEAR)
        return part[rows.start - times * top : rows.stop - times * top, across]
    at = np.clip((np.arange(rows.start, rows.stop) + 0.5) * cells / height - 0.5, 0, cells - 1)
    above = np.floor(at).astype(int)
    share = (at - above).astype(np.float32).reshape(-1, *[1] * (plane.ndim - 1))
    plane = plane[:, first:last]
    lines = plane[above] * (1 - share) + plane[np.minimum(above + 1, cells - 1)] * share
    return cv2.resize(lines, (wide, len(at)), interpolation=cv2.INTER_LINEAR)[:, across]


def _cells(pixels: slice, times: int, count: int) -> tuple[int, int]:
    """Of so many cells, each so many times as large as a pixel, those around some pixels: the first, and behind the last."""
    return max(0, pixels.start // times - 1), min(count, -(-pixels.stop // times) + 1)


def steep(planes: np.ndarray, limit: float) -> np.ndarray:
    """As `Kernels.steep`, of planes (K, h, w): (h, w) uint8."""
    found = np.zeros(planes.shape[1:], np.uint8)
    along, down = (slice(None, -1), slice(1, None)), slice(None)
    for before, after in (((down, along[0]), (down, along[1])), ((along[0], down), (along[1], down))):
        if not found[before].size:  # a plane one cell wide has no neighbours there
            continue
        jump = None
        for plane in planes:
            steps = cv2.absdiff(plane[before], plane[after])
            jump = steps if jump is None else cv2.max(jump, steps)
        over = cv2.compare(jump, limit, cv2.CMP_GT)
        for ends in (before, after):
            found[ends] |= over
    return found


def added(picture: np.ndarray, difference: np.ndarray, share: np.ndarray) -> np.ndarray:
    """As `Kernels.added`."""
    if picture.dtype != np.uint8:
        return picture + difference * share[..., None]
    part = np.rint(64 * share).astype(np.int16)
    part = cv2.merge([part] * picture.shape[2])  # NumPy multiplies each three by one slowly
    part *= difference
    part >>= 6
    part += picture
    return part.clip(0, 255, out=part).astype(np.uint8)


def mixed(picture: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """As `Kernels.mixed`."""
    # NumPy multiplies each three by one slowly.
    found = cv2.subtract(other, picture, dtype=cv2.CV_32F)
    cv2.multiply(found, cv2.merge([share] * picture.shape[2]), found)
    cv2.add(found, picture, found, dtype=cv2.CV_32F)
    return held(found, picture.dtype)


def scaled(picture: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """See `Kernels.scaled`: of one picture (h, w, 3 or 4) and its plane (h, w)."""
    whole, found = picture.dtype == np.uint8, np.empty(picture.shape, picture.dtype)
    # Some rows at a time: what is made for them stays near.
    most = max(1, _BAND // plane.shape[1])
    for top in range(0, len(plane), most):
        rows = slice(top, top + most)
        share = plane[rows]
        shares = cv2.merge([share, share, share, *[np.ones_like(share)] * (picture.shape[2] - 3)])
        cv2.multiply(picture[rows], shares, found[rows], dtype=cv2.CV_8U if whole else cv2.CV_32F)
    return found if whole else np.minimum(found, 255)


def with_fourth(picture: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """As `Kernels.with_fourth`; NumPy joins three and one slowly."""
    found = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA) if picture.shape[2] == 3 else picture.copy()
    return cv2.insertChannel(plane, found, 3)


def mirrored(picture: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """As `Kernels.mirrored`."""
    left, top, width, height = cv2.boundingRect((plane > 0).view(np.uint8))
    right, bottom = plane.shape[1] - left - width, plane.shape[0] - top - height
    if width == 0 or left == top == right == bottom == 0:
        return picture
    inside = picture[top : top + height, left : left + width]
    return cv2.copyMakeBorder(inside, top, bottom, left, right, cv2.BORDER_REFLECT_101)


def blended(front: np.ndarray, back: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """As `Kernels.blended`."""
    if front.dtype != np.uint8:
        mixed = front - back
        mixed *= (matte * np.float32(1 / 255))[..., None]
        mixed += back
        return mixed
    # Most of a matte says one or the other, and mixing is a fifth as slow as looking colours up.
    mixed = cv2.copyTo(front, matte, back.copy())
    between = cv2.inRange(matte, 1, 254)
    for top in range(0, len(matte), _MIXED_ROWS):
        rows = slice(top, top + _MIXED_ROWS)
        for columns in runs(np.bitwise_or.reduce(between[rows], axis=0)):
            share = matte[rows, columns] * np.float32(1 / 255)
            mixed[rows, columns] = cv2.blendLinear(front[rows, columns], back[rows, columns], share, 1 - share)
    return mixed


def runs(line: np.ndarray, apart: int = _GAP) -> list[slice]:
    """Where numbers (W,) are not 0; what lies no farther apart than that in one."""
    (at,) = line.nonzero()
    if not len(at):
        return []
    if at[-1] - at[0] == len(at) - 1:  # mostly there is but one
        return [slice(int(at[0]), int(at[-1]) + 1)]
    (gaps,) = (at[1:] - at[:-1] > apart).nonzero()
    firsts, lasts = [at[0], *at[gaps + 1]], [*at[gaps], at[-1]]
    return [slice(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]


def scattered(plane: np.ndarray, around: int) -> list[tuple[Slices, Slices]]:
    """As `Kernels.scattered`, of one plane (h, w)."""
    height, width = plane.shape
    if height * width < _SCATTERED:
        whole = slice(0, height), slice(0, width)
        return [(whole, whole)]
    above, found = plane > 0, []
    for top in range(0, height, _MIXED_ROWS):
        rows = slice(top, min(top + _MIXED_ROWS, height))
        near = slice(max(0, rows.start - around), min(height, rows.stop + around))
        for columns in runs(np.logical_or.reduce(above[rows], axis=0), _GAP + 2 * around):
            beside = slice(max(0, columns.start - around), min(width, columns.stop + around))
            found.append(((rows, columns), (near, beside)))
    return found


def evaluate(
    ids: np.ndarray, table: np.ndarray, low: np.ndarray, high: np.ndarray, x: np.ndarray, y: np.ndarray,
    values: np.ndarray,
) -> None:  # fmt: skip
    """`OpenCV.evaluated` of one frame, into values (A, rows, columns)."""
    # Two functions at a time, as if they were one number's parts, and some rows at a time: what is looked up stays near.
    axes, (height, width) = table.shape[1], ids.shape
    first, second = np.arange(0, axes, 2), np.minimum(np.arange(1, axes + 1, 2), axes - 1)
    pairs = np.zeros((len(first), 3, len(table) + 1, 2), np.float32)
    for pair, one, two in zip(pairs, first, second, strict=True):
        pair[:, 1:, 0], pair[:, 1:, 1] = table[:, one].T, table[:, two].T
    x, y = x.astype(np.float32).repeat(2), y.astype(np.float32)[:, None]
    finite = np.isfinite(low.T)
    held = np.flatnonzero(finite.any(1) | np.isfinite(high.T).any(1))
    bounded = np.concatenate([[False], finite.any(0)])
    some, every = bounded.any(), bounded[1:].all()
    lowest, highest = (np.zeros((axes, len(table) + 1), np.float32) for _ in range(2))
    lowest[:, 1:], highest[:, 1:] = low.T, high.T
    most = max(1, _BAND // width)
    found, part = np.empty((2, most, width), np.complex64)
    for top in range(0, height, most):
        band = slice(top, min(top + most, height))
        rows = ids[band].astype(np.intp)
        value, other = found[: len(rows)], part[: len(rows)]
        both, more = value.view(np.float32), other.view(np.float32)
        for (right, down, constant), one, two in zip(pairs.view(np.complex64)[..., 0], first, second, strict=True):
            # Each number is that of a row: told to clip others, NumPy does not look for them first.
            right.take(rows, mode="clip", out=value)
            both *= x
            down.take(rows, mode="clip", out=other)
            more *= y[band]
            both += more
            constant.take(rows, mode="clip", out=other)
            both += more
            cv2.split(both.reshape(len(rows), width, 2), [values[one, band], values[two, band]])
        if not some:
            continue
        at = rows.reshape(-1)
        within = slice(None) if every else bounded.take(at, mode="clip").nonzero()[0]
        at = at[within]
        for axis in held:
            cells, floor, ceiling = values[axis, band].reshape(-1), lowest[axis], highest[axis]
            cells[within] = np.minimum(np.maximum(cells[within], floor.take(at)), ceiling.take(at))


def evaluate_few(
    ids: np.ndarray, table: np.ndarray, low: np.ndarray, high: np.ndarray, x: np.ndarray, y: np.ndarray,
    values: np.ndarray,
) -> None:  # fmt: skip
    """`OpenCV.evaluated_over` of one frame, into values (A, rows, columns)."""
    at = np.flatnonzero(ids)
    triangles = ids.take(at) - 1
    row, column = np.divmod(at, ids.shape[1])
    right, down = x.astype(np.float32).take(column), y.astype(np.float32).take(row)
    for axis, plane in enumerate(values):
        a, b, c = table[:, axis].astype(np.float32).take(triangles, axis=0).T
        found = a * right + b * down + c
        plane[row, column] = found.clip(low[:, axis].take(triangles), high[:, axis].take(triangles))
