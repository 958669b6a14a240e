# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs are made of, jobs that tests share, and one server that draws photos for many tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_server.cli import main
from portrait_server.engines.base import Reference
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.farm.farm_job import FarmJob
from portrait_shared.track import LandmarkTrack

from tests.own_server import own_server
from tests.server.farm.small_jobs import photo_job, shot_job
from tests.server.video_files import write_video

OPENED = [55, 56, 57, 58, 59, 65, 66, 67, *range(6, 11)]
"""Landmarks that go down where a mouth is opened."""
FIRST, COUNT = 7, 8
"""The frames of the photo's track."""


class Material(NamedTuple):
    """Files of a source, and a track that moves it."""

    source: Path
    points: Path
    track: Path

    def words(self, *more: object) -> list[str]:
        """What names them on the command line."""
        kind = "plate" if self.source.suffix == ".mp4" else "reference"
        named = [f"--{kind}", self.source, f"--{kind}-points", self.points, "--track", self.track]
        return list(map(str, (*named, *more)))


@pytest.fixture(scope="module")
def without_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is drawn by `warp`: servers start without the networks, whose loading is most of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights") / "none"))
        yield


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A photo whose mouth opens and whose head moves aside."""
    folder = tmp_path_factory.mktemp("photo")
    picture = cv2.resize(skimage.data.astronaut()[:256, 96:352], (160, 160), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), picture[..., ::-1])
    found = ["landmarks", str(folder / "photo.png"), "--output", str(folder / "points.npz"), "--detector", "mediapipe"]
    assert main(found) == 0
    rest = LandmarkTrack.load(folder / "points.npz")
    points = np.repeat(rest.points, COUNT, axis=0)
    points[:, :, 0] += 4 * np.sin(np.linspace(0, 3, COUNT))[:, None]
    points[:, OPENED, 1] += np.linspace(0, 4, COUNT)[:, None]
    LandmarkTrack(points, rest.size, 24, FIRST, {"timecode": np.array("01:00:00:00")}).save(folder / "track.npz")
    return Material(folder / "photo.png", folder / "points.npz", folder / "track.npz")


@pytest.fixture(scope="session")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A movie of which three frames of six are changed."""
    folder = tmp_path_factory.mktemp("shot")
    picture = np.asarray(skimage.data.astronaut())[:320, 60:380]
    frames = [np.roll(picture, 2 * number, 1) for number in range(6)]
    movie = write_video(folder / "shot.mp4", frames, options={"qp": "4", "g": "4"})
    found = ["landmarks", str(movie), "--output", str(folder / "points.npz"), "--detector", "mediapipe"]
    assert main(found) == 0
    track = LandmarkTrack.load(folder / "points.npz")
    points = track.points.copy()
    for index in (1, 2, 4):
        points[index, OPENED, 1] += 5
    LandmarkTrack(points, track.size, track.fps).save(folder / "track.npz")
    return Material(movie, folder / "points.npz", folder / "track.npz")


@pytest.fixture(scope="module")
def connected(without_weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Arguments that use one server for many tests."""
    with own_server(tmp_path_factory.mktemp("server")) as words:
        yield words


@pytest.fixture(scope="session")
def small_job(astronaut: Reference, tmp_path_factory: pytest.TempPathFactory) -> FarmJob:
    """Frames 1 to 6 of a photo whose mouth opens."""
    return photo_job(tmp_path_factory.mktemp("photo"), astronaut, 6)


@pytest.fixture(scope="session")
def small_shot_job(astronaut: Reference, tmp_path_factory: pytest.TempPathFactory) -> FarmJob:
    """Frames 1 to 3 of a filmed shot."""
    return shot_job(tmp_path_factory.mktemp("shot"), astronaut, 3)
