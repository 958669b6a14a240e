# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip: file N lies at scene frame N while frames arrive, in any order, and it can be made again."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import Any

import pytest
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_files import frames_in

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.portraits import sequencer, strip_sound  # noqa: E402
from blender_addon.render import frame_states, portrait_strip  # noqa: E402

SETTINGS = {"engine": "warp", "matte": True, "resolution_percentage": 50}


def show(scene: Any, folder: Path, numbers: list[int]) -> Any:
    """As a render does: grows the strips that are there, else makes one."""
    shown = sequencer.update_frames("uid", folder, numbers, SETTINGS)
    return shown[0] if shown else sequencer.add_strip(scene, "uid", "anna", folder, numbers, SETTINGS)


def set_handle_offset(strip: Any, side: str, frames: int) -> None:
    old = {"left": "frame_offset_start", "right": "frame_offset_end"}[side]
    setattr(strip, f"{side}_handle_offset" if hasattr(strip, f"{side}_handle_offset") else old, frames)


def files(strip: Any) -> dict[int, str]:
    """{scene frame: the file that the strip shows there}."""
    start = compat.strip_start(strip)
    return {start + index: element.filename for index, element in enumerate(strip.elements)}


def test_it_grows_with_each_frame(scene: Any, tmp_path: Path) -> None:
    for last in range(5, 9):
        strip = show(scene, tmp_path, list(range(5, last + 1)))
        assert files(strip) == {n: f"{n:04d}.png" for n in range(5, last + 1)}
        assert compat.strip_range(strip) == range(5, last + 1)
    assert len(compat.strips_of(scene.sequence_editor)) == 1
    assert Path(bpy.path.abspath(strip.directory)) == tmp_path


def test_no_frames_make_no_strip(scene: Any, tmp_path: Path) -> None:
    assert show(scene, tmp_path, []) is None
    assert sequencer.find_strip(scene, "uid") is None


def test_gaps_hold_the_frame_before_until_they_are_filled(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [2, 5])
    assert files(strip) == {2: "0002.png", 3: "0002.png", 4: "0002.png", 5: "0005.png"}
    strip = show(scene, tmp_path, [2, 3, 5])
    assert files(strip)[3] == "0003.png" and files(strip)[4] == "0003.png"


def test_earlier_frames_move_its_start(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, [10, 11])
    strip = show(scene, tmp_path, [8, 9, 10, 11])
    assert files(strip) == {n: f"{n:04d}.png" for n in range(8, 12)}
    assert compat.strip_range(strip) == range(8, 12)


def test_fewer_frames_shorten_it(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, [1, 2, 3, 4])
    assert compat.strip_range(show(scene, tmp_path, [2, 3])) == range(2, 4)


def test_a_strip_that_the_user_moved_keeps_its_place(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [1, 2])
    compat.set_strip_start(strip, 101)
    strip.channel = 5
    strip = show(scene, tmp_path, [1, 2, 3])
    assert compat.strip_range(strip) == range(101, 104) and strip.channel == 5


def test_it_lands_beside_other_strips(scene: Any, tmp_path: Path) -> None:
    editor = scene.sequence_editor_create()
    compat.strips_of(editor).new_image("other", str(tmp_path / "x.png"), 1, 1)
    assert show(scene, tmp_path, list(range(1, 20))).channel == 2


def test_settings_are_kept_in_the_file(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path / "frames", [1, 2])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    strip = sequencer.find_strip(bpy.context.scene, "uid")
    assert sequencer.settings_of(strip) == SETTINGS
    assert isinstance(sequencer.settings_of(strip)["engine"], str)


def test_the_folder_is_kept_relative_to_a_saved_file(scene: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert show(scene, tmp_path / "frames", [1]).directory == "//frames/"


def test_deleted_frames_are_not_painted(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, list(range(1, 30)))
    assert not scene.sequence_editor.show_missing_media, "Blender would crash: sizes of appended elements are random"


@pytest.mark.parametrize("wanted", [True, False])
def test_missing_media_is_as_the_user_had_it_once_no_strip_is_left(scene: Any, tmp_path: Path, wanted: bool) -> None:
    editor = scene.sequence_editor_create()
    editor.show_missing_media = wanted
    for _ in range(2):
        show(scene, tmp_path, [1, 2])
        sequencer.add_strip(scene, "other", "berta", tmp_path, [1, 2], SETTINGS)
        sequencer.remove_strips("uid")
        frame_states.pump()
        assert not editor.show_missing_media, "another one's strip is still there"
        strips = compat.strips_of(editor)
        strips.remove(strips[0])  # as with X in the sequencer
        frame_states.pump()
        assert editor.show_missing_media == wanted
    editor.show_missing_media = not wanted
    frame_states.pump()
    assert editor.show_missing_media != wanted, "the user's change stays"


def all_ranges(scene: Any) -> list[tuple[int, int]]:
    return sorted(
        (compat.strip_range(s).start, compat.strip_range(s).stop) for s in compat.strips_of(scene.sequence_editor)
    )


def test_a_strip_that_was_cut_is_left_alone(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [1, 2, 3, 4, 6, 7, 8])
    right = strip.split(frame=5, split_method="SOFT")
    assert right is not None and all_ranges(scene) == [(1, 5), (5, 9)]
    show(scene, tmp_path, list(range(-3, 20)))
    assert all_ranges(scene) == [(1, 5), (5, 9)]
    assert len(sequencer.find_strips("uid")) == 2
    left = next(s for s in sequencer.find_strips("uid") if compat.strip_range(s).start == 1)
    assert files(left)[5] == "0005.png", "a frame that came meanwhile is shown"
    assert files(left)[1] == "0001.png" and files(left)[8] == "0008.png"


@pytest.mark.parametrize("side", ["left", "right"])
def test_trimmed_handles_are_left_alone(scene: Any, tmp_path: Path, side: str) -> None:
    strip = show(scene, tmp_path, list(range(1, 11)))
    set_handle_offset(strip, side, 3)
    before = all_ranges(scene)
    show(scene, tmp_path, list(range(-5, 30)))
    assert all_ranges(scene) == before


def test_a_locked_strip_is_left_alone(scene: Any, tmp_path: Path) -> None:
    show(scene, tmp_path, [1, 2]).lock = True
    show(scene, tmp_path, [1, 2, 3, 4])
    assert all_ranges(scene) == [(1, 3)]


def test_it_never_grows_into_another_strip(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [5, 6, 7])
    strips = compat.strips_of(scene.sequence_editor)
    before = strips.new_image("before", str(tmp_path / "x.png"), strip.channel, 3)
    after = strips.new_image("after", str(tmp_path / "x.png"), strip.channel, 10)
    strip = show(scene, tmp_path, list(range(1, 30)))
    assert compat.strip_range(strip) == range(4, 10) and files(strip)[4] == "0004.png"
    assert [compat.strip_range(each).start for each in (before, after)] == [3, 10]
    assert {each.channel for each in strips} == {strip.channel}
    strips.remove(after)
    strip = show(scene, tmp_path, list(range(1, 30)))
    assert compat.strip_range(strip) == range(4, 30), "the room is taken when it is free"


def test_a_strip_in_a_meta_is_found_and_grown(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [1, 2])
    meta = compat.strips_of(scene.sequence_editor).new_meta("meta", 5, 1)
    strip.move_to_meta(meta)
    show(scene, tmp_path, [1, 2, 3])
    assert [s.type for s in compat.strips_of(scene.sequence_editor)] == ["META"]
    assert compat.strip_range(sequencer.find_strip(scene, "uid")) == range(1, 4)
    sequencer.remove_strips("uid")
    assert sequencer.find_strips("uid") == [] and not compat.strips_of(meta)


def test_a_strip_in_another_scene_is_the_portraits_too(scene: Any, tmp_path: Path) -> None:
    other = bpy.data.scenes.new("edit")
    sequencer.add_strip(other, "uid", "anna", tmp_path, [1, 2], SETTINGS)
    show(scene, tmp_path, [1, 2, 3])
    assert sequencer.find_strip(scene, "uid") is None, "no second one"
    assert compat.strip_range(sequencer.find_strip(other, "uid")) == range(1, 4)


def fill_channels(scene: Any, folder: Path, frame: int) -> None:
    strips = compat.strips_of(scene.sequence_editor_create())
    for channel in range(1, 129):
        strips.new_image(f"c{channel}", str(folder / "x.png"), channel, frame)


def test_all_channels_in_use_with_room(scene: Any, tmp_path: Path) -> None:
    fill_channels(scene, tmp_path, 50)
    strip = show(scene, tmp_path, list(range(1, 10)))
    assert strip.channel == 1 and compat.strip_range(strip) == range(1, 10)
    assert compat.strip_range(show(scene, tmp_path, list(range(1, 80)))) == range(1, 50)


def test_all_channels_in_use_without_room_are_told(scene: Any, tmp_path: Path) -> None:
    fill_channels(scene, tmp_path, 5)
    with pytest.raises(PortraitError, match="channels") as caught:
        show(scene, tmp_path, list(range(1, 10)))
    assert caught.value.remedy and len(compat.strips_of(scene.sequence_editor)) == 128


def test_it_fits_the_scene_as_that_is_now(scene: Any, tmp_path: Path) -> None:
    """Unless the user has scaled it."""
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    strip = sequencer.add_strip(scene, "uid", "anna", tmp_path, [1, 2], SETTINGS, (360, 512))
    assert strip.transform.scale_x == strip.transform.scale_y == pytest.approx(1080 / 512)
    scene.render.resolution_x, scene.render.resolution_y = 360, 512
    sequencer.fit_strips("uid")
    assert strip.transform.scale_x == pytest.approx(1)
    sequencer.update_frames("uid", tmp_path, [1, 2], SETTINGS, (180, 256))
    assert strip.transform.scale_x == pytest.approx(2), "frames of half the resolution fill it as well"
    strip.transform.scale_x = strip.transform.scale_y = 0.5
    scene.render.resolution_x = 720
    sequencer.update_frames("uid", tmp_path, [1, 2], SETTINGS, (360, 512))
    assert strip.transform.scale_x == strip.transform.scale_y == 0.5


def test_a_deleted_strip_stays_deleted(portrait: Any, tmp_path: Path) -> None:
    scene, size = bpy.context.scene, (96, 64)
    portrait_strip.show(scene, portrait, tmp_path, [1, 2], SETTINGS, size)
    assert sequencer.find_strips(portrait.uid) == [], "none that nobody asked for"
    portrait_strip.add(scene, portrait)
    portrait_strip.show(scene, portrait, tmp_path, [1, 2], SETTINGS, size)
    (strip,) = sequencer.find_strips(portrait.uid)
    compat.strips_of(scene.sequence_editor).remove(strip)
    for _ in range(2):
        portrait_strip.show(scene, portrait, tmp_path, [1, 2, 3], SETTINGS, size)
        assert sequencer.find_strips(portrait.uid) == [] and not portrait.use_strip
    portrait_strip.add(scene, portrait)
    portrait_strip.show(scene, portrait, tmp_path, [1, 2, 3], SETTINGS, size)
    assert len(sequencer.find_strips(portrait.uid)) == 1


def test_a_strip_is_added_and_removed_with_a_click(portrait: Any, write: Any, photo: Any) -> None:
    for number in (3, 4):
        write(portrait.folder() / f"{number:04d}.png", photo)
    assert bpy.ops.portrait.add_strip() == {"FINISHED"}
    strip = sequencer.find_strip(bpy.context.scene, portrait.uid)
    assert compat.strip_range(strip) == range(3, 5) and portrait.use_strip
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    kept = bpy.context.scene.talking_portraits.active
    assert kept.use_strip
    assert bpy.ops.portrait.remove_strip() == {"FINISHED"}
    assert sequencer.find_strips(kept.uid) == [] and not kept.use_strip


def test_a_file_from_before_the_option_keeps_its_strip(portrait: Any, tmp_path: Path) -> None:
    sequencer.add_strip(bpy.context.scene, portrait.uid, "anna", tmp_path, [1, 2], SETTINGS)
    assert not portrait.use_strip
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert bpy.context.scene.talking_portraits.active.use_strip


def test_handles_can_be_pulled_to_frames_that_came_later(scene: Any, tmp_path: Path) -> None:
    """Both halves of a cut strip, side by side in one channel: what is seen stays, what can be seen grows."""
    strip = show(scene, tmp_path, list(range(5, 13)))
    compat.set_strip_start(strip, 105)
    strip.split(frame=108, split_method="SOFT")
    before, channels = all_ranges(scene), {each.channel for each in sequencer.find_strips("uid")}
    show(scene, tmp_path, list(range(1, 21)))
    assert all_ranges(scene) == before
    assert {each.channel for each in sequencer.find_strips("uid")} == channels
    for each in sequencer.find_strips("uid"):
        assert files(each) == {100 + number: f"{number:04d}.png" for number in range(1, 21)}
    left = min(sequencer.find_strips("uid"), key=lambda each: compat.strip_range(each).start)
    left.channel += 1
    compat.set_handle_offsets(left, 0, compat.handle_offsets(left)[1])
    assert compat.strip_range(left) == range(101, 108)


def test_a_slip_stays(scene: Any, tmp_path: Path) -> None:
    """Slipped, a strip shows other frames at the same place: its content lies elsewhere under its handles."""
    strip = show(scene, tmp_path, list(range(1, 21)))
    compat.set_handle_offsets(strip, 5, 5)
    compat.set_strip_start(strip, compat.strip_start(strip) - 3)
    compat.set_handle_offsets(strip, 8, 2)
    before = all_ranges(scene)
    shown = files(strip)[before[0][0]]
    show(scene, tmp_path, list(range(1, 31)))
    assert all_ranges(scene) == before
    assert files(sequencer.find_strip(scene, "uid"))[before[0][0]] == shown == "0009.png"


def test_negative_and_long_numbers(scene: Any, tmp_path: Path) -> None:
    strip = show(scene, tmp_path, [-2, -1, 0, 1])
    assert files(strip) == {-2: "-0002.png", -1: "-0001.png", 0: "0000.png", 1: "0001.png"}
    strip = sequencer.add_strip(scene, "far", "far", tmp_path, range(9998, 10002), SETTINGS)
    assert files(strip)[10001] == "10001.png" and files(strip)[9999] == "9999.png"


@pytest.mark.parametrize(("fps", "base"), [(24, 1.001), (30, 1.001), (60, 1.001), (25, 1.0)])
def test_over_ten_minutes_each_file_lies_at_its_frame(scene: Any, tmp_path: Path, fps: int, base: float) -> None:
    """Whatever the rate: places are frames, never seconds."""
    scene.render.fps, scene.render.fps_base = fps, base
    last = round(600 * fps / base)
    strip = show(scene, tmp_path, list(range(last - 50, last + 1)))
    compat.set_strip_start(strip, last + 100)
    strip = show(scene, tmp_path, list(range(last - 60, last + 11)))
    assert files(strip) == {number + 150: f"{number:04d}.png" for number in range(last - 60, last + 11)}


def test_a_scene_strip_shows_the_portraits_strip(scene: Any, tmp_path: Path) -> None:
    """The portrait's scene in another scene's sequencer: its strip is found once, and grows."""
    show(scene, tmp_path, [1, 2])
    outer = bpy.data.scenes.new("outer")
    compat.strips_of(outer.sequence_editor_create()).new_scene("inner", scene, 1, 1)
    show(scene, tmp_path, [1, 2, 3])
    (strip,) = sequencer.find_strips("uid")
    assert strip.id_data == scene and compat.strip_range(strip) == range(1, 4)


def test_proxies_of_frames_that_were_drawn_again_go(scene: Any, tmp_path: Path, write: Any, photo: Any) -> None:
    for number in (1, 2, 3):
        write(tmp_path / f"{number:04d}.png", photo)
    strip = show(scene, tmp_path, [1, 2, 3])
    folder = tmp_path / "BL_proxy" / "images" / "25"
    folder.mkdir(parents=True)
    proxies = [folder / f"{number:04d}.png_proxy.jpg" for number in (1, 2, 3)]  # as Blender names them
    for number, proxy in enumerate(proxies):
        proxy.touch()
        os.utime(proxy, (2000, 2000))
        os.utime(tmp_path / f"{number + 1:04d}.png", (3000, 3000) if number == 1 else (1000, 1000))
    show(scene, tmp_path, [1, 2, 3])
    assert all(proxy.exists() for proxy in proxies), "the strip does not play them"
    strip.use_proxy = True
    show(scene, tmp_path, [1, 2, 3])
    assert [proxy.exists() for proxy in proxies] == [True, False, True]


def was_connected(scene: Any, strip: Any) -> bool:
    """Whether a strip was connected with others; ends that, which alone tells it."""
    for each in compat.strips_of(scene.sequence_editor):
        each.select = each == strip
    named = (
        {"sequencer_scene": scene} if "sequencer_scene" in bpy.types.WorkSpace.bl_rna.properties else {"scene": scene}
    )
    with bpy.context.temp_override(**named):
        return bpy.ops.sequencer.disconnect() == {"FINISHED"}


def test_pictures_and_sound_are_connected(needs_sound: None, scene: Any, tmp_path: Path) -> None:
    sound = tmp_path / "tone.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    show(scene, tmp_path, [1, 2, 3])
    compat.strips_of(scene.sequence_editor).new_image("other", str(tmp_path / "x.png"), 9, 1)
    for each in compat.strips_of(scene.sequence_editor):
        each.select = each.name == "other"
    strip = strip_sound.add_sound(scene, "uid", sound, range(1, 4))
    strips = compat.strips_of(scene.sequence_editor)
    assert [each.name for each in strips if each.select] == ["other", "tone.wav"], "what was selected stays so"
    if "connect" in dir(bpy.ops.sequencer):
        assert not was_connected(scene, strips["other"]) and was_connected(scene, strip)
        assert not was_connected(scene, strips["anna"]), "it was with the sound, and with nothing else"


def test_a_step_leaves_out_frames_and_the_strip_holds(needs_server: None, acting: Any) -> None:
    acting.use_scene_range, acting.frame_start, acting.frame_end, acting.frame_step = False, 1, 8, 3
    acting.use_strip = True
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert frames_in(acting.folder()) == [1, 4, 7]
    (strip,) = sequencer.find_strips(acting.uid)
    assert files(strip) == {n: f"{1 + (n - 1) // 3 * 3:04d}.png" for n in range(1, 8)}
    acting.frame_step = 1
    acting.apply_settings(sequencer.settings_of(strip))
    assert acting.frame_step == 3, "rendered again from the strip, it has the same step"
    acting.frame_step, acting.frame_end = 1, 8
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert frames_in(acting.folder()) == list(range(1, 9))
