# SPDX-License-Identifier: GPL-3.0-or-later
"""A neck is as wide as the photo shows it, and a turn brings its sides into view behind the jaw."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from portrait_server.drawing.field import Field
from portrait_server.drawing.hair import smooth_hair
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.neck_skin import neck_skin
from portrait_server.drawing.scene import Scene, build_scene
from portrait_server.geometry.face_light import FaceLight
from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, SIDES, neutral_mesh, outline
from portrait_server.geometry.head_mesh import build_head_mesh
from portrait_server.geometry.neck import Neck
from portrait_server.kernels.opencv import OpenCV
from portrait_shared.landmarks import MESH_VERTICES

from tests.posing import turned
from tests.server.drawing.unlit import draw_frames

SIDE = 512
IN_SHADE = np.array((140, 100, 78))
SKIN, HAIR, SHIRT, WALL = (200, 150, 120), (40, 30, 25), (30, 60, 40), (90, 140, 240)
UPRIGHT = np.array([[0.0, 1.0], [-1.0, 0.0]])  # to the chin, and to the picture's left
BARE, COVERED = np.zeros(2), np.ones(2)


def face_mesh() -> np.ndarray:
    """(478, 3) pixels."""
    return neutral_mesh() * 190 + (SIDE / 2, 0.4 * SIDE, 0)


def sizes() -> tuple[float, float, np.ndarray]:
    """Half of the face's width and height, and its middle (2,)."""
    mesh = face_mesh()
    half_width = float(np.linalg.norm(mesh[SIDES[1]] - mesh[SIDES[0]])) / 2
    return half_width, float(mesh[CHIN, 1] - mesh[FOREHEAD, 1]) / 2, (mesh[CHIN, :2] + mesh[FOREHEAD, :2]) / 2


def figure(
    left: float, right: float, shoulders: float = 1.6, hair: float = 0.2, wide: float = 1.3
) -> tuple[np.ndarray, np.ndarray]:
    """A photo (S, S, 3) of a person with hair, and its matte (S, S).

    Args:
        left, right: how far the neck reaches to either side, in half face widths.
        shoulders, hair: where the ones begin and the other ends, below the face's middle in halves of its height.
        wide: how far hair reaches, in multiples of the face's outline.
    """
    half_width, half, (x, y) = sizes()
    mesh = face_mesh()
    photo, matte = np.full((SIDE, SIDE, 3), WALL, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    top = round(y + shoulders * half)
    parts = [
        (outline(mesh[:, :2], wide) - (0, 0.25 * half), HAIR),
        (np.array([(x - left * half_width, y), (x + right * half_width, y), (x + right * half_width, SIDE), (x - left * half_width, SIDE)]), SKIN),
        (np.array([(0, top), (SIDE, top), (SIDE, SIDE), (0, SIDE)]), SHIRT),
        (outline(mesh[:, :2], 1.0), SKIN),
    ]  # fmt: skip
    for corners, colour in parts:
        shape = [np.round(corners).astype(np.int32)]
        below_hair = np.zeros_like(matte)
        cv2.fillPoly(below_hair, shape, 1)
        if colour == HAIR:  # it ends level
            below_hair[round(y + hair * half) :] = 0
        photo[below_hair > 0] = colour
        matte |= below_hair
    return photo, matte.astype(np.float32)


def scene_of(photo: np.ndarray, matte: np.ndarray) -> Scene:
    mesh = face_mesh()
    head = build_head_mesh(mesh[list(MESH_VERTICES)], mesh, photo, matte)
    return build_scene(photo, np.full_like(photo, WALL), matte, head, smooth_hair(photo, matte, head), (SIDE, SIDE))


def neck_of(matte: np.ndarray, hair: np.ndarray = BARE) -> Neck:
    return Neck.of(face_mesh()[:468], matte, UPRIGHT, hair)


@pytest.mark.parametrize(("left", "right"), [(0.6, 0.6), (0.8, 0.8), (0.5, 0.75)])
def test_it_is_as_wide_as_the_photo_shows_it(left: float, right: float) -> None:
    _, matte = figure(left, right)
    half_width, _, (x, _) = sizes()
    neck = neck_of(matte)
    middle = x - neck.across  # `across` counts to the picture's left
    ends = middle + neck.wide[0, 0], middle - neck.wide[1, 0]
    np.testing.assert_allclose(ends, (x + right * half_width, x - left * half_width), atol=0.04 * half_width)
    assert neck.shown.all()


@pytest.mark.parametrize("hidden", ["by shoulders", "by hair", "by the picture's edge"])
def test_where_it_cannot_be_seen_it_is_an_usual_one(hidden: str) -> None:
    _, matte = figure(0.5, 0.5, shoulders=1.0 if hidden == "by shoulders" else 1.6)
    if hidden == "by the picture's edge":
        _, half, (_, y) = sizes()
        matte = matte[: round(y + 1.02 * half)]
    half_width = sizes()[0]
    neck = neck_of(matte, COVERED if hidden == "by hair" else BARE)
    np.testing.assert_allclose(neck.wide, 0.7 * half_width)
    assert neck.shown.all(), "it has sides, whatever hides them"


@pytest.mark.parametrize("yaw", [-30.0, 30.0])
def test_a_turn_shows_it_behind_the_jaw(yaw: float) -> None:
    scene = scene_of(*figure(0.8, 0.8))
    without = replace(scene.back_side.neck, triangles=np.zeros((0, 3), int))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), yaw)[None])
    with_neck, bare = (
        draw_frames(OpenCV(), drawn, motion, matte=True)[0].astype(int)
        for drawn in (scene, replace(scene, back_side=replace(scene.back_side, neck=without)))
    )
    _, half, (_, y) = sizes()
    jaw = slice(round(y + 0.7 * half), round(y + 1.1 * half))
    shown = (with_neck[jaw, :, 3] > 200) & (bare[jaw, :, 3] < 50)
    assert shown.sum() > 0.02 * half * half, "neck where there was wall"
    seen, skin = with_neck[jaw][shown][:, :3], np.array(SKIN)
    hue = seen / seen.sum(1, keepdims=True) - skin / skin.sum()
    assert np.median(np.abs(hue)) < 0.02, "of skin, if in shade"


@pytest.mark.parametrize("yaw", [-30.0, 30.0])
def test_behind_a_bob_it_is_a_neck_and_not_as_deep_as_hair(yaw: float) -> None:
    scene = scene_of(*figure(0.6, 0.6, hair=0.75, wide=1.45))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), yaw)[None])
    shown = draw_frames(OpenCV(), scene, motion, matte=True)[0]
    half_width, half, (x, y) = sizes()
    below = shown[round(y + 0.9 * half) : round(y + 1.1 * half)]  # between hair and collar
    skin = (below[..., 3] > 127) & (below[..., 0] > 90)
    across = (np.arange(SIDE) - x) * np.sign(yaw) / half_width  # towards the back of the head
    assert skin[:, (across > 0.62) & (across < 0.75)].mean() > 0.9, "the neck's side"
    assert skin[:, across > 1.1].sum() < 0.01 * half**2, "no shelf of skin"


@pytest.mark.parametrize("yaw", [-30.0, 30.0])
def test_below_a_bob_nothing_is_left_of_its_edge_in_the_photo(yaw: float) -> None:
    """A turn draws that out, and it is mixed with what lies behind the person: a pale shard below dark hair."""
    scene = scene_of(*(cv2.GaussianBlur(each, (0, 0), 2) for each in figure(0.6, 0.6, hair=0.75, wide=1.45)))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), yaw)[None])
    alpha = draw_frames(OpenCV(), scene, motion, matte=True)[0, ..., 3].astype(int)
    half_width, half, (x, y) = sizes()
    below = slice(round(y + 0.65 * half), round(y + 0.7 * half))  # the end of the hair that is lent
    behind = (np.arange(SIDE) - x) * np.sign(yaw) / half_width > 0.9
    assert alpha[below, behind].sum() / 255 < 0.003 * half**2


@pytest.mark.parametrize("yaw", [-14.0, 14.0])
def test_it_comes_into_view_whole(yaw: float) -> None:
    scene = scene_of(*figure(0.8, 0.8))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), yaw)[None])
    _, half, (_, y) = sizes()
    alpha = draw_frames(OpenCV(), scene, motion, matte=True)[0, round(y + 0.7 * half) : round(y + 1.3 * half), :, 3]
    half_there = cv2.erode(((alpha > 60) & (alpha < 195)).astype(np.uint8), np.ones((1, 5), np.uint8))
    assert half_there.sum() < 0.002 * half**2, "an edge is narrower"


def test_its_sides_are_as_the_neck_that_is_seen_and_darker_towards_the_nape() -> None:
    half_width, half, (x, y) = sizes()
    photo, matte = figure(0.8, 0.8)
    chin = round(y + 1.03 * half)
    shaded = np.zeros(photo.shape[:2], bool)
    shaded[chin : round(y + 1.6 * half), round(x - 0.8 * half_width) : round(x + 0.8 * half_width)] = True
    photo[shaded] = IN_SHADE
    mesh = scene_of(photo, matte).mesh
    lamp = FaceLight(0.6, np.array([0.0, 0.0, 0.5]), np.zeros((468, 3)))
    skin = neck_skin(smooth_hair(photo, matte, mesh), mesh, np.ones(2), lamp)[0].astype(float)
    across = skin.shape[1] // 2
    hidden = slice(round(0.45 * len(skin)), round(0.6 * len(skin)))  # between ear and chin
    for side in (skin[hidden, :across], skin[hidden, across:]):
        edge, nape = side[:, across // 2 - 4 : across // 2], side[:, -4:]
        assert (np.abs(edge.mean((0, 1)) - IN_SHADE) < 25).all(), "not as light as cheeks are"
        assert nape.mean() < 0.85 * edge.mean()


def test_at_the_smallest_of_turns_it_stays_hidden() -> None:
    scene = scene_of(*figure(0.7, 0.7))
    motion = motion_of(scene, turned(scene.mesh.points.astype(np.float32), 0.5)[None])
    without = replace(scene.back_side.neck, triangles=np.zeros((0, 3), int))
    frames = [
        draw_frames(OpenCV(), drawn, motion, matte=True)
        for drawn in (scene, replace(scene, back_side=replace(scene.back_side, neck=without)))
    ]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize(
    ("hair", "wide", "shoulders"), [(0.2, 1.3, 1.6), (1.55, 1.5, 1.05), (1.2, 1.5, 1.05), (1.5, 1.7, 1.3)]
)
def test_at_rest_nothing_is_looked_up_elsewhere(hair: float, wide: float, shoulders: float) -> None:
    scene = scene_of(*figure(0.6, 0.6, shoulders, hair, wide))
    motion = motion_of(scene, scene.mesh.points[None].astype(np.float32))
    field = Field(OpenCV(), scene, motion.vertices, motion.carried)
    assert np.abs(field.coarse[0, :2]).max() < 1e-3
