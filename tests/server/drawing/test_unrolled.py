# SPDX-License-Identifier: GPL-3.0-or-later
"""The head unrolled: what a turn brings into view has a place of its own there, as large as it is."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from portrait_server.drawing import hair
from portrait_server.drawing.hair import Hair, hair_by_example
from portrait_server.drawing.unrolled import Unrolled, laid
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.face_mesh import CHIN, OVAL
from portrait_server.geometry.hair import HairColour
from portrait_server.geometry.head_body import BACK_RINGS, FRONT_RINGS
from portrait_server.geometry.head_mesh import HeadMesh

Person = tuple[np.ndarray, np.ndarray, HeadMesh]


@pytest.fixture(scope="module")
def person(astronaut: Reference) -> Person:
    """The picture, its matte, its head."""
    return WarpEngine().person_of(astronaut)


@pytest.fixture(scope="module")
def made(person: Person) -> Hair:
    return hair_by_example(*person)


def beyond(mesh: HeadMesh, pixels: np.ndarray) -> np.ndarray:
    """The places (K, 2) of the upper half of a head so many pixels (K,) beyond what is well shown of it."""
    head = Unrolled.of(mesh)
    upper = head.edge[head.edge[:, 0] < -0.2 * mesh.size][::8]
    ways = upper / np.linalg.norm(upper, axis=1, keepdims=True)
    return head.middle + (upper[:, None] + pixels[:, None] * ways[:, None]).reshape(-1, 2) @ head.axes


def at(picture: Hair, places: np.ndarray) -> np.ndarray:
    x, y = (places - picture.start).astype(np.float32).T
    return cv2.remap(picture.colours.astype(np.float32), x, y, cv2.INTER_LINEAR)[:, 0, :3]


def test_cells_and_places_are_each_others_way_back(person: Person) -> None:
    head = Unrolled.of(person[2])
    columns = slice(head.shape[1] // 20, -head.shape[1] // 20)  # but for the chin, where it is cut open
    cells = head.cells(head.places())[head.first :, columns]
    y, x = np.mgrid[head.first : head.shape[0], : head.shape[1]]
    assert np.percentile(np.abs(cells - np.stack([x, y], -1)[:, columns]), 99) < 1.5


def test_nothing_of_the_back_is_drawn_out(person: Person) -> None:
    """Rings of the back are at least as long in the picture as on the head: no texture becomes worms."""
    mesh, count = person[2], len(OVAL)
    rings = slice((FRONT_RINGS - 1) * count, (FRONT_RINGS + BACK_RINGS) * count)
    on_head, shown = (
        np.linalg.norm(np.diff(places[rings].reshape(-1, count, places.shape[1]), axis=1), axis=-1)
        for places in (mesh.body.vertices, mesh.body.textures)
    )
    oval = mesh.vertices[list(OVAL), :2]
    upper = (oval[:, 1] < oval[:, 1].mean())[1:]
    assert (on_head / shown)[:, upper].max() < 1.4


def test_light_goes_on_where_the_photo_ends(person: Person, made: Hair) -> None:
    """In large, hair just beyond what is seen is as light as that, all around the head."""
    mesh = person[2]
    soft = replace(made, colours=cv2.GaussianBlur(made.colours.astype(np.float32), (0, 0), 0.04 * mesh.size))
    inside, outside = (at(soft, beyond(mesh, np.array([far * mesh.size]))) for far in (-0.05, 0.05))
    assert np.abs(inside - outside).mean() < 12  # of 255; measured 8


def test_hair_is_as_lively_far_behind_as_near(person: Person, made: Hair) -> None:
    mesh = person[2]
    light = made.colours[..., :3].astype(np.float32).mean(-1)
    detail = replace(made, colours=np.repeat(np.abs(light - cv2.GaussianBlur(light, (0, 0), 2.0))[..., None], 3, -1))
    near, far = (
        at(detail, beyond(mesh, np.linspace(*ends, 20) * mesh.size)).mean() for ends in ((-0.1, 0), (0.3, 0.7))
    )
    assert 0.5 < far / near < 1.2, (near, far)


def test_long_hair_falls_on_and_short_hair_ends(person: Person) -> None:
    image, matte, mesh = person
    low = np.array([0, 0])
    head = Unrolled.of(mesh)
    height, width = matte.shape
    cells = head.cells_of(low, (width, height))
    seen, below_chin = image.copy(), int(mesh.vertices[CHIN, 1] + 0.1 * mesh.size)
    args = (image, seen, matte, mesh, head, cells, low)
    _, ends, _, _ = hair._told_apart(*args)
    everywhere = np.arange(36.0) * head.shape[1] / 35, np.ones(36)
    with (
        patch.object(hair, "_hair_hangs", lambda *_: 1.0),
        patch.object(hair, "_falls", lambda *_: everywhere),
        patch.object(hair, "_LONG", (-9.0, -8.0)),
    ):
        _, falls, _, _ = hair._told_apart(*args)
    assert ends[below_chin:].min() > 0.9 and falls.max() < 0.1


def test_a_bald_head_has_the_colour_of_its_temples_not_of_its_ears(person: Person) -> None:
    image, matte, mesh = person
    ears = slice(int(mesh.points[27, 1]), None)
    painted = image.copy()
    painted[ears] = (250, 0, 250)
    skin = replace(mesh.body, colour=HairColour(mesh.body.colour.skin, mesh.body.colour.skin))
    bald = hair_by_example(painted, matte, replace(mesh, body=skin))
    skull = at(bald, beyond(mesh, np.linspace(-0.05, 0.5, 12) * mesh.size))
    assert (np.minimum(skull[:, 0], skull[:, 2]) - skull[:, 1]).max() < 60


def test_without_any_hair_there_is_a_picture_still(person: Person) -> None:
    image, matte, mesh = person
    found = hair_by_example(image, np.zeros_like(matte), mesh)
    assert found.colours.dtype == image.dtype and found.colours[..., :3].std() > 0


def test_a_strip_laid_is_the_picture_that_it_was_taken_from(person: Person) -> None:
    image, _, mesh = person
    head, low = Unrolled.of(mesh), np.array([0, 0])
    there = laid(head.taken(image[..., :3].astype(np.float32), low), head.cells_of(low, image.shape[1::-1]))
    oval = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(oval, [np.round(mesh.body.hair).astype(np.int32)], 1)
    cv2.fillPoly(oval, [np.round(mesh.vertices[list(OVAL), :2]).astype(np.int32)], 0)
    upper = (oval > 0) & (np.arange(len(oval))[:, None] < head.middle[1])
    assert np.abs(there - image[..., :3])[upper].mean() < 4
