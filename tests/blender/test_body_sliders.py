# SPDX-License-Identifier: GPL-3.0-or-later
"""Shoulders and breath: two sliders that are keyed, driven, sampled, rendered and previewed as the face's are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

from blender_addon.connection import server  # noqa: E402
from blender_addon.importers.track import import_track  # noqa: E402
from blender_addon.interface.panels import rig_panel  # noqa: E402
from blender_addon.preview import live_preview  # noqa: E402
from blender_addon.render.frame_states import FrameState  # noqa: E402
from blender_addon.rig import armature, pose_library, rig_keys  # noqa: E402
from blender_addon.rig.sampling import RigSample, sample_now, sample_rows  # noqa: E402
from tests.blender.test_frame_states import all_in, in_state, settle, stamps, swaying  # noqa: E402, F401
from tests.blender.test_panels import CheckedLayout  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


def sampled(portrait: Any, *frames: int) -> list[RigSample]:
    return [row for _, row in sample_rows(bpy.context.scene, portrait.rig, portrait.space, frames)]


def bodies(portrait: Any, *frames: int) -> list[list[float]]:
    return [row.body.round(4).tolist() for row in sampled(portrait, *frames)]


def breathe(portrait: Any, *keys: tuple[int, float]) -> None:
    for frame, value in keys:
        portrait.rig["breathing"] = value
        portrait.rig.keyframe_insert('["breathing"]', frame=frame)
    portrait.rig.update_tag()
    bpy.context.view_layer.update()


def test_a_portrait_nobody_touched_has_the_usual_body(portrait: Any) -> None:
    assert (portrait.rig["shoulders"], portrait.rig["breathing"]) == (1.0, 0.0)
    assert bodies(portrait, 1, 5) == [[1, 0], [1, 0]]


def test_keys_and_drivers_move_the_body_and_no_point(portrait: Any) -> None:
    still = sampled(portrait, 1)[0].points
    breathe(portrait, (1, 0.0), (11, 0.8))
    curve = portrait.rig.driver_add('["shoulders"]')
    curve.driver.expression = "0.5 + 0.1 * frame"
    found = sampled(portrait, 1, 6, 11, 30)
    np.testing.assert_allclose([row.body for row in found], [[0.6, 0], [1.1, 0.4], [1.6, 0.8], [2.0, 0.8]], atol=0.05)
    assert all(np.array_equal(row.points, still) for row in found)


def test_what_is_set_and_not_keyed_counts_now_and_comes_back(portrait: Any) -> None:
    rig, layer = portrait.rig, bpy.context.view_layer
    rig["breathing"] = 0.25
    rig.update_tag()
    assert sample_now(rig, layer, portrait.space).body.tolist() == [1, 0.25]
    breathe(portrait, (1, 0.0), (20, 1.0))
    rig["breathing"] = 0.25
    sampled(portrait, 20)
    assert rig["breathing"] == 0.25


def test_the_body_is_keyed_reset_and_kept_in_poses(portrait: Any) -> None:
    rig, scene = portrait.rig, bpy.context.scene
    assert not rig_keys.unkeyed_sliders(rig, 1)
    rig["shoulders"], rig["breathing"] = 0.5, 0.75
    assert {path for path, _, _ in rig_keys.unkeyed_sliders(rig, 1)} == {'["shoulders"]', '["breathing"]'}
    pose = pose_library.save_pose(rig, portrait.space, "breath")
    assert {'["shoulders"]', '["breathing"]'} <= {curve.data_path for curve in armature_curves(pose)}
    scene.frame_set(1)
    rig["shoulders"], rig["breathing"] = 0.5, 0.75
    bpy.ops.portrait.key_all(part="ALL")
    scene.frame_set(20)
    assert bpy.ops.portrait.mirror_pose() == {"FINISHED"} and rig["shoulders"] == 0.5
    assert bpy.ops.portrait.reset_pose(scope="ALL") == {"FINISHED"}
    assert (rig["shoulders"], rig["breathing"]) == (1.0, 0.0)
    bpy.ops.portrait.key_all(part="BODY")
    assert bodies(portrait, 1, 20) == [[0.5, 0.75], [1, 0]]


def armature_curves(action: Any) -> list[Any]:
    from blender_addon.blender import compat

    owner = bpy.data.objects.new("owner", None)
    owner.animation_data_create().action = action
    if hasattr(owner.animation_data, "action_slot"):
        owner.animation_data.action_slot = action.slots[0]
    return list(compat.fcurves_of(owner))


def test_a_rig_of_an_older_version_breathes_as_usual_until_it_gets_the_sliders(portrait: Any) -> None:
    del portrait.rig["shoulders"], portrait.rig["breathing"]
    assert armature.missing_handles_and_sliders(portrait.rig) == ["shoulders", "breathing"]
    assert bodies(portrait, 1) == [[1, 0]]
    assert bpy.ops.portrait.add_controls() == {"FINISHED"}
    assert (portrait.rig["shoulders"], portrait.rig["breathing"]) == (1.0, 0.0)
    portrait.rig["shoulders"] = 0.0
    bpy.ops.portrait.add_controls()
    assert portrait.rig["shoulders"] == 0.0, "what is set stays"


def test_a_tracks_body_becomes_keys(portrait: Any) -> None:
    points = np.repeat(armature.rest_points(portrait.rig, portrait.space)[None], 3, 0)
    body = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    size = tuple(portrait.size)
    import_track(portrait.rig, portrait.space, LandmarkTrack(points, size, 24.0, 4, body=body))
    assert bodies(portrait, 4, 5, 6) == body.tolist()
    import_track(portrait.rig, portrait.space, LandmarkTrack(points, size, 24.0, 4))
    assert bodies(portrait, 4, 5, 6) == body.tolist(), "a track of a face alone says nothing of breath"


def test_the_panel_shows_both(portrait: Any) -> None:
    seen: list[str] = []
    rig_panel.draw_body(CheckedLayout(seen), bpy.context)
    assert [name for name in seen if name.startswith('["')] == ['["shoulders"]', '["breathing"]']


def test_frames_whose_breath_is_another_are_stale(needs_server: None, swaying: Any) -> None:  # noqa: F811
    breathe(swaying, (1, 0.0), (12, 0.0))
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    before = stamps(swaying.folder())
    breathe(swaying, (3, 0.0), (4, 1.0), (5, 0.0))
    states = settle(swaying, lambda states: FrameState.STALE in states.values())
    assert 4 in in_state(states, FrameState.STALE)
    bpy.ops.portrait.render()
    settle(swaying, all_in(FrameState.DONE))
    after = stamps(swaying.folder())
    assert after[4][1] != before[4][1] and after[9] == before[9]


def test_the_live_preview_breathes(needs_server: None, acting: Any) -> None:
    live_preview.start(acting.uid, server.launch_plan(bpy.context))
    preview = live_preview.of(acting.uid)

    def shown() -> bool:
        live_preview.pump()
        return 0 < preview.shown == preview.asked

    try:
        wait_until(shown, note=lambda: preview.line)
        before = preview.asked
        acting.rig["breathing"] = 1.0
        acting.rig.update_tag()
        bpy.context.view_layer.update()
        wait_until(lambda: shown() and preview.asked > before, note=lambda: preview.line)
        assert preview._row.body.tolist() == [1, 1]
    finally:
        live_preview.stop(acting.uid)
