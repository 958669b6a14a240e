# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tuning to a person takes, and how many steps a second training makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from portrait_server.corpora.array_specs import FLOW, POINTS
from portrait_server.corpora.loader import make_batch
from portrait_server.corpora.sample import SPECS, Corpus, Sample
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.geometry.alignment import aligned_transform, transform_points
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.networks import weights_file
from portrait_server.training import learner as learning
from portrait_server.training.batch import Batch
from portrait_server.training.configuration import TrainingConfiguration
from portrait_server.training.configuration_file import load
from portrait_server.training.team import Team
from portrait_server.tuning.photographs import faces_of
from portrait_server.tuning.search import DEFAULT_EFFORT, Effort, tune_networks
from portrait_shared.client.client import Client
from portrait_shared.landmarks import MESH_VERTICES
from portrait_shared.protocol.references import ReferenceImage

from tests.benchmarks.gpu_sections.drawing import forget_peak, peak
from tests.benchmarks.gpu_sections.material import Plan, Rates, rates, reference
from tests.benchmarks.gpu_sections.report import Row
from tests.benchmarks.gpu_sections.serving import server_of

_AIM_SECONDS = 30


def tuning(plan: Plan) -> Iterator[Row]:
    """Seconds to a personal file: by the server as a client waits for it, and where they go."""
    image = reference().image
    if not plan.short:
        with Client(server_of(plan)) as client:
            client.connect()
            begun = time.perf_counter()
            tuned = client.tune([ReferenceImage(image)]).result()
            took = time.perf_counter() - begun
            note = f"one photo, as a client waits for it; ended at step {tuned.step}; aim {_AIM_SECONDS}"
            yield Row("tuning, by the server", took, "s", note, red=plan.device != "cpu" and took > _AIM_SECONDS)
    effort = Effort(steps=1, batch_size=1, measure_every=1, measured=1) if plan.short else DEFAULT_EFFORT
    networks, info = weights_file.load(find_weights(), plan.device)
    detector = create_detector("mediapipe")
    marks = [("", time.perf_counter())]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter()))

    faces = faces_of([("the photo", image)], detector)
    mark("finding the face")

    def progress(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 0:
            mark("held-out samples, first measurement")

    forget_peak(plan.device)
    tuned = tune_networks(networks, info.checksum, faces, detector, effort=effort, progress=progress)
    mark(f"learning and measuring, at most {effort.steps} steps of {effort.batch_size}")
    detector.close()
    for (_, before), (name, after) in pairwise(marks):
        yield Row(f"tuning: {name}", after - before, "s")
    yield Row(
        "tuning, all of it",
        marks[-1][1] - marks[0][1],
        "s",
        f"in a process that is warm; {peak(plan.device)}".rstrip("; "),
    )


def training(plan: Plan) -> Iterator[Row]:
    """Steps a second of `portrait.toml` by stage and precision, of batches that wait on the device.

    What makes batches is not measured: `corpus_rate.py` does that.
    """
    configuration = load(Path("portrait.toml"))
    size, references = (1, 2) if plan.short else (configuration.data.batch_size, configuration.data.references)
    loaded = make_batch(Noise(), 1, 0, size, references, configuration.network.side)
    for half in (False,) if plan.device == "cpu" else (True, False):
        done = 0
        for stage in configuration.stages:
            forget_peak(plan.device)
            found = _learnt(plan, configuration, loaded, done, half)
            done += stage.steps
            precision = "bfloat16" if half else "float32"
            note = f"batch {size}, references {references}; {plan.how}{found.spread()}; {peak(plan.device)}"
            yield Row(f"portrait.toml, {stage.name}, {precision}", found.median, "steps/s", note.rstrip("; "))
    if plan.device == "cpu":
        yield Row("portrait.toml, half precision", note="not on a processor: it trains in float32")


def _learnt(
    plan: Plan, configuration: TrainingConfiguration, loaded: dict[str, torch.Tensor], first: int, half: bool
) -> Rates:
    whole = mock.patch.object(learning, "autocast", lambda device: torch.autocast(device.type, enabled=False))
    learner = learning.Learner(configuration, Noise.identities, Team(plan.device))
    batch = Batch.of(loaded, torch.device(plan.device))
    if half:
        return rates(plan, lambda number: learner.step(batch, first + number))
    with whole:
        return rates(plan, lambda number: learner.step(batch, first + number))


class Noise(Corpus):
    """Samples that need no photograph and no head: the mean face's landmarks over noise.

    A step takes as long with them as with people: every kind of array is there, so every loss is computed.
    """

    identities = 1

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        face = neutral_mesh()[list(MESH_VERTICES)]
        points = transform_points(aligned_transform(face, side), face)
        places = np.dstack(np.meshgrid(np.arange(side), np.arange(side)))
        arrays: dict[str, np.ndarray] = {}
        for name, spec in SPECS.items():
            shape = spec.sizes(references, side)
            if spec.kind in (POINTS, FLOW):
                still = points if spec.kind is POINTS else places
                arrays[name] = (still + rng.normal(0, 1, shape)).astype(np.float32)
            else:
                arrays[name] = rng.integers(0, 256, shape, np.uint8)
        return Sample(identity=0, **arrays)
