# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured controls as keys on the rig, what must not be touched, and the strips of the sequencer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import PortraitError
from portrait_shared.landmarks import NAMES
from portrait_shared.track import LandmarkTrack

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat, problems, scene_time  # noqa: E402
from blender_addon.capture import cleaning, jobs, keying, media_parts  # noqa: E402
from blender_addon.capture.speech_shapes import Speech  # noqa: E402
from blender_addon.capture.takes import Take, VideoOptions  # noqa: E402
from blender_addon.capture.timing import Placement  # noqa: E402
from blender_addon.connection.server import Launch  # noqa: E402
from blender_addon.curves import rig_curves  # noqa: E402
from blender_addon.curves.reduce import evaluate, reduce  # noqa: E402
from blender_addon.importers.track import import_track  # noqa: E402
from blender_addon.interface.operators.capture_settings import VideoSettings, begin_at_current_frame  # noqa: E402
from blender_addon.interface.panels import capture_panel, messages  # noqa: E402
from blender_addon.rig.armature import rest_points  # noqa: E402
from blender_addon.rig.blendshapes import combine  # noqa: E402
from tests.blender.conftest import ROOT  # noqa: E402
from tests.blender.rig_tracks import sample  # noqa: E402
from tests.blender.test_capture_maths import a_blink  # noqa: E402
from tests.blender.test_panels import CheckedLayout  # noqa: E402

FRAMES = np.arange(10, 40)


def performed(**more: Any) -> Take:
    t = (FRAMES - 10) / 30
    values: dict[str, Any] = {
        "weights": {"jawOpen": 0.5 - 0.5 * np.cos(6 * t), "eyeBlinkLeft": np.exp(-(((FRAMES - 25) / 1.5) ** 2))},
        "owned": ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight"),
        "angles": np.column_stack((0.1 * t, 0.3 * np.sin(4 * t), 0 * t)),
        "moves": np.column_stack((3 * t, -2 * t, 0 * t)),
        "offsets": np.zeros((len(FRAMES), 70, 3)),
    }
    values["offsets"][:, 51] = np.column_stack((0 * t, 4 * np.sin(5 * t), 0 * t))
    return Take(FRAMES, **(values | more))


def key(portrait: Any, controls: Take | None = None, tolerance: float = 0.5) -> keying.Report:
    return keying.key_take(
        bpy.context.scene, portrait.rig, portrait.space, controls or performed(), tolerance, "captured"
    )


def curve(portrait: Any, path: str, index: int = 0) -> Any:
    return next(c for c in compat.fcurves_of(portrait.rig) if (c.data_path, c.array_index) == (path, index))


def test_keys_give_what_was_captured(portrait: Any) -> None:
    controls, rest = performed(), rest_points(portrait.rig, portrait.space).astype(float)
    report = key(portrait, controls, 0.05)
    still = key(portrait, Take(FRAMES, controls.weights, controls.owned, offsets=controls.offsets), 0.05)
    assert still.error < 0.05 and report.frames == (10, 39)
    portrait.rig.pose.bones["head"].rotation_euler = (0, 0, 0)
    for fcurve in [c for c in compat.fcurves_of(portrait.rig) if '"head"' in c.data_path]:
        fcurve.mute = True
    portrait.rig.pose.bones["head"].location = (0, 0, 0)
    got = sample(bpy.context.scene, portrait.rig, portrait.space, [int(frame) for frame in FRAMES]).points
    for row in range(len(FRAMES)):
        weights = {name: float(values[row]) for name, values in controls.weights.items()}
        wanted = rest + combine(rest, weights) + controls.offsets[row]
        assert np.abs(got[row] - wanted)[:, :2].max() < 0.25


def test_the_head_turns_as_captured(portrait: Any) -> None:
    key(portrait, tolerance=0.02)
    head = portrait.rig.pose.bones["head"]
    for frame in (10, 20, 39):
        bpy.context.scene.frame_set(frame)
        np.testing.assert_allclose(head.rotation_euler, performed().angles[frame - 10], atol=2e-3)


def test_blender_evaluates_the_keys_as_we_do(portrait: Any) -> None:
    frames = np.arange(1, 80)
    values = np.sin(frames / 6.0) + (frames > 40) * np.cos(frames / 3.0)
    keys = reduce(frames, values, 0.02, np.array([50]))
    path = rig_curves.bone_path("jaw_09", "location")
    rig_curves.replace_range(
        portrait.rig, "test", [rig_curves.Curve(path, 1, "jaw_09", keys)], lambda path: False, 1, 79
    )
    made = curve(portrait, path, 1)
    asked = np.arange(1, 79, 0.25)
    np.testing.assert_allclose([made.evaluate(frame) for frame in asked], evaluate(keys, asked), atol=1e-4)
    assert np.abs(np.array([made.evaluate(frame) for frame in frames]) - values).max() < 0.021
    kinds = [point.interpolation for point in made.keyframe_points]
    assert set(kinds[1:-2]) == {"BEZIER"}, "all but the keys that hold the frames before and after"


def dense_range(fcurve: Any) -> tuple[float, float]:
    """The lowest and the highest value of a curve, between its frames too."""
    first, last = (fcurve.keyframe_points[index].co[0] for index in (0, -1))
    values = [fcurve.evaluate(frame) for frame in np.arange(first - 2, last + 2, 0.05)]
    return min(values), max(values)


@pytest.mark.parametrize("tolerance", [0.2, 1.0])
def test_captured_sliders_stay_in_their_range_between_keys_too(portrait: Any, tolerance: float) -> None:
    """A lid that opened further than open, or shut further than shut, would have to be mended by hand."""
    blink = a_blink(len(FRAMES) + 20)[10:-10]
    jaw = np.clip(0.5 + 0.9 * np.sin(FRAMES / 2.5), 0, 1)
    key(portrait, performed(weights={"eyeBlinkLeft": blink, "jawOpen": jaw}), tolerance)
    for name, values in (("eyeBlinkLeft", blink), ("jawOpen", jaw)):
        made = curve(portrait, rig_curves.property_path(name))
        low, high = dense_range(made)
        assert low >= -1e-5 and high <= 1 + 1e-5, (name, low, high)
        assert high > 0.97 and np.abs([made.evaluate(f) for f in FRAMES] - values).max() < 0.09, "as captured"


def test_cleaned_sliders_stay_in_their_range(portrait: Any) -> None:
    rig, path = portrait.rig, rig_curves.property_path("eyeBlinkLeft")
    for frame, value in enumerate(a_blink(), 1):
        rig["eyeBlinkLeft"] = float(value)
        rig.keyframe_insert(path, frame=frame)
    cleaning.clean_keys(rig, portrait.space, 1.0)
    made = curve(portrait, path)
    low, high = dense_range(made)
    assert len(made.keyframe_points) < 30 and low >= -1e-5 and 0.97 < high <= 1 + 1e-5, (low, high)


def test_a_larger_tolerance_gives_fewer_keys_and_says_so(portrait: Any) -> None:
    exact, rough = key(portrait, tolerance=0.05), key(portrait, tolerance=3.0)
    assert rough.keys < 0.7 * exact.keys and rough.error > exact.error
    assert f"{rough.keys} keys" in rough.line


def test_the_action_of_before_is_kept_and_its_other_keys_go_on(portrait: Any) -> None:
    rig = portrait.rig
    rig["browInnerUp"] = 0.0
    for frame, value in ((5, 0.2), (20, 1.0), (60, 0.4)):
        rig["browInnerUp"] = value
        rig.keyframe_insert('["browInnerUp"]', frame=frame)
        rig["jawOpen"] = value
        rig.keyframe_insert('["jawOpen"]', frame=frame)
        rig["eyeBlinkRight"] = value
        rig.keyframe_insert('["eyeBlinkRight"]', frame=frame)
    before = rig.animation_data.action
    key(portrait)
    after = rig.animation_data.action
    assert after != before and before.use_fake_user and before.name in bpy.data.actions
    jaw = [tuple(point.co) for point in curve(portrait, '["jawOpen"]').keyframe_points]
    assert jaw[0] == (5.0, pytest.approx(0.2)) and jaw[-1] == (60.0, pytest.approx(0.4)) and len(jaw) > 3
    brow = curve(portrait, '["browInnerUp"]')
    assert [point.co[0] for point in brow.keyframe_points] == [5.0, 20.0, 60.0], "not captured, not touched"
    assert curve(portrait, '["eyeBlinkRight"]').evaluate(25) == pytest.approx(0.0), "captured: it stayed at rest"
    rig.animation_data.action = before
    if hasattr(before, "slots"):
        rig.animation_data.action_slot = before.slots[0]
    assert len(curve(portrait, '["jawOpen"]').keyframe_points) == 3


def test_a_second_capture_replaces_the_first(portrait: Any) -> None:
    key(portrait)
    first = {c.data_path for c in compat.fcurves_of(portrait.rig)}
    key(portrait, performed(offsets=np.zeros((30, 70, 3)), weights={}))
    left = {c.data_path for c in compat.fcurves_of(portrait.rig)}
    assert '["jawOpen"]' in first and '["jawOpen"]' not in left
    assert not any("outer_lip" in path for path in left)


def test_locked_channels_are_left_alone_and_named(portrait: Any) -> None:
    rig = portrait.rig
    rig["jawOpen"] = 0.7
    rig.keyframe_insert('["jawOpen"]', frame=20)
    curve(portrait, '["jawOpen"]').lock = True
    report = key(portrait)
    assert [tuple(p.co) for p in curve(portrait, '["jawOpen"]').keyframe_points] == [(20.0, pytest.approx(0.7))]
    assert any("locked" in note and "jawOpen" in note for note in report.notes)
    assert len(curve(portrait, '["eyeBlinkLeft"]').keyframe_points) > 3


def test_an_action_linked_from_another_file_is_copied(portrait: Any, tmp_path: Path) -> None:
    portrait.rig["jawOpen"] = 0.5
    portrait.rig.keyframe_insert('["jawOpen"]', frame=80)
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {portrait.rig.animation_data.action}, fake_user=True)
    slot = getattr(portrait.rig.animation_data, "action_slot", None)
    identifier = slot.identifier if slot is not None else ""
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.actions = source.actions
    linked = target.actions[0]
    portrait.rig.animation_data.action = linked
    if identifier:
        portrait.rig.animation_data.action_slot = linked.slots[identifier]
    with pytest.raises(PortraitError, match="linked"):
        cleaning.clean_keys(portrait.rig, portrait.space, 0.5)
    key(portrait)
    assert portrait.rig.animation_data.action.library is None and linked.library is not None
    assert curve(portrait, '["jawOpen"]').keyframe_points[-1].co[0] == 80.0


def test_a_linked_rig_is_refused(portrait: Any, tmp_path: Path) -> None:
    name = portrait.rig.name
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {portrait.rig, portrait.plane}, fake_user=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.objects = source.objects
    linked = next(item for item in target.objects if item.name == name)
    with pytest.raises(PortraitError, match="linked from") as caught:
        keying.key_checks.check_animation(linked)
    assert "override" in caught.value.remedy


def test_tweak_mode_is_refused(portrait: Any) -> None:
    key(portrait)
    animation_data = portrait.rig.animation_data
    action = animation_data.action
    strip = animation_data.nla_tracks.new().strips.new("take", 10, action)
    animation_data.action = None
    strip.select = True
    try:
        animation_data.use_tweak_mode = True
    except (AttributeError, RuntimeError):
        pytest.skip("this Blender enters tweak mode from its window alone")
    if not animation_data.use_tweak_mode:
        pytest.skip("this Blender enters tweak mode from its window alone")
    count = len(bpy.data.actions)
    with pytest.raises(PortraitError, match="tweaked"):
        key(portrait)
    assert len(bpy.data.actions) == count


def test_gaps_and_cuts_are_marked_once(portrait: Any) -> None:
    scene = bpy.context.scene
    scene.timeline_markers.new("mine", frame=15)
    keep = np.r_[0:10, 15:30]
    controls = performed()
    gappy = Take(
        FRAMES[keep], {n: v[keep] for n, v in controls.weights.items()}, controls.owned, np.array([10]),
        missing=((20, 24),), cuts=(32,),
    )  # fmt: skip
    key(portrait, gappy)
    key(portrait, gappy)
    marks = sorted((marker.frame, marker.name) for marker in scene.timeline_markers)
    assert [frame for frame, _ in marks] == [15, 20, 32] and "No face 20–24" in marks[1][1]
    assert not [p for p in curve(portrait, '["jawOpen"]').keyframe_points if 20 <= p.co[0] <= 24]
    key(portrait)
    assert [marker.name for marker in scene.timeline_markers] == ["mine"]


def test_a_stretched_or_stepped_scene_is_told(portrait: Any) -> None:
    scene = bpy.context.scene
    assert not key(portrait).notes
    scene.frame_step, scene.render.frame_map_old, scene.render.frame_map_new = 2, 100, 200
    notes = " ".join(key(portrait).notes)
    assert "time remapping 100 to 200" in notes and "every 2 frames" in notes
    scene.render.fps, scene.render.fps_base = 24, 1.001
    assert scene_time.scene_fps(scene) == pytest.approx(23.976, abs=1e-3)


def test_a_rig_without_face_controls_gets_them_on_its_points(portrait: Any) -> None:
    for fcurve in list(portrait.rig.animation_data.drivers) if portrait.rig.animation_data else []:
        portrait.rig.animation_data.drivers.remove(fcurve)
    for name in [name for name in portrait.rig.keys() if name[0] != "_"]:  # noqa: SIM118
        del portrait.rig[name]
    report = key(portrait, Take(FRAMES, performed().weights, ("jawOpen",)), 0.05)
    assert any("no face controls" in note for note in report.notes)
    rest = rest_points(portrait.rig, portrait.space).astype(float)
    frame = 10 + int(np.argmax(performed().weights["jawOpen"]))
    weights = {name: float(values[frame - 10]) for name, values in performed().weights.items()}
    bpy.context.scene.frame_set(frame)
    got = sample(bpy.context.scene, portrait.rig, portrait.space, [frame]).points[0]
    assert np.abs(got - rest - combine(rest, weights))[:, :2].max() < 0.2


def test_cleaning_a_dense_import(portrait: Any) -> None:
    rest = rest_points(portrait.rig, portrait.space).astype(float)
    rows = [
        rest + combine(rest, {"jawOpen": 0.5 - 0.5 * np.cos(t / 8), "eyeBlinkLeft": float(t in (20, 21))})
        for t in range(60)
    ]
    track = LandmarkTrack(np.stack(rows), tuple(portrait.size), 24.0)
    dense = import_track(portrait.rig, portrait.space, track)
    count = sum(len(c.keyframe_points) for c in compat.fcurves_of(portrait.rig))
    before = sample(bpy.context.scene, portrait.rig, portrait.space, list(range(1, 61))).points
    assert bpy.ops.portrait.clean_keys(tolerance=0.5) == {"FINISHED"}
    after = sample(bpy.context.scene, portrait.rig, portrait.space, list(range(1, 61))).points
    assert sum(len(c.keyframe_points) for c in compat.fcurves_of(portrait.rig)) < 0.35 * count
    face = np.linalg.norm(rest[0] - rest[16])
    assert np.abs(after - before).max() < 3 * 0.005 * face
    assert portrait.rig.animation_data.action != dense and dense.use_fake_user
    assert jobs.last_report(portrait.uid).keys < count, "the panel tells it"
    with pytest.raises(RuntimeError, match="fewer keys"):
        bpy.ops.portrait.clean_keys(tolerance=0.01)


def test_cleaning_without_keys_says_so(portrait: Any) -> None:
    if portrait.rig.animation_data is not None:
        portrait.rig.animation_data.action = None
    with pytest.raises(RuntimeError, match="has no keys"):
        bpy.ops.portrait.clean_keys()
    assert problems.last(portrait.uid).remedy


def csv(path: Path, without: tuple[str, ...] = ()) -> Path:
    names = [name for name in ("JawOpen", "EyeBlinkLeft", "HeadYaw", "HeadPitch", "HeadRoll") if name not in without]
    rows = ["Timecode,BlendShapeCount," + ",".join(names)]
    for i in range(60):
        values = {
            "JawOpen": i / 60,
            "EyeBlinkLeft": float(20 <= i < 26),
            "HeadYaw": 0.4,
            "HeadPitch": 0.1,
            "HeadRoll": 0,
        }
        rows.append(f"10:00:{i // 30:02d}:{i % 30:02d}.000,61," + ",".join(str(values[name]) for name in names))
    path.write_text("\n".join(rows))
    return path


def test_a_face_recording_is_keyed_at_the_scenes_rate(portrait: Any, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    path = csv(tmp_path / "take.csv")
    assert bpy.ops.portrait.import_live_link(filepath=str(path), first_frame=101) == {"FINISHED"}
    scene.frame_set(101 + 24)
    assert portrait.rig["jawOpen"] == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(portrait.rig.pose.bones["head"].rotation_euler, (0.1, 0.4, 0.0), atol=1e-3)
    scene.frame_set(101 + round(23 / 30 * 24))
    assert portrait.rig["eyeBlinkLeft"] > 0.9
    report = jobs.last_report(portrait.uid)
    assert report.frames == (101, 101 + int(59 / 30 * 24)) and any("columns" in note for note in report.notes)
    # The person's left eye is at the picture's right.
    points = sample(scene, portrait.rig, portrait.space, [scene.frame_current]).points[0]
    assert points[47, 1] - points[43, 1] < 0.2 * (points[41, 1] - points[37, 1])


def test_recordings_that_are_none_change_nothing(portrait: Any, tmp_path: Path) -> None:
    count = len(bpy.data.actions)
    (tmp_path / "bad.csv").write_text("hello")
    for path, said in ((tmp_path / "bad.csv", "Timecode"), (tmp_path / "absent.csv", "no file")):
        with pytest.raises(RuntimeError, match=said):
            bpy.ops.portrait.import_live_link(filepath=str(path))
    assert len(bpy.data.actions) == count and problems.last(portrait.uid) is not None


def test_what_cannot_be_done_says_why(scene: Any) -> None:
    operators = ("capture_video", "capture_movie_strip", "capture_speech", "capture_sound_strip", "import_live_link",
                 "adjust_capture", "clean_keys")  # fmt: skip
    for name in operators:
        assert not getattr(bpy.ops.portrait, name).poll()
        with pytest.raises(RuntimeError, match="Add a portrait first"):
            getattr(bpy.ops.portrait, name)()


def test_what_a_portrait_still_lacks_is_said(portrait: Any) -> None:
    for name, said in (
        ("capture_movie_strip", "a movie strip"), ("capture_sound_strip", "a sound strip"), ("adjust_capture", "Capture a video first")
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=said):
            getattr(bpy.ops.portrait, name)()
    with pytest.raises(RuntimeError, match="no file"):
        bpy.ops.portrait.capture_video(filepath="/absent.mp4")


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video whose n-th frame is grey 40 + 4 n, with this Python or that of the main environment."""
    python = sys.executable if importlib.util.find_spec("av") else os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON")
    if python is None:
        pytest.skip("no videos: PyAV is not installed here and TALKING_PORTRAITS_BUILD_PYTHON is not set")

    def make(name: str, fps: int, count: int = 40) -> Path:
        words = (
            "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np; from pathlib import Path;"
            "from tests.server.video_files import write_video; write_video(Path(sys.argv[2]),"
            "[np.full((64, 64, 3), 40 + 4 * n, np.uint8) for n in range(int(sys.argv[4]))], fps=int(sys.argv[3]))"
        )
        subprocess.run([python, "-c", words, str(ROOT), str(tmp_path / name), str(fps), str(count)], check=True)
        return tmp_path / name

    return make


def shown_frame(scene: Any, frame: int, file: Path) -> float:
    """Which frame of the video Blender itself shows at a scene frame."""
    render = scene.render
    render.resolution_x = render.resolution_y = 64
    render.resolution_percentage, render.use_sequencer = 100, True
    scene.view_settings.view_transform = "Standard"
    render.filepath, render.image_settings.file_format = str(file), "PNG"
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(file), check_existing=False)
    pixels = np.empty(64 * 64 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return float((pixels.reshape(-1, 4)[:, 0].mean() * 255 - 40) / 4)


def movie_strip(scene: Any, path: Path, start: int) -> Any:
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strip = compat.strips_of(editor).new_movie("clip", str(path), 1, start)
    editor.active_strip = strip
    return strip


@pytest.mark.parametrize(("fps", "scene_fps"), [(25, 25), (30, 24)])
def test_a_strip_is_keyed_where_blender_shows_it(
    scene: Any, make_video: Callable[..., Path], tmp_path: Path, fps: int, scene_fps: int
) -> None:
    scene.render.fps = scene_fps
    path = make_video("clip.mp4", fps)
    strip = movie_strip(scene, path, 7)
    strip.frame_offset_start, strip.frame_offset_end = 5, 6
    source = media_parts.of_strip(scene, strip)
    shown = compat.strip_range(strip)
    assert (source.placement.first, source.placement.last) == (shown.start, shown.stop - 1)
    assert source.path == path and 0 <= source.start < source.placement.seconds_of(shown.start)
    for frame in (shown.start, shown.start + 9, shown.stop - 1):
        expected = source.placement.seconds_of(frame) * fps
        # Blender may show the frame before: the file tells its times in thousandths of a second.
        assert shown_frame(scene, frame, tmp_path / "shown.png") == pytest.approx(expected, abs=1.5)


def test_strips_with_another_speed_are_refused(scene: Any, make_video: Callable[..., Path]) -> None:
    strip = movie_strip(scene, make_video("clip.mp4", 25), 1)
    strip.use_reverse_frames = True
    with pytest.raises(PortraitError, match="backwards"):
        media_parts.of_strip(scene, strip)
    strip.use_reverse_frames = False
    _add_effect(scene.sequence_editor, "fast", "SPEED", channel=2, end=30, of=strip)
    with pytest.raises(PortraitError, match="Speed effect"):
        media_parts.of_strip(scene, strip)


def test_a_strip_whose_file_is_gone(scene: Any, make_video: Callable[..., Path]) -> None:
    path = make_video("clip.mp4", 25)
    strip = movie_strip(scene, path, 1)
    path.unlink()
    with pytest.raises(PortraitError, match="no file"):
        media_parts.of_strip(scene, strip)
    path.write_text("hello")
    with pytest.raises(PortraitError, match="cannot read"):
        media_parts.of_strip(scene, strip)


class _GreyingLayout(CheckedLayout):
    """Remembers which rows are greyed."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "enabled":
            self.seen.append("lit" if value else "greyed")


@pytest.mark.parametrize(("neutral", "state"), [("FIRST", "greyed"), ("FRAME", "lit")])
def test_the_neutral_frame_is_greyed_until_it_counts(addon: Any, neutral: str, state: str) -> None:
    kind = bpy.ops.portrait.capture_video.get_rna_type()
    seen: list[str] = []
    settings = SimpleNamespace(
        layout=_GreyingLayout(seen), neutral=neutral, bl_rna=kind, properties=SimpleNamespace(bl_rna=kind)
    )
    VideoSettings.draw(settings, bpy.context)
    assert seen[seen.index("neutral_frame") - 1] == state
    settable = {p.identifier for p in kind.properties if not p.is_hidden} - {"rna_type", "filepath", "face"}
    assert set(seen) - {"lit", "greyed"} == settable, "all settings are shown; the face's number as a choice in words"


def test_a_performance_of_a_file_begins_at_the_frame_that_is_shown(scene: Any) -> None:
    class Begins(bpy.types.Operator):
        """Asks for nothing, and tells where it would begin"""

        bl_idname, bl_label = "portrait.test_begins", "Begins"
        first_frame: bpy.props.IntProperty(default=1)

        def execute(self, context: Any) -> set[str]:
            begin_at_current_frame(self, context)
            begun.append(self.first_frame)
            return {"FINISHED"}

    begun: list[int] = []
    bpy.utils.register_class(Begins)
    try:
        scene.frame_set(37)
        bpy.ops.portrait.test_begins()
        bpy.ops.portrait.test_begins(first_frame=5)
    finally:
        bpy.utils.unregister_class(Begins)
    assert begun == [37, 5]


def test_adjusting_keys_the_same_take_again(portrait: Any) -> None:
    rest = rest_points(portrait.rig, portrait.space).astype(float)
    rows = np.stack([rest + combine(rest, {"jawOpen": value}) for value in np.linspace(0, 1, 20)])
    source = media_parts.MediaPart(Path("clip.mp4"), Placement(1, 24.0))
    track = LandmarkTrack(rows, tuple(portrait.size), 24.0)
    jobs._videos[portrait.uid] = jobs.SeenVideo(source, track, VideoOptions(), jobs.KeyOptions())
    assert bpy.ops.portrait.adjust_capture(expression=0.5, onto="POINTS") == {"FINISHED"}
    assert not any("jawOpen" in c.data_path for c in compat.fcurves_of(portrait.rig))
    bpy.context.scene.frame_set(20)
    moved = sample(bpy.context.scene, portrait.rig, portrait.space, [20]).points[0] - rest
    chin = NAMES.index("jaw_09")
    assert moved[chin, 1] == pytest.approx(0.5 * (rows[-1] - rest)[chin, 1], abs=0.3)
    with pytest.raises(RuntimeError, match="Frame 900"):
        bpy.ops.portrait.adjust_capture(neutral="FRAME", neutral_frame=900)


def test_one_undo_takes_a_capture_back(portrait: Any, tmp_path: Path) -> None:
    portrait.rig["jawOpen"] = 0.25
    portrait.rig.keyframe_insert('["jawOpen"]', frame=1)
    before = portrait.rig.animation_data.action.name
    path, name = csv(tmp_path / "take.csv"), portrait.rig.name
    bpy.ops.ed.undo_push(message="Start")
    assert bpy.ops.portrait.import_live_link("EXEC_DEFAULT", True, filepath=str(path)) == {"FINISHED"}
    assert bpy.data.objects[name].animation_data.action.name != before
    bpy.ops.ed.undo()
    again = bpy.data.objects[name]
    assert again.animation_data.action.name == before and len(compat.fcurves_of(again)) == 1
    assert len(bpy.data.actions) == 1 and not bpy.context.scene.timeline_markers


def test_the_panel_offers_capture_and_tells_what_became_of_it(portrait: Any, tmp_path: Path) -> None:
    def drawn(panel: Any) -> str:
        seen: list[str] = []
        assert panel.poll(bpy.context)
        panel.draw(SimpleNamespace(layout=CheckedLayout(seen), bl_space_type=panel.bl_space_type), bpy.context)
        return "\n".join(seen)

    view, sequencer = capture_panel.CLASSES
    assert "portrait.capture_video" in drawn(view) and "movie_strip" not in drawn(view)
    assert "portrait.capture_movie_strip" in drawn(sequencer) and "sound_strip" in drawn(sequencer)
    bpy.ops.portrait.import_live_link(filepath=str(csv(tmp_path / "take.csv", ("HeadRoll",))))
    assert "keys," not in drawn(view), "what became of it is with the other messages, once"
    seen: list[str] = []
    messages.draw_messages(CheckedLayout(seen), bpy.context)
    text = " ".join(" ".join(seen).split())
    assert text.count("keys,") == 1 and text.count("columns are not in the file") == 1


NO_SERVER = Launch((), "cpu", False, False)


def wav(path: Path, seconds: float = 1.0) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * int(8000 * seconds))
    return path


def test_a_captured_sound_lies_under_its_keys_once(portrait: Any, tmp_path: Path) -> None:
    scene, path = bpy.context.scene, wav(tmp_path / "said.wav")
    editor = scene.sequence_editor_create()
    _add_effect(editor, "mine", "COLOR", channel=1, end=500)
    heard = Speech((("aa", 0.0, 0.5), ("oh", 0.5, 1.0)), 0.0, 1.0, np.ones(15), 15.0)
    for _ in range(2):
        source = media_parts.of_file(scene, str(path), 101)
        job = jobs.SpeechCaptureJob(portrait.uid, NO_SERVER, source, jobs.KeyOptions(), add_sound=True)
        job.take_up(heard)
    if not bpy.app.build_options.audaspace:  # a Blender without sound sets the keys, and says why it added no strip
        assert any("cannot play said.wav" in note for note in job.report.notes) and curve(portrait, '["jawOpen"]')
        return
    sounds = [strip for strip in compat.strips_of(editor) if strip.type == "SOUND"]
    assert [(compat.strip_start(strip), strip.channel) for strip in sounds] == [(101, 2)], "in a free channel, and once"
    assert media_parts.of_strip(scene, sounds[0]).placement.origin == pytest.approx(101.0), "in time with the keys"
    silent = jobs.SpeechCaptureJob(
        portrait.uid, NO_SERVER, media_parts.of_file(scene, str(path), 300), jobs.KeyOptions()
    )
    silent.take_up(heard)
    assert len([strip for strip in compat.strips_of(editor) if strip.type == "SOUND"]) == 1, (
        "only where it is asked for"
    )
    told = bpy.ops.portrait.capture_speech.get_rna_type().properties["add_sound"]
    assert told.default and not told.is_skip_save, "one click, remembered"


def _add_effect(editor: Any, name: str, kind: str, *, channel: int, end: int, of: Any = None) -> None:
    """A strip from frame 1 on; Blender 4.5 renamed what says which strip it changes, and 5.0 what says where it ends."""
    strips_of_editor = compat.strips_of(editor)
    known = strips_of_editor.bl_rna.functions["new_effect"].parameters
    inputs = {} if of is None else {"input1" if "input1" in known else "seq1": of}
    strips_of_editor.new_effect(
        name, kind, channel, 1, **{"length" if "length" in known else "frame_end": end}, **inputs
    )


def test_the_result_of_a_capture_is_shown_once(portrait: Any, tmp_path: Path) -> None:
    source = media_parts.of_file(bpy.context.scene, str(wav(tmp_path / "said.wav")), 1)
    job = jobs.SpeechCaptureJob(portrait.uid, NO_SERVER, source, jobs.KeyOptions())
    job.take_up(Speech((("aa", 0.0, 0.5),), 0.0, 1.0, np.ones(15), 15.0))
    assert job.told_in_section and job.note == job.report.line
