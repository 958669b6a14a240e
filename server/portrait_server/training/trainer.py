# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run of painters: from its start, or from its newest checkpoint, to its last step or the end of its time."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor
from tqdm import tqdm

from portrait_server.networks import painters
from portrait_server.networks.painter import Painter
from portrait_server.training import checkpoints
from portrait_server.training.batches import CropBatch
from portrait_server.training.configuration import Training
from portrait_server.training.lesson import Lesson, below
from portrait_server.training.measures import score
from portrait_server.training.perceptual import PerceptualLoss
from portrait_server.training.run_log import RunLog

WEIGHTS: Final = "portrait.safetensors"
"""In a run's folder: of each painter the weights that were best so far, as engines read them."""

_LOG_STEPS: Final = 20
_KEPT: Final = 3  # of the newest checkpoints


class Trainer:
    """One session of a run.

    Attributes:
        lessons: the painters that learn, by name.
        seconds: of all the run's sessions.
        best: of each painter, the lowest held-out score so far, and the step at which it was.
    """

    def __init__(self, told: Training, crops: Path, output: Path, device: torch.device, *, resume: bool) -> None:
        """Reads the crops, makes the painters, or takes them from the newest checkpoint in `output`.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE where `output` has a run and `resume` is false, FILE_MISSING where it
                has none and `resume` is true, where a corpus is missing or the perceptual loss's package; BAD_WEIGHTS
                for a damaged checkpoint or one of other painters.
        """
        self._told, self._output = told, output
        found = checkpoints.find(output)
        if found and not resume:
            raise PortraitError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"{output} holds a run already.",
                "Go on with --resume, or choose another folder.",
            )
        if resume and not found:
            raise PortraitError(ErrorCode.FILE_MISSING, f"{output} holds no checkpoint.", "Start without --resume.")
        perceptual = PerceptualLoss().to(device, memory_format=torch.channels_last)
        self.lessons = {
            name: Lesson(name, part, crops, perceptual, told.seed, device) for name, part in told.painters.items()
        }
        self._kept = {name: Painter().state_dict() for name in painters.PARTS}
        self._kept |= {name: _copied(lesson.mean.state_dict()) for name, lesson in self.lessons.items()}
        self.seconds, self.best = 0.0, dict.fromkeys(self.lessons, (float("inf"), 0))
        if resume:
            self._load(found[-1])
        self._sums: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in self.lessons}
        self._log = RunLog(output)

    @property
    def steps(self) -> dict[str, int]:
        """How many steps each painter has learnt."""
        return {name: lesson.step for name, lesson in self.lessons.items()}

    def run(self, minutes: float | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Trains until the last step, until `minutes` have passed, or until `stop` says so; then a checkpoint.

        Raises:
            PortraitError: INTERNAL where the losses cease to be finite; DISK_FULL, OUTPUT_NOT_WRITABLE.
        """
        started = saved = time.monotonic()
        before, batches = self.seconds, {name: lesson.batches() for name, lesson in self.lessons.items()}
        total = sum(part.steps for part in self._told.painters.values())
        with tqdm(total=total, initial=sum(self.steps.values()), unit="step", disable=None) as bar:
            while batches:
                for name in tuple(batches):
                    if (batch := next(batches[name], None)) is None:
                        del batches[name]
                        continue
                    self._one_step(name, batch)
                    bar.update()
                now = time.monotonic()
                self.seconds = before + now - started
                if stop() or (minutes is not None and now - started >= minutes * 60):
                    break
                if now - saved >= self._told.minutes * 60:
                    self._save()
                    saved = time.monotonic()
        for coming in batches.values():
            coming.close()
        for name in self.lessons:
            self._measure(name)
        self._save()
        self._log.close()

    def _one_step(self, name: str, batch: CropBatch) -> None:
        lesson = self.lessons[name]
        if lesson.step % self._told.measure_every == 0:
            self._measure(name)
        for term, value in lesson.learn(batch).items():
            self._sums[name][term].append(value)
        if lesson.step % _LOG_STEPS == 0:
            means = {term: float(np.mean(values)) for term, values in self._sums[name].items()}
            self._log.event(f"{name}_step", lesson.step, **means)
            self._sums[name].clear()

    def _measure(self, name: str) -> None:
        lesson = self.lessons[name]
        measured = lesson.measure()
        for corpus, figures in measured.items():
            flat = {f"{who}_{column}": value for who, row in figures.items() for column, value in row.items()}
            self._log.event(f"{name}_held_out_{corpus}", lesson.step, **flat)
        self._log.sheet(name, lesson.step, lesson.sheet(self._told.shown))
        mean = float(np.mean([score(figures) for figures in measured.values()]))
        if mean < self.best[name][0]:
            self.best[name] = mean, lesson.step
            self._kept[name] = _copied(lesson.mean.state_dict())

    def _save(self) -> None:
        tensors = {
            f"{name}/{key}": tensor for name, lesson in self.lessons.items() for key, tensor in lesson.tensors().items()
        }
        tensors |= {f"kept-{name}/{key}": tensor for name, kept in self._kept.items() for key, tensor in kept.items()}
        state = {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.best,
            "configuration": dataclasses.asdict(self._told),
        }
        checkpoints.write(self._output, max(self.steps.values()), tensors, state, _KEPT)
        best = {name: _painter(self._kept[name]) for name in painters.PARTS}
        note = ", ".join(f"{name}: step {step}, score {least:.3f}" for name, (least, step) in self.best.items())
        painters.save(painters.Painters(**best), self._output / WEIGHTS, note, self._told.licence)

    def _load(self, path: Path) -> None:
        tensors, state = checkpoints.read(path)
        try:
            for name, lesson in self.lessons.items():
                lesson.load(below(f"{name}/", tensors), int(state["steps"][name]))
                self.best[name] = float(state["best"][name][0]), int(state["best"][name][1])
            for name in painters.PARTS:
                self._kept[name] = _painter(below(f"kept-{name}/", tensors)).state_dict()
            self.seconds = float(state["seconds"])
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS,
                f"{path} is a checkpoint of other painters: {str(error).partition(chr(10))[0]}",
                "Resume with the configuration that the run was started with.",
            ) from error


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def _painter(tensors: dict[str, Tensor]) -> Painter:
    painter = Painter(len(tensors["start.weight"]))
    painter.load_state_dict(tensors)
    return painter
