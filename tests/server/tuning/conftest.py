# SPDX-License-Identifier: GPL-3.0-or-later
"""A face to tune to."""

from __future__ import annotations

import pytest
import skimage.data
from portrait_server.corpora.shards import Face
from portrait_server.detectors.registry import create_detector
from portrait_server.tuning.photographs import faces_of

from tests.server.networks import conftest

one_thread = conftest.one_thread


@pytest.fixture(scope="session")
def face() -> Face:
    """Eileen Collins, NASA, public domain."""
    detector = create_detector("mediapipe")
    try:
        return faces_of([("the photo", skimage.data.astronaut())], detector)[0]
    finally:
        detector.close()
