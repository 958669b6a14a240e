# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels draw, in every state: each call is held against Blender's own description of its layouts.

Without a window Blender draws nothing, so a layout that checks its calls stands in for Blender's.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError

bpy = pytest.importorskip("bpy")

from blender_addon import job_queue, portrait_parts, problems, server  # noqa: E402
from blender_addon.panels import sidebar  # noqa: E402
from blender_addon.problems import Fix, SceneError  # noqa: E402
from blender_addon.render_job import RenderJob  # noqa: E402

LAYOUT = bpy.types.UILayout.bl_rna
ICONS = set(LAYOUT.functions["label"].parameters["icon"].enum_items.keys())


class CheckedLayout:
    """Takes the calls of bpy.types.UILayout, refuses those that Blender would, and remembers what a user would see."""

    def __init__(self, seen: list[str]) -> None:
        object.__setattr__(self, "seen", seen)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in LAYOUT.properties, name

    def __getattr__(self, name: str) -> Any:
        known = LAYOUT.functions[name].parameters.keys()

        def call(*positional: Any, **named: Any) -> Any:
            assert set(named) <= set(known), (name, set(named) - set(known))
            assert named.get("icon", "NONE") in ICONS, named
            if name == "operator":
                area, operator = positional[0].split(".")
                found = getattr(getattr(bpy.ops, area), operator).get_rna_type()
                self.seen.append(positional[0])
                return SimpleNamespace(rna_type=found)
            if name == "prop":
                assert positional[1] in positional[0].bl_rna.properties, positional
                self.seen.append(positional[1])
            if name in ("label", "progress"):
                assert isinstance(named["text"], str)
                self.seen.append(named["text"])
            return CheckedLayout(self.seen)

        return call


def drawn(context: Any = None) -> str:
    """Every panel that Blender would show, one after another."""
    context = context or bpy.context
    seen: list[str] = []
    for panel in sidebar.CLASSES[1:]:
        assert issubclass(panel, bpy.types.Panel) and panel.is_registered
        if not hasattr(panel, "poll") or panel.poll(context):
            panel.draw(SimpleNamespace(layout=CheckedLayout(seen)), context)
    return "\n".join(seen)


def test_an_empty_scene_says_how_to_begin(scene: Any) -> None:
    text = drawn()
    assert "portrait.add" in text and "to begin" in text
    assert "portrait.render" not in text


def test_a_portrait_can_be_posed_and_rendered(portrait: Any) -> None:
    text = drawn()
    for operator in ("portrait.pose", "portrait.render", "portrait.show_photo", "portrait.show_frames"):
        assert operator in text
    assert "resolution_percentage" in text and "output_folder" in text


def test_a_portrait_without_a_face_offers_to_look_for_it(scene: Any, photo_file: Path) -> None:
    portrait_parts.add(scene, str(photo_file))
    text = drawn()
    assert "portrait.find_face" in text and "portrait.render" not in text


def test_its_own_frame_range_is_shown_when_asked_for(portrait: Any) -> None:
    assert "frame_start" not in drawn()
    portrait.use_scene_range = False
    assert "frame_start" in drawn()


def test_altered_colours_offer_their_remedy(portrait: Any) -> None:
    bpy.context.scene.view_settings.view_transform = "AgX"
    assert "portrait.use_own_colors" in drawn()
    bpy.ops.portrait.use_own_colors()
    assert "portrait.use_own_colors" not in drawn()


@pytest.mark.parametrize("fix", list(Fix))
def test_a_problem_is_shown_with_what_mends_it(portrait: Any, fix: Fix) -> None:
    problems.keep(portrait.uid, SceneError("Something broke.", "Mend it.", fix))
    text = drawn()
    assert "Something broke." in text and "Mend it." in text and fix.value[0] in text
    problems.forget(portrait.uid)
    assert "Something broke." not in drawn()


def test_a_problem_without_a_fix_is_shown_too(portrait: Any) -> None:
    problems.keep("", PortraitError(ErrorCode.INTERNAL, "Odd."))
    assert "Odd." in drawn()


def test_a_waiting_job_shows_its_progress_and_cancel(portrait: Any) -> None:
    job = RenderJob(portrait.uid, server.launch_plan(bpy.context))
    job_queue.submit(job)
    text = drawn()
    assert "portrait.cancel" in text and "Waiting" in text
    assert not bpy.ops.portrait.render.poll(), "not twice at a time"
    job_queue.abandon_all()
    assert "portrait.cancel" not in drawn()


def test_the_servers_state_is_one_line(scene: Any, needs_server: None) -> None:
    server.stop()
    assert "Not running" in drawn()
    bpy.ops.portrait.start_server()
    text = drawn()
    assert "Running on" in text and "portrait.stop_server" in text
    assert "wm.path_open" in text and "has come" in text.replace("\n", " "), (
        "the end of its log, and the way to all of it"
    )


def test_several_portraits_make_a_list(portrait: Any, photo_file: Path, face: np.ndarray) -> None:
    second = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, second, face)
    held = bpy.context.scene.talking_portraits
    for index, name in ((0, "anna"), (1, "anna.001")):
        held.active_index = index
        assert held.active.name == name
    seen: list[str] = []
    sidebar.PORTRAIT_UL_portraits.draw_item(
        None, bpy.context, CheckedLayout(seen), held, second, 0, held, "active_index"
    )
    assert seen == ["name"]
