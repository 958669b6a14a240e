# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people of one photo, keyed in Blender: one job draws both, and the command line comes to the same bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.media.images import read_image

from tests.two_people import two_people

_SCENE = """
import sys
from pathlib import Path
import bpy, blender_addon
import numpy as np
from blender_addon import command_line
from blender_addon.portraits.scene_portraits import portraits_of
from blender_addon.rig.armature import rest_points
from blender_addon.rig.sampling import sample_rows
from portrait_shared.track import LandmarkTrack

folder = Path(sys.argv[1])
blender_addon.register()
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.frame_start, scene.frame_end = 1, 3
bpy.ops.wm.save_as_mainfile(filepath=str(folder / "s.blend"))
assert bpy.ops.portrait.add(filepath=str(folder / "photo.png"), every_face=True) == {"FINISHED"}
portraits = list(portraits_of(scene).items)
assert len(portraits) == 2, "every face has a rig"
for portrait, slider, last in zip(portraits, ("jawOpen", "mouthSmileLeft"), (3, 2)):
    for frame, value in ((1, 0.0), (last, 0.6)):
        portrait.rig[slider] = value
        portrait.rig.keyframe_insert(f'["{slider}"]', frame=frame)
assert command_line.main(["render", "--portrait", portraits[1].name]) == 0
for number, portrait in enumerate(portraits):
    rows = [row for _, row in sample_rows(scene, portrait.rig, portrait.space, range(1, 4))]
    for name, points in (("track", np.stack([row.points for row in rows])), ("rest", rest_points(portrait.rig, portrait.space)[None])):
        LandmarkTrack(points, tuple(portrait.size), 24.0, 1).save(folder / f"{name}{number}.npz")
blender_addon.unregister()
"""


class Keyed(NamedTuple):
    """The folder of the photo, of both faces' tracks and rests, and the frames that Blender rendered."""

    folder: Path
    frames: list[Path]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))  # `warp` draws
        folder = tmp_path_factory.mktemp("two people")
        cv2.imwrite(str(folder / "photo.png"), two_people(overlapping=True)[0][..., ::-1])
        (folder / "scene.py").write_text(_SCENE)
        done = subprocess.run(
            [sys.executable, str(folder / "scene.py"), str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield Keyed(folder, sorted((folder / "portrait_frames").glob("*/*.png")))


def test_one_folder_has_the_frames_of_both(keyed: Keyed) -> None:
    assert [frame.name for frame in keyed.frames] == ["0001.png", "0002.png", "0003.png"]
    assert len({frame.parent for frame in keyed.frames}) == 1


def test_both_move_and_at_rest_the_picture_is_the_photo(keyed: Keyed) -> None:
    photo = read_image(keyed.folder / "photo.png")
    rest, second, third = (read_image(frame) for frame in keyed.frames)
    assert cv2.PSNR(rest, photo) > 42, "but for the watermark"
    across = [np.flatnonzero((frame != rest).any((0, 2))) for frame in (second, third)]
    middle = photo.shape[1] * 0.45
    assert all(columns.min() < middle < columns.max() for columns in across), "at either side"


def test_the_command_line_draws_the_same_bytes(keyed: Keyed) -> None:
    rests = [arg for n in (0, 1) for arg in ("--reference-points", str(keyed.folder / f"rest{n}.npz"))]
    tracks = [arg for n in (0, 1) for arg in ("--face", str(n + 1), "--track", str(keyed.folder / f"track{n}.npz"))]
    output = keyed.folder / "command line"
    words = ["render", "--reference", str(keyed.folder / "photo.png"), *rests, *tracks, "--output", str(output)]
    assert main(words) == 0
    for frame in keyed.frames:
        assert (output / frame.name).read_bytes() == frame.read_bytes(), frame.name
