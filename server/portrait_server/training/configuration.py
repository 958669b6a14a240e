# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run is told: the tables and keys of its TOML file (`configuration_file` reads it)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class NetworkChoice:
    """Which networks are trained, and at what size.

    Attributes:
        configuration: a name that `networks.configurations.build` knows.
        side: S, pixels of the aligned frame.
        columns: whether the discriminator has a column for each person, as in the paper. With one picture of each it
            would learn these by heart: then one column serves all.
        overrides: what `build` is given beside the name.
    """

    configuration: str
    side: int = 256
    columns: bool = True
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusChoice:
    """One source of samples.

    Attributes:
        kind: `videos`, `reposed` or `rendered`.
        path: its folder or file; relative to the configuration file.
        weight: how often it is drawn, against the others.
        photographs: shards of portraits that rendered heads take their skin and backgrounds from.
        detected: landmarks of made pictures are those that a detector finds there, with all its errors; `videos` have
            such anyway.
    """

    kind: str
    path: Path
    weight: float = 1.0
    photographs: Path | None = None
    detected: bool = False


@dataclass(frozen=True)
class Data:
    """What a step sees.

    Attributes:
        corpora: where the samples come from.
        held_out: people that are never trained on, but measured.
        batch_size: samples of a step, on each device.
        references: K; with `vary_references` a step shows its networks 1 to K of them.
        workers: processes that make samples.
        pool: how many samples there are, each made once and kept in the run's folder; 0 for new ones without end.
        pool_side: pixels a side of what is kept, `network.side` times a power of two; 0 for `network.side`.
        pool_folder: where they are kept instead, for several runs; relative to the configuration file.
    """

    corpora: tuple[CorpusChoice, ...]
    held_out: tuple[CorpusChoice, ...]
    batch_size: int
    references: int = 8
    vary_references: bool = True
    workers: int = 2
    pool: int = 0
    pool_side: int = 0
    pool_folder: Path | None = None


@dataclass(frozen=True)
class Optimiser:
    """Adam's settings. Rates are per step; `clip` bounds the norm of each network's gradient."""

    generator_rate: float
    discriminator_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up_steps: int = 0
    clip: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts for; 0 leaves it uncomputed. See `losses`."""

    pixel: float = 0.0
    gradient: float = 0.0
    pyramid: float = 0.0
    warped: float = 0.0
    flow: float = 0.0
    draft_flow: float = 0.0
    unseen_flow: float = 0.0
    stretch: float = 0.0
    paint: float = 0.0
    visibility: float = 0.0
    matte: float = 0.0
    vgg19: float = 0.0
    vggface: float = 0.0
    adversarial: float = 0.0
    feature_matching: float = 0.0
    embedding_match: float = 0.0
    component_adversarial: float = 0.0
    component_matching: float = 0.0

    @property
    def judge_components(self) -> bool:
        """Whether any loss asks the discriminators of mouths and eyes."""
        return self.component_adversarial > 0 or self.component_matching > 0


@dataclass(frozen=True)
class Stage:
    """Some steps with the same losses; stages follow one another.

    Attributes:
        discriminator_steps: how often the discriminator learns for each of the generator's steps; 0 leaves it out.
        rate_end: what the learning rates have come down to at the stage's end, as a fraction (a straight line).
    """

    name: str
    steps: int
    weights: LossWeights
    discriminator_steps: int = 0
    rate_end: float = 1.0


@dataclass(frozen=True)
class RegionWeights:
    """How much more than the rest the middle of the mouth and of the eyes count in pixel-wise losses."""

    mouth: float = 0.0
    eyes: float = 0.0


@dataclass(frozen=True)
class Keeping:
    """When a run measures itself, and what stays on disk.

    Attributes:
        minutes: between checkpoints; the first comes after one minute at most, and is always kept.
        last: how many of the newest checkpoints stay.
        measure_every: steps between measurements on held-out identities.
        measure_samples: how many held-out samples a measurement takes.
        sheet_every: steps between sample sheets.
    """

    minutes: float = 10.0
    last: int = 3
    measure_every: int = 500
    measure_samples: int = 64
    sheet_every: int = 500


@dataclass(frozen=True)
class TrainingConfiguration:
    """A whole run.

    Attributes:
        licence: of the weights, an SPDX expression; whoever owns the samples decides.
        seed: of weights and samples.
        content: the weight files of VGG networks, by name; see `perceptual`.
    """

    name: str
    licence: str
    network: NetworkChoice
    data: Data
    optimiser: Optimiser
    stages: tuple[Stage, ...]
    seed: int = 1
    regions: RegionWeights = RegionWeights()
    content: dict[str, Path] = field(default_factory=dict)
    keeping: Keeping = Keeping()

    @property
    def judges_components(self) -> bool:
        """Whether mouths and eyes are judged for themselves."""
        return any(stage.weights.judge_components for stage in self.stages)

    @property
    def steps(self) -> int:
        """How many steps all stages take."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[Stage, float]:
        """The stage that step `step` (from 0) belongs to, and how much of it is over, 0 to 1."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step / stage.steps
            step -= stage.steps
        return self.stages[-1], 1.0
