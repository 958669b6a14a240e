# SPDX-License-Identifier: GPL-3.0-or-later
"""A face, a corpus of two, and a detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from portrait_server.corpora.build import cut
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small networks are faster so, on machines that do something else as well."""
    torch.set_num_threads(1)


@pytest.fixture
def detector() -> Iterator[Detector]:
    made = create_detector("mediapipe")
    yield made
    made.close()


@pytest.fixture(scope="session")
def face() -> Face:
    """Eileen Collins, NASA, public domain."""
    image = skimage.data.astronaut()
    detector = create_detector("mediapipe")
    try:
        return cut(image, detector.detect(image)[0])
    finally:
        detector.close()


@pytest.fixture(scope="session")
def corpus(face: Face, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of two people: her, and her in other colours."""
    folder = tmp_path_factory.mktemp("shards")
    other = dataclasses.replace(face, image=np.ascontiguousarray(face.image[..., ::-1]))
    write_shard(folder / "00000.shard", [(0, 0, face), (1, 0, other)], ["a", "b"], {})
    return folder
