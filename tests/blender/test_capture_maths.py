# SPDX-License-Identifier: GPL-3.0-or-later
"""What capture computes without Blender's data: poses, transfer, solving, timing, keys, speech and recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.head_poses import HeadPoses
from portrait_shared.landmarks import EYES, GROUPS
from portrait_shared.track import LandmarkTrack

pytest.importorskip("bpy")

from mathutils import Euler

from blender_addon.capture.head_pose import (
    PIXELS_TO_HEAD,
    head_angles,
)
from blender_addon.capture.solve import solve
from blender_addon.capture.speech_shapes import Speech, take_of_speech
from blender_addon.capture.takes import VideoOptions, take_of_video
from blender_addon.capture.timing import Placement, to_scene
from blender_addon.capture.transfer import closure, most_neutral, mouth_is_open, transfer
from blender_addon.curves.reduce import evaluate, reduce
from blender_addon.importers.live_link import read_live_link, take_of_recording
from blender_addon.rig.blendshapes import ARKIT_NAMES, FaceFrame, combine, shape_offsets
from blender_addon.rig.expression_library import VISEMES
from tests.blender.conftest import face_points
from tests.paths import real_clips

COUNT = 40


def head_rotations(angles: np.ndarray) -> np.ndarray:
    """The inverse of `head_angles`."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    one, nil = np.ones_like(cx), np.zeros_like(cx)
    about_x = np.array(((one, nil, nil), (nil, cx, -sx), (nil, sx, cx)))
    about_y = np.array(((cy, nil, sy), (nil, one, nil), (-sy, nil, cy)))
    about_z = np.array(((cz, -sz, nil), (sz, cz, nil), (nil, nil, one)))
    own = np.einsum("ijt,jkt,klt->til", about_y, about_x, about_z)
    return PIXELS_TO_HEAD.T @ own @ PIXELS_TO_HEAD


@pytest.fixture
def rest() -> np.ndarray:
    """The portrait: a face 240 pixels high."""
    return face_points(960, 640).astype(np.float64)


def another(face: np.ndarray) -> np.ndarray:
    """Somebody else: larger, with smaller eyes and a wider mouth, elsewhere in the picture."""
    face = face.copy()
    for eye in EYES:
        points = [*eye.corners, *(lid for pair in eye.lids for lid in pair)]
        middle = face[points].mean(0)
        face[points] = middle + (face[points] - middle) * (0.8, 0.6, 0.8)
    lips = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]
    face[lips, 0] = face[lips, 0].mean() + 1.2 * (face[lips, 0] - face[lips, 0].mean())
    return face * 1.7 + (90, -40, 0)


def acted(face: np.ndarray, count: int = COUNT) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(T, 70, 3) a still head that opens its jaw slowly, blinks twice with the left eye, once with both, and smiles."""
    t = np.arange(count)
    blink = np.maximum.reduce([np.exp(-(((t - at) / 1.3) ** 2)) for at in (9, 25)])
    weights = {
        "jawOpen": 0.5 - 0.5 * np.cos(t / count * 2 * np.pi),
        "eyeBlinkLeft": np.where(blink > 0.02, blink, 0.0),
        "eyeBlinkRight": np.where(np.abs(t - 25) < 5, blink, 0.0),
        "mouthSmileLeft": np.clip((t - 20) / 10, 0, 0.8),
        "mouthSmileRight": np.clip((t - 20) / 10, 0, 0.8),
    }
    rows = [combine(face, {name: values[i] for name, values in weights.items()}) for i in t]
    return face + np.stack(rows), weights


def turned(points: np.ndarray, angles: np.ndarray, moves: np.ndarray, scales: np.ndarray) -> np.ndarray:
    pivot = points[0, 27]
    spun = np.einsum("tij,tpj->tpi", head_rotations(angles), points - pivot)
    return spun * scales[:, None, None] + pivot + moves[:, None]


def swaying(count: int = COUNT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t = np.arange(count)[:, None]
    angles = np.sin(t / (9, 13, 17)) * (0.2, 0.35, 0.15)
    return angles, np.sin(t / (7, 11, 1e9)) * 12, 1 + 0.1 * np.sin(t[:, 0] / 8)


def test_angles_are_those_of_blenders_zxy_euler() -> None:
    angles = np.array([(0.3, -0.7, 0.2), (-0.9, 1.2, 2.0), (0, 0, 0)])
    for row, rotation in zip(angles, head_rotations(angles), strict=True):
        own = PIXELS_TO_HEAD @ rotation @ PIXELS_TO_HEAD.T
        np.testing.assert_allclose(own, np.array(Euler(row, "ZXY").to_matrix()), atol=1e-6)
    np.testing.assert_allclose(head_angles(head_rotations(angles)), angles, atol=1e-9)


def test_a_full_turn_does_not_jump() -> None:
    angles = np.zeros((100, 3))
    angles[:, 1] = np.linspace(0, 2 * np.pi, 100)
    assert np.abs(np.diff(head_angles(head_rotations(angles))[:, 1])).max() < 0.1


def test_head_poses_are_undone(rest: np.ndarray) -> None:
    angles, moves, scales = swaying()
    points = turned(np.repeat(rest[None], COUNT, 0), angles, moves, scales)
    poses = HeadPoses.of(points, rest)
    np.testing.assert_allclose(poses.scales, scales, atol=1e-6)
    np.testing.assert_allclose(head_angles(poses.rotations), angles, atol=1e-6)
    np.testing.assert_allclose(poses.undo(points), np.repeat(rest[None], COUNT, 0), atol=1e-6)
    np.testing.assert_allclose(poses.carry(rest[[30]])[:, 0], points[:, 30], atol=1e-6)


def test_the_same_face_gives_the_same_performance(rest: np.ndarray) -> None:
    still, _ = acted(rest)
    angles, moves, scales = swaying()
    performed = transfer(turned(still, angles, moves, scales), still[0], rest, rest[27], np.zeros(COUNT, int))
    np.testing.assert_allclose(head_angles(performed.rotations), angles, atol=0.03)
    lips = [*GROUPS["outer_lip"], *GROUPS["inner_lip"]]
    assert np.abs(performed.offsets[:, lips] - (still - rest)[:, lips]).max() < 2.5
    np.testing.assert_allclose(performed.moves[:, :2], moves[:, :2], atol=2.0)


def test_another_face_keeps_the_portraits_proportions(rest: np.ndarray) -> None:
    performer = another(rest)
    points, weights = acted(performer)
    angles, moves, scales = swaying()
    performed = transfer(turned(points, angles, moves * 1.7, scales), performer, rest, performer[27], np.zeros(COUNT))
    posed = rest + performed.offsets
    for eye, name in zip(EYES, ("eyeBlinkRight", "eyeBlinkLeft"), strict=True):
        gap = np.mean([posed[:, low, 1] - posed[:, up, 1] for up, low in eye.lids], axis=0)
        own = np.mean([rest[low, 1] - rest[up, 1] for up, low in eye.lids])
        assert gap[weights[name] > 0.99].max() < 0.05 * own, "closed is closed"
        assert gap[weights[name] < 0.01].min() > 0.85 * own
    opened = posed[20, 57, 1] - rest[57, 1]
    assert opened == pytest.approx(combine(rest, {"jawOpen": 1.0})[57, 1], rel=0.15), "in the portrait's own size"
    face = np.linalg.norm(performer[45] - performer[36]) / np.linalg.norm(rest[45] - rest[36])
    np.testing.assert_allclose(performed.moves[:, 0] * face, moves[:, 0] * 1.7, atol=6)


def test_a_grin_adds_to_a_smile_no_more_than_a_face_can(rest: np.ndarray) -> None:
    grin = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3}
    amounts = np.linspace(0, 1, 10)
    points = np.stack([rest + combine(rest, {name: a * value for name, value in grin.items()}) for a in amounts])

    def widths(portrait: np.ndarray) -> np.ndarray:
        posed = portrait + transfer(points, rest, portrait, rest[27], np.zeros(10)).offsets
        across = FaceFrame.of(portrait).axes[0]
        return (posed[:, 54] - posed[:, 48]) @ across / np.linalg.norm(portrait[45] - portrait[36])

    performed = (points[:, 54] - points[:, 48]) @ FaceFrame.of(rest).axes[0] / np.linalg.norm(rest[45] - rest[36])
    assert performed[-1] < 0.84, "a real grin"
    np.testing.assert_allclose(widths(rest), performed, atol=0.03)
    smiling = widths(rest + combine(rest, grin))
    assert (np.diff(smiling) > 0).all() and smiling[-1] < 0.88


def test_lips_that_rest_closer_never_cross(rest: np.ndarray) -> None:
    performer = rest + combine(rest, {"jawOpen": 0.4})
    closing = np.linspace(0.4, 0, 20)
    points = np.stack([rest + combine(rest, {"jawOpen": value}) for value in closing])
    posed = rest + transfer(points, performer, rest, rest[27], np.zeros(20)).offsets
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        assert (posed[:, lower, 1] - posed[:, upper, 1]).min() > -1e-6


def test_a_second_shot_frames_the_head_anew(rest: np.ndarray) -> None:
    points = np.repeat(rest[None], 20, 0)
    points[10:, :, 0] += 400
    moves = transfer(points, rest, rest, rest[27], np.repeat((0, 1), 10)).moves
    assert np.abs(moves).max() < 1e-6


def test_a_pupil_behind_the_lids_does_not_wander(rest: np.ndarray) -> None:
    points = np.repeat(rest[None], 11, 0)
    for row, value in enumerate(np.exp(-(((np.arange(11) - 5) / 1.5) ** 2))):
        points[row] += combine(rest, {"eyeBlinkLeft": value})
    points[4:7, 69] += (40, 25, 0)  # what detectors see where there is no pupil
    moved = transfer(points, rest, rest, rest[27], np.zeros(11)).offsets[:, 69]
    assert np.abs(moved).max() < 1e-6


def test_the_most_neutral_frame_is_neither_blinking_nor_speaking(rest: np.ndarray) -> None:
    points, weights = acted(rest)
    row = most_neutral(points)
    assert weights["jawOpen"][row] < 0.15 and weights["eyeBlinkLeft"][row] < 0.1


GRIN = {name: 1.0 for side in ("Left", "Right") for name in (f"mouthSmile{side}", f"mouthUpperUp{side}")}


def test_a_smile_with_teeth_is_no_open_mouth(rest: np.ndarray) -> None:
    """Both part the lips as far; the jaw tells them apart, also on a head that turns."""
    still = np.stack([rest + combine(rest, weights) for weights in [{}] * 8 + [GRIN, {"jawOpen": 0.3}]])
    angles, moves, scales = swaying(len(still))
    for points in (still, turned(still, angles, moves, scales)):
        parted = [np.linalg.norm(face[66] - face[62]) / np.linalg.norm(face[54] - face[48]) for face in points[-2:]]
        assert 0.12 < parted[0] < 0.35 and 0.12 < parted[1] < 0.35, "lips well apart in both"
        assert not mouth_is_open(points, 8) and mouth_is_open(points, 9)
        assert not mouth_is_open(points, 0)
    always = np.repeat((rest + combine(rest, {"jawOpen": 1.0}))[None], 5, 0)
    assert mouth_is_open(always, 0), "also where the jaw never goes up"


@pytest.mark.parametrize(
    ("clip", "row", "is_open"),
    [("s32", 0, False), ("d0", 29, False), ("d3", 2, False), ("d20", 32, True), ("d18", 19, True), ("d6", 36, True)],
)
def test_real_smiles_and_open_mouths(clip: str, row: int, is_open: bool) -> None:
    """Looked at: two smiles with teeth and a winking grin; then “ah”, a shout and “ooh”."""
    folder = real_clips()
    if folder is None:
        pytest.skip("no real clips beside the repository")
    assert mouth_is_open(LandmarkTrack.load(folder / clip / "track.npz").points.astype(float), row) == is_open


def test_solving_finds_the_controls_again(rest: np.ndarray) -> None:
    points, weights = acted(rest)
    found = solve(points - rest, rest, 24.0, np.zeros(COUNT, int))
    for name, values in weights.items():
        assert np.abs(found.weights[name] - values).mean() < 0.12, name
    assert found.weights["eyeBlinkLeft"].max() > 0.95
    assert all((values >= 0).all() and (values <= 1).all() for values in found.weights.values())
    shapes = shape_offsets(rest)
    again = np.stack([combine(rest, {n: v[i] for n, v in found.weights.items()}, shapes) for i in range(COUNT)])
    np.testing.assert_allclose(again + found.residual, points - rest, atol=1e-9)
    assert np.linalg.norm(found.residual, axis=2).mean() < 0.15 * np.linalg.norm(points - rest, axis=2).mean()


@pytest.mark.parametrize("tolerance", [0.005, 0.02, 0.1])
def test_few_keys_keep_the_tolerance(tolerance: float) -> None:
    frames = np.arange(10, 250)
    values = np.sin(frames / 17) + 0.3 * np.sin(frames / 5)
    keys = reduce(frames, values, tolerance)
    assert np.abs(evaluate(keys, frames) - values).max() <= tolerance
    assert len(keys) < len(frames) / 4
    assert (keys.left[:, 0] < keys.frames).all() and (keys.right[:, 0] > keys.frames).all()


def test_a_blink_of_three_frames_stays() -> None:
    values = np.zeros(60)
    values[30:33] = (0.6, 1.0, 0.5)
    keys = reduce(np.arange(60), values, 0.03)
    assert evaluate(keys, np.array([31]))[0] > 0.96
    assert len(keys) < 14


def a_blink(count: int = 60) -> np.ndarray:
    """Lids that shut and open at once and rest shut between: what smooth keys swing over."""
    values = np.zeros(count)
    values[20:30] = (0.3, 1.0, 0.97, 1.0, 1.0, 0.97, 1.0, 0.3, 0.02, 0.03)
    return values


def test_a_curve_with_limits_stays_within_them_between_frames_too() -> None:
    frames, values = np.arange(60), a_blink()
    between = np.arange(0, 59, 0.05)
    free, held = (reduce(frames, values, 0.03, limits=limits) for limits in (None, (0.0, 1.0)))
    swings = evaluate(free, between)
    assert swings.max() > 1.01 and swings.min() < -0.01, "a take that shows it"
    stays = evaluate(held, between)
    assert stays.max() <= 1 + 1e-9 and stays.min() >= -1e-9
    assert np.abs(evaluate(held, frames) - values).max() <= 0.03
    lifted = evaluate(reduce(frames, 1.5 * values, 0.03, limits=(0.0, 1.0)), between)
    assert 1.45 < lifted.max() <= 1.5 + 1e-9, "values beyond are kept"


def test_noise_below_the_tolerance_is_one_key() -> None:
    assert len(reduce(np.arange(50), np.full(50, 3.0) + 1e-4 * np.sin(np.arange(50)), 0.01)) == 1


def test_keys_are_apart_at_a_break() -> None:
    frames = np.concatenate((np.arange(10), np.arange(20, 30)))
    values = np.concatenate((np.linspace(0, 9, 10), np.linspace(100, 91, 10)))
    keys = reduce(frames, values, 0.01, np.array([10]))
    np.testing.assert_allclose(evaluate(keys, frames), values, atol=0.01)
    between = evaluate(keys, np.arange(9, 21))
    assert (np.diff(between) >= -1e-9).all(), "eased over the gap, without a swing"


def track_of(points: np.ndarray, fps: float, **extra: np.ndarray) -> LandmarkTrack:
    return LandmarkTrack(points, (960, 640), fps, extra=extra)


def shifting(rest: np.ndarray, count: int) -> np.ndarray:
    return rest[None] + np.arange(count)[:, None, None] * (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("fps", "scene_fps"), [(30, 24), (24000 / 1001, 24), (25, 24000 / 1001), (60, 24), (12.5, 25)])
def test_keys_land_by_time(rest: np.ndarray, fps: float, scene_fps: float) -> None:
    shown = to_scene(track_of(shifting(rest, 50), fps), Placement(101, scene_fps))
    seconds = (shown.frames - 101) / scene_fps
    np.testing.assert_allclose(shown.points[:, 30, 0], rest[30, 0] + seconds * fps, atol=0.01)
    assert shown.frames[0] == 101 and abs(shown.frames[-1] - (101 + 49 / fps * scene_fps)) < 1.01


def test_a_trimmed_strip_keys_what_it_shows(rest: np.ndarray) -> None:
    """The strip's media would begin at frame -20; frames 5 to 14 are shown; the track begins at the video's frame 11."""
    track = LandmarkTrack(shifting(rest, 40), (960, 640), 25.0, 11)
    shown = to_scene(track, Placement(-20, 25.0, 5, 14))
    assert shown.frames.tolist() == list(range(5, 15))
    np.testing.assert_allclose(shown.points[:, 30, 0], rest[30, 0] + (shown.frames + 20) - 10, atol=1e-3)
    with pytest.raises(PortraitError, match="No frame of the recording") as caught:
        to_scene(track, Placement(500, 25.0, 5, 14))
    assert caught.value.code is ErrorCode.SCENE


@pytest.mark.parametrize("times", [(0.0, 1e300), (-1e300, 0.0), (0.0, float("inf")), (0.0, 43_200.0)])
def test_what_lasts_too_long_is_refused_before_it_is_laid_out(times: tuple[float, float]) -> None:
    with pytest.raises(PortraitError, match="can be keyed at once") as caught:
        Placement(1, 60.0).frames_between(*times)
    assert caught.value.code is ErrorCode.SCENE
    assert Placement(1, 60.0, -5, 1).frames_between(*times)[-1] == 1, "of a long one a part may be keyed"


def test_frames_without_a_face_get_no_keys(rest: np.ndarray) -> None:
    detected = np.ones(30, bool)
    detected[[0, 10, 11, 12, 29]] = False
    shown = to_scene(track_of(shifting(rest, 30), 25, detected=detected), Placement(1, 25))
    assert shown.missing == ((1, 1), (11, 13), (30, 30))
    assert not {1, 11, 12, 13, 30} & set(shown.frames.tolist())
    assert shown.frames[shown.breaks].tolist() == [14]
    with pytest.raises(PortraitError, match="shows a face"):
        to_scene(track_of(shifting(rest, 30), 25, detected=np.zeros(30, bool)), Placement(1, 25))


@pytest.mark.parametrize("said", [True, False])
def test_a_cut_splits_the_keys(rest: np.ndarray, said: bool) -> None:
    points = shifting(rest, 30)
    points[17:] += (0, 300, 0) if not said else (0, 0, 0)
    cuts = np.zeros(30, bool)
    cuts[17] = said
    shown = to_scene(track_of(points, 30, cuts=cuts), Placement(1, 24))
    at = int(np.ceil(17 / 30 * 24)) + 1
    assert shown.cuts == (at,) and shown.frames[shown.breaks].tolist() == [at]
    assert np.ptp(shown.points[:, 30, 1]) in (0.0, 300.0), "no frame lies between the shots"


def test_smoothing_can_be_chosen_afterwards(rest: np.ndarray) -> None:
    track = track_of(shifting(rest, 10), 25, unsmoothed=shifting(rest, 10) + 8)
    for strength, expected in ((1.0, 0.0), (0.0, 8.0), (0.25, 6.0)):
        shown = to_scene(track, Placement(1, 25), strength)
        np.testing.assert_allclose(shown.points[:, 30, 1], rest[30, 1] + expected, atol=1e-3)


def test_a_video_becomes_controls_and_notes(rest: np.ndarray) -> None:
    performer = another(rest)
    points, weights = acted(performer)
    faces = np.full(COUNT, 2, np.int32)
    controls = take_of_video(track_of(points, 24, faces=faces), Placement(1, 24), rest, 24, VideoOptions())
    assert np.abs(controls.weights["jawOpen"] - weights["jawOpen"]).mean() < 0.15
    assert any("2 faces" in note for note in controls.notes)
    alone = take_of_video(
        track_of(points, 24),
        Placement(1, 24),
        rest,
        24,
        VideoOptions(neutral="FRAME", neutral_frame=21, sliders=False),
    )
    assert not alone.weights and np.abs(alone.offsets[20]).max() < 1e-6
    assert any("mouth is open" in note for note in alone.notes)
    half = take_of_video(track_of(points, 24), Placement(1, 24), rest, 24, VideoOptions(sliders=False, expression=0.5))
    whole = take_of_video(track_of(points, 24), Placement(1, 24), rest, 24, VideoOptions(sliders=False))
    np.testing.assert_allclose(2 * half.offsets, whole.offsets)
    with pytest.raises(PortraitError, match="Frame 900"):
        take_of_video(track_of(points, 24), Placement(1, 24), rest, 24, VideoOptions("FRAME", 900))


def test_real_performers_blink_and_speak_on_another_face(rest: np.ndarray) -> None:
    folder = real_clips()
    if folder is None:
        pytest.skip("no real clips beside the repository")
    for name, jaw, turn in (("d18", 0.7, 0.0), ("d3", 0.4, 0.3), ("s18", 0.0, 0.05)):
        track = LandmarkTrack.load(folder / name / "track.npz")
        controls = take_of_video(track, Placement(1, 25), rest, 25, VideoOptions(neutral="AUTO"))
        assert controls.weights["eyeBlinkLeft"].max() > 0.9, name
        assert controls.weights.get("jawOpen", np.zeros(1)).max() >= jaw, name
        assert np.abs(controls.angles).max() >= turn, name
        # The nose goes to the side that the head turns to.
        nose = track.points[:, 30, 0] - track.points[:, [0, 16], 0].mean(1)
        if turn > 0.2:
            assert np.corrcoef(nose, controls.angles[:, 1])[0, 1] > 0.9


def speech_of(*visemes: tuple[str, float, float], loud: float = 0.7) -> Speech:
    seconds = visemes[-1][2]
    return Speech(visemes, 0.0, seconds, np.full(int(seconds * 100), loud), 100.0)


def test_speech_moves_the_mouth() -> None:
    speech = speech_of(
        ("sil", 0, 0.5), ("PP", 0.5, 0.6), ("aa", 0.6, 0.9), ("PP", 0.9, 0.98), ("ou", 0.98, 1.3), ("sil", 1.3, 2)
    )
    controls = take_of_speech(speech, Placement(1, 24))

    def at(name: str, seconds: float) -> float:
        return float(controls.weights[name][round(seconds * 24)])

    assert at("jawOpen", 0.75) > 0.35 and at("jawOpen", 0.94) < 0.5 * at("jawOpen", 0.75)
    assert at("mouthPressLeft", 0.54) > 0.3 and at("mouthPressLeft", 0.94) > 0.3, "the lips meet, however short"
    assert at("mouthPucker", 1.15) > 0.4 and at("mouthPucker", 0.75) < 0.1
    assert at("mouthPucker", 0.96) > at("mouthPucker", 0.8), "rounding begins before the vowel"
    assert all(values[0] < 0.01 and values[-1] < 0.01 for values in controls.weights.values())
    assert set(controls.weights) < set(controls.owned) and not any(n.startswith("eye") for n in controls.owned)


@pytest.mark.parametrize("name", [name for name in VISEMES if name != "sil"])
def test_a_sound_that_is_held_is_the_librarys_shape(name: str) -> None:
    """At a loudness that neither opens nor closes the mouth more."""
    speech = speech_of(("sil", 0.0, 0.4), (name, 0.4, 1.6), ("sil", 1.6, 2.0), loud=0.733)
    weights = take_of_speech(speech, Placement(1, 24)).weights
    shown = {control: values[24] for control, values in weights.items()}
    for control in {*shown, *VISEMES[name]}:
        assert shown.get(control, 0.0) == pytest.approx(VISEMES[name].get(control, 0.0), abs=0.04), control


def test_lips_meet_between_open_vowels_on_a_face_that_shows_teeth(rest: np.ndarray) -> None:
    visemes = (("aa", 0.0, 0.4), ("PP", 0.4, 0.5), ("aa", 0.5, 0.9))
    controls = take_of_speech(speech_of(*visemes, loud=1.0), Placement(1, 24))
    smiling = rest + combine(rest, {"mouthUpperUpLeft": 0.6, "mouthUpperUpRight": 0.6})

    def gap(frame: int) -> float:
        posed = smiling + combine(smiling, {name: float(values[frame]) for name, values in controls.weights.items()})
        return float(np.linalg.norm(posed[66] - posed[62]))

    assert gap(5) > 2.0 * np.linalg.norm(smiling[66] - smiling[62]), "open before"
    assert max(gap(frame) for frame in range(9, 14)) < 0.1 * gap(5), "while the jaw is on its way"


def test_loud_speech_opens_further() -> None:
    shapes = (("sil", 0.0, 0.3), ("aa", 0.3, 0.7), ("sil", 0.7, 1.0))
    quiet, loud = (take_of_speech(speech_of(*shapes, loud=value), Placement(1, 24)) for value in (0.1, 1.0))
    assert loud.weights["jawOpen"].max() > 1.5 * quiet.weights["jawOpen"].max()
    nothing = take_of_speech(speech_of(("sil", 0.0, 1.0)), Placement(1, 24))
    assert not nothing.weights and "No speech" in nothing.notes[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "talking-portraits visemes 1"}'])
def test_files_that_are_no_mouth_shapes(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PortraitError, match="no file of mouth shapes") as caught:
        Speech.load(tmp_path / "a.json")
    assert caught.value.code is ErrorCode.BAD_TRACK
    record = {"format": "talking-portraits visemes 1", "start": 0, "seconds": 1, "visemes": [["zz", 0, 1]],
              "loudness": {"fps": 100, "values": [0]}}  # fmt: skip
    (tmp_path / "b.json").write_text(json.dumps(record))
    with pytest.raises(PortraitError):
        Speech.load(tmp_path / "b.json")


ANGLES = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
          "RightEyeYaw", "RightEyePitch", "RightEyeRoll")  # fmt: skip


def take(path: Path, columns: dict[str, np.ndarray], timecodes: list[str], separator: str = ",") -> Path:
    names = ["Timecode", "BlendShapeCount", *columns]
    rows = [separator.join(names)]
    for i, timecode in enumerate(timecodes):
        rows.append(separator.join([timecode, "61", *(f"{values[i]:.8f}" for values in columns.values())]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    return path


def timecodes_at(fps: int, count: int, first: int = 0) -> list[str]:
    def text(number: int) -> str:
        seconds, frame = divmod(number, fps)
        return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame:02d}.{number % 7:03d}"

    return [text(first + number) for number in range(count)]


def capitalised(name: str) -> str:
    return name[0].upper() + name[1:]


def all_columns(count: int) -> dict[str, np.ndarray]:
    t = np.arange(count) / count
    columns = {capitalised(name): np.zeros(count) for name in ARKIT_NAMES}
    columns |= {name: np.zeros(count) for name in ANGLES}
    columns["JawOpen"], columns["EyeBlinkLeft"] = 0.8 * t, np.where((t > 0.4) & (t < 0.5), 1.0, 0.0)
    columns["HeadYaw"], columns["HeadPitch"], columns["HeadRoll"] = 0.5 * t, -0.2 * t, 0.1 * t
    return columns


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_a_take_is_read_with_its_own_rate(tmp_path: Path, fps: int) -> None:
    path = take(tmp_path / "take.csv", all_columns(2 * fps), timecodes_at(fps, 2 * fps, 3600 * fps))
    recording = read_live_link(path)
    assert recording.fps == fps and not recording.missing and not recording.skipped
    assert recording.seconds[-1] == pytest.approx((2 * fps - 1) / fps, abs=0.01)
    np.testing.assert_allclose(
        recording.head[-1], (-0.2 * (1 - 0.5 / fps), 0.5 * (1 - 0.5 / fps), 0.1 * (1 - 0.5 / fps))
    )
    controls = take_of_recording(recording, Placement(10, 24))
    assert set(controls.weights) == {"jawOpen", "eyeBlinkLeft"}
    assert controls.frames[0] == 10 and controls.frames[-1] == 10 + int(recording.seconds[-1] * 24)
    np.testing.assert_allclose(controls.weights["jawOpen"], (controls.frames - 10) / 24 / 2 * 0.8, atol=0.02)
    assert controls.angles[-1, 1] > 0.45 and controls.angles[-1, 0] < -0.15


def test_degrees_and_a_take_over_midnight(tmp_path: Path) -> None:
    columns = all_columns(120)
    columns["HeadYaw"] = np.linspace(0, 90, 120)
    path = take(tmp_path / "take.csv", columns, timecodes_at(30, 120, 24 * 3600 * 30 - 60), separator=";")
    recording = read_live_link(path, "DEGREES")
    assert recording.head[-1, 1] == pytest.approx(np.pi / 2)
    assert (np.diff(recording.seconds) > 0).all() and recording.seconds[-1] == pytest.approx(119 / 30, abs=0.01)


def test_gaze_comes_from_the_eyes_angles_where_there_are_no_weights(tmp_path: Path) -> None:
    columns = {name: values for name, values in all_columns(30).items() if not name.startswith("EyeLook")}
    columns["LeftEyeYaw"] = columns["RightEyeYaw"] = np.full(30, np.radians(15))
    columns["LeftEyePitch"] = np.full(30, np.radians(-30))
    weights = read_live_link(take(tmp_path / "take.csv", columns, timecodes_at(30, 30))).weights
    assert weights["eyeLookOutLeft"].max() == pytest.approx(0.5) and weights["eyeLookInRight"].max() == pytest.approx(
        0.5
    )
    assert weights["eyeLookUpLeft"].max() == pytest.approx(1.0) and weights["eyeLookInLeft"].max() == 0


def test_missing_columns_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    columns = all_columns(30)
    for name in ("MouthSmileLeft", "HeadRoll", "TongueOut"):
        del columns[name]
    path = take(tmp_path / "take.csv", columns, timecodes_at(30, 30))
    path.write_text(path.read_text(encoding="utf-8") + "\n00:00:09:00.0,61,not,numbers\nnonsense\n", encoding="utf-8")
    recording = read_live_link(path)
    assert set(recording.missing) == {"mouthSmileLeft", "tongueOut", "HeadPitch", "HeadYaw", "HeadRoll"}
    assert recording.skipped == 2 and recording.head is None
    notes = " ".join(take_of_recording(recording, Placement(1, 24)).notes)
    assert "mouthSmileLeft" in notes and "2 lines" in notes


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"\x00\x01\x02\xff\xfe", "not a text file"), (b"hello\nworld\n", "Timecode"),
     (b"Timecode,A,B\n00:00:00:00.0,1,2\n", "none of ARKit's 52"), (b"Timecode,JawOpen\n", "no row of numbers"),
     (b"Timecode,JawOpen\nx,y\n", "no row of numbers"), (b"sep=;\n \n", "is empty"),
     (b"Timecode,JawOpen\n" + b"1\n" * 600_000, "more than 500,000 lines"),
     (b"Timecode,JawOpen" + b"," * 60_000, "more than 50,000 letters"), (b"PK\x03\x04" + bytes(200), "not a text file")],
)  # fmt: skip
def test_files_that_are_no_recording(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "take.csv"
    path.write_bytes(content)
    with pytest.raises(PortraitError, match=said) as caught:
        read_live_link(path)
    assert caught.value.code is ErrorCode.BAD_TRACK and caught.value.remedy
    with pytest.raises(PortraitError) as caught:
        read_live_link(tmp_path / "absent.csv")
    assert caught.value.code is ErrorCode.FILE_MISSING


def test_closure_knows_a_performers_own_shut_eyes(rest: np.ndarray) -> None:
    """Detectors leave a gap between shut lids: the narrowest of the recording counts as shut."""
    points = np.repeat(rest[None], 9, 0)
    for row, value in enumerate((0, 0.2, 0.5, 0.7, 0.75, 0.5, 0.2, 0, 0)):
        points[row] += combine(rest, {"eyeBlinkRight": value})
    local = points * (1, -1, 1)
    shut = closure(local, local[0], EYES[0])
    assert shut.max() == 1.0 and shut[0] == 0.0 and 0.2 < shut[1] < 0.4
    assert np.abs(closure(local, local[0], EYES[1])).max() < 1e-6
