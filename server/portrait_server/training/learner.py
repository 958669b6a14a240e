# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that learns, and one step of learning: networks, their running mean, discriminator, optimisers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from torch import Tensor, nn

from portrait_server.networks.components import ComponentDiscriminators
from portrait_server.networks.configurations import Networks, build
from portrait_server.networks.landmark_raster import rasterize
from portrait_server.networks.output import References, TrainingOutput
from portrait_server.networks.weights_file import WeightsInfo
from portrait_server.training import losses
from portrait_server.training.batch import Batch
from portrait_server.training.checkpoints import load_optimiser, optimiser_tensors
from portrait_server.training.configuration import Stage, TrainingConfiguration
from portrait_server.training.objective import adversarial_terms, component_terms, reconstruction_terms, total
from portrait_server.training.perceptual import ContentLoss
from portrait_server.training.precision import autocast
from portrait_server.training.team import Team


class NotFinite(Exception):
    """A loss or a gradient was not finite, so the part it belongs to did not learn.

    The parts before it in the same step have: discriminator and components are taught first, the networks last. So the
    step is not undone; to take it back, load what `Learner.tensors` held before it.
    """


class Learner:
    """What a run trains.

    Attributes:
        networks: embedder and generator, as they learn.
        average: the same, the running mean of their weights: what is measured and shipped.
        discriminator: None where no stage asks for one.
        components: the discriminators of mouths and eyes; None where no stage asks for them.
    """

    def __init__(self, configuration: TrainingConfiguration, identities: int, team: Team) -> None:
        """Everything new, and the same in every process of the team.

        Raises:
            PortraitError: WEIGHTS_MISSING for a content network without its file.
        """
        torch.manual_seed(configuration.seed)
        self._configuration, self._team = configuration, team
        chosen = configuration.network
        networks = build(chosen.configuration, side=chosen.side, **chosen.overrides)
        # Channels last: a step of the portrait networks at 128 pixels takes 0.30 s instead of 0.47 s on two cores.
        self.networks: Networks = networks.to(team.device, memory_format=torch.channels_last)
        self.average: Networks = copy.deepcopy(self.networks).requires_grad_(False).eval()
        judged = any(stage.discriminator_steps for stage in configuration.stages)
        columns = identities if chosen.columns else 1
        self.discriminator = self.networks.new_discriminator(columns) if judged else None
        judges = configuration.judges_components
        self.components = ComponentDiscriminators().to(team.device) if judges else None
        self._content = {name: ContentLoss(name, path).to(team.device) for name, path in configuration.content.items()}
        betas = configuration.optimiser.betas
        self._optimisers = {"networks": torch.optim.Adam(self.networks.parameters(), betas=betas)}
        for part, judge in self._judges().items():
            self._optimisers[part] = torch.optim.Adam(judge.parameters(), betas=betas)
        team.share(self.tensors().values())

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """Learns from one batch; `step` counts from 0.

        Returns:
            every term of the losses, weighted, and the norms of the gradients before clipping.

        Raises:
            NotFinite: a loss or a gradient; part of the step may have been learnt.
        """
        stage, done = self._configuration.stage_at(step)
        self._set_rates(stage, done, step)
        figures: dict[str, Tensor] = {}
        with autocast(self._team.device):
            output, embeddings = self._draw(batch)
        terms = reconstruction_terms(output, batch, stage.weights, self._configuration.regions, self._content)
        if self.discriminator is not None and stage.discriminator_steps:
            for _ in range(stage.discriminator_steps):
                figures |= self._teach_discriminator(self.discriminator, batch, output.image.detach())
            terms |= self._judged(self.discriminator, batch, output, embeddings, stage)
        if self.components is not None and stage.weights.judge_components:
            lines = rasterize(batch.target_points, batch.side)
            figures |= self._teach_components(self.components, batch, output.image.detach(), lines)
            terms |= self._components_judge(self.components, batch, output.image, lines, stage)
        figures |= terms
        figures["gradient_norm"] = self._learn("networks", self.networks, total(terms))
        self._follow(step)
        return {name: float(value.detach()) for name, value in figures.items()}

    @torch.no_grad()
    def draw(self, batch: Batch) -> TrainingOutput:
        """What the averaged networks make of a batch."""
        with autocast(self._team.device):
            return self.average(references_of(batch), batch.target_points)

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds, by name; not copies."""
        modules = {"networks": self.networks, "average": self.average, **self._judges()}
        held = {
            f"{part}/{name}": tensor for part, module in modules.items() for name, tensor in module.state_dict().items()
        }
        for part, optimiser in self._optimisers.items():
            held |= {f"{part}-adam/{name}": tensor for name, tensor in optimiser_tensors(optimiser).items()}
        return held

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Puts back what `tensors` gave. Raises: RuntimeError or KeyError where the shapes or names are of other networks."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts.setdefault(part, {})[rest] = tensor
        self.networks.load_state_dict(parts["networks"])
        self.average.load_state_dict(parts["average"])
        for part, judge in self._judges().items():
            judge.load_state_dict(parts[part])
        for part, optimiser in self._optimisers.items():
            load_optimiser(optimiser, parts.get(f"{part}-adam", {}))

    def begin_with(self, networks: Networks, info: WeightsInfo) -> None:
        """Takes over embedder and generator; those that copy may have been trained in frames of another side.

        Raises:
            PortraitError: BAD_WEIGHTS where they are of another configuration.
        """
        mine, theirs = self.networks.configuration, networks.configuration
        if (replace(theirs, side=mine.side) if mine.copies else theirs) != mine:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS,
                f"The weights are of other networks ({info.configuration}) than the configuration asks for.",
                "Write the same configuration, side and overrides under [network].",
            )
        for part in (self.networks, self.average):
            part.load_state_dict(networks.state_dict())

    def _draw(self, batch: Batch) -> tuple[TrainingOutput, Tensor]:
        references = references_of(batch)
        embeddings = self.networks.embedder(references.images, references.points)
        style = self.networks.generator.style(embeddings)
        return self.networks.generator(references, batch.target_points, style), embeddings

    def _teach_discriminator(self, judge: nn.Module, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        people = self._columns(batch)
        with autocast(self._team.device):
            on_real = judge(batch.target, batch.target_points, people).scores
            on_fake = judge(fake, batch.target_points, people).scores
        return self._teach("discriminator", judge, [on_real], [on_fake])

    def _judged(
        self, judge: nn.Module, batch: Batch, output: TrainingOutput, embeddings: Tensor, stage: Stage
    ) -> dict[str, Tensor]:
        people = self._columns(batch)
        with frozen(judge), autocast(self._team.device):
            fake = judge(output.image, batch.target_points, people)
            with torch.no_grad():
                real = judge(batch.target, batch.target_points, people)
        return adversarial_terms(fake, real, judge.people[people], embeddings, stage.weights)

    def _teach_components(
        self, judges: ComponentDiscriminators, batch: Batch, image: Tensor, lines: Tensor
    ) -> dict[str, Tensor]:
        with autocast(self._team.device):
            on_real = judges(batch.target, batch.target_points, lines)
            on_fake = judges(_taught(image, batch), batch.target_points, lines)
        real, fake = ([judgement.scores for judgement in judgements] for judgements in (on_real, on_fake))
        return self._teach("components", judges, real, fake)

    def _teach(self, part: str, judge: nn.Module, on_real: list[Tensor], on_fake: list[Tensor]) -> dict[str, Tensor]:
        """One step of what judges, by its scores of real and of made pictures."""
        pairs = zip(on_real, on_fake, strict=True)
        loss = torch.stack([losses.discriminator_hinge(real.float(), fake.float()) for real, fake in pairs]).mean()
        norm = self._learn(part, judge, loss)
        return {part: loss.detach(), f"{part}_gradient_norm": norm}

    def _components_judge(
        self, judges: ComponentDiscriminators, batch: Batch, image: Tensor, lines: Tensor, stage: Stage
    ) -> dict[str, Tensor]:
        with frozen(judges), autocast(self._team.device):
            fake = judges(_taught(image, batch), batch.target_points, lines)
            with torch.no_grad():
                real = judges(batch.target, batch.target_points, lines)
        return component_terms(fake, real, stage.weights)

    def _judges(self) -> dict[str, nn.Module]:
        judges = {"discriminator": self.discriminator, "components": self.components}
        return {part: judge for part, judge in judges.items() if judge is not None}

    def _columns(self, batch: Batch) -> Tensor:
        return batch.identity if self._configuration.network.columns else torch.zeros_like(batch.identity)

    def _learn(self, part: str, module: nn.Module, loss: Tensor) -> Tensor:
        # Asked before backward(), which crashes where a picture was sampled at NaN.
        if self._team.any(not torch.isfinite(loss)):
            raise NotFinite(f"a loss of {float(loss.detach())} of the {part}")
        optimiser = self._optimisers[part]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._team.average_gradients(module.parameters())
        norm = nn.utils.clip_grad_norm_(module.parameters(), self._configuration.optimiser.clip)
        if not torch.isfinite(norm):
            raise NotFinite(f"the gradient of the {part} at a loss of {float(loss)}")
        optimiser.step()
        return norm

    def _set_rates(self, stage: Stage, done: float, step: int) -> None:
        settings = self._configuration.optimiser
        share = (1 + done * (stage.rate_end - 1)) * min(1.0, (step + 1) / max(1, settings.warm_up_steps))
        for part, optimiser in self._optimisers.items():
            rate = settings.generator_rate if part == "networks" else settings.discriminator_rate
            for group in optimiser.param_groups:
                group["lr"] = rate * share

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        # At first the mean must forget fast: it began as networks of noise.
        keep = min(self._configuration.optimiser.ema, (1 + step) / (10 + step))
        for mean, now in zip(self.average.parameters(), self.networks.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for mean, now in zip(self.average.buffers(), self.networks.buffers(), strict=True):
            mean.copy_(now)


def references_of(batch: Batch) -> References:
    """The batch's references as the networks take them; a matte that a sample lacks is a half everywhere.

    Where one sample lacks a draft, none of the batch is used.
    """
    known = batch.has_matte[:, None]
    mattes = known * batch.reference_mattes + (1 - known) * 0.5
    draft = batch.draft if bool(batch.has_draft.all()) else None
    return References(batch.references, batch.reference_points, mattes, draft)


def _taught(image: Tensor, batch: Batch) -> Tensor:
    """A made picture, with the target's own pixels where those are no example, so that nothing is learnt from them there."""
    where = batch.color_weight.clamp(0, 1)
    return batch.target + where * (image - batch.target)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
