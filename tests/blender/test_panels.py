# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels draw, in every state: each call is held against Blender's own description of its layouts.

Without a window Blender draws nothing, so a layout that checks its calls stands in for Blender's.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from portrait_shared.devices import ALL_CUDA, DEVICES, GPUS, missing_driver
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import ServerInfo

bpy = pytest.importorskip("bpy")

from mathutils import Vector  # noqa: E402

from blender_addon.blender import problems, selection  # noqa: E402
from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.connection import preferences, server  # noqa: E402
from blender_addon.interface import face_marks  # noqa: E402
from blender_addon.interface.operators import add, capture, render  # noqa: E402
from blender_addon.interface.panels import (  # noqa: E402
    consent_panel,
    likeness_panel,
    live_panel,
    messages,
    rig_panel,
    sections,
    sidebar,
)
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import time_left  # noqa: E402
from blender_addon.portraits import portrait_parts, viewport  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig.blendshapes import REGIONS  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402

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
                if positional[1].startswith("["):  # a custom property
                    positional[0].path_resolve(positional[1])
                else:
                    assert positional[1] in positional[0].bl_rna.properties, positional
                self.seen.append(positional[1])
            if name in ("label", "progress"):
                assert isinstance(named["text"], str)
                self.seen.append(named["text"])
            return type(self)(self.seen)

        return call


def drawn(context: Any = None) -> str:
    """Every panel that Blender would show, one after another."""
    context = context or bpy.context
    seen: list[str] = []
    further = (
        likeness_panel.PORTRAIT_PT_likeness, consent_panel.PORTRAIT_PT_consent, messages.PORTRAIT_PT_messages,
        live_panel.PORTRAIT_PT_live,
    )  # fmt: skip
    for panel in (*sidebar.CLASSES[1:], *further):
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
    assert "portrait.find_face" in text and "portrait.demo_motion" not in text
    assert "portrait.render" in text and not bpy.ops.portrait.render.poll(), "greyed, and says why"


def test_its_own_frame_range_is_shown_when_asked_for(portrait: Any) -> None:
    assert "frame_start" not in drawn()
    portrait.use_scene_range = False
    assert "frame_start" in drawn()


def test_altered_colours_offer_their_remedy(portrait: Any) -> None:
    bpy.context.scene.view_settings.view_transform = "AgX"
    assert "portrait.use_own_colors" in drawn()
    bpy.ops.portrait.use_own_colors()
    assert "portrait.use_own_colors" not in drawn()


def test_a_rig_of_an_older_version_offers_its_handles_places(portrait: Any) -> None:
    assert "older version" not in drawn()
    del portrait.rig.data["talking_portrait_rig"]
    assert messages.has_messages(bpy.context) and "older version" in drawn()
    bpy.ops.portrait.add_controls()
    assert "older version" not in drawn()


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
    assert "Wait until the job is done" in text.replace("\n", " "), "why its settings are greyed"
    job_queue.abandon_all()
    assert "portrait.cancel" not in drawn()


def test_the_servers_state_is_one_line(scene: Any, needs_server: None) -> None:
    server.stop()
    assert "Not running" in drawn()
    bpy.ops.portrait.start_server()
    text = drawn()
    assert (
        f"Running on {server.health().info.draws_on} · " in text.replace("\n", " ") and "portrait.stop_server" in text
    )
    assert "wm.path_open" in text and "has come" in text.replace("\n", " "), (
        "the end of its log, and the way to all of it"
    )


def test_the_server_says_what_draws_and_with_how_much_memory() -> None:
    info = ServerInfo("1", 3, 7, "cuda", {"warp": "w"}, "warp", (), "", "", "NVIDIA T", 8 * 2**30)
    health = server.Health(server.ServerState.RUNNING, info)
    assert health.line == "Running on cuda: NVIDIA T, 8.0 GiB · warp · process 7"
    older = dataclasses.replace(info, device_model="", device_bytes=0)
    assert dataclasses.replace(health, info=older).line.startswith("Running on cuda · ")


@pytest.mark.parametrize("device", [*DEVICES, ALL_CUDA])
def test_the_preferences_offer_all_devices_and_say_what_is_there(addon: Any, device: str) -> None:
    holder = preferences.PORTRAIT_AP_preferences
    assert tuple(holder.bl_rna.properties["device"].enum_items.keys()) == (*DEVICES, ALL_CUDA)
    seen: list[str] = []
    drawn_for = SimpleNamespace(
        layout=CheckedLayout(seen), bl_rna=holder.bl_rna, server_command="", device=device,
        watermark=False, check_likeness=True, credentials=False,
    )  # fmt: skip
    holder.draw(drawn_for, bpy.context)
    text = "\n".join(seen)
    assert "nobody can check it" in " ".join(seen), "what frames without a watermark mean"
    if missing_driver(device):
        assert missing_driver(device) in text
    elif all(missing_driver(name) for name in GPUS):
        assert "no driver of a GPU" in text
    else:
        assert "Drivers of this machine: " in text


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
    problems.keep(second.uid, SceneError("Something broke.", "Mend it."))
    assert sections.state_icon(second) == "ERROR" and sections.state_icon(held.items[0]) == "NONE"


def test_a_photos_further_faces_have_a_button_each(portrait: Any, face: np.ndarray) -> None:
    assert "more face" not in drawn()
    for shift in (0, 40, 80):
        portrait.found.add().set_points(face + np.float32((shift, 0, 0)))
    text = drawn()
    assert "2 more faces in the picture" in text and text.count("portrait.add_face") == 2 * 3, "in both editors"
    assert bpy.ops.portrait.add_face(number=3) == {"FINISHED"}
    text = drawn()
    assert "1 more face in the picture" in text and text.count("portrait.add_face") == 2
    assert "One picture of anna, anna 3" in text and "first portrait, “anna”" in " ".join(text.split())
    assert bpy.ops.portrait.add_face() == {"FINISHED"}
    assert "more face" not in drawn()


def test_the_frame_around_a_face_lies_outside_of_it(face: np.ndarray) -> None:
    (left, top), _, (right, bottom), _ = face_marks.corners(face)
    assert left < face[:, 0].min() and right > face[:, 0].max()
    assert top < face[:, 1].min() and bottom > face[:, 1].max()


def test_the_job_of_another_portrait_is_shown_and_can_be_cancelled(
    portrait: Any, photo_file: Path, face: np.ndarray
) -> None:
    job = RenderJob(portrait.uid, server.launch_plan(bpy.context))
    second = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, second, face)
    job_queue.submit(job)
    text = drawn()
    assert "anna · Render: Waiting" in text and "portrait.cancel" in text
    job_queue.abandon_all()


def test_the_cross_beside_a_job_stops_that_one_alone(portrait: Any, photo_file: Path, face: np.ndarray) -> None:
    second = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, second, face)
    plan = server.launch_plan(bpy.context)
    jobs = [RenderJob(uid, plan) for uid in (bpy.context.scene.talking_portraits.items[0].uid, second.uid)]
    for job in jobs:
        job_queue.submit(job)
    assert bpy.ops.portrait.cancel(uid=second.uid) == {"FINISHED"}
    assert [job.active for job in jobs] == [True, False]
    assert bpy.ops.portrait.cancel() == {"FINISHED"}, "as in the pie menu: all of it"
    assert not any(job.active for job in jobs)
    job_queue.abandon_all()


def test_further_photos_are_listed_and_an_engine_without_use_for_them_is_named(portrait: Any) -> None:
    assert "portrait.add_references" in drawn() and "portrait.tune" in drawn()
    item = portrait.references.add()
    item.name = "near.png"
    seen: list[str] = []
    likeness_panel.PORTRAIT_UL_references.draw_item(
        None, bpy.context, CheckedLayout(seen), portrait, item, 0, portrait, "reference_index"
    )
    assert seen == ["near.png"]
    assert "portrait.find_reference_faces" in drawn()
    item.set_points(portrait.detected_points)
    assert "portrait.find_reference_faces" not in drawn()
    portrait.engine = "warp"
    assert "photo alone: choose" in drawn()
    portrait.engine = "fewshot"
    assert "photo alone: choose" not in drawn()


def test_esc_is_not_for_the_render(portrait: Any) -> None:
    """It ends playback, or the tool that a person is in; the cross ends the render."""
    job = RenderJob(portrait.uid, server.launch_plan(bpy.context))
    job_queue.submit(job)
    watching = SimpleNamespace(_job=job)
    for kind in ("ESC", "TIMER"):
        event = SimpleNamespace(type=kind, value="PRESS")
        assert render.PORTRAIT_OT_render.modal(watching, bpy.context, event) == {"PASS_THROUGH"}
    assert job.active and not job._cancelled
    job_queue.abandon_all()


def test_sliders_of_both_sides_say_which_is_which(portrait: Any) -> None:
    for region in REGIONS:
        seen: list[str] = []
        rig_panel.draw_sliders(CheckedLayout(seen), bpy.context, region)
        assert ("Right" in seen) == any(len(names) == 2 for names in rig_panel.rows_of(region)), region
        shown = [name for name in seen if name.startswith('["')]
        assert len(shown) == len(REGIONS[region])
        assert "Right" not in seen or seen.index("Right") < seen.index("Left") < seen.index(shown[0])


def test_from_an_empty_scene_to_moving_frames_in_four_clicks(
    needs_server: None, scene: Any, astronaut_file: Path, tmp_path: Path
) -> None:
    """Each is a button that the panel shows by then; the file browser and Save As ask for a name besides."""
    clicks = 0

    def click(name: str, **asked: Any) -> None:
        nonlocal clicks
        assert name in drawn().splitlines(), f"{name} is not in the panel"
        area, operator = name.split(".")
        assert getattr(getattr(bpy.ops, area), operator)(**asked) == {"FINISHED"}
        clicks += 1

    click("portrait.add", filepath=str(astronaut_file))
    click("portrait.demo_motion")
    portrait = bpy.context.scene.talking_portraits.active
    portrait.resolution_percentage, portrait.frame_end = 10, 4
    click("wm.save_as_mainfile", filepath=str(tmp_path / "first.blend"))
    assert "wm.save_as_mainfile" not in drawn()
    click("portrait.render")
    assert clicks <= 4
    frames = [(portrait.folder() / f"{number:04d}.png").read_bytes() for number in (1, 4)]
    assert frames[0] != frames[1]


def test_another_face_keeps_settings_and_keys(needs_server: None, acting: Any, face: np.ndarray) -> None:
    acting.resolution_percentage = 50
    acting.rig["mouthSmileLeft"] = 0.4
    before = sample(bpy.context.scene, acting.rig, acting.space, [4, 5, 6]).points
    bones = len(acting.rig.data.bones)
    portrait_parts.move_rig(bpy.context, acting, face + np.float32([5, -3, 0]))
    after = sample(bpy.context.scene, acting.rig, acting.space, [4, 5, 6]).points
    np.testing.assert_allclose(after - before, np.broadcast_to((5, -3, 0), after.shape), atol=0.02)
    assert np.abs(after[2] - after[0]).max() > 0.5, "it still acts"
    assert acting.resolution_percentage == 50 and acting.rig["mouthSmileLeft"] == pytest.approx(0.4)
    assert len(acting.rig.data.bones) == bones and bpy.ops.portrait.choose_face.poll()


def test_a_new_portrait_is_seen_from_the_front_and_fits(portrait: Any) -> None:
    view = next(a for s in bpy.data.screens for a in s.areas if a.type == "VIEW_3D").spaces.active
    for width, height in ((800, 600), (300, 900)):
        viewport.look_from_front(view, width, height, portrait)
        region = view.region_3d
        assert region.view_perspective == "ORTHO"
        np.testing.assert_allclose(region.view_rotation @ Vector((0, 0, -1)), (0, 1, 0), atol=1e-6)
        shown = region.view_distance * 2 * 36 / view.lens / max(width, height)  # metres to a pixel
        half_x, half_z = portrait.space.half_size
        assert 0.7 < max(2 * half_x / (shown * width), 2 * half_z / (shown * height)) < 0.9


def test_the_rig_is_selected_unless_the_user_has_gone_on(portrait: Any) -> None:
    layer = bpy.context.view_layer
    selection.select_only(layer, portrait.plane)
    assert selection.is_untouched(layer, portrait.plane)
    selection.select_only(layer, portrait.rig)
    assert bpy.context.selected_objects == [portrait.rig]
    assert not selection.is_untouched(layer, portrait.plane)


def test_sections_come_in_the_order_of_the_work(addon: Any) -> None:
    for space in ("VIEW_3D", "SEQUENCE_EDITOR"):
        panels = [kind for kind in own_panels(bpy.types.Panel) if kind.bl_space_type == space]
        names = [kind.bl_label for kind in sorted(panels, key=lambda kind: kind.bl_order)]
        wanted = ["Talking Portraits", "Shot", "Rig", "Capture", "Drive from Another Rig", "Preview and Frames",
                  "Likeness", "Consent", "Render", "Compositing",
                  "Strip", "Server", "Messages"]  # fmt: skip
        assert names == [name for name in wanted if name in names]
        assert set(wanted) - set(names) == ({"Strip"} if space == "VIEW_3D" else set()), "the same in both editors"


def own_panels(kind: type) -> list[Any]:
    """Sections of the tab, without those that fold away inside “Rig” and “Capture”."""
    found = [kind] if getattr(kind, "bl_category", "") == "Portrait" and getattr(kind, "is_registered", False) else []
    found = [] if found and getattr(kind, "bl_parent_id", "").endswith(("rig", "capture")) else found
    return found + [panel for base in kind.__subclasses__() for panel in own_panels(base)]


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (0.4, ""), (12.2, ", 12 s left"), (600, ", 10 min left")])
def test_time_left_is_said_when_there_is_some(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said


def buttons(portrait: Any) -> list[tuple[int, str]]:
    """(row, operator) of each button in the sections that keep their place; a row's own cross moves nothing."""
    seen: list[str] = []
    for panel in sidebar.CLASSES[1:]:
        if panel.bl_space_type == "VIEW_3D" and (not hasattr(panel, "poll") or panel.poll(bpy.context)):
            panel.draw(SimpleNamespace(layout=CheckedLayout(seen)), bpy.context)
    rows = [line for line in seen if line != "portrait.cancel"]
    return [(row, line) for row, line in enumerate(rows) if line.startswith("portrait.")]


def test_what_comes_and_goes_moves_no_button(portrait: Any) -> None:
    """Someone may be about to press one."""
    idle = buttons(portrait)
    assert {"portrait.pose", "portrait.render", "portrait.render_again"} <= {name for _, name in idle}
    job = RenderJob(portrait.uid, server.launch_plan(bpy.context))
    job_queue.submit(job)
    assert buttons(portrait) == idle, "work begins"
    job.cancel()
    job.notes = ["A long note that takes up several lines of the sidebar, as those of renders may."]
    assert buttons(portrait) == idle, "it has ended"
    assert "A long note" in drawn()
    job_queue.abandon_all()
    for uid in (portrait.uid, ""):
        problems.keep(uid, SceneError("Something broke. " * 8, "Mend it.", Fix.REBUILD))
        assert buttons(portrait) == idle, "something went wrong"
        assert "portrait.rebuild" in drawn()
        problems.forget(uid)


def test_render_all_again_is_below_render(portrait: Any) -> None:
    names = [name for _, name in buttons(portrait)]
    assert names.index("portrait.render_again") == names.index("portrait.render") + 1


def test_colours_are_called_altered_where_they_are_seen_so(portrait: Any) -> None:
    bpy.context.scene.view_settings.view_transform = "AgX"
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    space = area.spaces.active
    for shading, told in (("SOLID", False), ("MATERIAL", True), ("RENDERED", True)):
        space.shading.type = shading
        with bpy.context.temp_override(window=window, area=area, space_data=space):
            assert ("portrait.use_own_colors" in drawn()) is told, shading
    space.shading.type = "SOLID"


def test_faces_are_chosen_in_words(portrait: Any) -> None:
    from blender_addon.portraits import face_choice

    portrait.detected.clear()
    assert "face_choice" in drawn().splitlines() and "face" not in drawn().splitlines()
    assert portrait.face == 0 and portrait.face_choice == "LARGEST"
    portrait.face_choice = "FACE_2"
    assert portrait.face == 2 and face_choice.words(2) == "the second from the left"
    assert face_choice.words(0) == "the largest" and "14" in face_choice.words(14)


def test_the_plane_can_be_lit_by_the_scene_and_back(portrait: Any) -> None:
    def brightness() -> float:
        """Of the middle of a small render of the plane, of a scene without any light."""
        scene = bpy.context.scene
        scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
        scene.render.resolution_x = scene.render.resolution_y = 16
        path = Path(bpy.data.filepath).parent / "lit.png"
        scene.render.filepath, scene.render.image_settings.file_format = str(path), "PNG"
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path), check_existing=False)
        pixels = np.empty(16 * 16 * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        return float(pixels.reshape(16, 16, 4)[8, 8, :3].mean())

    assert bpy.ops.portrait.frame_scene() == {"FINISHED"}
    assert not portrait.lit and brightness() > 0.2
    portrait.lit = True
    assert portrait.lit and brightness() < 0.02, "no light falls on it"
    portrait.lit = True
    portrait.lit = False
    assert not portrait.lit and brightness() > 0.2
    portrait.plane.data.materials.clear()
    assert not portrait.lit
    portrait.lit = True  # nothing to light, and no error while a panel is drawn


def test_photos_are_shown_small_in_the_browser(addon: Any) -> None:
    for name in ("add", "relocate_photo", "add_references"):
        settings = getattr(bpy.ops.portrait, name).get_rna_type().properties
        assert settings["display_type"].default == "THUMBNAIL" and settings["filter_image"].default, name
        own = bpy.types.FileSelectParams.bl_rna.properties["display_type"].enum_items["THUMBNAIL"].value
        assert settings["display_type"].enum_items["THUMBNAIL"].value == own, "Blender reads the number"


def test_the_file_browser_asks_for_the_face_in_words(scene: Any) -> None:
    seen: list[str] = []
    browser = SimpleNamespace(layout=CheckedLayout(seen), bl_rna=bpy.ops.portrait.add.get_rna_type(), every_face=False)
    add.PORTRAIT_OT_add.draw(browser, bpy.context)
    assert seen == ["choice", "every_face", "look_from_front", "by_hand"]
    seen.clear()
    known = bpy.ops.portrait.capture_video.get_rna_type()
    browser = SimpleNamespace(
        layout=CheckedLayout(seen), bl_rna=known, properties=SimpleNamespace(bl_rna=known), neutral="FIRST"
    )
    capture.PORTRAIT_OT_capture_video.draw(browser, bpy.context)
    assert "choice" in seen and "face" not in seen
