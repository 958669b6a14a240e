# SPDX-License-Identifier: GPL-3.0-or-later
"""Several faces of one photo: a rig each, one plane, one folder of frames into which all are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frames_in

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.blender import compat  # noqa: E402
from blender_addon.capture import jobs, media_parts  # noqa: E402
from blender_addon.capture.speech_shapes import Speech  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.interface.operators.common import active_portrait  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import groups, portrait_copies, portrait_parts, sequencer  # noqa: E402
from blender_addon.portraits.scene_portraits import portraits_of  # noqa: E402
from blender_addon.preview import live_preview  # noqa: E402
from blender_addon.render import frame_states  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig import sampling  # noqa: E402
from tests import loaded_picture  # noqa: E402
from tests.blender.test_capture import NO_SERVER, wav  # noqa: E402
from tests.blender.test_sequencer import was_connected  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

FACE_WIDTH, WIDTH, HEIGHT = 96, 192, 64
FIRST, LAST = 4, 6


def plan() -> server.Launch:
    return server.launch_plan(bpy.context)


def of(uid: str) -> Any:
    return next(p for scene in bpy.data.scenes for p in portraits_of(scene).items if p.uid == uid)


def items() -> list[Any]:
    return list(portraits_of(bpy.context.scene).items)


def select(*objects: Any) -> None:
    bpy.context.view_layer.update()
    for item in list(bpy.context.view_layer.objects):
        item.select_set(item in objects)
    bpy.context.view_layer.objects.active = objects[0] if objects else None


def drop_chin(uid: str, last: int = LAST) -> None:
    """The chin falls from the first frame on, so that no two frames are alike."""
    bone = of(uid).rig.pose.bones["jaw_09"]
    bone.location[1] = 0.0
    bone.keyframe_insert("location", frame=FIRST)
    bone.location[1] = -0.15
    bone.keyframe_insert("location", frame=last)


def frame(portrait: Any, number: int) -> bytes:
    return (portrait.lead.folder() / f"{number:04d}.png").read_bytes()


def pixels(portrait: Any, number: int) -> np.ndarray:
    """(H, W, 4) 0 to 1, the highest row first."""
    return loaded_picture.pixels(portrait.lead.folder() / f"{number:04d}.png")[::-1]


def settle(uid: str, wanted: dict[int, FrameState]) -> None:
    """Ticks as Blender's timer does until the states are as wanted, of whichever face they are asked for."""

    def settled() -> bool:
        frame_states.pump()
        return frame_states.of(uid).states == wanted

    wait_until(settled, note=lambda: frame_states.line(uid))


DONE = dict.fromkeys(range(FIRST, LAST + 1), FrameState.DONE)


@pytest.fixture
def couple_file(tmp_path: Path, scene: Any, write: Any) -> Path:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    colors = np.stack((x * 255 // WIDTH, y * 255 // HEIGHT, (x + y) * 255 // (WIDTH + HEIGHT)), 2).astype(np.uint8)
    return write(tmp_path / "pictures" / "couple.png", colors)


@pytest.fixture
def faces(face: np.ndarray) -> list[np.ndarray]:
    """Two faces side by side, (70, 3) pixels each."""
    return [face, face + np.float32((FACE_WIDTH, 0, 0))]


@pytest.fixture
def couple(couple_file: Path, faces: list[np.ndarray]) -> list[str]:
    """Uids of two portraits of one photo with three frames to render, in a .blend that is saved."""
    bpy.ops.wm.save_as_mainfile(filepath=str(couple_file.parents[1] / "scene.blend"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FIRST, LAST
    first = portrait_parts.add(scene, str(couple_file))
    portrait_parts.attach_rig(bpy.context, first, faces[0])
    for points in faces:
        first.found.add().set_points(points)
    uid = first.uid
    return [uid, portrait_parts.add_face(bpy.context, uid, faces[1]).uid]


@pytest.fixture
def acted(couple: list[str]) -> list[str]:
    for uid in couple:
        drop_chin(uid)
    return couple


# What belongs to whom


def test_a_further_face_shares_the_photo_and_keeps_its_own_rig(couple: list[str], faces: list[np.ndarray]) -> None:
    first, second = map(of, couple)
    assert second.plane == first.plane and second.photo == first.photo and second.rig != first.rig
    assert second.members == first.members == [first, second] and second.lead == first
    assert second.rig.parent == first.plane and second.name != first.name
    for portrait, points in zip((first, second), faces, strict=True):
        row = sampling.sample_now(portrait.rig, bpy.context.view_layer, portrait.space)
        assert np.abs(row.points - points).max() < 1e-3
    assert first.group_uid == second.group_uid == first.uid


def test_the_voice_of_any_face_is_connected_with_the_pictures(
    needs_sound: None, couple: list[str], write: Any, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    write(tmp_path / "frames" / "0004.png", picture)
    strip = sequencer.add_strip(scene, of(couple[1]).group_uid, "couple", tmp_path / "frames", [4], {})
    source = media_parts.of_file(scene, str(wav(tmp_path / "said.wav")), 1)
    job = jobs.SpeechCaptureJob(couple[1], NO_SERVER, source, jobs.KeyOptions(), add_sound=True)
    job.take_up(Speech((("aa", 0.0, 0.5), ("oh", 0.5, 1.0)), 0.0, 1.0, np.ones(15), 15.0))
    (sound,) = (each for each in compat.strips_of(scene.sequence_editor) if each.type == "SOUND")
    if "connect" in dir(bpy.ops.sequencer):
        assert was_connected(scene, sound) and not was_connected(scene, strip), "with one another"


def test_a_lone_portrait_is_its_own_lead(portrait: Any) -> None:
    assert portrait.lead == portrait and portrait.members == [portrait] and portrait.group_uid == portrait.uid


def test_a_face_that_was_found_can_get_a_rig_and_give_it_back(couple: list[str]) -> None:
    portrait_parts.remove(bpy.context.scene, couple[1])
    assert [number for number, _ in groups.without_rig(of(couple[0]))] == [2]
    select(of(couple[0]).rig)
    assert bpy.ops.portrait.add_face(number=2) == {"FINISHED"}
    first, second = items()
    assert second.lead == first and not groups.without_rig(first)
    assert bpy.context.view_layer.objects.active == second.rig
    assert not bpy.ops.portrait.add_face.poll(), "every face has a rig"


def test_all_faces_at_once(couple: list[str], faces: list[np.ndarray]) -> None:
    portrait_parts.remove(bpy.context.scene, couple[1])
    of(couple[0]).found.add().set_points(faces[1] + np.float32((40, 0, 0)))
    select(of(couple[0]).plane)
    assert bpy.ops.portrait.add_face() == {"FINISHED"}
    assert len(items()) == 3 and len({portrait.name for portrait in items()}) == 3


def test_the_list_chooses_between_faces_on_one_plane(couple: list[str]) -> None:
    held = portraits_of(bpy.context.scene)
    for part in ("rig", "plane"):
        select(getattr(of(couple[0]), part))
        for index, uid in enumerate(couple):
            held.list_index = index
            assert active_portrait(bpy.context).uid == uid and held.list_index == index
    for uid in couple:
        select(of(uid).rig)
        assert active_portrait(bpy.context).uid == uid


# Frames


def test_one_job_draws_all_faces_into_one_frame(needs_server: None, acted: list[str]) -> None:
    select(of(acted[1]).rig)
    assert bpy.ops.portrait.render() == {"FINISHED"}
    first = of(acted[0])
    assert frames_in(first.folder()) == [4, 5, 6]
    shown = Path(bpy.path.abspath(image_plane.texture_node(first.plane).image.filepath))
    assert shown.parent == first.folder()
    before, after = pixels(first, FIRST), pixels(first, LAST)
    moved = np.abs(after - before).max(-1) > 1e-3
    assert moved[:, :FACE_WIDTH].any() and moved[:, FACE_WIDTH:].any(), "both chins move"


def test_a_face_moves_alone(needs_server: None, couple: list[str]) -> None:
    drop_chin(couple[1])
    bpy.ops.portrait.render()
    first = of(couple[0])
    moved = np.abs(pixels(first, LAST) - pixels(first, FIRST)).max(-1) > 1e-3
    assert moved[:, FACE_WIDTH:].any() and not moved[:, :FACE_WIDTH].any()


def test_an_edit_of_either_makes_its_frames_stale(needs_server: None, acted: list[str]) -> None:
    select(of(acted[0]).rig)
    bpy.ops.portrait.render()
    settle(acted[0], DONE)
    for uid in acted:
        bone = of(uid).rig.pose.bones["jaw_09"]
        for number, place in ((FIRST, 0.0), (LAST - 1, 0.05), (LAST, 0.0)):
            bone.location[0] = place
            bone.keyframe_insert("location", index=0, frame=number)
        bpy.context.view_layer.update()
        for each in acted:
            settle(each, DONE | {LAST - 1: FrameState.STALE})
        kept = frame(of(uid), FIRST), frame(of(uid), LAST)
        job = RenderJob(uid, plan())
        job_queue.run(job)
        assert job.state is JobState.DONE and job.drawn == 1
        assert kept == (frame(of(uid), FIRST), frame(of(uid), LAST))
        settle(uid, DONE)


def test_layers_of_all_faces_are_written_and_known_again(needs_server: None, acted: list[str]) -> None:
    of(acted[0]).file_format = "EXR"
    job = RenderJob(acted[1], plan())
    job_queue.run(job)
    assert job.state is JobState.DONE and {path.suffix for path in job.stored.values()} == {".exr"}, job.error
    settle(acted[1], DONE)


def test_the_strip_is_that_of_all_and_can_be_rendered_again(needs_server: None, acted: list[str]) -> None:
    select(of(acted[1]).rig)
    bpy.ops.portrait.add_strip()
    bpy.ops.portrait.render()
    strips = list(compat.strips_of(bpy.context.scene.sequence_editor))
    assert len(strips) == 1 and strips == sequencer.find_strips(acted[0])
    bpy.context.scene.sequence_editor.active_strip = strips[0]
    assert bpy.ops.portrait.redo_strip() == {"FINISHED"}


def test_the_command_line_renders_a_photo_once(
    needs_server: None, acted: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    blend = bpy.data.filepath
    bpy.ops.wm.save_mainfile()
    for arguments in ([], ["--portrait", of(acted[1]).name]):
        assert command_line.main(["render", "--blend", blend, *arguments]) == 0
        printed = capfd.readouterr().out.splitlines()
        assert [Path(line).name for line in printed if line.startswith("Saved: ")] == [
            "0004.png",
            "0005.png",
            "0006.png",
        ]


def test_what_is_set_for_one_face_is_set_for_the_photo(couple: list[str], tmp_path: Path) -> None:
    select(of(couple[1]).rig)
    assert bpy.ops.portrait.demo_motion() == {"FINISHED"}
    lead = of(couple[0])
    assert not lead.use_scene_range and lead.frame_end > LAST
    assert bpy.ops.portrait.choose_folder(directory=str(tmp_path / "frames")) == {"FINISHED"}
    assert lead.folder() == (tmp_path / "frames").resolve()


# Faces come and go


def test_removing_one_leaves_the_other(needs_server: None, acted: list[str]) -> None:
    select(of(acted[0]).rig)
    bpy.ops.portrait.render()
    bpy.ops.portrait.add_strip()
    folder = of(acted[0]).folder()
    plane = of(acted[0]).plane.name
    assert bpy.ops.portrait.remove() == {"FINISHED"}
    (left,) = items()
    assert left.uid == acted[1] and left.folder() == folder and left.plane.name == plane
    assert plane in bpy.context.scene.objects and len(bpy.context.scene.objects) == 2
    assert sequencer.find_strips(left.group_uid), "the strip stays"
    select(left.rig)
    assert bpy.ops.portrait.render() == {"FINISHED"}
    moved = np.abs(pixels(left, LAST) - pixels(left, FIRST)).max(-1) > 1e-3
    assert moved[:, FACE_WIDTH:].any() and not moved[:, :FACE_WIDTH].any()
    bpy.ops.portrait.remove()
    assert not items() and not bpy.context.scene.objects and not sequencer.find_strips(acted[0])


def test_what_is_the_photos_goes_to_the_next_that_leads(couple: list[str], tmp_path: Path) -> None:
    first = of(couple[0])
    first.output_folder, first.matte, first.resolution_percentage = str(tmp_path / "frames"), True, 50
    first.engine, first.frame_prefix = "warp", "both."
    portrait_parts.remove(bpy.context.scene, couple[0])
    left = of(couple[1])
    assert (left.output_folder, left.matte, left.resolution_percentage) == (str(tmp_path / "frames"), True, 50)
    assert (left.engine, left.frame_prefix, left.lead) == ("warp", "both.", left)
    assert [number for number, _ in groups.without_rig(left)] == [1]


def test_undo_and_redo_of_an_added_and_a_removed_face(couple: list[str], needs_server: None) -> None:
    bpy.ops.ed.undo_push(message="two")
    select(of(couple[1]).rig)
    bpy.ops.portrait.remove()
    bpy.ops.ed.undo_push(message="one")
    bpy.ops.ed.undo()
    assert [portrait.uid for portrait in items()] == couple and of(couple[1]).lead.uid == couple[0]
    job = RenderJob(couple[1], plan())
    job_queue.run(job)
    assert job.state is JobState.DONE and job.uid == couple[0]
    bpy.ops.ed.undo()
    while bpy.ops.ed.redo.poll():
        bpy.ops.ed.redo()


def test_saved_and_loaded_they_belong_together(needs_server: None, acted: list[str]) -> None:
    bpy.ops.portrait.render()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert [portrait.uid for portrait in of(acted[1]).members] == acted
    job = RenderJob(acted[1], plan())
    job_queue.run(job)
    assert job.state is JobState.DONE and job.drawn == 0


def test_a_copied_scene_has_a_photo_of_its_own(needs_server: None, acted: list[str]) -> None:
    bpy.ops.portrait.render()
    bpy.ops.scene.new(type="FULL_COPY")
    portrait_copies.separate()
    copies = items()
    assert len(copies) == 2 and not {portrait.uid for portrait in copies} & set(acted)
    assert copies[1].lead == copies[0] and copies[0].group_uid != of(acted[0]).group_uid
    job = RenderJob(copies[1].uid, plan())
    job_queue.run(job)
    assert job.state is JobState.DONE, job.error
    assert items()[0].folder() != of(acted[0]).folder()


def test_both_rigs_of_a_duplicated_plane_become_portraits_of_it(couple: list[str]) -> None:
    first = of(couple[0])
    select(first.plane, first.rig, of(couple[1]).rig)
    bpy.ops.object.duplicate()
    copies = [item for item in bpy.context.selected_objects if item.type == "ARMATURE"]
    for rig in copies:
        bpy.context.view_layer.objects.active = rig
        assert bpy.ops.portrait.adopt() == {"FINISHED"}
    third, fourth = items()[2:]
    assert fourth.lead == third and third.plane not in (None, of(couple[0]).plane) and third.plane == fourth.plane
    assert {third.rig, fourth.rig} == set(copies)


def test_a_duplicated_rig_gets_a_plane_beside(couple: list[str]) -> None:
    select(of(couple[1]).rig)
    bpy.ops.object.duplicate()
    assert bpy.ops.portrait.adopt() == {"FINISHED"}
    made = items()[2]
    assert made.lead == made and made.plane != of(couple[0]).plane and made.rig.parent == made.plane


def test_rebuild_mends_the_plane_for_all(couple: list[str]) -> None:
    bpy.data.objects.remove(of(couple[0]).plane)
    bpy.data.objects.remove(of(couple[1]).rig)
    assert bpy.ops.portrait.rebuild() == {"FINISHED"}
    first, second = map(of, couple)
    assert first.plane is not None and first.plane == second.plane
    assert first.rig.parent == first.plane == second.rig.parent


def test_a_broken_rig_of_either_stops_the_render_and_says_so(needs_server: None, couple: list[str]) -> None:
    bpy.data.objects.remove(of(couple[1]).rig)
    job = RenderJob(couple[0], plan())
    job_queue.run(job)
    assert job.state is JobState.FAILED and "deleted" in job.error.message and job.error.remedy


# Preview


@pytest.fixture
def preview(needs_server: None, couple: list[str]) -> Iterator[list[str]]:
    live_preview.start(couple[1], plan())
    yield couple
    live_preview.stop_all()


def shown(uid: str) -> np.ndarray:
    image = image_plane.texture_node(of(uid).plane).image
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[::-1]


def await_picture(uid: str) -> None:
    preview = live_preview.of(uid)
    wait_until(
        lambda: preview.asked > 0 and preview.shown == preview.asked and preview._changed_at is None,
        live_preview.pump,
        lambda: [preview.line],
    )


def test_the_preview_shows_all_faces(preview: list[str]) -> None:
    assert live_preview.of(preview[0]) is live_preview.of(preview[1]) is not None
    await_picture(preview[0])
    still = shown(preview[0])
    of(preview[1]).rig.pose.bones["jaw_09"].location[1] = -0.2
    live_preview.of(preview[1]).note_change()
    await_picture(preview[1])
    moved = np.abs(shown(preview[0]) - still).max(-1) > 1e-3
    assert moved[:, FACE_WIDTH:].any() and not moved[:, :FACE_WIDTH].any()
    select(of(preview[0]).rig)
    bpy.ops.portrait.remove()
    assert live_preview.of(preview[1]) is None
    assert image_plane.texture_node(of(preview[1]).plane).image == of(preview[1]).photo


# Finding them


@pytest.fixture
def two_people_file(astronaut_file: Path, tmp_path: Path, scene: Any, write: Any) -> Path:
    """One person twice, the one at the right mirrored and smaller."""
    image = bpy.data.images.load(str(astronaut_file))
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    person = np.round(values.reshape(image.size[1], image.size[0], 4)[::-1, :, :3] * 255).astype(np.uint8)
    small = np.full_like(person, 90)
    small[128:384, 128:384] = person[::2, ::-2]
    return write(tmp_path / "pictures" / "twins.png", np.concatenate((person, small), 1))


def test_every_face_of_a_photo_is_offered(needs_server: None, two_people_file: Path) -> None:
    assert bpy.ops.portrait.add(filepath=str(two_people_file)) == {"FINISHED"}
    (first,) = items()
    assert [number for number, _ in groups.without_rig(first)] == [2]
    assert bpy.ops.portrait.add_face(number=2) == {"FINISHED"}
    first, second = items()
    middle = second.detected_points[:, 0].mean()
    assert 640 < middle < 900 and second.lead == first


def test_every_face_gets_a_rig_at_once(needs_server: None, two_people_file: Path) -> None:
    assert bpy.ops.portrait.add(filepath=str(two_people_file), every_face=True) == {"FINISHED"}
    assert len(items()) == 2 and not groups.without_rig(items()[0])


def test_a_further_face_is_placed_by_hand(portrait: Any) -> None:
    select(portrait.rig)
    assert bpy.ops.portrait.place_points(further=True, center=(20, 30), width=20) == {"FINISHED"}
    first, second = items()
    assert second.lead == first and second.rig != first.rig and second.photo_digest == first.photo_digest
    assert abs(second.detected_points[:17, 0].mean() - 20) < 2
    assert bpy.context.view_layer.objects.active == second.rig
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.portrait.place_points(further=True, center=(21, 30), width=20)
    assert len(items()) == 2


def test_a_rig_is_not_put_on_a_face_that_has_one(needs_server: None, two_people_file: Path) -> None:
    bpy.ops.portrait.add(filepath=str(two_people_file), every_face=True)
    select(items()[1].rig)
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.portrait.choose_face(face=1)
