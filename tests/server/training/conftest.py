# SPDX-License-Identifier: GPL-3.0-or-later
"""A corpus of two faces, and the smallest configuration that trains on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from portrait_server.corpora.build import cut
from portrait_server.corpora.shards import Face, write_shard
from portrait_server.detectors.base import Detector
from portrait_server.detectors.registry import create_detector
from portrait_server.training.configuration import TrainingConfiguration
from portrait_server.training.configuration_file import CONFIGS, load
from portrait_server.training.learner import Learner
from portrait_server.training.team import Team


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


@pytest.fixture
def tiny(corpus: Path) -> Callable[..., TrainingConfiguration]:
    """The shipped tiny configuration over `corpus`; the arguments replace its attributes."""

    def made(network: str = "tiny-portrait", **changes: Any) -> TrainingConfiguration:
        loaded = load(CONFIGS / "tiny.toml")
        here = tuple(dataclasses.replace(choice, path=corpus) for choice in loaded.data.corpora)
        return dataclasses.replace(
            loaded,
            network=dataclasses.replace(loaded.network, configuration=network),
            data=dataclasses.replace(loaded.data, corpora=here, held_out=here),
            **changes,
        )

    return made


@pytest.fixture
def learner(tiny: Callable[..., TrainingConfiguration]) -> Callable[[str, int], Learner]:
    """Makes a learner of a tiny network that learns fast, by reconstruction alone, in so many steps."""

    def made(network: str, steps: int) -> Learner:
        configuration = tiny(network)
        stage = dataclasses.replace(configuration.stages[0], steps=steps)
        rates = dataclasses.replace(configuration.optimiser, generator_rate=5e-3, ema=0.9)
        return Learner(dataclasses.replace(configuration, stages=(stage,), optimiser=rates), 1, Team("cpu"))

    return made
