# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks on their way to one person: ψ′ and low-rank changes learn, and can be blended back towards P ê."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from portrait_server.corpora.assembly import aligned_face
from portrait_server.corpora.shards import Face
from portrait_server.networks.configurations import Networks
from portrait_server.networks.discriminator import ProjectionDiscriminator
from portrait_server.networks.output import TrainingOutput
from portrait_server.networks.personal import LowRank, Personal, add_low_rank
from portrait_server.training import losses
from portrait_server.training.batch import Batch
from portrait_server.training.configuration import LossWeights, RegionWeights
from portrait_server.training.learner import frozen, references_of
from portrait_server.training.objective import adversarial_terms, reconstruction_terms, total
from portrait_server.training.precision import autocast

_WEIGHTS: Final = LossWeights(pixel=1.0, gradient=1.0, pyramid=4.0, warped=0.5, matte=0.5)
_JUDGED: Final = LossWeights(adversarial=0.01, feature_matching=0.5)
_REGIONS: Final = RegionWeights(mouth=4.0, eyes=4.0)
_CLIP = 10.0
_JUDGE_RATE = 2e-4


class TunedNetworks:
    """A copy of the networks in which ψ′ and low-rank changes of the generator's convolutions learn."""

    def __init__(
        self,
        networks: Networks,
        faces: Sequence[Face],
        discriminator: ProjectionDiscriminator | None,
        *,
        rank: int,
        rate: float,
        seed: int,
    ) -> None:
        """Args: faces, discriminator: as `search.tune_networks`; rank: of the changes; rate: Adam's."""
        torch.manual_seed(seed)
        self._networks = copy.deepcopy(networks).requires_grad_(False).eval()
        self._generator = self._networks.generator
        embedding = _embedding(self._networks, faces)
        self._plain = self._generator.style(embedding)
        self._style = nn.Parameter(self._plain.clone())
        self._changes: dict[str, LowRank] = add_low_rank(self._generator, rank)
        self._strength = 1.0
        self._learning = [self._style, *(p for change in self._changes.values() for p in change.parameters())]
        self._optimiser = torch.optim.Adam(self._learning, lr=rate)
        self._judge = copy.deepcopy(discriminator)
        if self._judge is not None:
            self._judge.become_personal(embedding[0])
            self._judge_optimiser = torch.optim.Adam(self._judge.parameters(), lr=_JUDGE_RATE)

    def blend(self, strength: float) -> None:
        """What is drawn and kept from now on: 0 as before tuning to 1 all that has been learnt."""
        self._strength = strength
        for change in self._changes.values():
            change.strength = strength

    def draw(self, batch: Batch) -> Tensor:
        """Pictures (B, 3, S, S)."""
        return self._output(batch).image

    def learn(self, batch: Batch) -> bool:
        """One step; False where a loss or a gradient was not finite: then only the discriminator has learnt."""
        self.blend(1.0)
        output = self._output(batch)
        terms = reconstruction_terms(output, batch, _WEIGHTS, _REGIONS, {})
        if self._judge is not None:
            terms |= self._judged(self._judge, output, batch)
        loss = total(terms)
        if not torch.isfinite(loss):
            return False
        self._optimiser.zero_grad()
        loss.backward()
        if not torch.isfinite(nn.utils.clip_grad_norm_(self._learning, _CLIP)):
            return False
        self._optimiser.step()
        return True

    def personal(self, checksum: str) -> Personal:
        """A copy of what is drawn now; at strength 0, P ê and no changes."""
        changes = {
            name: (self._strength * change.left.detach(), change.right.detach().clone())
            for name, change in self._changes.items()
        }
        return Personal(self._blended_style().detach()[0].clone(), changes if self._strength else {}, checksum)

    @torch.no_grad()
    def restore(self, personal: Personal) -> None:
        """Draws again as when `personal` was copied."""
        self.blend(1.0)
        self._style.copy_(personal.style[None])
        for name, (left, right) in personal.changes.items():
            self._changes[name].left.copy_(left)
            self._changes[name].right.copy_(right)

    def _output(self, batch: Batch) -> TrainingOutput:
        style = self._blended_style().expand(len(batch.target), -1)
        with autocast(batch.target.device):
            return self._generator(references_of(batch), batch.target_points, style)

    def _blended_style(self) -> Tensor:
        return self._plain + self._strength * (self._style - self._plain)

    def _judged(self, judge: ProjectionDiscriminator, output: TrainingOutput, batch: Batch) -> dict[str, Tensor]:
        me = torch.zeros_like(batch.identity)
        real = judge(batch.target, batch.target_points, me)
        fake = judge(output.image.detach().float(), batch.target_points, me)
        self._judge_optimiser.zero_grad()
        losses.discriminator_hinge(real.scores, fake.scores).backward()
        self._judge_optimiser.step()
        with frozen(judge):
            fake = judge(output.image.float(), batch.target_points, me)
            with torch.no_grad():
                real = judge(batch.target, batch.target_points, me)
        nothing = real.scores.new_zeros(1)
        return adversarial_terms(fake, real, nothing, nothing, _JUDGED)


@torch.no_grad()
def _embedding(networks: Networks, faces: Sequence[Face]) -> Tensor:
    """(1, E): the mean over all photographs."""
    device = next(networks.parameters()).device
    side = networks.configuration.side
    found = []
    for face in faces:
        view = aligned_face(face, side)
        picture = torch.from_numpy(view.image).to(device).permute(2, 0, 1).float()[None, None] / 255
        found.append(networks.embedder(picture, torch.from_numpy(view.points).to(device)[None, None]))
    return torch.stack(found).mean(0)
