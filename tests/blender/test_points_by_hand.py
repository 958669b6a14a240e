# SPDX-License-Identifier: GPL-3.0-or-later
"""Points placed by hand: what a drag moves, mirrored, undone; where the mouse is on the photo; what becomes of a rig."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from portrait_shared.landmarks import MIRROR  # noqa: E402
from portrait_shared.track import LandmarkTrack  # noqa: E402

from blender_addon.annotation.annotation import Annotation, Kind, Level  # noqa: E402
from blender_addon.annotation.box import Box, Knob, face_axes  # noqa: E402
from blender_addon.annotation.buttons import row_of_buttons  # noqa: E402
from blender_addon.annotation.loupe import Loupe  # noqa: E402
from blender_addon.annotation.overlay import loupe_corner  # noqa: E402
from blender_addon.annotation.photo_view import PhotoView  # noqa: E402
from blender_addon.annotation.template import DESCRIPTIONS, PARTS, TEMPLATE, in_picture  # noqa: E402
from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.jobs.detect_job import DetectJob  # noqa: E402
from blender_addon.plane.plane_space import PlaneSpace  # noqa: E402
from blender_addon.rig import armature  # noqa: E402

_ALL = list(range(70))
_REACH = 4.0


@pytest.fixture
def started() -> np.ndarray:
    return in_picture(400, 300)


def dragged(annotation: Annotation, start: Any, end: Any, fine: bool = False) -> None:
    """A drag with the mouse, in several steps."""
    start, end = np.array(start, float), np.array(end, float)
    assert annotation.press(start, _REACH)
    for share in (0.3, 0.7, 1.0):
        annotation.drag_to(start + share * (end - start), fine)
    annotation.drop()


def of(points: np.ndarray, *indices: int) -> np.ndarray:
    return points[list(indices or _ALL), :2]


def moved(points: np.ndarray, point: int, x: float, y: float) -> np.ndarray:
    """A place (2,) so many pixels from a point."""
    return points[point, :2] + np.array((x, y))


# The template


def test_the_template_is_symmetric_and_lies_in_the_picture() -> None:
    assert TEMPLATE.shape == (70, 3) and np.ptp(TEMPLATE[:, 0]) == 1
    assert np.allclose(TEMPLATE, TEMPLATE[list(MIRROR)] * (-1, 1, 1), atol=1e-9)
    for size in ((400, 300), (300, 400), (90, 90)):
        points = in_picture(*size)
        assert (points[:, :2] > 0).all() and (points[:, :2] < size).all()
    assert TEMPLATE[30, 2] < TEMPLATE[8, 2] < TEMPLATE[0, 2], "the nose is nearer than the chin, the ears are farther"


@pytest.mark.servers_environment
def test_the_template_is_the_servers_mean_face() -> None:
    from portrait_server.geometry.face_mesh import neutral_mesh
    from portrait_shared.landmarks import MESH_VERTICES

    assert np.abs(TEMPLATE - neutral_mesh()[list(MESH_VERTICES)]).max() < 1e-3


def test_every_point_has_a_description_and_a_part() -> None:
    assert len(DESCRIPTIONS) == 70 and DESCRIPTIONS[8] == "Chin" and DESCRIPTIONS[68] == "Right pupil"
    assert sorted(point for part in PARTS.values() for point in part) == _ALL
    sides = {"right": "left", "left": "right", "Right": "Left", "Left": "Right"}
    for point, words in enumerate(DESCRIPTIONS):
        assert DESCRIPTIONS[MIRROR[point]] == re.sub("|".join(sides), lambda found: sides[found[0]], words)


# What a drag does


def test_the_face_is_dragged_and_scaled_and_turned_as_a_whole(started: np.ndarray) -> None:
    annotation = Annotation(started)
    dragged(annotation, of(started, 30)[0], moved(started, 30, 20, -10))
    assert np.allclose(annotation.points, started + np.array((20, -10, 0)))
    box = Box.around(annotation.points, tuple(_ALL))
    fixed, corner = box.place(Knob.LEFT_TOP), box.place(Knob.RIGHT_BOTTOM)
    dragged(annotation, corner, fixed + 2 * (corner - fixed))
    assert np.allclose(np.ptp(annotation.points, axis=0), 2 * np.ptp(started, axis=0)), "depth grows as the rest does"
    middle = Box.around(annotation.points, tuple(_ALL)).centre
    before = annotation.points.copy()
    up = Box.around(before, tuple(_ALL)).place(Knob.ROLL) - middle
    dragged(annotation, middle + up, middle + np.array((-up[1], up[0])))  # a quarter, clockwise
    assert np.allclose(face_axes(annotation.points), ((0, 1), (-1, 0)), atol=1e-9)
    assert np.allclose(annotation.points[:, 2], before[:, 2])


def test_an_edge_stretches_one_way_and_the_opposite_edge_stays(started: np.ndarray) -> None:
    annotation = Annotation(started)
    box = Box.around(started, tuple(_ALL))
    bottom, top = box.place(Knob.BOTTOM), box.place(Knob.TOP)
    dragged(annotation, bottom, bottom + 0.5 * (bottom - top))
    assert np.allclose(annotation.points[:, 0], started[:, 0])
    assert np.allclose(annotation.points[:, 1] - top[1], 1.5 * (started[:, 1] - top[1]))


def test_a_turned_head_looks_where_it_was_dragged(started: np.ndarray) -> None:
    annotation = Annotation(started)
    knob = Box.around(started, tuple(_ALL)).place(Knob.TURN)
    dragged(annotation, knob, knob + np.array((40, 0)))
    nose, sides = annotation.points[30], annotation.points[[0, 16]]
    assert nose[0] > started[30, 0] and sides[1, 2] > sides[0, 2], "the nose goes right, the right ear away"
    lengths = [np.linalg.norm(points[:, None] - points[None], axis=-1) for points in (started, annotation.points)]
    assert np.allclose(*lengths), "a rigid turn"
    annotation = Annotation(started)
    dragged(annotation, knob, knob + np.array((0, 30)))
    assert annotation.points[30, 1] - annotation.points[27, 1] > started[30, 1] - started[27, 1], "and down"


def test_a_part_takes_its_pupil_along_and_its_other_side_where_mirrored(started: np.ndarray) -> None:
    annotation = Annotation(started, Level.PARTS)
    dragged(annotation, of(started, 36)[0], moved(started, 36, -9, 4))
    for points, offset in ((PARTS["Right Eye"], (-9, 4)), (PARTS["Left Eye"], (9, 4))):
        assert np.allclose(of(annotation.points - started, *points), offset)
    rest = [point for point in _ALL if point not in (*PARTS["Right Eye"], *PARTS["Left Eye"])]
    assert np.array_equal(annotation.points[rest], started[rest])
    annotation = Annotation(started, Level.PARTS, mirror=False)
    dragged(annotation, of(started, 36)[0], moved(started, 36, -9, 4))
    assert np.array_equal(annotation.points[list(PARTS["Left Eye"])], started[list(PARTS["Left Eye"])])


def test_the_box_of_a_part_scales_it_and_the_other_side(started: np.ndarray) -> None:
    annotation = Annotation(started, Level.PARTS)
    dragged(annotation, of(started, 36)[0], moved(started, 36, 1, 0))
    before = annotation.points.copy()
    box = Box.around(before, PARTS["Right Eye"])
    corner, fixed = box.place(Knob.LEFT_TOP), box.place(Knob.RIGHT_BOTTOM)
    dragged(annotation, corner, fixed + 2 * (corner - fixed))
    for name in ("Right Eye", "Left Eye"):
        assert np.allclose(
            np.ptp(of(annotation.points, *PARTS[name]), axis=0), 2 * np.ptp(of(before, *PARTS[name]), axis=0)
        )
    assert np.allclose(annotation.points, annotation.points[list(MIRROR)] * (-1, 1, 1) + (400, 0, 0))


def test_a_point_is_mirrored_about_a_face_that_is_turned_in_the_picture(started: np.ndarray) -> None:
    sine, cosine = np.sin(0.4), np.cos(0.4)
    turned = started.copy()
    turned[:, :2] = (started[:, :2] - 150) @ np.array(((cosine, sine), (-sine, cosine))) + 150
    annotation = Annotation(turned, Level.POINTS)
    dragged(annotation, turned[48, :2], turned[48, :2] + (-3, 5))
    across = face_axes(turned)[0]
    moved = (annotation.points - turned)[:, :2]
    assert np.allclose(moved[48], (-3, 5)) and np.allclose(moved[54], (-3, 5) - 2 * ((-3, 5) @ across) * across)
    assert not moved[[point for point in _ALL if point not in (48, 54)]].any()
    dragged(annotation, annotation.points[30, :2], annotation.points[30, :2] + (2, 0))
    assert np.allclose((annotation.points - turned)[30, :2], (2, 0)), "a point in the middle goes where it is dragged"


def test_shift_slows_the_mouse_and_arrows_go_by_pixels(started: np.ndarray) -> None:
    annotation = Annotation(started, Level.POINTS, mirror=False)
    dragged(annotation, started[8, :2], started[8, :2] + (30, 0), fine=True)
    assert np.allclose(annotation.points[8, :2], started[8, :2] + (3, 0))
    assert annotation.nudge((0, -1)) and np.allclose(annotation.points[8, :2], started[8, :2] + (3, -1))


def test_what_is_done_is_undone_and_done_again(started: np.ndarray) -> None:
    annotation = Annotation(started, Level.POINTS, mirror=False)
    states = [annotation.points.copy()]
    for point in (8, 30, 36):
        dragged(annotation, annotation.points[point, :2], annotation.points[point, :2] + (5, 5))
        states.append(annotation.points.copy())
    assert annotation.press(annotation.points[0, :2], _REACH)
    annotation.drag_to(annotation.points[0, :2] + 9)
    annotation.cancel_drag()
    assert np.array_equal(annotation.points, states[-1]), "a drag that is cancelled leaves nothing"
    for state in states[-2::-1]:
        assert annotation.undo() and np.array_equal(annotation.points, state)
    assert not annotation.undo()
    assert annotation.redo() and np.array_equal(annotation.points, states[1])
    dragged(annotation, annotation.points[30, :2], annotation.points[30, :2] + (1, 0))
    assert not annotation.redo(), "something else was done since"


def test_a_key_begins_what_another_key_turns_into(started: np.ndarray) -> None:
    annotation = Annotation(started)
    at = Box.around(started, tuple(_ALL)).centre + np.array((100, 0))
    assert annotation.begin(Kind.MOVE, at)
    annotation.drag_to(at + np.array((50, 0)))
    annotation.change_kind(Kind.SCALE)
    assert np.array_equal(annotation.points, started), "begun anew"
    annotation.drag_to(at + np.array((125, 0)))
    assert np.allclose(np.ptp(annotation.points, axis=0), 1.5 * np.ptp(started, axis=0))
    annotation.drop()
    single = Annotation(started, Level.POINTS)
    assert not single.begin(Kind.MOVE, at), "nothing is under the mouse"
    single.hover(started[8, :2], _REACH)
    assert not single.begin(Kind.SCALE, at), "one point has no size"


def test_a_face_is_never_turned_inside_out(started: np.ndarray) -> None:
    annotation = Annotation(started)
    box = Box.around(started, tuple(_ALL))
    dragged(annotation, box.place(Knob.RIGHT), box.place(Knob.LEFT) - (50, 0))
    assert annotation.points[16, 0] > annotation.points[0, 0]


def test_a_press_beside_everything_holds_nothing(started: np.ndarray) -> None:
    for level in Level:
        assert not Annotation(started, level).press(np.array((2.0, 298.0)), _REACH)


# Where it is seen


def test_the_mouse_finds_the_photos_pixel_in_any_view() -> None:
    from mathutils import Euler, Matrix

    space = PlaneSpace(400, 300)
    plane = Matrix.LocRotScale((1.0, 2.0, 3.0), Euler((0.1, 0.2, 0.3)), (1.5, 1.5, 1.5))
    perspective = np.array(((1.2, 0.1, 0.2, 0.1), (0.0, 0.2, 1.4, -2.0), (0, 1, 0, 0), (0.02, 0.1, 0.03, 3.0)))
    view = PhotoView.of(perspective, np.array(plane), space, (800, 600))
    places = np.array(((0.0, 0.0), (400.0, 300.0), (123.0, 45.0)))
    assert np.allclose(view.to_photo(view.to_region(places)), places)
    for place, seen in zip(places, view.to_region(places), strict=True):
        clip = perspective @ np.append(np.array(plane @ Matrix.Identity(4)) @ [*space.to_local(place), 1], ())
        assert np.allclose(seen, ((clip[0] / clip[3] + 1) * 400, (clip[1] / clip[3] + 1) * 300))
    assert view.pixels_per_pixel(places[2]) == pytest.approx(
        np.linalg.norm(view.to_region(places[2] + (1, 0)) - seen), rel=0.5
    )
    edge_on = PhotoView.of(np.diag((1.0, 1.0, 0.0, 1.0)), np.eye(4), space, (800, 600))
    assert edge_on.to_photo(np.array((10.0, 10.0))) is None


def test_the_loupe_shows_the_photos_own_colours() -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[10, 20] = (255, 128, 0)
    loupe = Loupe(np.array((20.5, 10.5)), 80, 8.0)
    seen = loupe.picture(photo)
    assert seen.shape == (80, 80, 4) and np.allclose(seen[39:41, 39:41, :3], np.array((255, 128, 0)) / 255, atol=0.15)
    assert not seen[20, 20, :3].any()
    assert np.allclose(loupe.to_square(np.array((21.5, 10.5, 3.0))), (48, 40))
    assert np.allclose(loupe.to_square(np.array((20.5, 9.5))), (40, 48)), "up in the photo is up"
    corner = Loupe(np.array((0.0, 0.0)), 80, 8.0).picture(np.full((40, 60, 3), 200, np.uint8))
    assert np.allclose(corner[:40, 41:, :3], 200 / 255) and (corner[41:, :40, :3] < 0.2).all(), "beside it, grey"
    assert loupe_corner(np.array((790.0, 590.0)), 80, 20, 800, 600) == (690, 490)
    assert loupe_corner(np.array((100.0, 100.0)), 80, 20, 800, 600) == (120, 120)


def test_the_loupes_texture_is_linear_where_blender_encodes_it() -> None:
    held = compat.texture_colors(np.full((1, 1, 4), 0.5, np.float32))[0, 0]
    assert held.dtype == np.float32 and held[3] == 0.5, "alpha is no light"
    assert held[:3] == pytest.approx([0.5 if bpy.app.version >= (5, 0, 0) else 0.2140] * 3, abs=1e-4)


def test_buttons_lie_side_by_side_and_the_chosen_ones_are_lit(started: np.ndarray) -> None:
    buttons = row_of_buttons(Annotation(started, Level.PARTS), (100, 900, 500), 1.0, lambda words: 7.0 * len(words))
    assert [button.action for button in buttons if button.on] == ["PARTS", "MIRROR"]
    for left, right in pairwise(buttons):
        assert left.left + left.width < right.left
    assert all(button.left >= 100 and button.left + button.width <= 900 for button in buttons)
    assert buttons[0].holds(buttons[0].left + 1, buttons[0].bottom + 1) and not buttons[0].holds(99, 480)


# What becomes of it


@pytest.fixture
def faceless(scene: Any, photo_file: Path) -> Any:
    assert bpy.ops.portrait.add(filepath=str(photo_file), by_hand=True) == {"FINISHED"}
    return scene.talking_portraits.active


def test_points_by_hand_are_the_rest_of_a_rig(faceless: Any) -> None:
    assert faceless.rig is None and faceless.detected_points is None
    assert bpy.ops.portrait.place_points(center=(40, 30), width=32) == {"FINISHED"}
    rest = armature.rest_points(faceless.rig, faceless.space)
    assert np.allclose(rest, TEMPLATE * 32 + (40, 30, 0), atol=2e-3)
    assert bpy.context.view_layer.objects.active == faceless.rig and not armature.missing_bones(faceless.rig)


def test_placing_again_moves_the_rig_and_keeps_its_keys(faceless: Any) -> None:
    bpy.ops.portrait.place_points(center=(40, 30), width=32)
    rig = faceless.rig
    rig["jawOpen"] = 0.5
    rig.keyframe_insert('["jawOpen"]', frame=3)
    assert bpy.ops.portrait.place_points(center=(50, 34), width=24, roll=0.2) == {"FINISHED"}
    assert faceless.rig == rig and rig.animation_data.action is not None
    rest = armature.rest_points(rig, faceless.space)
    assert np.allclose(np.linalg.norm((rest[0] - rest[16])[:2]), 24, atol=1e-2)
    assert rest[16, 1] > rest[0, 1], "clockwise: the picture's right goes down"


def test_points_come_from_a_landmark_file(faceless: Any, tmp_path: Path, face: np.ndarray) -> None:
    LandmarkTrack(face[None], tuple(faceless.size), 24.0, 1).save(tmp_path / "points.npz")
    assert bpy.ops.portrait.place_points(filepath=str(tmp_path / "points.npz")) == {"FINISHED"}
    assert np.allclose(faceless.detected_points, face)
    LandmarkTrack(face[None], (640, 480), 24.0, 1).save(tmp_path / "other.npz")
    with pytest.raises(RuntimeError, match="640x480"):
        bpy.ops.portrait.place_points(filepath=str(tmp_path / "other.npz"))
    assert np.allclose(faceless.detected_points, face)


def test_a_face_of_no_size_is_refused(faceless: Any) -> None:
    with pytest.raises(RuntimeError, match="too small"):
        bpy.ops.portrait.place_points(center=(40, 30), width=2)
    assert faceless.rig is None


def test_where_no_face_is_found_placing_is_offered(faceless: Any) -> None:
    from portrait_shared.errors import ErrorCode, PortraitError

    class Blind:
        def detect(self, image: np.ndarray, face: int) -> None:
            raise PortraitError(ErrorCode.NO_FACE, "No face was found.", "Use another.")

    job = DetectJob(faceless.uid, None)
    job.begin()
    with pytest.raises(PortraitError) as caught:
        job.work(Blind(), lambda event: None, lambda: False)
    assert problems.problem_of(caught.value).fix is problems.Fix.PLACE_POINTS
    assert "by hand" in caught.value.remedy


def test_a_filmed_shots_points_are_not_placed(faceless: Any) -> None:
    faceless.shot.path = "//shot.mp4"
    assert not bpy.ops.portrait.place_points.poll()
    faceless.shot.path = ""
    assert bpy.ops.portrait.place_points.poll()
