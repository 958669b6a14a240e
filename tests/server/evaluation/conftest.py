# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip whose every frame is known: a photograph moved, turned in the picture and scaled as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
import skimage.data
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.registry import ENGINES
from portrait_server.evaluation.clips import Clip
from portrait_shared.other_faces import OtherFaces
from portrait_shared.personal import PersonalFile
from portrait_shared.track import LandmarkTrack

from tests.posing import moved, turned

FRAMES = 9


class Still(Engine):
    """The least an engine can do: the reference, whatever is asked for."""

    name, fingerprint = "still", "still-1"
    painters, checksum = None, ""

    def prepare(self, references: list[Reference], others: np.ndarray | None = None) -> np.ndarray:
        return references[0].image

    def render(
        self,
        portrait: np.ndarray,
        points: np.ndarray,
        size: tuple[int, int],
        matte: bool,
        body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:
        return np.stack([portrait] * len(points))

    def tuned(self, file: PersonalFile) -> Engine:
        """Tuning that knows the person's clip by heart: the file holds it."""
        arrays = safetensors.numpy.load(file.content)
        return Perfect(Clip("known", list(arrays["frames"]), arrays["points"]))


class Perfect(Engine):
    """The most an engine can do: the real frame."""

    name, fingerprint, batch_size = "perfect", "perfect-1", 3

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    def prepare(self, references: list[Reference], others: np.ndarray | None = None) -> None:
        return None

    def render(
        self, portrait: None, points: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
        others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        nearest = [np.abs(self._clip.points - row).sum((1, 2)).argmin() for row in points]
        return np.stack([self._clip.frames[number] for number in nearest])


@pytest.fixture(scope="session")
def astronaut() -> tuple[np.ndarray, np.ndarray]:
    """A photograph (256, 256, 3) and its landmarks (70, 3)."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])
    detector = create_detector("mediapipe")
    try:
        return photo, detector.detect(photo)[0].points
    finally:
        detector.close()


@pytest.fixture(scope="session")
def clip(astronaut: tuple[np.ndarray, np.ndarray]) -> Clip:
    photo, rest = astronaut
    points = np.stack(
        [moved(turned(rest, roll=1.5 * i), 0.02 * i, 0.03 * np.sin(i)) for i in range(FRAMES)]
    )  # fmt: skip
    frames = [
        cv2.warpAffine(
            photo, cv2.estimateAffinePartial2D(rest[:, :2].copy(), row[:, :2].copy())[0], (256, 256),
            flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
        )
        for row in points
    ]  # fmt: skip
    return Clip("astronaut", frames, points)


@pytest.fixture
def save_clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a clip as a folder of frames with its track: its path."""

    def save(clip: Clip, name: str = "astronaut", **track: object) -> Path:
        folder = tmp_path / "clips" / name
        folder.mkdir(parents=True)
        for number, frame in enumerate(clip.frames, 1):
            cv2.imwrite(str(folder / f"{number}.png"), frame[..., ::-1])
        LandmarkTrack(clip.points, clip.size, **track).save(folder / "track.npz")  # type: ignore[arg-type]
        return folder

    return save


@pytest.fixture
def engines(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """`still` and `perfect` beside the real engines."""
    monkeypatch.setitem(ENGINES, "still", lambda *_: Still())
    monkeypatch.setitem(ENGINES, "perfect", lambda *_: Perfect(clip))
