# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit's controls: each goes where its name says, on any face; together they never cross lids or lips."""

from __future__ import annotations

import re

import numpy as np
import pytest
from portrait_shared.landmarks import GROUPS, MIRROR

from blender_addon.rig.blendshapes import (
    ARKIT_NAMES,
    DESCRIPTIONS,
    GUARDS,
    MIRRORED_NAMES,
    REGIONS,
    combine,
    shape_offsets,
    split_offsets,
)
from blender_addon.rig.expression_library import EXPRESSIONS, VISEMES

# Apple's documentation of ARFaceAnchor.BlendShapeLocation, by hand.
APPLE = re.findall(
    r"\w+",
    """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut""",
)


@pytest.fixture
def face() -> np.ndarray:
    """A symmetric face of plain proportions, looking at the viewer, its lips a little open."""
    points = np.zeros((70, 3))
    points[0:17, 0] = 50 + 45 * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
    points[0:17, 1] = 50 + 50 * np.cos(np.linspace(-np.pi / 2, np.pi / 2, 17))
    points[17:22] = np.linspace((12, 35, 0), (42, 33, 0), 5)
    points[22:27] = np.linspace((58, 33, 0), (88, 35, 0), 5)
    points[27:31] = np.linspace((50, 42, 0), (50, 62, -15), 4)
    points[31:36] = np.linspace((40, 68, 0), (60, 68, 0), 5)
    points[36:42] = [(20, 45, 0), (27, 41, 0), (33, 41, 0), (40, 45, 0), (33, 48, 0), (27, 48, 0)]
    points[42:48] = [(60, 45, 0), (67, 41, 0), (73, 41, 0), (80, 45, 0), (73, 48, 0), (67, 48, 0)]
    points[48:60] = [(35, 80, 0), (40, 77, 0), (46, 76, 0), (50, 77, 0), (54, 76, 0), (60, 77, 0),
                     (65, 80, 0), (60, 84, 0), (54, 85, 0), (50, 86, 0), (46, 85, 0), (40, 84, 0)]  # fmt: skip
    points[60:64] = [(37, 80, 0), (45, 79, 0), (50, 79, 0), (55, 79, 0)]
    points[64:68] = [(63, 80, 0), (55, 81, 0), (50, 81, 0), (45, 81, 0)]
    points[68:] = [(30, 45, 0), (70, 45, 0)]
    return points


def rotated(points: np.ndarray, yaw: float, roll: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))
    c, s = np.cos(roll), np.sin(roll)
    return points @ (np.array(((c, -s, 0), (s, c, 0), (0, 0, 1))) @ about_y).T


def gap(points: np.ndarray, upper: int, lower: int) -> float:
    return float(points[lower, 1] - points[upper, 1])


def test_the_names_are_apples() -> None:
    assert sorted(ARKIT_NAMES) == sorted(APPLE) and len(set(ARKIT_NAMES)) == 52
    assert set(DESCRIPTIONS) == set(ARKIT_NAMES)
    assert sorted(name for names in REGIONS.values() for name in names) == sorted(APPLE)


def test_every_control_but_the_tongue_moves_something(face: np.ndarray) -> None:
    shapes = shape_offsets(face)
    assert tuple(shapes) == ARKIT_NAMES
    assert [name for name, moved in shapes.items() if not moved.any()] == ["tongueOut"]


def test_left_is_right_in_the_mirror(face: np.ndarray) -> None:
    shapes = shape_offsets(face)
    for name, moved in shapes.items():
        np.testing.assert_allclose(
            moved[list(MIRROR)] * (-1, 1, 1), shapes[MIRRORED_NAMES[name]], atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("yaw,roll,scale", [(0.0, 0.0, 3.0), (0.5, 0.0, 1.0), (0.4, -0.6, 0.2)])
def test_movements_turn_and_scale_with_the_face(face: np.ndarray, yaw: float, roll: float, scale: float) -> None:
    turned = rotated(face, yaw, roll) * scale + (500, -20, 7)
    shapes, expected = shape_offsets(turned), shape_offsets(face)
    for name in ARKIT_NAMES:
        np.testing.assert_allclose(shapes[name], rotated(expected[name], yaw, roll) * scale, atol=1e-9, err_msg=name)


def test_the_persons_left_is_at_the_pictures_right(face: np.ndarray) -> None:
    shapes = shape_offsets(face)
    assert shapes["mouthSmileLeft"][54, 0] > 1 and shapes["mouthSmileRight"][48, 0] < -1
    assert shapes["jawLeft"][8, 0] > 1 and shapes["mouthLeft"][51, 0] > 1
    assert shapes["eyeLookInLeft"][69, 0] < -1 and shapes["eyeLookOutLeft"][69, 0] > 1
    assert not shapes["eyeBlinkLeft"][list(GROUPS["right_eye"])].any()


def test_a_pair_of_eyes_that_looks_aside_does_not_squint(face: np.ndarray) -> None:
    aside = face.copy()
    aside[[68, 69], 0] += 0.1 * (face[39, 0] - face[36, 0])  # the photo looks aside already
    for points in (face, aside):
        shapes = shape_offsets(points)
        for one, other in (("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")):
            np.testing.assert_allclose(shapes[one][69, 0], shapes[other][68, 0], rtol=0.05)


def test_controls_go_where_their_names_say(face: np.ndarray) -> None:
    def down(name: str, point: int) -> float:
        return float(shape_offsets(face)[name][point, 1])

    assert down("jawOpen", 8) > 10 and down("jawOpen", 57) > 10 and not shape_offsets(face)["jawOpen"][17:48].any()
    assert down("mouthSmileRight", 48) < -1 < 1 < down("mouthFrownRight", 48)
    assert down("browInnerUp", 21) < -2 and down("browOuterUpRight", 18) < -2 and down("browDownRight", 21) > 2
    assert down("eyeLookUpLeft", 69) < -1 < 1 < down("eyeLookDownLeft", 69)
    assert down("mouthUpperUpLeft", 52) < -1 and down("mouthLowerDownLeft", 56) > 1
    assert down("noseSneerRight", 31) < -1 and down("eyeWideRight", 37) < -0.5
    pucker = shape_offsets(face)["mouthPucker"]
    assert pucker[48, 0] > 2 and (pucker[48:68, 2] < 0).all(), "narrower, and nearer: smaller z"


@pytest.mark.parametrize("name,sign", [("mouthSmile", -1), ("mouthFrown", 1)])
def test_the_line_between_the_lips_is_a_curve_and_no_v(face: np.ndarray, name: str, sign: int) -> None:
    """Beside the middle it hardly leaves the middle's height: measured on smiles with shut lips, at a fifth of the way to the
    corner, it has gone a twentieth of the corner's way."""
    moved = combine(face, {f"{name}Left": 1, f"{name}Right": 1})
    middle = (moved[62, 1] + moved[66, 1]) / 2
    for corner, beside in ((48, (61, 67)), (54, (63, 65))):
        whole, near = sign * (moved[corner, 1] - middle), sign * (moved[beside, 1] - middle)
        assert whole > 2
        assert (np.abs(near) < 0.15 * whole).all(), near / whole


def test_a_pucker_draws_open_lips_together(face: np.ndarray) -> None:
    """A photo of a smile shows teeth; what the jaw opens beside the pucker stays open."""
    assert gap(face, 62, 66) >= 2
    puckered = face + combine(face, {"mouthPucker": 1})
    assert max(gap(puckered, *pair) / gap(face, *pair) for pair in ((61, 67), (62, 66), (63, 65))) < 0.2
    with_jaw = face + combine(face, {"mouthPucker": 1, "jawOpen": 0.3})
    assert gap(with_jaw, 62, 66) - gap(puckered, 62, 66) > 3


def test_a_blink_shuts_its_own_eye(face: np.ndarray) -> None:
    shut = face + combine(face, {"eyeBlinkRight": 1})
    np.testing.assert_allclose(shut[[37, 38]], shut[[41, 40]], atol=1e-9)


def test_mouth_close_closes_the_lips_whatever_the_jaw_does(face: np.ndarray) -> None:
    for jaw in (0.0, 0.3, 1.0):
        closed = face + combine(face, {"jawOpen": jaw, "mouthClose": 1})
        assert max(abs(gap(closed, *pair)) for pair in ((61, 67), (62, 66), (63, 65))) < 1e-6
    half = face + combine(face, {"jawOpen": 0.5, "mouthClose": 0.5})
    assert gap(half, 62, 66) == pytest.approx(0.5 * gap(face, 62, 66))


@pytest.mark.parametrize("seed", range(8))
def test_lids_and_lips_never_cross(face: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = dict(zip(ARKIT_NAMES, random.uniform(0, 1, 52) > 0.5, strict=True))
    moved = face + combine(face, {name: float(on) for name, on in weights.items()})
    for guard in GUARDS:
        assert gap(moved, guard.upper, guard.lower) > -1e-9


def test_lips_that_cross_in_the_photo_stay_as_they_are(face: np.ndarray) -> None:
    face[66, 1] = face[62, 1] - 0.5
    assert not combine(face, {}).any()


def test_controls_add_up_while_nothing_touches(face: np.ndarray) -> None:
    shapes = shape_offsets(face)
    both = combine(face, {"jawOpen": 0.5, "mouthSmileLeft": 0.7}, shapes)
    np.testing.assert_allclose(both, 0.5 * shapes["jawOpen"] + 0.7 * shapes["mouthSmileLeft"])


def test_halves_add_up_to_the_whole(face: np.ndarray) -> None:
    whole = shape_offsets(face)["browInnerUp"]
    left, right = split_offsets(whole)
    np.testing.assert_allclose(left + right, whole)
    assert left[22:27].any() and not left[17:22].any() and not right[22:27].any()


def test_flat_faces_and_shut_eyes_are_taken(face: np.ndarray) -> None:
    face[:, 2] = 0
    face[[37, 38]] = face[[41, 40]]
    shapes = shape_offsets(face)
    assert all(np.isfinite(moved).all() for moved in shapes.values())
    assert np.abs(shapes["eyeBlinkRight"]).max() < 1e-9 and shapes["eyeWideRight"][37, 1] < 0


@pytest.mark.parametrize("points", [np.zeros((68, 3)), np.zeros((70, 2)), np.full((70, 3), np.nan)])
def test_points_of_another_kind_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="70 finite points"):
        shape_offsets(points)


def test_a_control_that_does_not_exist_is_refused(face: np.ndarray) -> None:
    with pytest.raises(KeyError):
        combine(face, {"wiggleEars": 1})


def test_the_library_names_controls_and_keeps_to_their_range() -> None:
    assert list(VISEMES) == ["sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou"]
    wanted = {"neutral", "smile", "laugh", "sad", "angry", "surprised", "disgusted", "fear", "wink", "sleepy"}
    assert set(EXPRESSIONS) == wanted
    for weights in (*EXPRESSIONS.values(), *VISEMES.values()):
        assert set(weights) <= set(ARKIT_NAMES) and all(0 <= weight <= 1 for weight in weights.values())
    assert not EXPRESSIONS["neutral"] and not VISEMES["sil"]


def test_visemes_open_and_close_the_mouth_as_their_sounds_do(face: np.ndarray) -> None:
    opened = {name: gap(face + combine(face, weights), 62, 66) for name, weights in VISEMES.items()}
    width = {name: np.ptp((face + combine(face, w))[[48, 54], 0]) for name, w in VISEMES.items()}
    assert opened["PP"] == pytest.approx(0, abs=1e-6) and opened["FF"] < opened["DD"]
    assert opened["aa"] == max(opened.values()) and opened["aa"] > opened["E"] > opened["ih"]
    assert width["ou"] == min(width.values()) and width["oh"] < width["aa"] < width["E"]
