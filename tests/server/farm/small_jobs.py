# SPDX-License-Identifier: GPL-3.0-or-later
"""Farm jobs with few small frames: of a photo, and of a filmed shot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from portrait_server.engines.base import Reference
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.writing import write_job
from portrait_shared.track import LandmarkTrack

from tests.server.video_files import write_video

_LOWER_JAW = [*range(6, 11), *range(55, 60), *range(65, 68)]


def photo_job(folder: Path, reference: Reference, count: int, start: int = 1) -> FarmJob:
    """A job at `folder` / JOB whose mouth opens from frame to frame."""
    small = _half(reference)
    photo = folder / "photo.png"
    assert cv2.imwrite(str(photo), small.image[..., ::-1])
    size = small.image.shape[1], small.image.shape[0]
    LandmarkTrack(small.points[None], size).save(folder / "points.npz")
    points = np.repeat(small.points[None], count, 0)
    points[:, _LOWER_JAW, 1] += np.linspace(0, 5, count, dtype=np.float32)[:, None]
    LandmarkTrack(points, size, start=start).save(folder / "track.npz")
    request = FrameRequest((folder / "track.npz",), (photo,), (folder / "points.npz",))
    return write_job(folder / "JOB", request, device="cpu")


def shot_job(folder: Path, reference: Reference, count: int) -> FarmJob:
    """A job at `folder` / JOB of a film that pans, in which the mouth opens."""
    small = _half(reference)
    movie = write_video(folder / "shot.mp4", [np.roll(small.image, number, 1) for number in range(count)])
    size = small.image.shape[1], small.image.shape[0]
    found = np.stack([small.points + np.float32([number, 0, 0]) for number in range(count)])
    LandmarkTrack(found, size).save(folder / "found.npz")
    moved = found.copy()
    moved[1:, _LOWER_JAW, 1] += 4
    LandmarkTrack(moved, size).save(folder / "track.npz")
    request = FrameRequest((folder / "track.npz",), plate=movie, plate_points=folder / "found.npz")
    return write_job(folder / "JOB", request, device="cpu")


def _half(reference: Reference) -> Reference:
    """It with half as many pixels a side, cut to even sides, which movies need."""
    small = np.ascontiguousarray(reference.image[:400:2, 100:400:2])
    points = reference.points.copy()
    points[:, 0] -= 100
    return Reference(small, points / 2)
