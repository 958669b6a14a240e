# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the content of each cell of a grid comes from, once a mesh has moved."""

from __future__ import annotations

import numpy as np

from portrait_server.geometry.raster import Window, set_up, spanned_rows
from portrait_server.kernels.base import Array, Kernels


def backward_offsets(
    kernels: Kernels, window: Window, source: np.ndarray, target: np.ndarray, depth: np.ndarray, triangles: np.ndarray,
    held: bool = False,
) -> Array:  # fmt: skip
    """Where the content of each cell comes from, as an offset in pixels; 0 where there is no mesh.

    Args:
        window: over N frames.
        source: (V, 2 + C) or (N, V, 2 + C) vertices before the move, pixels; further columns are values that the move
            carries along.
        target: (N, V, 2) after it.
        depth: (N, V) after the move; smaller is nearer.
        triangles: (T, 3), all clockwise in the picture before the move; those turned away are not seen.
        held: see `geometry.raster.set_up`.

    Returns:
        (N, 2 + C, rows, columns) float32: along x, along y, then the values; all 0 where there is no mesh.
    """
    grid = (window.columns, window.rows)
    cells = (target - np.stack([window.x, window.y], -1)[:, None]) / (window.step_x, window.step_y)
    spans = spanned_rows(cells, triangles, window.rows)
    put = kernels.put
    found = set_up(put(cells), grid, put(source), put(target), put(depth), put(triangles), held)
    ids = kernels.nearest_triangles(found.corners, found.order, *grid, spans)
    x, y = (put(axis) for axis in window.centres)
    return kernels.evaluated(ids, found.functions, found.low, found.high, x, y)
