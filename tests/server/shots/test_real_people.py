# SPDX-License-Identifier: GPL-3.0-or-later
"""A person who speaks, drawn from the first frame of a real clip: what its other moments lend halves the mouth's error."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.engines.base import Reference
from portrait_server.engines.registry import create_engine
from portrait_server.media.video import VideoReader
from portrait_server.shots.lending import Lender
from portrait_shared.landmarks import GROUPS
from portrait_shared.track import LandmarkTrack

from tests import paths

_TARGETS = range(3, 75, 4)
_AROUND = 5  # pixels around the lips


@pytest.fixture(scope="module")
def speech() -> tuple[list[np.ndarray], LandmarkTrack]:
    """Frames, and their landmarks."""
    clips = paths.grid_clips()
    if clips is None:
        pytest.skip("the speaking people are not beside the repository")
    with VideoReader(min((clips / "g16").rglob("*.mpg"))) as video:
        frames = list(video)
    detector = MediaPipeDetector()
    faces = [detector.detect(frame)[0] for frame in frames]
    detector.close()
    height, width = frames[0].shape[:2]
    meshes = np.stack([face.mesh478 for face in faces if face.mesh478 is not None])
    track = LandmarkTrack(np.stack([face.points for face in faces]), (width, height), extra={"mesh478": meshes})
    return frames, track


def test_what_other_moments_lend_halves_the_mouths_error(speech: tuple[list[np.ndarray], LandmarkTrack]) -> None:
    frames, track = speech
    engine = create_engine("warp", "cpu")
    portrait = engine.prepare([Reference(frames[0], track.points[0])])
    lender = Lender.of(track, frames.__getitem__)
    errors = []
    for row in _TARGETS:
        target = track.points[row]
        (drawn,) = engine.render(portrait, target[None], track.size, False)
        lent = lender.lent(drawn, (0, 0), frames[0], 0, target, left_out=[row])
        lips = target[[*GROUPS["outer_lip"], *GROUPS["inner_lip"]], :2]
        (left, top), (right, bottom) = (lips.min(0) - _AROUND).astype(int), (lips.max(0) + _AROUND).astype(int)
        mouth = np.s_[top : bottom + 1, left : right + 1]
        errors.append([np.abs(each[mouth].astype(int) - frames[row][mouth]).mean() / 255 for each in (drawn, lent)])
    alone, with_lent = np.mean(errors, axis=0)
    assert with_lent < 0.5 * alone, (alone, with_lent)
