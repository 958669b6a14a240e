# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits of filmed shots: the rig rides and changes nothing at rest, the plane and the strips show shot and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.landmarks import GROUPS, NAMES
from portrait_shared.shots import SHOT_ARRAY, identify_shot
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.plane import image_plane  # noqa: E402
from blender_addon.portraits import portrait_parts, sequencer, shot_parts, shot_strips  # noqa: E402
from blender_addon.render import frame_states  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402
from blender_addon.render.ray_render_job import render_job  # noqa: E402
from blender_addon.rig.replaced_sliders import BLINKS  # noqa: E402
from blender_addon.rig.sampling import sample_rows  # noqa: E402
from blender_addon.shots import source  # noqa: E402
from tests.blender.conftest import HEIGHT, WIDTH, face_points, write_png  # noqa: E402
from tests.blender.test_frame_states import all_in, settle  # noqa: E402
from tests.blender.test_image_plane import render  # noqa: E402
from tests.blender.test_retimed_strips import keys, retime  # noqa: E402
from tests.posing import blinking, turned  # noqa: E402

COUNT, START, NUMBER = 12, 5, 101
FRAMES = range(START, START + COUNT)
BLINK, UNSEEN = 6, 9
SETTINGS = {"engine": "", "matte": False, "resolution_percentage": 100}


def grey_of(index: int) -> int:
    return 30 + 15 * index


def filmed_points() -> np.ndarray:
    """A head that sways and comes nearer, with one blink."""
    rest = face_points()
    frames = [turned(rest, 4 * np.sin(index / 2), 0, 3 * index) * (1 + 0.01 * index) for index in range(COUNT)]
    frames[0] = rest
    frames[BLINK] = blinking(frames[BLINK])
    return np.array(frames, np.float32)


@pytest.fixture
def shot_folder(tmp_path: Path, scene: Any) -> Path:
    """A sequence of pictures, each of one grey of its own."""
    for index in range(COUNT):
        picture = np.full((HEIGHT, WIDTH, 3), grey_of(index), np.uint8)
        write_png(tmp_path / "shot" / f"sc010.{NUMBER + index:04d}.png", picture)
    return tmp_path / "shot"


@pytest.fixture
def filmed(shot_folder: Path, tmp_path: Path) -> Any:
    """A portrait of that sequence in a saved .blend, as the command would have found its points."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene = bpy.context.scene
    meant = source.of_file(str(shot_folder / "sc010.0103.png"), START)
    first = shot_folder / "sc010.0101.png"
    made = portrait_parts.add(scene, str(first))
    made.shot.path, made.shot.start, made.shot.count, made.shot.fps = str(meant.path), START, COUNT, 25.0
    shot_parts.relocate(made, meant)
    detected = np.ones(COUNT, bool)
    detected[UNSEEN] = False
    extra = {"detected": detected, SHOT_ARRAY: identify_shot(meant.path).as_array()}
    points = tmp_path / "portrait_points" / "shot.npz"
    points.parent.mkdir()
    LandmarkTrack(filmed_points(), (WIDTH, HEIGHT), 25.0, NUMBER, extra=extra).save(points)
    shot_parts.take_points(bpy.context, scene, made, "//portrait_points/shot.npz", 0, first, filmed_points()[0])
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    return made


def targets(portrait: Any) -> np.ndarray:
    rows = dict(sample_rows(bpy.context.scene, portrait.rig, portrait.space, FRAMES))
    return shot_parts.points_of(portrait).targets(range(COUNT), [rows[frame] for frame in FRAMES])


def key_jaw(portrait: Any, values: dict[int, float]) -> None:
    bone = portrait.rig.pose.bones["jaw_09"]
    for frame, value in values.items():
        bone.location = (0, -value, 0)
        bone.keyframe_insert("location", frame=frame)
    bone.location = (0, 0, 0)
    bpy.context.view_layer.update()


def changed_frames(portrait: Any) -> list[int]:
    found = shot_parts.points_of(portrait)
    return [frame for frame, is_changed in zip(FRAMES, found.changed(range(COUNT), targets(portrait)), strict=True)
            if is_changed]  # fmt: skip


def test_at_rest_the_points_are_those_found_in_the_shot_to_the_bit(filmed: Any) -> None:
    assert targets(filmed).tobytes() == filmed_points().tobytes()


def test_the_rig_rides_on_the_filmed_head(filmed: Any) -> None:
    scene, steady = bpy.context.scene, [*GROUPS["nose_bridge"], 36, 39, 42, 45]
    for index, frame in enumerate(FRAMES):
        scene.frame_set(frame)
        rig = filmed.rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        seen = np.array([filmed.plane.matrix_world.inverted() @ rig.matrix_world @ rig.pose.bones[name].head
                         for name in NAMES])  # fmt: skip
        pixels = filmed.space.to_pixels(seen)
        np.testing.assert_allclose(pixels[steady], filmed_points()[index, steady], atol=0.05)


def test_a_key_changes_the_frames_around_it_and_no_other(filmed: Any) -> None:
    key_jaw(filmed, {7: 0.0, 9: 0.05, 11: 0.0})
    assert changed_frames(filmed) == [8, 9, 10]
    moved = targets(filmed) != filmed_points()
    assert sorted(set(np.nonzero(moved.any(2))[1])) == [8], "the chin alone"


def test_a_replaced_mouth_is_keyed_and_sampled(filmed: Any) -> None:
    filmed.rig["mouth_replaced"] = 1.0
    filmed.rig.keyframe_insert('["mouth_replaced"]', frame=8)
    filmed.rig["mouth_replaced"] = 0.0
    filmed.rig.keyframe_insert('["mouth_replaced"]', frame=7)
    rows = dict(sample_rows(bpy.context.scene, filmed.rig, filmed.space, (7, 8)))
    assert rows[7].replaced[0] == 0 and rows[8].replaced[0] == 1


def test_a_blink_is_taken_out_by_one_click(filmed: Any) -> None:
    bpy.context.scene.frame_set(START + BLINK)
    assert bpy.ops.portrait.take_out_blink() == {"FINISHED"}
    poses = shot_parts.points_of(filmed).performance.poses
    lids = poses.undo(targets(filmed))[BLINK, [37, 38, 40, 41, 43, 44, 46, 47]]
    np.testing.assert_allclose(lids, face_points()[[37, 38, 40, 41, 43, 44, 46, 47]], atol=0.1)
    curve = next(curve for curve in compat.fcurves_of(filmed.rig) if BLINKS in curve.data_path)
    assert curve.evaluate(START) == 0 and curve.evaluate(START + COUNT) == 0
    bpy.context.scene.frame_set(START + 1)
    with pytest.raises(RuntimeError, match="No blink was filmed at frame 6"):
        bpy.ops.portrait.take_out_blink()


def test_a_frame_without_a_face_stays_as_filmed(filmed: Any) -> None:
    key_jaw(filmed, {START: 0.05})
    assert changed_frames(filmed) == [frame for frame in FRAMES if frame != START + UNSEEN]
    assert "No face was found in 1 of 12 frames" in shot_parts.points_of(filmed).notes()[0]


def test_states_tell_changed_frames_from_those_as_filmed(filmed: Any) -> None:
    key_jaw(filmed, {7: 0.0, 9: 0.05, 11: 0.0})
    states = settle(filmed, lambda states: FrameState.CHECKING not in states.values())
    assert [frame for frame, state in states.items() if state is FrameState.MISSING] == [8, 9, 10]
    assert frame_states.line(filmed.uid) == "3 missing, 9 as filmed"


def test_only_the_shots_own_frames_are_rendered(filmed: Any) -> None:
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 10
    assert filmed.frames(bpy.context.scene) == range(START, 11)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 60, 70
    with pytest.raises(PortraitError, match="lies at frames 5 to 16"):
        filmed.frames(bpy.context.scene)


@pytest.mark.parametrize("drawn", [[], [7, 8, 11]])
def test_the_plane_shows_drawn_frames_and_the_shot_elsewhere(filmed: Any, tmp_path: Path, drawn: list[int]) -> None:
    scene = bpy.context.scene
    image_plane.use_own_colors(scene)
    for number in drawn:
        write_png(frame_path(tmp_path / "drawn", number), np.full((HEIGHT, WIDTH, 3), 250, np.uint8))
    if drawn:
        image_plane.show_frames(filmed.plane, tmp_path / "drawn", drawn)
    for frame in (1, START, 7, 8, 9, 11, 12, FRAMES[-1], FRAMES[-1] + 4):
        index = min(max(frame - START, 0), COUNT - 1)
        wanted = 250 if frame in drawn else grey_of(index)
        grey = int(render(scene, filmed.plane, (WIDTH, HEIGHT), tmp_path, frame)[HEIGHT // 2, WIDTH // 2, 0])
        assert abs(grey - wanted) <= 2, f"frame {frame}"


def test_solid_viewports_show_what_the_plane_shows_at_once(filmed: Any, tmp_path: Path) -> None:
    nodes = image_plane.texture_node(filmed.plane).id_data.nodes
    bpy.context.scene.frame_set(7)
    assert nodes.active.name == "Portrait shot"
    write_png(frame_path(tmp_path / "drawn", 7), np.full((HEIGHT, WIDTH, 3), 250, np.uint8))
    image_plane.show_frames(filmed.plane, tmp_path / "drawn", [7])
    assert nodes.active.name == image_plane.TEXTURE_NODE
    image_plane.show_photo(filmed.plane, filmed.photo)
    assert nodes.active.name == "Portrait shot"


def test_the_shot_comes_back_behind_the_preview(filmed: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    image_plane.use_own_colors(scene)
    image_plane.show_preview(filmed.plane, filmed.uid, np.full((HEIGHT, WIDTH, 4), 1, np.float32))
    assert render(scene, filmed.plane, (WIDTH, HEIGHT), tmp_path, 8)[HEIGHT // 2, WIDTH // 2, 0] >= 253
    image_plane.end_preview(filmed.plane, filmed.photo)
    grey = int(render(scene, filmed.plane, (WIDTH, HEIGHT), tmp_path, 8)[HEIGHT // 2, WIDTH // 2, 0])
    assert abs(grey - grey_of(8 - START)) <= 2


def strips_of(portrait: Any) -> list[tuple[int, int, int]]:
    """(first frame, last frame, channel) of each strip of drawn frames."""
    found = [(compat.strip_range(strip), strip.channel) for strip in sequencer.find_strips(portrait.uid)]
    return sorted((place.start, place.stop - 1, channel) for place, channel in found)


def test_a_strip_for_each_stretch_lies_above_the_shot(filmed: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene

    def update(numbers: list[int]) -> list[tuple[int, int]]:
        shot_strips.update(scene, filmed, tmp_path / "drawn", numbers, SETTINGS, (WIDTH, HEIGHT))
        shot = shot_strips.shot_strip(scene, filmed)
        assert compat.strip_range(shot) == FRAMES
        assert all(channel > shot.channel for *_, channel in strips_of(filmed))
        return [(first, last) for first, last, _ in strips_of(filmed)]

    assert update([]) == []
    assert update([6, 7, 10]) == [(6, 7), (10, 10)]
    assert update([6, 7, 8, 10, 13, 14]) == [(6, 8), (10, 10), (13, 14)]
    assert update([6, 7, 8, 9, 10]) == [(6, 10)]
    assert update([14]) == [(14, 14)]
    assert len(compat.strips_of(scene.sequence_editor)) == 2
    sequencer.remove_strips(filmed.uid)
    assert len(compat.strips_of(scene.sequence_editor)) == 0


def test_the_sequencer_shows_drawn_frames_and_the_shot_elsewhere_in_any_size(filmed: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    image_plane.use_own_colors(scene)
    write_png(frame_path(tmp_path / "drawn", 7), np.full((HEIGHT, WIDTH, 3), 250, np.uint8))
    shot_strips.update(scene, filmed, tmp_path / "drawn", [7], SETTINGS, (WIDTH, HEIGHT))
    scene.render.resolution_x, scene.render.resolution_y = WIDTH // 2, HEIGHT // 2
    sequencer.fit_strips(filmed.uid)
    for frame in (6, 7, 8):
        wanted = 250 if frame == 7 else grey_of(frame - START)
        picture = render(scene, filmed.plane, (WIDTH // 2, HEIGHT // 2), tmp_path, frame)
        assert np.abs(picture[..., :3].astype(int) - wanted).max() <= 2, f"frame {frame}"


def test_a_shot_strip_that_is_there_is_not_added_again(filmed: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strip = compat.strips_of(editor).new_image("plate", str(tmp_path / "shot" / "sc010.0101.png"), 3, START)
    for index in range(1, COUNT):
        strip.elements.append(f"sc010.{NUMBER + index:04d}.png")
    shot_strips.update(scene, filmed, tmp_path / "drawn", [6], SETTINGS, (WIDTH, HEIGHT))
    assert shot_strips.shot_strip(scene, filmed) == strip
    assert strips_of(filmed) == [(6, 6, 4)]
    strip.elements[0].filename = "other.0101.png"
    assert shot_strips.shot_strip(scene, filmed) != strip, "another sequence of the same folder"


@pytest.mark.parametrize("own", [False, True])
def test_drawn_frames_lie_over_the_shot_wherever_it_was_moved(filmed: Any, tmp_path: Path, own: bool) -> None:
    """Also over a strip that was there before, and in a meta; trimmed, it is seen where the shot is."""
    scene, first = bpy.context.scene, START

    def update(*numbers: int) -> list[tuple[int, int]]:
        shot_strips.update(scene, filmed, tmp_path / "drawn", numbers, SETTINGS, (WIDTH, HEIGHT))
        shots = [strip for strip, _ in sequencer.all_strips(scene) if sequencer.PORTRAIT_KEY not in strip]
        assert [strip.type for strip in shots if strip.type != "META"] == ["IMAGE"], "none is added to it"
        assert all(channel > shots[-1].channel for *_, channel in strips_of(filmed))
        return [(start, last) for start, last, _ in strips_of(filmed)]

    if own:
        strips = compat.strips_of(scene.sequence_editor_create())
        strip = strips.new_image("plate", str(tmp_path / "shot" / "sc010.0101.png"), 3, START)
        for index in range(1, COUNT):
            strip.elements.append(f"sc010.{NUMBER + index:04d}.png")
    assert update(first + 1) == [(first + 1, first + 1)]
    shot = shot_strips.shot_strip(scene, filmed)
    (drawn,) = sequencer.find_strips(filmed.uid)
    for strip in (shot, drawn):
        compat.set_strip_start(strip, compat.strip_start(strip) + 100)
    assert update(first + 1, first + 2, first + 5) == [(first + 101, first + 102), (first + 105, first + 105)]
    compat.set_handle_offsets(shot, 2, 2)
    assert update(*FRAMES) == [(first + 102, FRAMES[-1] + 98)], "trimmed, it shows those that are seen"
    compat.set_handle_offsets(shot, 0, 0)
    assert update(*FRAMES) == [(first + 100, FRAMES[-1] + 100)], "and all when it is whole again"
    meta = compat.strips_of(scene.sequence_editor).new_meta("meta", 9, 1)
    for strip in (shot_strips.shot_strip(scene, filmed), *sequencer.find_strips(filmed.uid)):
        strip.move_to_meta(meta)
    assert update() == []
    assert update(first + 3) == [(first + 103, first + 103)]
    assert [strip.type for strip in compat.strips_of(scene.sequence_editor)] == ["META"]


def test_a_shot_cut_in_two_shows_drawn_frames_in_both(filmed: Any, tmp_path: Path) -> None:
    scene, drawn = bpy.context.scene, range(START + 2, START + 7)
    shot_strips.update(scene, filmed, tmp_path / "drawn", [], SETTINGS, (WIDTH, HEIGHT))
    right = shot_strips.shot_strip(scene, filmed).split(frame=START + 4, split_method="SOFT")
    compat.set_strip_start(right, compat.strip_start(right) + 50)
    shot_strips.update(scene, filmed, tmp_path / "drawn", drawn, SETTINGS, (WIDTH, HEIGHT))
    places = [(first, last) for first, last, _ in strips_of(filmed)]
    assert places == [(START + 2, START + 3), (START + 54, START + 56)]
    names = [strip.elements[0].filename for strip in sequencer.find_strips(filmed.uid)]
    assert sorted(names) == [f"{START + 2:04d}.png", f"{START + 4:04d}.png"]


def test_nothing_is_put_over_a_shot_that_was_retimed(filmed: Any, tmp_path: Path) -> None:
    """There it would be seen at other frames than those that it was drawn of."""
    scene = bpy.context.scene
    shot_strips.update(scene, filmed, tmp_path / "drawn", [START + 1], SETTINGS, (WIDTH, HEIGHT))
    retime(scene, shot_strips.shot_strip(scene, filmed), START + 5)
    before = [*strips_of(filmed), keys(shot_strips.shot_strip(scene, filmed))]
    with pytest.raises(PortraitError, match="was retimed"):
        shot_strips.update(scene, filmed, tmp_path / "drawn", [START + 1, START + 8], SETTINGS, (WIDTH, HEIGHT))
    assert [*strips_of(filmed), keys(shot_strips.shot_strip(scene, filmed))] == before


def test_a_strip_says_which_shot_it_plays(filmed: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    strips = compat.strips_of(scene.sequence_editor_create())
    strip = strips.new_image("plate", str(tmp_path / "shot" / "sc010.0104.png"), 1, 50)
    meant = source.of_strip(scene, strip)
    assert (meant.start, meant.number, meant.first.name) == (47, NUMBER, "sc010.0101.png")
    assert meant.name == "sc010"


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_what_is_no_shot_is_refused(scene: Any, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SceneError):
        source.of_file(str(tmp_path / f"missing{suffix}"), 1)


def test_a_gap_in_a_sequence_is_refused_by_its_number(filmed: Any, shot_folder: Path) -> None:
    (shot_folder / "sc010.0105.png").unlink()
    with pytest.raises(PortraitError, match="105") as caught:
        source.of_file(str(shot_folder / "sc010.0101.png"), 1)
    assert caught.value.code is ErrorCode.FILE_MISSING


def test_a_shot_that_was_moved_is_missed_and_found_again(filmed: Any, shot_folder: Path) -> None:
    moved = shot_folder.rename(shot_folder.with_name("elsewhere"))
    with pytest.raises(SceneError) as caught:
        shot_parts.check_there(filmed)
    assert caught.value.fix is Fix.RELOCATE_SHOT
    assert bpy.ops.portrait.relocate_shot(filepath=str(moved / "sc010.0101.png")) == {"FINISHED"}
    shot_parts.check_there(filmed)


def test_lost_points_are_told_with_their_remedy(filmed: Any, tmp_path: Path) -> None:
    filmed.shot.points_path.unlink()
    with pytest.raises(SceneError) as caught:
        shot_parts.points_of(filmed)
    assert caught.value.fix is Fix.FIND_POINTS and caught.value.code is ErrorCode.FILE_MISSING


def test_points_of_another_length_than_the_shot_are_refused(filmed: Any) -> None:
    filmed.shot.count = COUNT + 3
    with pytest.raises(SceneError, match="points for 12 frames, and the shot 15"):
        shot_parts.points_of(filmed)


def test_it_goes_with_the_file(filmed: Any, tmp_path: Path) -> None:
    key_jaw(filmed, {7: 0.0, 9: 0.05, 11: 0.0})
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    again = bpy.context.scene.talking_portraits.active
    assert again.shot.path == "//shot/sc010.####.png"
    assert changed_frames(again) == [8, 9, 10]


def test_points_of_a_file_that_was_never_saved_are_laid_beside_it(
    filmed: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = Path(bpy.app.tempdir) / "portrait_points" / "unsaved.npz"
    session.parent.mkdir(parents=True, exist_ok=True)
    session.write_bytes(filmed.shot.points_path.read_bytes())
    filmed.shot.points_file = str(session)
    folder = tmp_path_factory.mktemp("project")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    assert filmed.shot.points_file == "//portrait_points/unsaved.npz"
    assert (folder / "portrait_points" / "unsaved.npz").read_bytes() == session.read_bytes()
    assert filmed.shot.file.parent == tmp_path / "shot"


def test_all_of_it_goes_when_the_portrait_is_removed(filmed: Any) -> None:
    portrait_parts.remove(bpy.context.scene, filmed.uid)
    assert not list(bpy.context.scene.objects)


@pytest.mark.parametrize("lost", ["rig", "ride", "material"])
def test_what_was_deleted_is_rebuilt(filmed: Any, lost: str) -> None:
    scene = bpy.context.scene
    key_jaw(filmed, {7: 0.0, 9: 0.05, 11: 0.0})
    if lost == "material":
        filmed.plane.data.materials.clear()
    else:
        scene.collection.objects.unlink(filmed.rig if lost == "rig" else filmed.shot.ride)
    assert bpy.ops.portrait.rebuild() == {"FINISHED"}
    assert filmed.rig.parent == filmed.shot.ride and filmed.shot.ride.parent == filmed.plane
    assert changed_frames(filmed) == [8, 9, 10]
    assert image_plane.texture_node(filmed.plane).id_data.nodes.get("Portrait shot") is not None


def test_undo_takes_a_blink_back(filmed: Any) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.context.scene.frame_set(START + BLINK)
    bpy.ops.portrait.take_out_blink()
    bpy.ops.ed.undo_push(message="blink")
    bpy.ops.ed.undo()
    again = bpy.context.scene.talking_portraits.active
    assert targets(again).tobytes() == filmed_points().tobytes()


def test_frames_of_a_shot_have_layers_also_as_filmed(filmed: Any, needs_server: None) -> None:
    filmed.file_format = "EXR"
    bone = filmed.rig.pose.bones["jaw_09"]
    for frame, depth in ((FRAMES[0], 0.0), (FRAMES[3], 0.0), (FRAMES[4], -0.1), (FRAMES[5], 0.0)):
        bone.location = (0, depth, 0)
        bone.keyframe_insert("location", frame=frame)
    job = render_job(filmed.uid, server.launch_plan(bpy.context))
    job_queue.run(job)
    assert job.state is JobState.DONE, job.error
    assert sorted(job.stored) == list(FRAMES)
    assert {path.suffix for path in job.stored.values()} == {".exr"}
    settle(filmed, all_in(FrameState.DONE))
    again = render_job(filmed.uid, server.launch_plan(bpy.context))
    job_queue.run(again)
    assert again.state is JobState.DONE and again.drawn == 0
    assert image_plane.texture_node(filmed.plane).image.filepath.endswith(".exr")


def test_pictures_of_changed_frames_alone_are_not_composited(filmed: Any) -> None:
    with pytest.raises(RuntimeError, match="as filmed have no files"):
        bpy.ops.portrait.add_nodes()
    assert not bpy.ops.portrait.cut_out_over.poll()
