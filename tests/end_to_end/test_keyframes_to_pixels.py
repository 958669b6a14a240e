# SPDX-License-Identifier: GPL-3.0-or-later
"""From keyframes in Blender to pixels on the disk: the frames move with the landmarks, and stay the same person."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.media.images import read_image
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.track import LandmarkTrack

_SCENE = """
import sys
from pathlib import Path
import bpy, blender_addon
from blender_addon.portraits.scene_portraits import portraits_of
from blender_addon.rig.armature import HEAD_BONE, rest_points
from blender_addon.rig.sampling import sample_rows
from blender_addon.rig.blendshapes import combine
from portrait_shared.landmarks import NAMES
from portrait_shared.track import LandmarkTrack
import numpy as np

photo, blend, track = sys.argv[1:]
blender_addon.register()
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.frame_start, scene.frame_end = 1, 9
bpy.ops.portrait.add(filepath=photo)
portrait = portraits_of(scene).active
frames = np.array([1, 5, 9])
rest = rest_points(portrait.rig, portrait.space)
opened = combine(rest, {"jawOpen": 0.5}) * portrait.space.metres_per_pixel
move = np.column_stack((opened[:, 0], -opened[:, 1], -opened[:, 2]))  # right, up, towards the viewer
still = np.zeros(3)
curves = {(name, "location"): (frames, np.array([still, move[index], still])) for index, name in enumerate(NAMES)}
curves[HEAD_BONE, "rotation_euler"] = (frames, np.array([(0, 0, 0), (0, 0.3, 0), (0.1, -0.3, 0.1)]))
for (name, channel), (at, values) in curves.items():
    bone = portrait.rig.pose.bones[name]
    for frame, value in zip(at, values):
        setattr(bone, channel, value)
        bone.keyframe_insert(channel, frame=float(frame))
bpy.ops.wm.save_as_mainfile(filepath=blend)
assert bpy.ops.portrait.render() == {"FINISHED"}
points = [row.points for _, row in sample_rows(scene, portrait.rig, portrait.space, range(1, 10))]
LandmarkTrack(np.stack(points), tuple(portrait.size), scene.render.fps / scene.render.fps_base, 1).save(track)
blender_addon.unregister()
"""


_EDIT = """
import sys
from pathlib import Path
import bpy, blender_addon
from blender_addon import command_line
from blender_addon.portraits.scene_portraits import portraits_of
from blender_addon.rig.armature import HEAD_BONE

blend, folder = sys.argv[1:]
blender_addon.register()

def stamps():
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("*.png")}

def renewed(before):
    return sorted(int(name[:4]) for name, stamp in stamps().items() if before.get(name) != stamp)

whole = ["render", "--blend", blend]
before = stamps()
assert command_line.main(whole) == 0 and renewed(before) == [], "the panel's frames are good for the command line"
head = portraits_of(bpy.context.scene).active.rig.pose.bones[HEAD_BONE]
for frame, value in ((6, 0.0), (7, 0.02), (8, 0.0)):
    head.location[0] = value
    head.keyframe_insert("location", index=0, frame=frame)
bpy.ops.wm.save_mainfile()
for chunk in ("1-4", "5-9"):
    assert command_line.main([*whole, "--frames", chunk]) == 0
assert renewed(before) == [7], "the only frame that the new keys touch"
before = stamps()
assert bpy.ops.portrait.render() == {"FINISHED"} and renewed(before) == [], "and the other way round"
blender_addon.unregister()
"""


@pytest.fixture(scope="module", autouse=True)
def without_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: servers start without the networks, whose loading is most of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))
        yield


@pytest.fixture(scope="module")
def performed(
    without_weights: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Path], LandmarkTrack, np.ndarray]:
    """Frames rendered from a keyed rig, the rig's own landmarks, and the photo."""
    folder = tmp_path_factory.mktemp("performed")
    photo = skimage.data.astronaut()[:288, 80:368]
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    script = folder / "scene.py"
    script.write_text(_SCENE)
    command = [
        sys.executable,
        str(script),
        str(folder / "photo.png"),
        str(folder / "s.blend"),
        str(folder / "track.npz"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    frames = sorted((folder / "portrait_frames").glob("*/*.png"))
    return frames, LandmarkTrack.load(folder / "track.npz"), photo


def test_every_frame_is_there_and_valid(performed: tuple[list[Path], LandmarkTrack, np.ndarray]) -> None:
    frames, track, _ = performed
    assert [frame.name for frame in frames] == [f"{number:04d}.png" for number in track.frame_numbers]
    assert all(read_digest(frame) for frame in frames)


def test_the_frames_move_with_the_landmarks(performed: tuple[list[Path], LandmarkTrack, np.ndarray]) -> None:
    """A detector that looks at the rendered pixels finds the landmarks where the rig had them."""
    frames, track, _ = performed
    detector = create_detector("mediapipe")
    seen = np.array([detector.detect(read_image(frame))[0].points for frame in frames])
    unit = np.linalg.norm(track.points[0, 45, :2] - track.points[0, 36, :2])
    moved = (track.points - track.points[0])[..., :2]
    seen_moved = (seen - seen[0])[..., :2]
    assert np.linalg.norm(moved, axis=2).max() > 0.3 * unit, "the performance must be a large one to prove anything"
    error = np.linalg.norm(moved - seen_moved, axis=2).mean() / unit
    still = np.linalg.norm(moved, axis=2).mean() / unit  # what frames that do not move would score
    assert error < 0.05 and error < 0.3 * still, f"error {error:.3f}, of frames that stand still {still:.3f}"
    asked, opening = (points[:, 66, 1] - points[:, 62, 1] for points in (track.points, seen))
    assert asked[4] - asked[0] > 0.1 * unit
    assert opening[4] - opening[0] > 0.4 * (asked[4] - asked[0]), "the mouth opens with the rig"
    assert abs(opening[8] - opening[0]) < 0.05 * unit, "and closes again"


def test_the_person_stays_the_same(performed: tuple[list[Path], LandmarkTrack, np.ndarray]) -> None:
    """dlib's descriptor, below whose distance of 0.6 two pictures show one person (its author's threshold)."""
    frames, track, photo = performed
    package = importlib.util.find_spec("face_recognition_models")
    assert package is not None and package.origin is not None, "face-recognition-models is a requirement of the tests"
    models = Path(package.origin).parent / "models"  # importing the package needs an old setuptools
    describe = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))
    shape = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))

    def descriptor(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        (x0, y0), (x1, y1) = points[:68, :2].min(0), points[:68, :2].max(0)
        image = np.ascontiguousarray(image)
        found = shape(image, dlib.rectangle(int(x0), int(y0), int(x1), int(y1)))
        return np.array(describe.compute_face_descriptor(image, found))

    own = descriptor(photo, track.points[0])
    distances = [
        np.linalg.norm(descriptor(read_image(frame)[..., :3], points) - own)
        for frame, points in zip(frames, track.points, strict=True)
    ]
    assert max(distances) < 0.5, f"distances {np.round(distances, 2)}"


def test_panel_command_line_and_chunks_render_only_what_changed(
    performed: tuple[list[Path], LandmarkTrack, np.ndarray], tmp_path: Path
) -> None:
    """On a copy, so that the frames of the other tests stay."""
    source = performed[0][0].parents[2]
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    (copy / "edit.py").write_text(_EDIT)
    folder = copy / performed[0][0].parent.relative_to(source)
    command = [sys.executable, str(copy / "edit.py"), str(copy / "s.blend"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
