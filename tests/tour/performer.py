# SPDX-License-Identifier: GPL-3.0-or-later
"""The tour's material: the photo, and a video of somebody who acts, made with the `warp` engine from the same photo.

What is acted is known exactly, so that what is captured from the video can be held against it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from portrait_server.media.movie import Movie, MovieFrame
from portrait_shared.track import LandmarkTrack
from skimage.data import astronaut, chelsea
from skimage.io import imsave

from tests import posing
from tests import two_people as two_people_picture

FPS = 24
FRAMES = 60
BLINKS = (14, 38)
_SHUT = {-2: 0.4, -1: 0.85, 0: 1.0, 1: 0.9, 2: 0.5}
_OPEN_MOUTH = 0.08  # face sizes


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


def movie(picture: Path, folder: Path) -> Path:
    """The video of the performance; what is acted lies beside it in `acted.json`."""
    portrait = Path(sys.executable).with_name("portrait")
    rest_file, track_file, frames = folder / "rest.npz", folder / "acted.npz", folder / "acted"
    subprocess.run([portrait, "landmarks", picture, "--output", rest_file], check=True, timeout=120)
    rest = LandmarkTrack.load(rest_file)
    parts = acted()
    points = [
        posing.blinking(
            posing.turned(posing.speaking(rest.points[0], _OPEN_MOUTH * jaw), yaw=yaw, pitch=abs(yaw) / 3), blink
        )
        for jaw, blink, yaw in zip(parts["jaw"], parts["blink"], parts["yaw"], strict=True)
    ]
    LandmarkTrack(np.stack(points), rest.size, FPS, 1).save(track_file)
    subprocess.run(
        [portrait, "render", "--reference", picture, "--reference-points", rest_file, "--track", track_file,
         "--output", frames, "--size", "384"],
        check=True, timeout=300, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = folder / "performer.mp4"
    Movie([MovieFrame.of_file(frame) for frame in sorted(frames.glob("*.png"))], Fraction(FPS)).write(path)
    (folder / "acted.json").write_text(json.dumps(parts), encoding="utf-8")
    return path
