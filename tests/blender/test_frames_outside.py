# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever keys a range of frames leaves all frames before and after it as they were, to the last bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.track import LandmarkTrack

from blender_addon.rig.blendshapes import combine

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.capture import keying, timing  # noqa: E402
from blender_addon.capture.speech_shapes import Speech, take_of_speech  # noqa: E402
from blender_addon.capture.takes import Take  # noqa: E402
from blender_addon.demo import acting  # noqa: E402
from blender_addon.demo.keying import animate  # noqa: E402
from blender_addon.importers.live_link import read_live_link, take_of_recording  # noqa: E402
from blender_addon.importers.track import import_track  # noqa: E402
from blender_addon.rig import key_notes  # noqa: E402
from blender_addon.rig.armature import rest_points  # noqa: E402
from blender_addon.rig.sampling import sample_rows  # noqa: E402
from tests.blender.test_capture import csv  # noqa: E402

FIRST, LAST = 101, 130
FRAMES = np.arange(FIRST, LAST + 1)
ASKED = sorted(
    {*range(-3, 190, 8), 1, 5, 20, 60, 90, *range(93, 106), 113, *range(127, 137), 142, 149, 150, 151, 160, 170}
)


def points(portrait: Any) -> np.ndarray:
    rows = dict(sample_rows(bpy.context.scene, portrait.rig, portrait.space, ASKED))
    return np.stack([rows[frame].points for frame in ASKED])


def outside(first: int = FIRST, last: int = LAST) -> np.ndarray:
    return np.array([not first <= frame <= last for frame in ASKED])


def captured() -> Take:
    t = np.linspace(0, 1, len(FRAMES))
    offsets = np.zeros((len(FRAMES), 70, 3))
    offsets[:, 51, 1] = 2 + 3 * np.sin(5 * t)
    weights = {"jawOpen": 0.4 + 0.3 * np.sin(6 * t), "mouthSmileLeft": np.full(len(t), 0.6), "eyeBlinkLeft": 0 * t}
    owned = (*weights, "browInnerUp", "mouthSmileRight")
    angles = np.column_stack((0.1 + 0.1 * t, 0.3 - t, 0.2 * t))
    return Take(
        FRAMES, weights, owned, angles=angles, moves=np.column_stack((4 + 3 * t, 2 * t, 0 * t)), offsets=offsets
    )


def capture(portrait: Any, tmp_path: Path) -> None:
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, captured(), 0.5, "captured")


def track(portrait: Any, tmp_path: Path) -> None:
    rest = rest_points(portrait.rig, portrait.space).astype(float)
    rows = np.stack([rest + combine(rest, {"jawOpen": 0.5 + 0.4 * np.sin(i / 3)}) for i in range(len(FRAMES))])
    rows[..., 0] += 1.5
    import_track(portrait.rig, portrait.space, LandmarkTrack(rows, tuple(portrait.size), 24.0, FIRST))


def recording(portrait: Any, tmp_path: Path) -> None:
    take = read_live_link(csv(tmp_path / "take.csv"))
    controls = take_of_recording(take, timing.Placement(float(FIRST), 24.0, FIRST, LAST))
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, controls, 0.5, "recorded")


def speech(portrait: Any, tmp_path: Path) -> None:
    heard = Speech((("aa", 0.0, 0.6), ("PP", 0.6, 0.7), ("oh", 0.7, 1.3)), 0.0, 1.3, np.ones(20), 15.0)
    controls = take_of_speech(heard, timing.Placement(float(FIRST), 24.0, FIRST, LAST), 1.0)
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, controls, 0.5, "spoken")


def nothing(portrait: Any) -> None:
    """A rig that was never keyed."""


def posed(portrait: Any) -> None:
    """Set by hand, without keys: what Expression does with auto keying off."""
    rig = portrait.rig
    rig["jawOpen"], rig["browInnerUp"], rig["mouthSmileRight"] = 0.3, 0.8, 0.5
    rig.pose.bones["head"].rotation_euler = (0.1, -0.2, 0.05)
    rig.pose.bones["head"].location = (0.02, 0.01, -0.01)
    rig.pose.bones["outer_lip_52"].location = (0.01, 0.0, 0.0)
    rig.update_tag()


def keyed(portrait: Any) -> None:
    """Eased keys before, in and after the range: a curve's handles depend on the keys beside them."""
    rig = portrait.rig
    for name, keys in {
        "jawOpen": ((5, 0.1), (60, 0.9), (110, 0.2), (150, 0.7), (170, 0.1)),
        "browInnerUp": ((1, 0.0), (95, 1.0), (120, 0.3)), "mouthSmileLeft": ((115, 0.4), (140, 0.1)),
        "mouthSmileRight": ((115, 0.4), (125, 0.9)), "eyeBlinkLeft": ((100, 0.2), (131, 0.8)),
    }.items():  # fmt: skip
        for frame, value in keys:
            rig[name] = value
            rig.keyframe_insert(f'["{name}"]', frame=frame)
    head = rig.pose.bones["head"]
    for frame, angle in ((20, 0.2), (90, -0.3), (160, 0.4)):
        head.rotation_euler[1] = angle
        head.keyframe_insert("rotation_euler", frame=frame)
    kinds = ("LINEAR", "CONSTANT", "BOUNCE", "ELASTIC", "BACK")
    for fcurve, kind in zip(list(compat.fcurves_of(rig))[-3:], kinds, strict=False):
        for key in fcurve.keyframe_points:
            key.interpolation, key.back = kind, 3.0
    line = next(c for c in compat.fcurves_of(rig) if c.data_path == '["mouthSmileRight"]')
    line.extrapolation = "LINEAR"


def quaternion(portrait: Any) -> None:
    head = portrait.rig.pose.bones["head"]
    head.rotation_mode = "QUATERNION"
    for frame, turn in ((10, (0.98, 0.1, 0.1, 0.1)), (100, (0.97, -0.1, 0.2, 0.0))):
        head.rotation_quaternion = turn
        head.keyframe_insert("rotation_quaternion", frame=frame)


def modified(portrait: Any) -> None:
    """Modifiers of curves with and without keys beyond the range: one acts, one is muted."""
    keyed(portrait)
    curves = {curve.data_path: curve for curve in compat.fcurves_of(portrait.rig)}
    noise = curves['["jawOpen"]'].modifiers.new("NOISE")
    noise.strength, noise.scale = 0.3, 3.0
    curves['["eyeBlinkLeft"]'].modifiers.new("NOISE").mute = True


def baked_to_samples(portrait: Any) -> None:
    keyed(portrait)
    next(c for c in compat.fcurves_of(portrait.rig) if c.data_path == '["jawOpen"]').convert_to_samples(5, 171)


def pushed_down(portrait: Any) -> None:
    """All that was keyed plays from the NLA, and there is no action."""
    keyed(portrait)
    animation = portrait.rig.animation_data
    animation.nla_tracks.new().strips.new("before", 1, animation.action)
    animation.action = None


BEFORE = (nothing, posed, keyed, quaternion)
UNUSUAL = (modified, baked_to_samples, pushed_down)


@pytest.mark.parametrize(
    ("keys", "before"),
    (
        *itertools.product((capture, track, recording, speech), BEFORE),
        *itertools.product((capture,), UNUSUAL),
    ),
    ids=lambda each: each.__name__,
)
def test_frames_outside_stay(
    portrait: Any, tmp_path: Path, keys: Callable[[Any, Path], None], before: Callable[[Any], None]
) -> None:
    before(portrait)
    was = points(portrait)
    keys(portrait, tmp_path)
    now = points(portrait)
    np.testing.assert_array_equal(now[outside()], was[outside()])
    assert np.abs(now[~outside()] - was[~outside()]).max() > 1, "and those inside are the new ones"
    keys(portrait, tmp_path)
    again = points(portrait)
    np.testing.assert_array_equal(again[outside()], was[outside()], "also when it is done again")
    np.testing.assert_allclose(again, now, atol=2e-3)


@pytest.mark.parametrize("before", (posed, keyed, quaternion), ids=lambda each: each.__name__)
def test_demo_motion_leaves_what_comes_after_it(portrait: Any, before: Callable[[Any], None]) -> None:
    before(portrait)
    was = points(portrait)
    animate(portrait.rig)
    now, other = points(portrait), outside(acting.FIRST, acting.LAST)
    np.testing.assert_array_equal(now[other], was[other])


def test_a_track_and_the_demo_are_all_that_moves_their_frames(portrait: Any, tmp_path: Path) -> None:
    """Sliders and handles that were set or keyed before would add to them."""
    track(portrait, tmp_path)
    alone = points(portrait)[~outside()]
    portrait.rig.animation_data.action = None
    keyed(portrait)
    posed(portrait)
    portrait.rig.pose.bones["jaw"].location = (0.01, -0.02, 0)
    portrait.rig.pose.bones["head"].scale = (1.1, 1.1, 1.1)
    track(portrait, tmp_path)
    np.testing.assert_allclose(points(portrait)[~outside()], alone, atol=2e-3)


def test_a_capture_that_begins_at_rest_needs_no_key_before_it(portrait: Any) -> None:
    swell = np.sin(np.linspace(0, np.pi, len(FRAMES))) ** 2
    swell[-1] = 0.0
    controls = Take(FRAMES, {"jawOpen": swell}, ("jawOpen",))
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, controls, 0.5, "captured")
    (curve,) = compat.fcurves_of(portrait.rig)
    assert [curve.keyframe_points[index].co[0] for index in (0, -1)] == [FIRST, LAST]


def test_a_channel_that_rests_again_loses_its_keys_and_its_value(portrait: Any) -> None:
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, captured(), 0.5, "captured")
    bpy.context.scene.frame_set(FIRST + 5)
    resting = Take(FRAMES, {}, ("jawOpen", "mouthSmileLeft"))
    keying.key_take(bpy.context.scene, portrait.rig, portrait.space, resting, 0.5, "captured")
    assert portrait.rig["jawOpen"] == 0.0 and portrait.rig["mouthSmileLeft"] == 0.0
    assert not {'["jawOpen"]', '["mouthSmileLeft"]'} & {curve.data_path for curve in compat.fcurves_of(portrait.rig)}


def test_cleaning_keeps_what_is_held(portrait: Any, tmp_path: Path) -> None:
    capture(portrait, tmp_path)
    was = points(portrait)
    bpy.ops.portrait.clean_keys(tolerance=2.0)
    now = points(portrait)
    np.testing.assert_array_equal(now[outside()], was[outside()])
    assert np.abs(now - was).max() < 2.5


def mute(rig: Any) -> None:
    jaw_curve(rig).mute = True


def modify(rig: Any) -> None:
    jaw_curve(rig).modifiers.new("NOISE")


def repeat(rig: Any) -> None:
    jaw_curve(rig).modifiers.new("CYCLES")


def drive(rig: Any) -> None:
    rig.driver_add('["jawOpen"]').driver.expression = "0.4"


def lock(rig: Any) -> None:
    jaw_curve(rig).lock = True


def play_alone(rig: Any) -> None:
    track = rig.animation_data.nla_tracks.new()
    track.strips.new("before", 1, rig.animation_data.action.copy())
    track.is_solo = True


def add_up(rig: Any) -> None:
    rig.animation_data.nla_tracks.new().strips.new("before", 1, rig.animation_data.action.copy())
    rig.animation_data.action_blend_type = "ADD"


def jaw_curve(rig: Any) -> Any:
    return next(curve for curve in compat.fcurves_of(rig) if curve.data_path == '["jawOpen"]')


@pytest.mark.parametrize(
    ("hinder", "said"),
    (
        (mute, "muted"), (modify, "modifiers"), (repeat, "Cycles"), (drive, "driver of jawOpen"), (lock, "left as it is: jawOpen."),
        (play_alone, "solo"), (add_up, "mixed with the NLA"),
    ),
)  # fmt: skip
def test_what_hides_or_changes_the_new_keys_is_told(portrait: Any, hinder: Callable[[Any], None], said: str) -> None:
    keyed(portrait)
    assert not told(portrait)
    hinder(portrait.rig)
    (note,) = told(portrait)
    assert said in note
    assert any(said in each for each in key_notes.of_rig(portrait.rig)), "and by what else keys a range"


def test_what_is_told_is_of_the_face_alone_and_of_each_channel(portrait: Any) -> None:
    keyed(portrait)
    portrait.rig.keyframe_insert("location", frame=1)
    next(curve for curve in compat.fcurves_of(portrait.rig) if curve.data_path == "location").mute = True
    assert not key_notes.of_rig(portrait.rig), "where the object is has nothing to do with new keys"
    for name in ("jawOpen", "eyeBlinkLeft"):
        portrait.rig.driver_add(f'["{name}"]').driver.expression = "0.4"
    (note,) = key_notes.of_rig(portrait.rig)
    assert "their keys do nothing: remove the drivers of eyeBlinkLeft, jawOpen" in note


@pytest.mark.parametrize("held", [False, True], ids=["two_takes", "held"])
def test_frames_that_an_action_takes_from_the_nla_are_told_and_pushing_it_down_keeps_them(
    portrait: Any, held: bool
) -> None:
    """One action cannot leave frames beside its own keys to the strips under it."""
    pushed_down(portrait)
    rig = portrait.rig
    if held:  # by an action of other channels
        rig.keyframe_insert('["mouthClose"]', frame=1)
    else:
        rig.animation_data.action_extrapolation = "NOTHING"
        for frame in (2, 3):
            rig.keyframe_insert('["jawOpen"]', frame=frame)
    before, was = rig.animation_data.action.copy(), points(portrait)
    (note,) = told(portrait)
    assert "jawOpen" in note and "push the action down" in note
    assert not np.array_equal(points(portrait)[outside()], was[outside()])
    animation = rig.animation_data
    strip = animation.nla_tracks.new().strips.new("first", int(before.frame_range[0]), before)
    strip.extrapolation, animation.action = "HOLD" if held else "NOTHING", None
    assert not told(portrait)
    np.testing.assert_array_equal(points(portrait)[outside()], was[outside()])


def told(portrait: Any) -> tuple[str, ...]:
    rising = Take(FRAMES, {"jawOpen": np.linspace(0, 1, len(FRAMES))}, ("jawOpen",))
    return keying.key_take(bpy.context.scene, portrait.rig, portrait.space, rising, 0.5, "captured").notes
