# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator's whole loss: each term of a stage, named, on one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from portrait_server.networks.discriminator import Judgement
from portrait_server.networks.output import TrainingOutput
from portrait_server.training import losses
from portrait_server.training.batch import Batch
from portrait_server.training.configuration import LossWeights, RegionWeights
from portrait_server.training.perceptual import ContentLoss


def reconstruction_terms(
    output: TrainingOutput,
    batch: Batch,
    weights: LossWeights,
    regions: RegionWeights,
    content: Mapping[str, ContentLoss],
) -> dict[str, Tensor]:
    """The terms that compare with the target, already weighted; those of weight 0 are left out.

    A generator that has no flow, matte or visibility has no such term either.
    """
    image = output.image.float()
    where = batch.color_weight * losses.region_weights(batch.target_points, batch.side, regions.mouth, regions.eyes)
    terms: dict[str, Tensor] = {}
    if weights.pixel:
        terms["pixel"] = losses.pixel(image, batch.target, where)
    if weights.gradient:
        terms["gradient"] = losses.gradient(image, batch.target, where)
    if weights.pyramid:
        terms["pyramid"] = losses.pyramid(image, batch.target, where)
    if weights.warped and output.warped is not None:
        terms["warped"] = losses.pixel(output.warped.float(), batch.target, where)
    if weights.paint and output.warped is not None:
        terms["paint"] = losses.paint(image - output.warped.float(), batch.target_points)
    if weights.matte and output.matte is not None:
        # Where a copy of a photograph does not show the photograph, it is torn, and its matte with it.
        terms["matte"] = losses.matte(output.matte.float(), batch.matte, batch.has_matte * batch.color_weight)
    terms |= _draft_terms(output, batch, weights)
    # The draft has moved already: its own flow is taught by `draft_flow`.
    drafted = bool(batch.has_draft.all())
    known = 2 if drafted else 1
    if weights.flow and output.flow is not None and output.flow.shape[1] >= known:
        terms["flow"] = losses.flow(output.flow[:, -1].float(), batch.flow)
    if weights.visibility and output.visibility is not None and output.visibility.shape[1] >= known:
        seen = output.visibility[:, -1].float()
        terms["visibility"] = losses.visibility(seen, batch.visibility, batch.has_flow.expand_as(batch.visibility))
        if drafted:
            seen = output.visibility[:, 0].float()
            known_first = batch.has_first_flow.expand_as(batch.first_visibility)
            terms["visibility"] = terms["visibility"] + losses.visibility(seen, batch.first_visibility, known_first)
    for name, network in content.items():
        if getattr(weights, name):
            terms[name] = network(image, batch.target)
    return {name: getattr(weights, name) * term for name, term in terms.items()}


def _draft_terms(output: TrainingOutput, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """What the shift of a draft, which is the first reference moved, is taught.

    The exact flow to that reference tells what the draft should show.
    """
    if output.flow is None or not bool(batch.has_draft.all()):
        return {}
    made, terms = output.flow[:, 0].float(), {}
    if weights.stretch:
        terms["stretch"] = losses.stretch(made)
    if weights.draft_flow:
        where_known = batch.first_visibility * batch.carried
        terms["draft_flow"] = losses.draft_flow(made, batch.draft_origin, batch.first_flow, where_known)
    if weights.unseen_flow:
        unseen = (1 - batch.first_visibility) * batch.carried * batch.has_first_flow
        terms["unseen_flow"] = losses.unseen_flow(made, unseen)
    return terms


def adversarial_terms(
    fake: Judgement, real: Judgement, columns: Tensor, embeddings: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    """The terms that ask the discriminator, already weighted; those of weight 0 are left out.

    Args:
        columns: (B, E), the discriminator's Wᵢ of each sample.
        embeddings: (B, E), ê.
    """
    terms: dict[str, Tensor] = {}
    if weights.adversarial:
        terms["adversarial"] = losses.generator_hinge(fake.scores.float())
    if weights.feature_matching:
        terms["feature_matching"] = _matching(real, fake)
    if weights.embedding_match:
        terms["embedding_match"] = losses.embedding_match(columns.float(), embeddings.float())
    return {name: getattr(weights, name) * term for name, term in terms.items()}


def component_terms(fakes: Sequence[Judgement], reals: Sequence[Judgement], weights: LossWeights) -> dict[str, Tensor]:
    """The terms that ask the discriminators of mouths and eyes, already weighted; those of weight 0 are left out."""
    terms: dict[str, Tensor] = {}
    if weights.component_adversarial:
        hinges = [losses.generator_hinge(fake.scores.float()) for fake in fakes]
        terms["component_adversarial"] = weights.component_adversarial * torch.stack(hinges).mean()
    if weights.component_matching:
        matched = [_matching(real, fake) for real, fake in zip(reals, fakes, strict=True)]
        terms["component_matching"] = weights.component_matching * torch.stack(matched).mean()
    return terms


def _matching(real: Judgement, fake: Judgement) -> Tensor:
    return losses.feature_matching([f.float() for f in real.features], [f.float() for f in fake.features])


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Their sum."""
    return torch.stack(list(terms.values())).sum()
