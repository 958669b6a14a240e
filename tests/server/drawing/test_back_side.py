# SPDX-License-Identifier: GPL-3.0-or-later
"""The closed head around a face, and what lends the back of it its colours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from portrait_server.drawing.confidence import confidence
from portrait_server.drawing.hair import hair_by_example
from portrait_server.drawing.motion import motion_of
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import Reference
from portrait_server.engines.warp import WarpEngine
from portrait_server.geometry.face_mesh import CHIN, FOREHEAD, OVAL, SIDES, VERTEX_COUNT, outline
from portrait_server.geometry.hair import HairColour
from portrait_server.geometry.head_body import BACK_RINGS, FRONT_RINGS
from portrait_server.geometry.head_lines import HeadLines
from portrait_server.kernels.opencv import OpenCV

from tests.posing import turned
from tests.server.drawing.unlit import draw_frames
from tests.server.moving import moved_to

SIDE = 512
LENT = (250, 0, 250)  # no colour of the photo's
RINGS = FRONT_RINGS + BACK_RINGS


@pytest.fixture(scope="module")
def scene(astronaut: Reference) -> Scene:
    return WarpEngine().prepare([astronaut]).scene((SIDE, SIDE))


def painted(scene: Scene) -> Scene:
    """The scene with what its back is lent in a colour of its own."""
    back = scene.back_side
    colours = np.empty_like(back.lender.colours)
    colours[...] = LENT
    return replace(scene, back_side=replace(back, lender=replace(back.lender, colours=colours)))


def lent(image: np.ndarray) -> np.ndarray:
    """Where (H, W) a picture shows that colour."""
    low = image.astype(int)
    return np.minimum(low[..., 0], low[..., 2]) - low[..., 1] > 90


def test_the_head_is_one_surface_that_ends_only_at_its_back(scene: Scene) -> None:
    mesh = scene.mesh
    head = len(mesh.triangles) - len(mesh.body.triangles) + mesh.body.closed
    triangles = np.concatenate([mesh.triangles[:head], mesh.openings])
    edges = Counter(frozenset(map(int, pair)) for corners in triangles for pair in combinations(corners, 2))
    assert max(edges.values()) == 2, "no edge has three sides"
    open_vertices = {vertex for edge, count in edges.items() if count == 1 for vertex in edge}
    last = VERTEX_COUNT + (RINGS - 1) * len(OVAL)
    assert open_vertices == set(range(last, last + len(OVAL))), "the last ring of the back, and no hole besides"


def test_the_back_lies_behind_the_front_and_the_surroundings_behind_both(scene: Scene) -> None:
    mesh, count = scene.mesh, len(OVAL)
    rings = mesh.body.order[: RINGS * count].reshape(RINGS, count)
    assert (np.diff(np.vstack([mesh.depth[list(OVAL)], rings]), axis=0) >= -1e-6).all(), "ever farther outwards"
    assert mesh.body.order[RINGS * count : mesh.body.rings].min() > rings.max()


def test_an_ear_that_stands_out_reaches_less_far_back_than_the_head_behind_it(scene: Scene) -> None:
    face = scene.mesh.vertices[:VERTEX_COUNT]
    picture = np.full((SIDE, SIDE, 3), (200, 150, 130), np.uint8)
    matte = cv2.fillPoly(
        np.zeros((SIDE, SIDE), np.float32), [np.round(outline(face[:, :2], 1.15)).astype(np.int32)], 1.0
    )
    without = HeadLines.of(face, picture, matte)
    ear = np.round(face[SIDES[1], :2] + [0.12 * scene.mesh.size, 0]).astype(int)
    cv2.circle(matte, ear.tolist(), round(0.12 * scene.mesh.size), 1.0, -1)
    nearer = (without.widest - HeadLines.of(face, picture, matte).widest) / without.half_width
    at = OVAL.index(SIDES[1])
    assert nearer[at] > 0.1
    assert (np.delete(np.abs(nearer), [(at + step) % len(OVAL) for step in range(-3, 4)]) < 0.01).all()


def test_at_its_own_points_a_photo_is_lent_nothing(scene: Scene, astronaut: Reference) -> None:
    motion = motion_of(scene, astronaut.points[None])
    frames = [draw_frames(OpenCV(), drawn, motion, matte=True) for drawn in (scene, painted(scene))]
    np.testing.assert_array_equal(*frames)
    assert np.abs(frames[0][0, ..., :3].astype(int) - scene.photo).max() <= 4


@pytest.mark.parametrize("yaw", [-40, 40])
def test_a_turn_lends_the_back_and_leaves_the_face(scene: Scene, astronaut: Reference, yaw: float) -> None:
    moved = moved_to(painted(scene), turned(astronaut.points, yaw=yaw))
    back, vertices = lent(moved.person[0]) & (moved.alpha[0] > 128), moved.motion.vertices[0]
    oval = vertices[list(OVAL), :2]
    inner = oval.mean(0) + 0.8 * (oval - oval.mean(0))
    face = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), cv2.convexHull(np.round(inner).astype(np.int32)), 1) > 0
    assert back.sum() > 0.1 * face.sum()
    assert (back & face).sum() < 0.01 * face.sum()
    x = np.flatnonzero(back.any(0)).mean()
    assert (x - oval[:, 0].mean()) * yaw > 0, "on the side that the turn brings into view"


@pytest.mark.parametrize("yaw", [-40, 40])
def test_a_turned_head_has_no_hole(scene: Scene, astronaut: Reference, yaw: float) -> None:
    moved = moved_to(scene, turned(astronaut.points, yaw=yaw))
    brow, chin = (int(moved.motion.vertices[0, vertex, 1]) for vertex in (10, 152))
    head = (moved.alpha[0, brow:chin] > 64).astype(np.uint8)
    around = cv2.copyMakeBorder(1 - head, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(around, None, (0, 0), 0)
    assert around.sum() == 0, "nothing of the background shows inside it"


def test_hair_covers_face_and_ears_down_to_a_neck_of_skin(scene: Scene, astronaut: Reference) -> None:
    mesh = scene.mesh
    hair = hair_by_example(astronaut.image, scene.matte.astype(np.float32) / 255, mesh)
    kinds = mesh.body.colour.skin_share(hair.colours)
    face = mesh.vertices[list(OVAL), :2] - hair.start
    left, right = (int(end) for end in (face[:, 0].min(), face[:, 0].max()))
    mouth, eyes = (int(mesh.points[list(points), 1].mean() - hair.start[1]) for points in ((51, 57), (36, 45)))
    assert kinds[eyes : mouth - 5, left:right].mean() < 0.05, "no face on the back of a head"
    below = mouth + round(0.15 * mesh.size)
    chin = int(mesh.vertices[CHIN, 1] - hair.start[1])  # below it the picture is the photo itself
    neck = hair.colours[below:chin, left:right].astype(int)
    assert (neck[..., 0] > neck[..., 2] + 20).all() and neck.min() > 60, "no collar, which is black, on its neck"
    skin = cv2.cvtColor(neck.astype(np.float32).reshape(1, -1, 3) / 255, cv2.COLOR_RGB2LAB)[0]
    assert np.linalg.norm(skin[:, 1:] - mesh.body.colour.skin[1:], axis=1).mean() < 6, "of the hue that the cheeks have"
    assert neck.mean() > hair.colours[eyes : mouth - 5, left:right].mean() + 20, "and no hair"


def test_kinds_are_told_by_colour_more_than_by_light() -> None:
    skin, hair = np.array([210, 160, 135]), np.array([90, 60, 35])
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, :8], image[:, 8:] = skin, hair
    places = np.array([[x, y] for x in range(8) for y in range(8)])
    told = HairColour.of(image, places, places + np.array([8, 0]))
    assert not told.bald
    shares = told.skin_share(np.array([skin, 0.8 * skin, hair, 1.2 * hair]))
    np.testing.assert_array_equal(shares.round(), [1, 1, 0, 0])
    assert told.hair_share(hair[None])[0] == 1 and told.hair_share(np.array([[20, 60, 220]]))[0] == 0
    assert HairColour.of(image, places, places).bald


@pytest.mark.parametrize("part", ["lender", "near", "neck"])
def test_what_a_turn_is_lent_is_made_up_whatever_its_colours(scene: Scene, astronaut: Reference, part: str) -> None:
    back, target = scene.back_side, turned(astronaut.points, yaw=40)
    lender = getattr(back, part)
    scenes = [
        replace(scene, back_side=replace(back, **{part: replace(lender, colours=np.full_like(lender.colours, level))}))
        for level in (0, 255)
    ]
    moved = [moved_to(each, target) for each in scenes]
    assert (moved[0].person != moved[1].person).any(), "it is seen"
    told = [confidence(OpenCV(), each, drawn) for each, drawn in zip(scenes, moved, strict=True)]
    np.testing.assert_array_equal(*told)


def test_a_back_under_a_veil_is_lent_cloth(astronaut: Reference, scene: Scene) -> None:
    veil, count = (205, 175, 145), len(OVAL)
    rings = scene.mesh.body.vertices[: FRONT_RINGS * count, :2].reshape(FRONT_RINGS, count, 2)
    # A band along the rim of the hair, from ear to ear over the crown.
    inner, rim = (rings[number, np.arange(-8, 9) % count] for number in (3, -1))
    band = np.concatenate([inner, (rim + 0.05 * (rim - inner))[::-1]])
    image = cv2.fillPoly(astronaut.image.copy(), [np.round(band).astype(np.int32)], veil)
    veiled = WarpEngine().prepare([replace(astronaut, image=image)]).scene((SIDE, SIDE))
    points = turned(astronaut.points, yaw=40)
    colours = []
    for worn in (scene, veiled):
        moved, marked = moved_to(worn, points), moved_to(painted(worn), points)
        made = lent(marked.person[0]) & (marked.alpha[0] > 128)
        made[round(scene.mesh.vertices[FOREHEAD, 1]) :] = False
        assert made.sum() > 500
        colours.append(moved.person[0][made].mean(0))
    # The veil is a narrow band over much hair: what is lent would have a fifteenth of its colour if it were taken for skin.
    assert ((colours[1] - colours[0]) / (veil - colours[0]) > 0.3).all()
