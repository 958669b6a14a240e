# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiles: what is not looked up would have come out the same."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.drawing.tiles import CLEAR, RIM, SOLID, Cover, Tiles
from portrait_server.kernels.base import Look, Patches
from portrait_server.kernels.opencv import OpenCV

KERNELS = OpenCV()
LEAST = 0.015


@pytest.fixture(params=[(400, 300), (320, 256), (261, 297)])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture
def coarse(size: tuple[int, int]) -> np.ndarray:
    """Offsets that jump in places, of two frames: (2, 2, rows, columns); in a part of the grid there are none."""
    rng = np.random.default_rng(4)
    rows, columns = round(size[1] / 2), round(size[0] / 2)
    coarse = rng.normal(0, 1, (2, 2, rows, columns)).astype(np.float32)
    coarse[:, :, :, columns // 3 : columns // 2] = 0
    coarse[1] += (rng.random((rows, columns)) > 0.98) * np.float32(9)
    coarse[:, :, : rows // 2] = 0
    return coarse


@pytest.fixture
def matte(size: tuple[int, int]) -> np.ndarray:
    """A disc with a soft rim, and a single pixel beside it."""
    y, x = np.mgrid[: size[1], : size[0]]
    matte = np.clip(60 * (size[1] / 2.5 - np.hypot(x - size[0] / 2, y - size[1] / 2)), 0, 255).astype(np.uint8)
    matte[1, 1] = 1
    return matte


def test_what_is_not_looked_up_comes_out_the_same(size: tuple[int, int], coarse: np.ndarray, matte: np.ndarray) -> None:
    whole, tiles = Patches.whole(2, size), Tiles(coarse, size)
    x, y = KERNELS.grid(whole)
    x, y = (x + KERNELS.resized(coarse[:, 0], size), y + KERNELS.resized(coarse[:, 1], size))
    everywhere = KERNELS.looked_up(matte[None], x, y, Look.LINEAR)
    moves, shown = tiles.move(LEAST), tiles.shown(Cover(matte))
    found = np.repeat(matte[None], 2, axis=0)
    for rows, columns, level in tiles.uniform(moves, shown):
        found[:, rows, columns] = level
    for part in tiles.parts(moves & (shown == RIM), moves & (shown != CLEAR)):
        for columns in part.mattes:
            patches = part.patches.part(slice(0, part.patches.height), columns)
            KERNELS.laid(found, patches, KERNELS.taken(everywhere, patches))
    np.testing.assert_array_equal(found, everywhere)
    assert {CLEAR, RIM, SOLID} == set(np.unique(shown)) and not moves.all(), "all kinds are among them"


def test_what_moves_lies_in_patches(size: tuple[int, int], coarse: np.ndarray) -> None:
    tiles = Tiles(coarse, size)
    held = np.zeros((2, size[1], size[0]), bool)
    for patches in tiles.patches(tiles.move(LEAST), 4, 2):
        KERNELS.laid(held, patches, np.ones((2, patches.height, patches.width), bool))
    offsets = np.stack([KERNELS.resized(coarse[:, axis], size) for axis in (0, 1)])
    assert not (np.abs(offsets).max(0)[~held] > LEAST).any() and not held.all()


def test_colours_are_looked_up_wherever_they_are_wanted(size: tuple[int, int], coarse: np.ndarray) -> None:
    tiles = Tiles(coarse, size)
    wanted = np.random.default_rng(2).random(tiles.low.shape[1:]) > 0.8
    held = np.zeros((2, size[1], size[0]), bool)
    for part in tiles.parts(np.zeros_like(wanted), wanted):
        assert not part.mattes
        for columns in part.colours:
            patches = part.patches.part(slice(0, part.patches.height), columns)
            KERNELS.laid(held, patches, np.ones((2, patches.height, patches.width), bool))
    for row, column in np.argwhere(wanted):
        assert held[:, tiles.strips[row], 16 * column : 16 * column + 16].all()


def test_offsets_jump_only_where_tiles_are_uneven(size: tuple[int, int], coarse: np.ndarray) -> None:
    limit = 6.0
    everywhere, rare = KERNELS.steep(coarse, limit), np.zeros(coarse.shape, np.float32)
    rare[1, 0, 40:44, 60:66] = 9
    for planes, found in ((coarse, everywhere), (rare, KERNELS.steep(rare, limit))):
        rows, columns = Tiles(planes, size).uneven(limit)
        within = np.zeros_like(found)
        within[:, rows, columns] = KERNELS.steep(planes[:, :, rows, columns], limit)
        np.testing.assert_array_equal(within, found)
    assert rows.stop - rows.start < 60 and columns.stop - columns.start < 60, "a little around the only jump"
    rows, _ = Tiles(np.zeros_like(coarse), size).uneven(limit)
    assert rows.start == rows.stop
