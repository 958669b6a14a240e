# SPDX-License-Identifier: GPL-3.0-or-later
"""A painter on its way to one person: the style and low-rank changes learn, and can be blended back to nothing."""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor, nn

from portrait_server.networks.painter import Painter, Painting
from portrait_server.networks.personal import PersonalPainter, add_low_rank
from portrait_server.training.batches import CropBatch
from portrait_server.training.objective import Objective, Weights

_CLIP: Final = 1.0


class TunedPainter:
    """A copy of a painter, in which what is added to the style learns, and low-rank changes of its last convolutions."""

    def __init__(self, painter: Painter, *, rank: int, rate: float, seed: int) -> None:
        """Args: rank: of the changes; rate: Adam's."""
        torch.manual_seed(seed)
        self._painter = copy.deepcopy(painter).requires_grad_(False).eval()
        self._changes = add_low_rank(self._painter, rank)
        self._style = nn.Parameter(self._painter.style.weight.new_zeros(self._painter.style.out_features))
        self._strength = 1.0
        self._learning = [self._style, *(p for change in self._changes.values() for p in change.parameters())]
        self._optimiser = torch.optim.Adam(self._learning, lr=rate)
        # The perceptual network is not there where people tune, and the discriminator does not ship.
        self._objective = Objective(Weights(), None, 0)

    def blend(self, strength: float) -> None:
        """What is painted and kept from now on: 0 as before tuning to 1 all that has been learnt."""
        self._strength = strength
        for change in self._changes.values():
            change.strength = strength

    @torch.no_grad()
    def draw(self, batch: CropBatch) -> Tensor:
        """Pictures (B, 3, S, S), 0 to 1."""
        return self._painting(batch).image.clamp(0, 1)

    def learn(self, batch: CropBatch) -> bool:
        """One step; False where the loss or a gradient was not finite: then nothing has been learnt."""
        self.blend(1.0)
        loss = torch.stack(list(self._objective.of_painter(self._painting(batch), batch, None, 0).values())).sum()
        self._optimiser.zero_grad()
        loss.backward()
        if not torch.isfinite(nn.utils.clip_grad_norm_(self._learning, _CLIP)):
            return False
        self._optimiser.step()
        return True

    def personal(self) -> PersonalPainter:
        """A copy of what is painted now."""
        changes = {
            name: (self._strength * change.left.detach(), change.right.detach().clone())
            for name, change in self._changes.items()
        }
        return PersonalPainter(self._strength * self._style.detach(), changes)

    @torch.no_grad()
    def restore(self, personal: PersonalPainter) -> None:
        """Paints again as when `personal` was copied."""
        self.blend(1.0)
        self._style.copy_(personal.style)
        for name, (left, right) in personal.changes.items():
            self._changes[name].left.copy_(left)
            self._changes[name].right.copy_(right)

    def _painting(self, batch: CropBatch) -> Painting:
        style = self._painter.styled(batch.references, batch.rasters) + self._strength * self._style
        return self._painter(batch.draft, batch.raster, batch.reference, batch.seen, style)
