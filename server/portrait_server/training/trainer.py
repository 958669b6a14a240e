# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run from start, or from its newest checkpoint, to its last step or the end of its time."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor
from tqdm import tqdm

from portrait_server.corpora.loader import Loader
from portrait_server.corpora.pool import Pool, pool_key
from portrait_server.networks import weights_file
from portrait_server.networks.configurations import CONFIGURATIONS
from portrait_server.training import checkpoints
from portrait_server.training.batch import Batch
from portrait_server.training.configuration import CorpusChoice, TrainingConfiguration
from portrait_server.training.learner import Learner, NotFinite
from portrait_server.training.measurement import HeldOut
from portrait_server.training.run_log import RunLog
from portrait_server.training.sample_sheet import sample_sheet
from portrait_server.training.sources import open_corpus, open_mixture
from portrait_server.training.team import Team

_FIRST_CHECKPOINT_MINUTES: Final = 1.0
_SNAPSHOT_STEPS: Final = 50  # a rollback costs this many steps at most
_ROLLBACKS: Final = 10  # in a row, without a new snapshot between them: after more the run gives up
_LOG_STEPS: Final = 20
_RANK_SEEDS: Final = 1_000_003  # between the seeds of two processes of a team: each sees samples of its own


@dataclass
class RunProgress:
    """Where a run is.

    Attributes:
        step: steps learnt. batch: batches drawn, at least as many; goes on where a step is taken back.
        seconds: of all its sessions. best: the lowest held-out score so far.
        rollbacks: how often the run went back to the last good step.
    """

    step: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float | None = None
    rollbacks: int = 0


class Trainer:
    """One session of a run.

    Attributes:
        learner: the networks.
        progress: where the run is.
    """

    def __init__(
        self,
        configuration: TrainingConfiguration,
        output: Path,
        team: Team,
        *,
        resume: bool,
        weights: Path | None = None,
    ) -> None:
        """Opens the corpora, makes the networks, or takes them from the newest checkpoint in `output`.

        Args:
            weights: what a new run begins with, instead of chance.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE where `output` has a run and `resume` is false, FILE_MISSING where it
                has none and `resume` is true; BAD_WEIGHTS for a damaged checkpoint or one of other networks; what the
                corpora raise.
        """
        self._configuration, self._output, self._team = configuration, output, team
        found = checkpoints.find(output)
        if found and not resume:
            raise PortraitError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"{output} holds a run already.",
                "Go on with --resume, or choose another folder.",
            )
        if resume and not found:
            raise PortraitError(ErrorCode.FILE_MISSING, f"{output} holds no checkpoint.", "Start without --resume.")
        data = configuration.data
        drafts = CONFIGURATIONS[configuration.network.configuration].copies
        self._corpus = open_mixture(data.corpora, drafts=drafts)
        if data.pool:
            sources = [p for choice in data.corpora for p in (choice.path, choice.photographs) if p is not None]
            kept = (data.pool_folder or output / "pool") / pool_key(data.corpora, sources)
            self._corpus = Pool(self._corpus, data.pool, kept, data.pool_side, mirrored=True)
        self.learner = Learner(configuration, self._corpus.identities, team)
        if weights is not None:
            self.learner.begin_with(*weights_file.load(weights, team.device))
        self.progress = RunProgress()
        if resume:
            self._load(found[-1])
        keeping, side = configuration.keeping, configuration.network.side
        self._held_out: dict[str, HeldOut] = {}
        if team.rank == 0:
            self._held_out = {
                name: HeldOut(
                    open_corpus(choice, drafts=drafts, held_out=True), keeping.measure_samples, side, team.device
                )
                for name, choice in zip(_names(data.held_out), data.held_out, strict=True)
            }
            self._log = RunLog(output)
        self._good: tuple[dict[str, Tensor], int] = ({}, -_SNAPSHOT_STEPS)
        self._bad_rolls = 0
        self._measured = -1  # at which step last
        self._waited = self._worked = 0.0

    def run(self, minutes: float | None = None, stop: Callable[[], bool] = lambda: False) -> RunProgress:
        """Trains until the last step, until `minutes` have passed, or until `stop` says so; then a checkpoint.

        Raises:
            PortraitError: INTERNAL where the run cannot be kept finite; what the corpora raise.
        """
        keeping, started = self._configuration.keeping, time.monotonic()
        before, saved = self.progress.seconds, started
        first = not checkpoints.find(self._output)
        self._event(
            "resume" if self.progress.step else "start", device=str(self._team.device), processes=self._team.size
        )
        if self.progress.step == 0:
            self._look()
        with self._loader() as loader, self._bar() as bar:
            while self.progress.step < self._configuration.steps:
                self._one_step(loader, bar)
                now = time.monotonic()
                self.progress.seconds = before + now - started
                over = minutes is not None and now - started >= minutes * 60
                if self._team.any(over or stop()):
                    break
                wait = min(keeping.minutes, _FIRST_CHECKPOINT_MINUTES) if first else keeping.minutes
                if self._team.any(now - saved >= wait * 60):
                    self._save()
                    if first:  # what later weights are compared with
                        self._write_weights("first")
                    first, saved = False, time.monotonic()
        self._look()
        self._save()
        self._event("end", seconds=self.progress.seconds)
        if self._team.rank == 0:
            self._log.close()
        return self.progress

    def _one_step(self, loader: Loader, bar: tqdm) -> None:
        begun = time.monotonic()
        loaded = next(loader)
        waited = time.monotonic()
        batch = self._shown(Batch.of(loaded, self._team.device))
        self.progress.batch += 1
        if self.progress.step - self._good[1] >= _SNAPSHOT_STEPS or not self._good[0]:
            self._keep_good()
        try:
            figures = self.learner.step(batch, self.progress.step)
        except NotFinite as error:
            self._go_back(str(error))
            return
        self.progress.step += 1
        self._waited += waited - begun
        self._worked += time.monotonic() - waited
        step = self.progress.step
        bar.update()
        if step % _LOG_STEPS == 0:
            self._report(figures, bar)
        if step % self._configuration.keeping.measure_every == 0:
            self._measure()
        if step % self._configuration.keeping.sheet_every == 0:
            self._draw_sheets()

    def _shown(self, batch: Batch) -> Batch:
        """The batch with as many references as this batch's number decides."""
        data = self._configuration.data
        if not data.vary_references:
            return batch
        chance = np.random.default_rng((self._configuration.seed, self.progress.batch))
        return batch.with_references(int(chance.integers(1, data.references + 1)))

    def _report(self, figures: dict[str, float], bar: tqdm) -> None:
        spent = self._waited + self._worked
        self._event("step", **figures, steps_per_second=_LOG_STEPS / spent, waiting_for_data=self._waited / spent)
        bar.set_postfix(
            {name: f"{figures[name]:.4f}" for name in ("pixel", "pyramid", "adversarial") if name in figures}
        )
        self._waited = self._worked = 0.0

    def _look(self) -> None:
        if self._measured != self.progress.step:
            self._measure()
        self._draw_sheets()

    def _measure(self) -> None:
        self._measured, scores = self.progress.step, []
        for name, held_out in self._held_out.items():
            figures = held_out.measure(lambda batch: self.learner.draw(batch).image)
            self._event(f"held_out_{name}", **figures)
            scores.append(figures["score"])
        if scores and (self.progress.best is None or np.mean(scores) < self.progress.best):
            self.progress.best = float(np.mean(scores))
            self._write_weights("best")

    def _draw_sheets(self) -> None:
        for name, held_out in self._held_out.items():
            batch = held_out.first()
            output = self.learner.draw(batch)
            made = [output.warped, output.image, output.mask, output.matte]
            self._log.sheet(name, self.progress.step, sample_sheet(batch, [m for m in made if m is not None]))

    def _write_weights(self, name: str) -> None:
        weights_file.save(
            self._output / f"{name}.safetensors",
            self.learner.average,
            step=self.progress.step,
            licence=self._configuration.licence,
            half=True,
        )

    def _keep_good(self) -> None:
        self._good = ({name: t.detach().clone() for name, t in self.learner.tensors().items()}, self.progress.step)
        self._bad_rolls = 0

    def _go_back(self, reason: str) -> None:
        self._bad_rolls += 1
        self.progress.rollbacks += 1
        self._event("rollback", reason=reason, back_to=self._good[1])
        if self._bad_rolls > _ROLLBACKS:
            raise PortraitError(
                ErrorCode.INTERNAL,
                f"Training fails again and again at step {self.progress.step}: {reason}.",
                "Lower the learning rates, or start again from an earlier checkpoint.",
            )
        self.learner.load(self._good[0])
        self.progress.step = self._good[1]

    def _save(self) -> None:
        if self._team.rank == 0:
            state = {
                "progress": dataclasses.asdict(self.progress),
                "configuration": dataclasses.asdict(self._configuration),
            }
            keep = self._configuration.keeping.last
            checkpoints.write(self._output, self.progress.step, self.learner.tensors(), state, keep)
            self._write_weights("last")
            self._event("checkpoint")

    def _load(self, path: Path) -> None:
        tensors, state = checkpoints.read(path)
        try:
            self.learner.load(tensors)
            self.progress = RunProgress(**state["progress"])
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS,
                f"{path} is a checkpoint of other networks: {str(error).partition(chr(10))[0]}",
                "Resume with the configuration that the run was started with.",
            ) from error

    def _event(self, event: str, **values: Any) -> None:
        if self._team.rank == 0:
            self._log.event(event, self.progress.step, **values)

    def _loader(self) -> Loader:
        data = self._configuration.data
        return Loader(
            self._corpus,
            seed=self._configuration.seed + _RANK_SEEDS * self._team.rank,
            batch_size=data.batch_size,
            references=data.references,
            side=self._configuration.network.side,
            workers=data.workers,
            start=self.progress.batch,
            pin_memory=self._team.device.type == "cuda",
        )

    def _bar(self) -> tqdm:
        hidden = True if self._team.rank else None  # None: shown on a terminal alone
        return tqdm(total=self._configuration.steps, initial=self.progress.step, unit="step", disable=hidden)


def _names(corpora: Sequence[CorpusChoice]) -> list[str]:
    """What figures of each are called: by its path's last part, counted where that is taken: `heads`, `heads-2`."""
    names: list[str] = []
    for corpus in corpora:
        stem = corpus.path.stem
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain([stem], numbered) if name not in names))
    return names
