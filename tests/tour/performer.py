# SPDX-License-Identifier: GPL-3.0-or-later
"""The tour's material: the photo, and a video of somebody who acts, made with the `warp` engine from the same photo.

What is acted is known exactly, so that what is captured from the video can be held against it.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import OpenEXR
from portrait_server.media.movie import Movie, MovieFrame
from portrait_server.media.movie_sound import Soundtrack
from portrait_server.media.picture_profiles import srgb_linear
from portrait_shared.track import LandmarkTrack
from skimage.data import astronaut, chelsea, rocket
from skimage.io import imsave

from tests import posing
from tests import two_people as two_people_picture
from tests.server.speech.voice import speak

SAID = "Bob may keep my papers."
FPS = 24
FRAMES = 60
PLATE = 24  # frames of the shot that editors get
BLINKS = (14, 38)
_SHUT = {-2: 0.4, -1: 0.85, 0: 1.0, 1: 0.9, 2: 0.5}
_OPEN_MOUTH = 0.08  # face sizes
_READING_FRAMES = 24
_READ_ASIDE, _READ_BELOW, _LINE = 0.16, 0.05, 0.06  # eye widths: where a line begins, and how long it is
_PORTRAIT = Path(sys.executable).with_name("portrait")


def photo(folder: Path) -> Path:
    """Eileen Collins by NASA, public domain, as scikit-image ships it."""
    path = folder / "astronaut.png"
    imsave(path, astronaut(), check_contrast=False)
    return path


def animal(folder: Path) -> Path:
    """A cat, in whose face no detector sees one: “Chelsea” by Stéfan van der Walt, public domain, of scikit-image."""
    path = folder / "cat.png"
    imsave(path, chelsea(), check_contrast=False)
    return path


def backdrop(folder: Path) -> Path:
    """What a person is put before: the start of a rocket, by SpaceX, public domain, of scikit-image."""
    path = folder / "rocket.png"
    imsave(path, rocket(), check_contrast=False)
    return path


def voice(folder: Path) -> Path:
    """What a shot is dubbed with."""
    return speak(folder / "voice.wav", SAID)


def two_people(folder: Path) -> Path:
    """A picture of two people, of whom the right one hides a part of the left one."""
    path = folder / "two_people.png"
    picture, _ = two_people_picture.two_people(overlapping=True)
    imsave(path, picture, check_contrast=False)
    return path


def acted() -> dict[str, list[float]]:
    """What is acted on each frame: jaw 0 to 1, blink 0 to 1, yaw in degrees to the picture's left."""
    time = np.arange(FRAMES)
    speech = np.clip(np.sin((time - 18) * 2 * np.pi / 14), 0, 1) * ((time >= 18) & (time < 46))
    blink = np.zeros(FRAMES)
    for at in BLINKS:
        for step, shut in _SHUT.items():
            blink[at + step] = shut
    yaw = 9 * np.sin(np.clip((time - 4) / (FRAMES - 8), 0, 1) * 2 * np.pi)
    return {"jaw": speech.tolist(), "blink": blink.tolist(), "yaw": yaw.tolist()}


class Plates(NamedTuple):
    """A short shot as editors and compositors get it."""

    talking: Path  # a movie with sound
    pictures: Path  # the first of numbered PNG files
    light: Path  # the first of numbered OpenEXR files, scene-linear


def plates(film: Path, folder: Path) -> Plates:
    """The beginning of a film in other files."""
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(container.decode(video=0), PLATE)]
    for name in ("plate_png", "plate_exr"):
        (folder / name).mkdir(exist_ok=True)
    pictures = [folder / "plate_png" / f"shot.{number:04d}.png" for number in range(1, PLATE + 1)]
    lights = [folder / "plate_exr" / f"shot.{number:04d}.exr" for number in range(1001, 1001 + PLATE)]
    for frame, picture, light in zip(frames, pictures, lights, strict=True):
        imsave(picture, frame, check_contrast=False)
        channels = srgb_linear(frame / 255).astype(np.float16)
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"RGB": np.ascontiguousarray(channels)}).write(str(light))
    talking, tone = folder / "talking.mp4", folder / "tone.wav"
    with wave.open(str(tone), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        hum = 6000 * np.sin(np.arange(48000 * PLATE // FPS) * 2 * np.pi * 220 / 48000)
        file.writeframes(hum.astype("<i2").tobytes())
    Movie([MovieFrame.of_file(picture) for picture in pictures], Fraction(FPS), sound=Soundtrack(tone)).write(talking)
    return Plates(talking, pictures[0], lights[0])


def movie(picture: Path, folder: Path) -> Path:
    """The video of the performance; what is acted lies beside it in `acted.json`."""
    rest = _rest(picture, folder)
    parts = acted()
    points = [
        posing.blinking(
            posing.turned(posing.speaking(rest.points[0], _OPEN_MOUTH * jaw), yaw=yaw, pitch=abs(yaw) / 3), blink
        )
        for jaw, blink, yaw in zip(parts["jaw"], parts["blink"], parts["yaw"], strict=True)
    ]
    (folder / "acted.json").write_text(json.dumps(parts), encoding="utf-8")
    return _film(picture, folder, "performer", points, 384)


def reader(picture: Path, folder: Path) -> Path:
    """A video of somebody who speaks and never looks into the camera: the eyes read lines beside it.

    How far beside it they look in each frame, in eye widths, is in `reader.json`.
    """
    rest = _rest(picture, folder)
    numbers = np.arange(_READING_FRAMES)
    jaws, yaws = np.sin(numbers * 2 * np.pi / 8) ** 2, 4 * np.sin(numbers * 2 * np.pi / _READING_FRAMES)
    beside = _READ_ASIDE + _LINE * (numbers % 12 / 12)
    points = [
        posing.turned(posing.looking(posing.speaking(rest.points[0], _OPEN_MOUTH * jaw), aside, _READ_BELOW), yaw=yaw)
        for jaw, aside, yaw in zip(jaws, beside, yaws, strict=True)
    ]
    (folder / "reader.json").write_text(json.dumps(beside.tolist()), encoding="utf-8")
    return _film(picture, folder, "reader", points, 768)


def _rest(picture: Path, folder: Path) -> LandmarkTrack:
    """The photo's landmarks, found once."""
    path = folder / "rest.npz"
    if not path.is_file():
        subprocess.run([_PORTRAIT, "landmarks", picture, "--output", path], check=True, timeout=120)
    return LandmarkTrack.load(path)


def _film(picture: Path, folder: Path, name: str, points: list[np.ndarray], side: int) -> Path:
    """A movie of the photo acting, `side` pixels wide and high."""
    track_file, frames = folder / f"{name}.npz", folder / name
    LandmarkTrack(np.stack(points), LandmarkTrack.load(folder / "rest.npz").size, FPS, 1).save(track_file)
    subprocess.run(
        [_PORTRAIT, "render", "--reference", picture, "--reference-points", folder / "rest.npz", "--track", track_file,
         "--output", frames, "--size", str(side)],
        check=True, timeout=300, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = folder / f"{name}.mp4"
    Movie([MovieFrame.of_file(frame) for frame in sorted(frames.glob("*.png"))], Fraction(FPS)).write(path)
    return path
