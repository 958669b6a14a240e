# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips that the user has retimed: what they play, and when, stays as it is, whatever is rendered meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.errors import PortraitError

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.export import scene_edit  # noqa: E402
from blender_addon.portraits import sequencer  # noqa: E402
from blender_addon.shots import source  # noqa: E402
from tests.blender.conftest import write_png  # noqa: E402

SETTINGS = {"engine": "warp", "matte": True, "resolution_percentage": 50}
SIZE = (8, 8)
STEP = 8  # between the greys of two frames


def write_greys(folder: Path, numbers: range, lighter: int = 0) -> Path:
    """Frame N is evenly grey, so that a render tells which one it shows."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        write_png(folder / f"{number:04d}.png", np.full((*SIZE, 3), max(STEP * number + lighter, 0), np.uint8))
    return folder


@pytest.fixture
def greys(scene: Any, tmp_path: Path) -> Path:
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.render.resolution_percentage = 100
    scene.render.dither_intensity = 0
    scene.view_settings.view_transform = "Standard"
    return write_greys(tmp_path / "frames", range(1, 21))


def seen(scene: Any, frame: int, folder: Path) -> int:
    """The grey that the sequencer shows, 0 to 255."""
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(folder / "seen.png")
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    grey = round(255 * image.pixels[0])
    bpy.data.images.remove(image)
    return grey


def in_sequencer(scene: Any, strip: Any, work: Callable[[], Any]) -> None:
    """As in a window of the sequencer with the strip chosen."""
    scene.sequence_editor.active_strip = strip
    for each in compat.strips_of(scene.sequence_editor):
        each.select = each == strip
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = scene
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(
        window=window, screen=window.screen, area=area, region=region, space_data=area.spaces.active
    ):
        work()


def add_key(scene: Any, strip: Any, frame: int) -> None:
    strip.show_retiming_keys = True
    in_sequencer(scene, strip, lambda: bpy.ops.sequencer.retiming_key_add(timeline_frame=frame))
    assert frame in keys(strip) or not hasattr(strip, "retiming_keys")


def retime(scene: Any, strip: Any, frame: int) -> None:
    """Sets a key, and half the speed there."""
    add_key(scene, strip, frame)
    in_sequencer(scene, strip, lambda: bpy.ops.sequencer.retiming_segment_speed_set("EXEC_DEFAULT", speed=50.0))


def keys(strip: Any) -> list[int]:
    return [key.timeline_frame for key in getattr(strip, "retiming_keys", ())]


@pytest.mark.parametrize("trimmed", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_frames_drawn_anew_change_no_timing(
    scene: Any, greys: Path, tmp_path: Path, trimmed: bool, hidden: bool
) -> None:
    strip = sequencer.add_strip(scene, "uid", "anna", greys, range(1, 21), SETTINGS, SIZE)
    compat.set_strip_start(strip, 34)
    if trimmed:
        compat.set_handle_offsets(strip, 3, 6)
    retime(scene, strip, 44)
    if hidden:  # from here on Blender 4.2 and 4.3 tell nothing of them
        strip.show_retiming_keys = False
    before, set_keys = compat.strip_range(strip), keys(strip)
    assert len(before) > (11 if trimmed else 20) or bpy.app.version[:2] == (5, 0), "it lasts longer at half the speed"
    played = {frame: seen(scene, frame, tmp_path) for frame in range(before.start, before.stop, 2)}
    assert len(set(played.values())) > 4
    write_greys(greys, range(-5, 27), lighter=3)
    sequencer.update_frames("uid", greys, range(-5, 27), SETTINGS, SIZE)
    (strip,) = sequencer.find_strips("uid")
    assert compat.strip_range(strip) == before and keys(strip) == set_keys
    assert {frame: seen(scene, frame, tmp_path) for frame in played} == {
        frame: grey + 3 for frame, grey in played.items()
    }


def test_a_strip_without_keys_grows(scene: Any, greys: Path) -> None:
    strip = sequencer.add_strip(scene, "uid", "anna", greys, range(1, 11), SETTINGS, SIZE)
    assert not compat.is_retimed(strip)
    sequencer.update_frames("uid", greys, range(1, 21), SETTINGS, SIZE)
    assert compat.strip_range(strip) == range(1, 21)
    still = compat.strips_of(scene.sequence_editor).new_image("still", str(greys / "0001.png"), 5, 1)
    compat.set_strip_end(still, 30)
    assert not compat.is_retimed(still), "one picture that is held is not slow"


def test_a_retimed_sequence_is_no_shot(scene: Any, greys: Path) -> None:
    """Its pictures would lie at other frames than they play."""
    scene.sequence_editor_create()
    strip = compat.strips_of(scene.sequence_editor).new_image("plate", str(greys / "0001.png"), 2, 5)
    for number in range(2, 21):
        strip.elements.append(f"{number:04d}.png")
    assert source.of_strip(scene, strip).start == 5
    retime(scene, strip, 12)
    with pytest.raises(PortraitError, match="changed by retiming"):
        source.of_strip(scene, strip)


def test_an_edit_tells_the_mean_speed(scene: Any, greys: Path) -> None:
    strip = sequencer.add_strip(scene, "uid", "anna", greys, range(1, 21), SETTINGS, SIZE)
    add_key(scene, strip, 11)
    edit = scene_edit.edit_of(scene)
    assert [clip.speed for clip in edit.clips] == [1.0], "keys that change nothing"
    compat.strips_of(scene.sequence_editor).remove(strip)
    strip = sequencer.add_strip(scene, "uid", "anna", greys, range(1, 21), SETTINGS, SIZE)
    retime(scene, strip, 5)
    length = len(compat.strip_range(strip))
    edit = scene_edit.edit_of(scene)
    assert [clip.speed for clip in edit.clips] == [pytest.approx(20 / length)]
    assert any("retiming" in note for note in edit.notes)
