# SPDX-License-Identifier: GPL-3.0-or-later
"""The gaze's handle in depth: both eyes look at it, and far away side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Vector  # noqa: E402

from blender_addon.blender import compat  # noqa: E402
from blender_addon.rig import armature  # noqa: E402
from blender_addon.rig.handles import GAZE_FORWARD, GAZE_MEETS, GAZE_TRAVEL, PICTURE_AXES, RigFrame  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402

PUPILS = [68, 69]
CLOSE = 0.01  # of a slider, 0.012 pixels of this face: a driver's numbers have six decimals


def frame_of(portrait: Any) -> RigFrame:
    return RigFrame.of(armature.rest_points(portrait.rig, portrait.space), portrait.space)


def put(portrait: Any, place: Iterable[float]) -> None:
    """Moves the gaze's handle to the picture's right, up and out of the face, in distances between the outer eye corners."""
    portrait.rig.pose.bones["gaze"].location = frame_of(portrait).unit * np.array(tuple(place))
    portrait.rig.update_tag()


def turned(portrait: Any, frames: Sequence[int] = (1,)) -> np.ndarray:
    """How far the right and the left pupil went to the picture's right, (frames, 2), as parts of a whole slider."""
    rest = armature.rest_points(portrait.rig, portrait.space)
    posed = sample(bpy.context.scene, portrait.rig, portrait.space, frames).points
    whole = 0.22 * np.linalg.norm(rest[[39, 45]] - rest[[36, 42]], axis=1)  # pixels, of `eyeLookIn`
    return (posed - rest)[:, PUPILS, 0] / whole


def seen_at(portrait: Any, depth: float, turns: np.ndarray) -> np.ndarray:
    """Where the lines of both eyes are at a depth before the face, (2,) right of the middle between the pupils.

    A whole slider looks `GAZE_TRAVEL` aside at `GAZE_FORWARD`.
    """
    frame = frame_of(portrait)
    pupils = frame.in_face(frame.points[PUPILS] - frame.points[PUPILS].mean(0))[:, 0] / frame.unit
    return pupils + turns * GAZE_TRAVEL * depth / GAZE_FORWARD


@pytest.mark.parametrize("place", [(0, 0, GAZE_MEETS), (0.3, 0, 2.5), (-0.4, 0.2, 4), (0, -0.3, 10)])
def test_both_eyes_look_at_a_near_target(portrait: Any, place: tuple[float, float, float]) -> None:
    put(portrait, place)
    turns = turned(portrait)[0]
    assert turns[0] > turns[1] + 0.05, "the right eye, at the picture's left, more to the picture's right"
    np.testing.assert_allclose(seen_at(portrait, place[2], turns), place[0], atol=CLOSE * GAZE_TRAVEL * place[2] / 0.6)


def test_eyes_that_look_far_away_are_parallel(portrait: Any) -> None:
    put(portrait, (200, 0, 1000))
    right, left = turned(portrait)[0]
    assert right == pytest.approx(left, abs=CLOSE) and right == pytest.approx(0.48, abs=CLOSE)


@pytest.mark.parametrize("depth", [-1.0, 0.0, 0.3, GAZE_FORWARD])
def test_a_target_on_the_face_turns_both_eyes_alike(portrait: Any, depth: float) -> None:
    """As a photo's look is kept, and frames of files in which the handle was moved across the face alone."""
    put(portrait, (0, 0, depth))
    assert not turned(portrait).any()
    put(portrait, (0.1, 0, depth))
    np.testing.assert_allclose(turned(portrait)[0], 0.4, atol=CLOSE)


def test_a_target_twice_as_far_turns_the_eyes_half_as_much(portrait: Any) -> None:
    middle = []
    for depth in (0.0, 2 * GAZE_FORWARD, 4 * GAZE_FORWARD):
        put(portrait, (0.2, 0, depth))
        middle.append(turned(portrait)[0].mean())
    np.testing.assert_allclose(middle, [0.8, 0.4, 0.2], atol=CLOSE)


def test_eyes_come_together_without_a_jump(portrait: Any) -> None:
    for frame, depth in ((1, 0.0), (61, 6.0)):
        put(portrait, (0, 0, depth))
        portrait.rig.pose.bones["gaze"].keyframe_insert("location", frame=frame)
    for curve in compat.fcurves_of(portrait.rig):
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    right, left = turned(portrait, range(1, 62)).T
    np.testing.assert_allclose(right, -left, atol=CLOSE)
    steps = np.diff(right)
    assert np.abs(steps).max() < 0.1, "of the whole way inwards, a tenth of a unit a frame"
    most = int(right.argmax())
    assert (steps[:most] >= -CLOSE).all() and (steps[most:] <= CLOSE).all(), "in, and from there on out again"


def test_limits_hold_for_eyes_that_meet(portrait: Any) -> None:
    put(portrait, (0.8, 0, 2))
    assert turned(portrait)[0].max() == pytest.approx(1.0, abs=CLOSE)
    portrait.rig["limits"] = False
    portrait.rig.update_tag()
    assert turned(portrait)[0].max() > 1.3


def test_both_eyes_follow_an_object_in_depth(portrait: Any) -> None:
    place = np.array((-0.3, 0.1, 3.0))
    frame, rig = frame_of(portrait), portrait.rig
    bpy.context.view_layer.update()
    target = bpy.data.objects.new("target", None)
    bpy.context.scene.collection.objects.link(target)
    rest = np.array(rig.data.bones["gaze"].head_local)
    target.location = rig.matrix_world @ Vector(rest + frame.unit * place @ PICTURE_AXES)
    rig.pose.bones["gaze"].constraints.new("COPY_LOCATION").target = target
    np.testing.assert_allclose(seen_at(portrait, 3.0, turned(portrait)[0]), -0.3, atol=0.02)
