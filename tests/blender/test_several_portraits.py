# SPDX-License-Identifier: GPL-3.0-or-later
"""Several portraits, several planes, copies, other files: none takes another's frames, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frames_in

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, problems  # noqa: E402
from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.interface.operators.common import active_portrait  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import Job, JobState  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import portrait_copies, portrait_parts, sequencer  # noqa: E402
from blender_addon.portraits.scene_portraits import portraits_of  # noqa: E402
from blender_addon.preview import live_preview  # noqa: E402
from blender_addon.render import frame_folder  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402
from blender_addon.rig import sampling  # noqa: E402
from tests.waiting import PATIENCE_SECONDS, wait_until  # noqa: E402


def plan() -> server.Launch:
    return server.launch_plan(bpy.context)


def drive(*jobs: Job, until: Any = lambda: False) -> None:
    """Ticks as Blender's timer does, until the jobs ended or `until` holds."""
    wait_until(
        lambda: not any(job.active for job in jobs) or until(),
        job_queue._on_timer,
        lambda: [job.note for job in jobs],
    )


def select(*objects: Any) -> None:
    for item in list(bpy.context.view_layer.objects):
        item.select_set(item in objects)
    bpy.context.view_layer.objects.active = objects[0] if objects else None


def second(photo_file: Path, face: np.ndarray) -> Any:
    made = portrait_parts.add(bpy.context.scene, str(photo_file))
    portrait_parts.attach_rig(bpy.context, made, face)
    return made


def points(portrait: Any) -> np.ndarray:
    return sampling.sample_now(portrait.rig, bpy.context.view_layer, portrait.space).points


def copied_scene(kind: str) -> Any:
    """As Blender's header does; without a window Blender tells nobody, so what would hear it is called."""
    bpy.ops.scene.new(type=kind)
    portrait_copies.separate()
    return bpy.context.scene


def move_for_long(portrait: Any) -> None:
    """No two frames alike, which would be rendered once."""
    bone = portrait.rig.pose.bones["jaw_09"]
    bone.location[1] = 0.15
    bone.keyframe_insert("location", frame=500)


@pytest.fixture
def pair(acting: Any, photo_file: Path, face: np.ndarray) -> tuple[str, str]:
    """Uids of two portraits in one scene; the second stays still."""
    move_for_long(acting)
    uid = acting.uid
    return uid, second(photo_file, face).uid


def of(uid: str) -> Any:
    return next(p for scene in bpy.data.scenes for p in portraits_of(scene).items if p.uid == uid)


# Folders


def test_two_portraits_render_one_after_another_each_to_its_own(needs_server: None, pair: tuple[str, str]) -> None:
    for uid in pair:
        of(uid).use_strip = True
    jobs = [RenderJob(uid, plan()) for uid in pair]
    for job in jobs:
        job_queue.submit(job)
    drive(*jobs)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.DONE]
    first, other = (of(uid).folder() for uid in pair)
    assert first != other and frames_in(first) == frames_in(other) == [4, 5, 6]
    assert (first / "0006.png").read_bytes() != (other / "0006.png").read_bytes()
    for uid in pair:
        assert sequencer.find_strip(bpy.context.scene, uid) is not None
        shown = Path(bpy.path.abspath(image_plane.texture_node(of(uid).plane).image.filepath))
        assert shown.parent == of(uid).folder()


def test_a_renamed_portrait_keeps_its_frames(needs_server: None, acting: Any) -> None:
    bpy.ops.portrait.render()
    folder = acting.folder()
    acting.name = "Anna, close-up"
    assert acting.folder() == folder
    before = {number: (folder / f"{number:04d}.png").stat().st_mtime_ns for number in frames_in(folder)}
    bpy.ops.portrait.render()
    assert {n: (folder / f"{n:04d}.png").stat().st_mtime_ns for n in frames_in(folder)} == before


def test_portraits_renamed_alike_keep_apart(needs_server: None, pair: tuple[str, str]) -> None:
    of(pair[0]).name = of(pair[1]).name = "a/b"
    jobs = [RenderJob(uid, plan()) for uid in pair]
    for job in jobs:
        job_queue.run(job)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.DONE]
    assert of(pair[0]).folder() != of(pair[1]).folder()


def test_another_file_beside_it_takes_a_folder_of_its_own(
    needs_server: None, acting: Any, photo_file: Path, face: np.ndarray
) -> None:
    bpy.ops.portrait.render()
    first = acting.folder()
    kept = {path.name: path.read_bytes() for path in first.iterdir()}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(photo_file.parents[1] / "other shot.blend"))
    bpy.context.scene.frame_end = 2
    other = second(photo_file, face)
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert other.name == "anna" and other.folder() != first and frames_in(other.folder()) == [1, 2]
    assert {path.name: path.read_bytes() for path in first.iterdir()} == kept


def test_a_folder_that_another_files_portrait_has_is_refused(
    needs_server: None, acting: Any, photo_file: Path, face: np.ndarray
) -> None:
    bpy.ops.portrait.render()
    folder = acting.folder()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    other = second(photo_file, face)
    other.output_folder = str(folder)
    job = RenderJob(other.uid, plan(), frames=[4])
    job_queue.run(job)
    assert job.state is JobState.FAILED and problems.last(other.uid).fix is Fix.CHOOSE_FOLDER
    for path in folder.glob("*.png"):
        path.unlink()
    again = RenderJob(other.uid, plan(), frames=[4])
    job_queue.run(again)
    assert again.state is JobState.DONE, "an empty folder may change hands"
    assert frame_folder.owner_of(folder) == other.uid


def test_one_folder_for_two_portraits_is_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    for uid in pair:
        of(uid).output_folder = str(tmp_path / "frames")
    with pytest.raises(SceneError, match="same folder"):
        frame_folder.take(of(pair[0]))


def test_saved_under_another_name_it_goes_on_where_it_was(needs_server: None, acting: Any) -> None:
    bpy.ops.portrait.render()
    folder = acting.folder()
    bpy.ops.wm.save_as_mainfile(filepath=bpy.data.filepath.replace("scene", "scene v2"))
    job = RenderJob(bpy.context.scene.talking_portraits.active.uid, plan())
    job_queue.run(job)
    assert {path.parent for path in job.stored.values()} == {folder}


# Scenes


@pytest.mark.parametrize("kind", ["LINK_COPY", "FULL_COPY"])
def test_a_copied_scene_has_a_portrait_of_its_own(needs_server: None, acting: Any, kind: str) -> None:
    uid, acting.use_strip = acting.uid, True
    bpy.ops.portrait.render()
    folder = of(uid).folder()
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    scene = copied_scene(kind)
    copy = scene.talking_portraits.active
    assert copy.uid != uid and copy.name == "anna.001"
    assert of(uid).name == "anna" and of(uid) == bpy.data.scenes[0].talking_portraits.active
    scene.frame_start, scene.frame_end = 5, 9
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert copy.folder() != folder and frames_in(copy.folder()) == [5, 6, 7, 8, 9]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert compat.strip_range(sequencer.find_strip(scene, copy.uid)) == range(5, 10)
    assert compat.strip_range(sequencer.find_strip(bpy.data.scenes[0], uid)) == range(4, 7)
    assert portrait_copies.separate() == [], "once is enough"


def test_a_full_copy_shows_its_own_frames(needs_server: None, acting: Any) -> None:
    uid = acting.uid
    copy = copied_scene("FULL_COPY").talking_portraits.active
    bpy.ops.portrait.render()
    assert image_plane.texture_node(of(uid).plane).image == of(uid).photo, "the original's plane is as it was"
    assert image_plane.texture_node(copy.plane).image.source == "SEQUENCE"


def test_settings_alone_bring_no_portrait(portrait: Any) -> None:
    assert not copied_scene("EMPTY").talking_portraits.items


def test_separating_comes_to_the_same_after_undo(portrait: Any) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.scene.new(type="FULL_COPY")
    bpy.ops.ed.undo_push(message="copied")
    name = bpy.context.scene.name
    (made,) = portrait_copies.separate()
    bpy.ops.ed.undo()
    bpy.ops.ed.redo()
    portrait_copies.separate()
    assert bpy.data.scenes[name].talking_portraits.active.uid == made


def test_removing_one_of_a_linked_copy_leaves_the_other(portrait: Any) -> None:
    uid, plane, rig = portrait.uid, portrait.plane.name, portrait.rig.name
    scene = copied_scene("LINK_COPY")
    bpy.ops.portrait.remove()
    assert not scene.talking_portraits.items
    assert (of(uid).plane.name, of(uid).rig.name) == (plane, rig)
    portrait_parts.check_plane(bpy.data.scenes[0], of(uid))


def test_a_scene_deleted_meanwhile_ends_its_job(needs_server: None, acting: Any, hold: Any) -> None:
    hold.at(1)
    move_for_long(acting)
    bpy.ops.scene.new(type="NEW")
    job = RenderJob(acting.uid, plan(), frames=range(1, 300))
    job_queue.submit(job)
    drive(job, until=lambda: bool(job.stored))
    bpy.data.scenes.remove(bpy.data.scenes["Scene"])
    hold.let_go()
    drive(job)
    assert job.state is JobState.CANCELLED and job_queue.current() is None


# Copies of objects


@pytest.mark.parametrize("linked", [False, True], ids=["Shift-D", "Alt-D"])
def test_a_duplicated_plane_and_rig_become_a_portrait(needs_server: None, acting: Any, linked: bool) -> None:
    uid = acting.uid
    acting.resolution_percentage, acting.matte = 50, True
    assert not bpy.ops.portrait.adopt.poll(), "the portrait's own rig is no spare one"
    select(acting.rig, acting.plane)
    bpy.ops.object.duplicate(linked=linked)
    spare = bpy.context.view_layer.objects.active
    assert spare != acting.rig and spare.parent != acting.plane
    before = active_portrait(bpy.context)
    assert before is None or before.uid == uid
    assert bpy.ops.portrait.adopt() == {"FINISHED"}
    held = bpy.context.scene.talking_portraits
    copy, first = held.active, held.by_uid(uid)
    assert copy.uid != uid and (copy.rig, copy.plane) == (spare, spare.parent)
    assert copy.resolution_percentage == 50 and copy.matte and copy.photo == first.photo
    np.testing.assert_allclose(copy.detected_points, first.detected_points, atol=1e-3)
    copy.rig["jawOpen"] = 0.8
    copy.rig.update_tag()
    bpy.context.view_layer.update()
    assert np.abs(points(copy) - points(first)).max() > 1, "each is posed on its own"
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert frames_in(copy.folder()) == [4, 5, 6] and not first.folder_name
    assert image_plane.texture_node(first.plane).image == first.photo


def test_a_duplicated_rig_alone_gets_a_plane_beside(acting: Any) -> None:
    select(acting.rig)
    bpy.ops.object.duplicate()
    bpy.ops.portrait.adopt()
    held = bpy.context.scene.talking_portraits
    first, copy = held.items
    bpy.context.view_layer.update()
    assert copy.plane != first.plane and copy.rig.parent == copy.plane
    assert copy.plane.location.x - first.plane.location.x > 2 * first.space.half_size[0]
    portrait_parts.check_plane(bpy.context.scene, copy)
    np.testing.assert_allclose(points(copy), points(first), atol=1e-3)


def test_two_planes_show_one_portrait(needs_server: None, acting: Any) -> None:
    select(acting.plane)
    bpy.ops.object.duplicate()
    other = bpy.context.view_layer.objects.active
    assert active_portrait(bpy.context).uid == acting.uid, "the panel is the portrait's on either plane"
    bpy.ops.portrait.render()
    for plane in (acting.plane, other):
        assert image_plane.texture_node(plane).image.source == "SEQUENCE"
    bpy.data.objects.remove(acting.plane)
    assert bpy.ops.portrait.rebuild() == {"FINISHED"}


def test_the_list_follows_the_selection(pair: tuple[str, str]) -> None:
    for uid in pair:
        select(of(uid).rig)
        assert active_portrait(bpy.context).uid == uid


# Other files


def bring(blend: str, link: bool, **names: list[str]) -> Any:
    with bpy.data.libraries.load(blend, link=link) as (_, wanted):
        for kind, chosen in names.items():
            setattr(wanted, kind, chosen)
    return wanted


@pytest.fixture
def library(acting: Any) -> str:
    bpy.ops.wm.save_mainfile()
    blend = bpy.data.filepath
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=blend.replace("scene.blend", "user.blend"))
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 4, 6
    return blend


def test_an_appended_rig_becomes_a_portrait(needs_server: None, library: str) -> None:
    for item in bring(library, link=False, objects=["anna", "anna rig"]).objects:
        bpy.context.scene.collection.objects.link(item)
    select(bpy.data.objects["anna rig"])
    assert bpy.ops.portrait.adopt() == {"FINISHED"}
    made = bpy.context.scene.talking_portraits.active
    assert made.name == "anna" and tuple(made.size) == (96, 64)
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert frames_in(made.folder()) == [4, 5, 6]


def test_an_appended_scene_works_and_its_twin_keeps_apart(needs_server: None, library: str) -> None:
    for _ in range(2):
        bring(library, link=False, scenes=["Scene"])
    portrait_copies.separate()
    uids = [p.uid for scene in bpy.data.scenes for p in portraits_of(scene).items]
    assert len(uids) == len(set(uids)) == 2
    jobs = [RenderJob(uid, plan(), frames=[4, 5]) for uid in uids]
    for job in jobs:
        job_queue.run(job)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.DONE]
    assert of(uids[0]).folder() != of(uids[1]).folder()


def test_a_linked_rig_asks_for_an_override(library: str) -> None:
    for item in bring(library, link=True, objects=["anna", "anna rig"]).objects:
        bpy.context.scene.collection.objects.link(item)
    select(bpy.context.scene.objects["anna rig"])
    with pytest.raises(RuntimeError, match="Library Override"):
        bpy.ops.portrait.adopt()
    assert not bpy.context.scene.talking_portraits.items


def test_an_overridden_rig_becomes_a_portrait_and_survives_a_reload(needs_server: None, library: str) -> None:
    scene = bpy.context.scene
    linked = bring(library, link=True, objects=["anna", "anna rig"]).objects
    for item in linked:
        scene.collection.objects.link(item)
    rig = next(item for item in linked if item.type == "ARMATURE")
    own = rig.override_hierarchy_create(scene, bpy.context.view_layer)
    for item in linked:
        scene.collection.objects.unlink(item)
    select(own)
    assert bpy.ops.portrait.adopt() == {"FINISHED"}
    made = scene.talking_portraits.active
    assert bpy.ops.portrait.render() == {"FINISHED"}
    folder = made.folder()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    made = bpy.context.scene.talking_portraits.active
    assert made.rig.override_library is not None and made.folder() == folder
    image = image_plane.texture_node(made.plane).image
    assert image.source == "SEQUENCE" and image.library is None


def test_a_broken_overridden_rig_is_mended_in_its_own_file(scene: Any, portrait: Any, tmp_path: Path) -> None:
    """Nothing of a linked rig's bones can be changed here, not even with an override."""
    bpy.context.view_layer.objects.active = portrait.rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name in ("jaw_09", "gaze"):
        portrait.rig.data.edit_bones.remove(portrait.rig.data.edit_bones[name])
    bpy.ops.object.mode_set(mode="OBJECT")
    portrait.rig.data.bones["jaw_01"].name = "ear"
    library = str(tmp_path / "broken.blend")
    bpy.data.libraries.write(library, {portrait.rig, portrait.plane}, fake_user=True)
    names = [portrait.rig.name, portrait.plane.name]
    linked = bring(library, link=True, objects=names).objects
    for item in linked:
        scene.collection.objects.link(item)
    rig = next(item for item in linked if item.type == "ARMATURE")
    portrait.rig = rig.override_hierarchy_create(scene, bpy.context.view_layer)
    for run in (bpy.ops.portrait.rebuild, bpy.ops.portrait.render):
        with pytest.raises(RuntimeError) as caught:
            run()
        assert "Traceback" not in str(caught.value)
        problem = problems.last(portrait.uid)
        assert problem.remedy and ("linked" in problem.message or "lacks" in problem.message)


def test_a_linked_scene_renders_without_harm(needs_server: None, library: str) -> None:
    (scene,) = bring(library, link=True, scenes=["Scene"]).scenes
    made = scene.talking_portraits.active
    portrait_copies.separate()
    job = RenderJob(made.uid, plan(), frames=[4, 5])
    job_queue.run(job)
    assert job.state is JobState.DONE or job.error.remedy, "it renders, or says why not"
    bpy.ops.wm.save_mainfile()


# Undo, redo, save and load, at any moment


def test_undo_of_add_ends_the_search_and_redo_brings_it_back(needs_server: None, scene: Any, photo_file: Path) -> None:
    bpy.ops.ed.undo_push(message="empty")
    bpy.ops.portrait.add(filepath=str(photo_file), without_waiting=True)
    bpy.ops.ed.undo_push(message="added")
    job = job_queue.current()
    bpy.ops.ed.undo()
    assert not bpy.context.scene.talking_portraits.items
    drive(job)
    assert job.state in (JobState.CANCELLED, JobState.FAILED) and job_queue.current() is None
    bpy.ops.ed.redo()
    assert bpy.context.scene.talking_portraits.active.plane is not None
    assert not bpy.ops.portrait.render.poll() and bpy.ops.portrait.find_face.poll()


def test_undo_and_redo_at_every_step_of_a_render(needs_server: None, pair: tuple[str, str], hold: Any) -> None:
    for step in range(3):
        of(pair[0]).plane.location.x = step
        bpy.ops.ed.undo_push(message=f"step {step}")
    job = RenderJob(pair[0], plan(), frames=range(1, 40))
    hold.at(0)
    job_queue.submit(job)
    undone = redone = 0
    steps = [
        lambda: True,  # it waits
        lambda: job.state is JobState.RUNNING,
        lambda: job.rendering,
        *(lambda frames=frames: len(job.stored) >= frames for frames in range(1, 9)),
    ]
    for number, reached in enumerate(steps):
        hold.at(max(0, number - 2))
        drive(job, until=reached)
        assert job.active, job.error
        if number % 2 == 0:
            bpy.ops.ed.undo()
            undone += 1
        elif bpy.ops.ed.redo.poll():
            bpy.ops.ed.redo()
            redone += 1
    hold.let_go()
    drive(job)
    assert undone == 6 and redone and job.state is JobState.DONE, job.error
    assert frames_in(of(pair[0]).folder()) == list(range(1, 40))
    assert problems.last(pair[0]) is None


def test_undo_long_after_a_render_comes_back_to_the_photo(needs_server: None, acting: Any) -> None:
    """Undo frees what it was never told of; a plane must not go on pointing at it."""
    uid = acting.uid
    for place in (1, 2, 3):
        of(uid).plane.location.x = place
        bpy.ops.ed.undo_push(message="move")
    job = RenderJob(uid, plan())
    job_queue.submit(job)
    drive(job)
    assert image_plane.texture_node(of(uid).plane).image.source == "SEQUENCE"
    for place in (3, 2, 1):
        while of(uid).plane.location.x != place or image_plane.texture_node(of(uid).plane).image.source != "FILE":
            bpy.ops.ed.undo()
        assert image_plane.texture_node(of(uid).plane).image == of(uid).photo
    while bpy.ops.ed.redo.poll():
        bpy.ops.ed.redo()
    assert image_plane.texture_node(of(uid).plane).image.source == "SEQUENCE" and of(uid).plane.location.x == 3


def test_undo_takes_back_a_removal(needs_server: None, pair: tuple[str, str]) -> None:
    bpy.ops.ed.undo_push(message="two")
    bpy.context.scene.talking_portraits.active_index = 0
    select()
    bpy.ops.portrait.remove()
    bpy.ops.ed.undo_push(message="one")
    assert len(bpy.context.scene.talking_portraits.items) == 1
    bpy.ops.ed.undo()
    job = RenderJob(pair[0], plan())
    job_queue.run(job)
    assert job.state is JobState.DONE


def test_loading_a_file_leaves_no_job_and_no_preview(
    needs_server: None, pair: tuple[str, str], hold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "_ABANDON_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    hold.at(1)
    bpy.ops.wm.save_mainfile()
    blend = bpy.data.filepath
    jobs = [RenderJob(uid, plan(), frames=range(1, 300)) for uid in pair]
    for job in jobs:
        job_queue.submit(job)
    live_preview.start(pair[1], plan())
    drive(*jobs, until=lambda: bool(jobs[0].stored))
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert [job.state for job in jobs] == [JobState.CANCELLED, JobState.CANCELLED]
    assert job_queue.current() is None and live_preview.of(pair[1]) is None
    assert not jobs[0]._worker.is_alive(), "its thread has ended"
    hold.let_go()
    kept = frames_in(of(pair[0]).folder())
    again = RenderJob(pair[0], plan(), frames=range(1, len(kept) + 3))
    job_queue.run(again)
    assert again.state is JobState.DONE, "and it goes on from there"


def test_saving_elsewhere_meanwhile_loses_nothing(needs_server: None, acting: Any, tmp_path: Path, hold: Any) -> None:
    acting.use_strip = True
    hold.at(4)
    job = RenderJob(acting.uid, plan(), frames=range(1, 60))
    folder = acting.folder()
    job_queue.submit(job)
    drive(job, until=lambda: len(job.stored) > 3)
    (tmp_path / "deep").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "deep" / "moved.blend"))
    hold.let_go()
    drive(job)
    assert job.state is JobState.DONE and frames_in(folder) == list(range(1, 60))
    strip = sequencer.find_strip(bpy.context.scene, job.uid)
    assert Path(bpy.path.abspath(strip.directory)).resolve() == folder


def test_more_jobs_than_are_kept_all_run(needs_server: None, pair: tuple[str, str]) -> None:
    jobs = [RenderJob(pair[number % 2], plan(), frames=[number + 1]) for number in range(12)]
    for job in jobs:
        job_queue.submit(job)
    assert len(job_queue.waiting()) == 12, "a job that is forgotten would go on with nobody to end it"
    drive(*jobs)
    assert {job.state for job in jobs} == {JobState.DONE}


def test_a_save_that_worked_takes_its_problem_away(scene: Any, photo_file: Path, face: np.ndarray) -> None:
    portrait = second(photo_file, face)
    with pytest.raises(RuntimeError):
        bpy.ops.portrait.render()
    assert problems.last(portrait.uid).fix is Fix.SAVE
    bpy.ops.wm.save_as_mainfile(filepath=str(photo_file.parents[1] / "now.blend"))
    assert problems.last(portrait.uid) is None


def test_a_collection_from_another_file(portrait: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Appended, it becomes a portrait; linked, it is told what to do first, and then does too."""
    collection = bpy.data.collections.new("Anna")
    bpy.context.scene.collection.children.link(collection)
    for item in (portrait.plane, portrait.rig):
        collection.objects.link(item)
        bpy.context.scene.collection.objects.unlink(item)
    bpy.ops.wm.save_mainfile()
    folder, picture = f"{bpy.data.filepath}/Collection/", Path(bpy.path.abspath(portrait.photo.filepath))
    for link in (False, True):
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path_factory.mktemp("other") / "scene.blend"))
        if link:
            bpy.ops.wm.link(filepath=f"{folder}Anna", directory=folder, filename="Anna")
            assert bpy.context.active_object.type == "EMPTY"
            with pytest.raises(RuntimeError, match="Library Override > Make"):
                bpy.ops.portrait.adopt()
            bpy.ops.object.make_override_library()
        else:
            bpy.ops.wm.append(filepath=f"{folder}Anna", directory=folder, filename="Anna")
        rigs = [item for item in bpy.context.scene.objects if item.type == "ARMATURE"]
        bpy.context.view_layer.objects.active = rigs[0]
        assert bpy.ops.portrait.adopt() == {"FINISHED"}
        made = bpy.context.scene.talking_portraits.active
        assert (made.rig, made.plane) == (rigs[0], rigs[0].parent) and made.rig.library is None
        path = bpy.path.abspath(made.photo.filepath, library=made.photo.library)
        assert Path(path).resolve() == picture.resolve()
