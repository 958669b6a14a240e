# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture does not show is made of pieces of it: textures go on, and nothing of the unknown comes back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.drawing.by_example import continued

SIDE = 256
MAGENTA = (255, 0, 255)


def gap(side: int = SIDE) -> np.ndarray:
    """Head and shoulders, (side, side) bool."""
    mask = np.zeros((side, side), np.uint8)
    cv2.ellipse(mask, (side // 2, round(side * 0.42)), (round(side * 0.17), round(side * 0.24)), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (side // 2, round(side * 1.05)), (round(side * 0.36), round(side * 0.42)), 0, 0, 360, 1, -1)
    return mask > 0


def filled(picture: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The picture continued where it is unknown, its own pixels there never seen."""
    hidden = picture.copy()
    hidden[unknown] = MAGENTA if picture.shape[2] == 3 else (*MAGENTA, 255)
    return continued(hidden, ~unknown, ~unknown)


def grained(colours: np.ndarray, deviation: float = 3.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, (*colours.shape[:2], 1))
    return np.clip(np.round(colours + noise), 0, 255).astype(np.uint8)


def stripes() -> np.ndarray:
    bright = (np.arange(SIDE) // 10 % 2)[None, :, None]
    return grained(np.broadcast_to(np.where(bright, (210, 205, 190), (40, 60, 120)), (SIDE, SIDE, 3)).astype(float))


def bricks() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    mortar = (y % 16 < 3) | ((x + y // 16 % 2 * 16) % 32 < 3)
    return grained(np.where(mortar[..., None], (190, 185, 180), (150, 70, 55)).astype(float))


@pytest.mark.parametrize("picture", [stripes(), bricks()], ids=["stripes", "bricks"])
def test_a_pattern_goes_on_behind_the_person(picture: np.ndarray) -> None:
    unknown = gap()
    error = np.abs(filled(picture, unknown).astype(int) - picture)[unknown].mean()
    mean = np.abs(picture[~unknown].mean(0) - picture)[unknown].mean()
    assert error < 0.35 * mean, (error, mean)


def test_a_texture_stays_as_lively_as_it_is_around() -> None:
    picture = cv2.cvtColor(
        cv2.resize(skimage.data.gravel(), (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB
    )
    unknown = gap()
    found = filled(picture, unknown)[..., 0].astype(float)
    detail = (found - cv2.GaussianBlur(found, (0, 0), 2)) ** 2
    inside = cv2.erode(unknown.astype(np.uint8), np.ones((9, 9))) > 0
    assert 0.7 < detail[inside].mean() / detail[~unknown].mean() < 1.3


def test_what_is_known_stays_and_what_is_unknown_never_shows() -> None:
    picture, unknown = bricks(), gap()
    found = filled(picture, unknown)
    np.testing.assert_array_equal(found[~unknown], picture[~unknown])
    assert found.dtype == np.uint8
    low = found[unknown].astype(int)
    assert (np.minimum(low[:, 0], low[:, 2]) - low[:, 1]).max() < 30, "nothing of it is magenta"


def test_only_what_is_allowed_serves_as_an_example() -> None:
    picture, unknown = stripes(), gap()
    green = np.zeros_like(unknown)
    green[:40] = True
    picture[green] = (20, 220, 40)
    found = continued(picture, ~unknown, ~unknown & ~green).astype(int)
    assert (found[unknown][:, 1] - found[unknown][:, 2]).max() < 60


def test_the_same_picture_gives_the_same_twice() -> None:
    picture, unknown = bricks(), gap()
    np.testing.assert_array_equal(filled(picture, unknown), filled(picture, unknown))


def test_fractions_of_levels_are_kept() -> None:
    picture, unknown = stripes(), gap()
    exact, whole = filled(picture.astype(np.float32), unknown), filled(picture, unknown)
    assert exact.dtype == np.float32
    assert np.abs(exact - whole).max() <= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (9, 7), (40, 400)])
def test_small_and_narrow_pictures_are_filled_too(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 4), 90, np.uint8)
    unknown = np.zeros(shape, bool)
    unknown[shape[0] // 2 :, shape[1] // 2 :] = True
    found = filled(picture, unknown)
    assert found.shape == picture.shape
    if not unknown.all():
        assert np.abs(found.astype(int) - 90).max() <= 1


def test_where_nothing_or_everything_is_known_the_picture_is_as_it_was() -> None:
    picture = bricks()
    for known in (np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)):
        np.testing.assert_array_equal(continued(picture, known, known), picture)


def test_light_goes_on_from_narrow_gaps_too() -> None:
    """As between the people of a group, who leave no large part of the wall to be seen."""
    wall = grained(np.full((SIDE, SIDE, 3), (190.0, 195.0, 192.0)))
    unknown = np.ones((SIDE, SIDE), bool)
    unknown[:, 2:14] = unknown[:, -14:-2] = False
    assert np.abs(filled(wall, unknown).astype(int) - wall)[unknown].max() < 25


def test_without_examples_it_is_smooth() -> None:
    picture, unknown = bricks(), gap()
    found = continued(picture, ~unknown, np.zeros_like(unknown))
    assert np.abs(np.diff(found[unknown].astype(int), axis=0)).mean() < 12
