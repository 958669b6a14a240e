# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe's two packages see the same: “tasks” here, beside “solutions” in the project's own environment."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from portrait_server.detectors.installed_mediapipe import brings_its_networks, installed_networks
from portrait_server.detectors.matte import segmented
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
from portrait_server.detectors.mediapipe_networks import FaceSearch
from portrait_server.detectors.registry import create_detector

_SOLUTIONS = """
import io, sys
import numpy as np, skimage.data
from portrait_server.detectors.installed_mediapipe import brings_its_networks, installed_networks
from portrait_server.detectors.matte import segmented
from portrait_server.detectors.mediapipe_detector import MediaPipeDetector
assert brings_its_networks()
photo = skimage.data.astronaut()
(face,) = MediaPipeDetector().detect(photo)
told = io.BytesIO()
networks = installed_networks()
boxes = [(*seen.middle, *seen.sides) for search in (networks.near_faces, networks.far_faces) for seen in search(0.5).find(photo)]
np.savez(told, mesh=face.mesh478, score=face.score, people=segmented(photo), boxes=boxes)
sys.stdout.buffer.write(told.getvalue())
"""
needs_tasks = pytest.mark.skipif(brings_its_networks(), reason="this MediaPipe has solutions")


def test_nothing_of_the_package_can_open_a_connection() -> None:
    """From 0.10.35 on its native code reports how it is used; a version that can look up a host is not taken."""
    (place,) = importlib.util.find_spec("mediapipe").submodule_search_locations
    native = [path for kind in ("so", "dylib", "dll", "pyd") for path in Path(place).rglob(f"*.{kind}")]
    assert sum(path.stat().st_size for path in native) > 10_000_000, importlib.metadata.version("mediapipe")
    assert [path.name for path in native if b"getaddrinfo" in path.read_bytes()] == []


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeDetector]:
    detector = create_detector("mediapipe")
    assert isinstance(detector, MediaPipeDetector)
    yield detector
    detector.close()


def _searches() -> Iterator[FaceSearch]:
    for search in (installed_networks().near_faces, installed_networks().far_faces):
        with closing(search(0.5)) as opened:
            yield opened


@needs_tasks
def test_both_packages_see_the_same(detector: MediaPipeDetector) -> None:
    own_python = os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON")
    if own_python is None:
        pytest.skip("no Python of the project's own is named")
    done = subprocess.run([own_python, "-c", _SOLUTIONS], capture_output=True, check=True)
    photo = skimage.data.astronaut()
    (face,) = detector.detect(photo)
    with np.load(io.BytesIO(done.stdout)) as solutions:
        apart = np.linalg.norm(face.mesh478[:, :2] - solutions["mesh"][:, :2], axis=1)
        depth = np.abs(face.mesh478[:, 2] - solutions["mesh"][:, 2])
        width = np.ptp(solutions["mesh"][:, 0])
        print(f"mesh: mean {apart.mean():.3f}, most {apart.max():.3f}, depth {depth.mean():.3f} of {width:.1f} pixels")
        # Another network, trained on the same faces.
        assert apart.mean() < 0.012 * width and apart.max() < 0.05 * width and depth.mean() < 0.02 * width
        assert face.score == pytest.approx(float(solutions["score"]), abs=1e-3)
        np.testing.assert_allclose(segmented(photo), solutions["people"], atol=1e-3)
        boxes = [found for search in _searches() for found in search.find(photo)]
        assert len(boxes) == 2
        # The tasks tell boxes in whole pixels.
        np.testing.assert_allclose([(*box.middle, *box.sides) for box in boxes], solutions["boxes"], atol=2 / 512)
