# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faces of a picture are driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from portrait_server.farm.driven_faces import DrivenFaces
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack

POINTS = np.random.default_rng(5).uniform(20, 60, (70, 3)).astype(np.float32)


@pytest.fixture
def faces(tmp_path: Path) -> DrivenFaces:
    track = tmp_path / "track.npz"
    LandmarkTrack(POINTS[None], (200, 80)).save(track)
    return DrivenFaces.load([0, 2], [track, track])


def test_two_names_of_one_face_are_refused(faces: DrivenFaces) -> None:
    photo = ReferenceImage(np.zeros((80, 200, 3), np.uint8))
    nobody = Client.__new__(Client)  # nothing is asked of it
    with pytest.raises(PortraitError, match="--face 0 and --face 2") as raised:
        faces.found(nobody, photo, [POINTS, POINTS + 2])
    assert raised.value.code is ErrorCode.BAD_CONFIGURATION and raised.value.remedy
    further = POINTS + np.float32([60, 0, 0])
    first, others = faces.found(nobody, photo, [POINTS, further])
    np.testing.assert_array_equal(first.points, POINTS)
    np.testing.assert_array_equal(others, further[None])
