# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin beside a face, which a photo from in front shows in a few pixels, where a turn brings it into view."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.near_side import without_bars
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.face_mesh import OVAL, VERTEX_COUNT
from portrait_server.kernels.opencv import OpenCV

from tests.posing import turned
from tests.server.drawing.unlit import draw_frames
from tests.server.moving import moved_to

SIDE = 512
TURN = 40.0
NOISE = 30.0  # levels
WALL = np.array([40, 80, 250])  # no colour of the person's


@pytest.fixture(scope="module")
def scene(astronaut: Reference) -> Scene:
    return WarpEngine().prepare([astronaut]).scene((SIDE, SIDE))


@pytest.fixture(scope="module")
def rough(astronaut: Reference) -> Scene:
    """The same person with skin, hair and walls of noise that has no direction."""
    noise = np.random.default_rng(2).standard_normal((*astronaut.image.shape[:2], 1))
    noise = cv2.GaussianBlur(noise, (0, 0), 1.0)[..., None]
    image = (astronaut.image + NOISE / noise.std() * noise).clip(0, 255).astype(np.uint8)
    return WarpEngine().prepare([replace(astronaut, image=image)]).scene((SIDE, SIDE))


def without(scene: Scene) -> Scene:
    """Where the photo's pixels are drawn out instead."""
    back = scene.back_side
    return replace(scene, back_side=replace(back, drawn_out=0 * back.drawn_out))


def cheek(scene: Scene, points: np.ndarray, yaw: float) -> np.ndarray:
    """Where (H, W) the moved face's near side ends, before the ear."""
    oval = moved_to(scene, turned(points, yaw=yaw)).motion.vertices[0, list(OVAL), :2]
    place = (oval.min(0) + oval.max(0)) / 2
    found = np.zeros((SIDE, SIDE), np.uint8)
    for times, level in ((0.97, 1), (0.8, 0)):
        cv2.fillPoly(found, [np.round(place + times * (oval - place)).astype(np.int32)], level)
    y, x = np.indices(found.shape)
    near = (x - place[0]) * np.sign(yaw) > 0.4 * np.ptp(oval[:, 0])
    return (found > 0) & near & (abs(y - place[1]) < 0.2 * np.ptp(oval[:, 1]))


def barred(picture: np.ndarray, where: np.ndarray) -> float:
    """How much more a picture changes down than across, as bars do."""
    down, across = (np.abs(each)[where].mean() for each in np.gradient(picture[..., :3].astype(float).mean(-1)))
    return float(down / across)


@pytest.mark.parametrize("yaw", [-TURN, TURN])
def test_the_cheek_before_the_ear_is_not_drawn_out_into_bars(rough: Scene, astronaut: Reference, yaw: float) -> None:
    where = cheek(rough, astronaut.points, yaw)
    assert where.sum() > 200
    kept, drawn_out = (
        moved_to(scene, turned(astronaut.points, yaw=yaw)).person[0] for scene in (rough, without(rough))
    )
    assert barred(drawn_out, where) > 2, "or this tells nothing"
    assert barred(kept, where) < 1.5


def test_what_lies_behind_the_person_in_the_photo_is_no_skin() -> None:
    seen, shown = np.full((SIDE // 4, SIDE // 4, 3), 150, np.float32), np.ones((SIDE // 4, SIDE // 4), np.float32)
    seen[:, SIDE // 8 :], shown[:, SIDE // 8 :] = WALL, 0
    made = without_bars(seen, np.ones_like(shown), shown, np.zeros(shown.shape, bool), SIDE)
    np.testing.assert_allclose(made, 150, atol=1)


@pytest.mark.parametrize("pitch", [-20.0, 0.0, 20.0])
def test_nothing_is_lent_to_a_head_that_does_not_turn_aside(scene: Scene, astronaut: Reference, pitch: float) -> None:
    motion = motion_of(scene, turned(astronaut.points, pitch=pitch)[None])
    frames = [draw_frames(OpenCV(), drawn, motion, matte=True) for drawn in (scene, without(scene))]
    np.testing.assert_array_equal(*frames)


def test_no_triangle_looks_into_both_views(scene: Scene) -> None:
    """What lies between them would be drawn across its middle, as below a chin."""
    back = scene.back_side
    near = back.near
    shown = back.drawn_out[near.triangles] > 0
    right = near.places[near.triangles, 0] > near.colours.shape[1] / 2
    assert not ((shown & right).any(1) & (shown & ~right).any(1)).any()


def test_nothing_is_lent_where_a_triangle_lies_in_the_views_of_both_sides(scene: Scene) -> None:
    near, drawn_out = scene.back_side.near, scene.back_side.drawn_out
    corners = near.places[near.triangles]
    apart = np.ptp(corners[..., 0], axis=1) > near.colours.shape[1] / 4
    assert apart.any(), "or this tells nothing"
    assert not drawn_out[near.triangles[apart]].any()


def test_beside_hair_skin_ends_at_the_outline_of_the_face(scene: Scene) -> None:
    """Else it would fade out over the first triangles beyond, as a flap of skin over the hair."""
    corners = scene.back_side.near.triangles
    beside = corners[corners >= VERTEX_COUNT] - VERTEX_COUNT
    skin = scene.mesh.body.skin
    assert (skin > 0.05).any() and (skin <= 0.05).any()
    assert (skin[beside % len(OVAL)] > 0.05).all()
