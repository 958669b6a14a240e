# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tuning to a person takes, and how many steps a second training makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from portrait_server.corpora.crops import MARGIN
from portrait_server.detectors.registry import create_detector
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.geometry.crops import CROPS
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_server.networks import painters as weights
from portrait_server.training.configuration import load
from portrait_server.training.lesson import Lesson
from portrait_server.training.perceptual import PerceptualLoss
from portrait_server.tuning.photographs import faces_of
from portrait_server.tuning.search import DEFAULT_EFFORT, Effort, tune_painters
from portrait_shared.client.client import Client
from portrait_shared.landmarks import MESH_VERTICES
from portrait_shared.protocol.references import ReferenceImage
from safetensors.numpy import save_file

from tests.benchmarks.gpu_sections.drawing import forget_peak, peak
from tests.benchmarks.gpu_sections.material import Plan, rates, reference
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
    effort = Effort(steps=1, batch_size=1, measure_every=1, pairs=1, measured=1) if plan.short else DEFAULT_EFFORT
    painters, info = weights.load(find_weights(), plan.device)
    detector = create_detector("mediapipe")
    marks = [("", time.perf_counter())]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter()))

    faces = faces_of([("the photo", image)], detector)
    mark("finding the face")

    def progress(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 0:
            mark("making pairs, first measurement")

    forget_peak(plan.device)
    tuned = tune_painters(painters, info.checksum, faces, effort=effort, progress=progress)
    mark(f"learning and measuring, at most twice {effort.steps} steps of {effort.batch_size}")
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
    """Steps a second of each painter of `painters.toml`, with its discriminator, of batches that wait on the device.

    What makes batches is not measured: `corpus_rate.py` does that.
    """
    device = torch.device(plan.device)
    for name, told in load(Path("painters.toml")).painters.items():
        told = replace(told, batch=2 if plan.short else told.batch, discriminator_from=0, shares={"noise": 1.0})
        with TemporaryDirectory() as folder:
            for split in ("train", "held"):
                write_noise(Path(folder) / f"noise-{split}")
            lesson = Lesson(name, told, Path(folder), PerceptualLoss().to(device), 1, device)
            batch = next(lesson.batches())
            forget_peak(plan.device)
            found = rates(plan, lambda _, lesson=lesson, batch=batch: lesson.learn(batch))
        note = f"batch {told.batch}; {plan.how}{found.spread()}; {peak(plan.device)}"
        yield Row(f"painters.toml, {name}", found.median, "steps/s", note.rstrip("; "))


def write_noise(folder: Path, count: int = 4) -> None:
    """Crops that show noise, with the mean face's landmarks: a step takes as long with them as with people."""
    rng, face = np.random.default_rng(1), 170 * neutral_mesh()[list(MESH_VERTICES), :2]
    arrays: dict[str, np.ndarray] = {"person": np.arange(count, dtype=np.int32)}
    for crop in CROPS.values():
        wide = crop.side + 2 * MARGIN
        placed = face - face[list(crop.middle)].mean(0) + wide / 2
        arrays[f"{crop.name}.points"] = np.broadcast_to(placed, (count, 2, 70, 2)).astype(np.float32)
        for part, shape in {"draft": (3,), "target": (3,), "weight": ()}.items():
            arrays[f"{crop.name}.{part}"] = rng.integers(0, 256, (count, wide, wide, *shape), np.uint8)
        arrays[f"{crop.name}.references"] = rng.integers(0, 256, (count, 1, wide, wide, 3), np.uint8)
    folder.mkdir()
    save_file(arrays, folder / "00000.safetensors")
