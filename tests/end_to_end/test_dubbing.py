# SPDX-License-Identifier: GPL-3.0-or-later
"""A filmed shot that is dubbed: a sound strip becomes mouth shapes, the filmed mouth gives way, and the lips of the rendered
frames meet and part as the sound says. Of real people, where they are beside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import create_engine
from portrait_server.media.images import read_image
from portrait_server.media.movie import Movie, MovieFrame
from portrait_server.media.png import encode_png
from portrait_shared.landmarks import GROUPS
from skimage.data import astronaut

from tests import paths, posing
from tests.server.speech.voice import speak

_TEXT = "Bob may keep my papers. Pam saw a map."
_FPS = 25
_SHUT, _OPEN = 0.03, 0.07  # of the lips, in eye distances
_CLOSED, _VOWELS = "PP", ("aa", "E", "oh")
_LONG = 0.07  # seconds: shorter vowels are hardly opened for
_NEAR = 2  # frames: lips need some to close and to open
_ADDED = 0.02  # eye distances
_LIPS = ((61, 67), (62, 66), (63, 65))

_SCENE = """
import sys
from pathlib import Path
import bpy, blender_addon
from blender_addon.blender import compat

shot, sound, folder, text = sys.argv[1:]
blender_addon.register()
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "s.blend"))
assert bpy.ops.portrait.add_shot(filepath=shot, first_frame=1) == {"FINISHED"}
scene = bpy.context.scene
portrait = scene.talking_portraits.active
scene.frame_start, scene.frame_end = 1, portrait.shot.count
editor = scene.sequence_editor_create()
editor.active_strip = compat.strips_of(editor).new_sound("voice", sound, 2, 1)
assert bpy.ops.portrait.capture_sound_strip(text=text) == {"FINISHED"}
portrait.rig["mouth_replaced"] = 1.0
portrait.rig.update_tag()
assert bpy.ops.portrait.render() == {"FINISHED"}
print("Frames:", portrait.folder(), flush=True)
blender_addon.unregister()
"""


class Dubbed(NamedTuple):
    """How far the lips are apart in each frame, as filmed and as rendered; what is said, as (shape, first and last second)."""

    filmed: np.ndarray
    rendered: np.ndarray
    said: list[tuple[str, float, float]]

    def rows(self, *shapes: str, longer: float = 0.0) -> list[int]:
        """The frames in the middle of some shapes."""
        middles = [(start + end) / 2 for name, start, end in self.said if name in shapes and end - start >= longer]
        return [row for row in (round(middle * _FPS) for middle in middles) if row < len(self.rendered)]

    def filmed_shut_alone(self) -> np.ndarray:
        """How far they are apart as rendered where they are shut as filmed, and the sound has them shut neither there nor
        near."""
        shut = self.filmed[: len(self.rendered)] < _SHUT
        for name, start, end in self.said:
            if name in _CLOSED:
                shut[max(0, round(start * _FPS) - _NEAR) : round(end * _FPS) + _NEAR + 1] = False
        return self.rendered[: len(shut)][shut]


@pytest.fixture(scope="module")
def dubbed(tmp_path_factory: pytest.TempPathFactory) -> Dubbed:
    pytest.importorskip("bpy")
    pytest.importorskip("pocketsphinx", reason="PocketSphinx is not installed")
    folder = tmp_path_factory.mktemp("dubbing")
    clips = paths.grid_clips()
    if clips is not None:
        shot, sound, text = clips / "g16" / "speech" / "00.mpg", clips / "g17" / "speech" / "03.mpg", ""
    else:
        shot, sound, text = _somebody_who_speaks(folder), speak(folder / "voice.wav", _TEXT), _TEXT
    words = [sys.executable, "-c", _SCENE, str(shot), str(sound), str(folder), text]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    frames = Path(next(line for line in done.stdout.splitlines() if line.startswith("Frames: "))[8:])
    heard = folder / "heard.json"
    assert main(["visemes", str(sound), "--output", str(heard), f"--text={text}", "--clock", "sound"]) == 0
    filmed = folder / "filmed.npz"
    assert main(["landmarks", str(shot), "--output", str(filmed)]) == 0
    rest = np.load(filmed)["points"]
    detector = MediaPipeDetector()
    rendered = [detector.detect(read_image(path))[0].points for path in sorted(frames.glob("*.png"))]
    detector.close()
    assert len(rendered) >= 0.9 * len(rest), "hardly a frame keeps the filmed mouth"
    first = int(min(frames.glob("*.png")).stem) - 1
    return Dubbed(
        _apart(rest), np.concatenate([_apart(rest[:first]), _apart(np.stack(rendered))]),
        [(name, start, end) for name, start, end in json.loads(heard.read_text())["visemes"]],
    )  # fmt: skip


def test_lips_meet_where_the_sound_has_them_meet_and_not_where_they_only_were_filmed_so(dubbed: Dubbed) -> None:
    shut = dubbed.rendered[dubbed.rows(_CLOSED)]
    assert len(shut) and max(shut) < _SHUT, shut
    filmed_shut = dubbed.filmed_shut_alone()
    assert not len(filmed_shut) or np.median(filmed_shut) > _OPEN, filmed_shut


def test_they_part_for_vowels_and_no_further_for_what_was_filmed(dubbed: Dubbed) -> None:
    rows = dubbed.rows(*_VOWELS, longer=_LONG)
    opened, filmed = dubbed.rendered[rows], dubbed.filmed[rows]
    assert rows and np.median(opened) > _OPEN, opened
    assert np.median(opened - filmed) < _ADDED, "a vowel comes on top of how far the filmed mouth is open"


def test_the_filmed_mouth_is_gone(dubbed: Dubbed) -> None:
    length = min(len(dubbed.filmed), len(dubbed.rendered))
    away = np.abs(dubbed.filmed[:length] - dubbed.rendered[:length])
    assert away.max() > _OPEN and abs(np.corrcoef(dubbed.filmed[:length], dubbed.rendered[:length])[0, 1]) < 0.6


def _apart(points: np.ndarray) -> np.ndarray:
    """How far lips are apart in faces (N, 70, 3), eye distances."""
    eyes = [points[:, list(GROUPS[name]), :2].mean(1) for name in ("right_eye", "left_eye")]
    gaps = [np.linalg.norm(points[:, upper, :2] - points[:, lower, :2], axis=1) for upper, lower in _LIPS]
    return np.asarray(np.mean(gaps, axis=0) / np.linalg.norm(eyes[1] - eyes[0], axis=1))


def _somebody_who_speaks(folder: Path) -> Path:
    """A shot that is made of a photograph: a mouth that opens and shuts, at first shut."""
    detector = MediaPipeDetector()
    photo = astronaut()
    rest = detector.detect(photo)[0].points
    detector.close()
    shut = rest.copy()
    for upper, lower in _LIPS:
        shut[[upper, lower], :2] = shut[[upper, lower], :2].mean(0)
    numbers = np.arange(3 * _FPS)
    acted = [posing.speaking(shut, 0.05 * float(np.sin(number / 5) ** 2)) for number in numbers]
    engine = create_engine("warp", "cpu")
    drawn = engine.render(engine.prepare([Reference(photo, rest)]), np.stack(acted), (384, 384), False)
    files = []
    for number, picture in zip(numbers, drawn, strict=True):
        files.append(folder / f"filmed.{number:04d}.png")
        files[-1].write_bytes(encode_png(picture, "", "warp"))
    path = folder / "shot.mp4"
    Movie([MovieFrame.of_file(file) for file in files], Fraction(_FPS)).write(path)
    return path
