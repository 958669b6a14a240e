# SPDX-License-Identifier: GPL-3.0-or-later
"""One batch on the training device, pictures as floats."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from portrait_server.corpora.sample import SPECS


@dataclass(frozen=True)
class Batch:
    """What `corpora.loader` makes, ready for the networks: every picture and mask float32 from 0 to 1.

    Attributes:
        references: (B, K, 3, S, S). reference_points: (B, K, 70, 3) pixels. reference_mattes: (B, K, 1, S, S).
        target: (B, 3, S, S). target_points: (B, 70, 3). identity: (B,) int64.
        matte, visibility, first_visibility, color_weight, carried: (B, 1, S, S). draft: (B, 4, S, S).
        flow: (B, S, S, 2) pixels of the last reference, NaN where unknown.
        first_flow, draft_origin: (B, S, S, 2) pixels of the first reference, NaN likewise.
        has_matte, has_draft, has_flow, has_first_flow: (B, 1, 1, 1), 1 or 0: whether the sample says so at all.
    """

    references: Tensor
    reference_points: Tensor
    reference_mattes: Tensor
    target: Tensor
    target_points: Tensor
    identity: Tensor
    matte: Tensor
    draft: Tensor
    visibility: Tensor
    first_visibility: Tensor
    color_weight: Tensor
    carried: Tensor
    flow: Tensor
    first_flow: Tensor
    draft_origin: Tensor
    has_matte: Tensor
    has_draft: Tensor
    has_flow: Tensor
    has_first_flow: Tensor

    @property
    def side(self) -> int:
        """S, pixels."""
        return self.target.shape[-1]

    @classmethod
    def of(cls, loaded: dict[str, Tensor], device: torch.device) -> Batch:
        """The loader's batch on `device`."""
        return cls(**{name: _prepared(value, device) for name, value in loaded.items()})

    def with_references(self, count: int) -> Batch:
        """The same with `count` references only: the first ones and the last, or the first, which then is the last."""
        held = self.references.shape[1]
        chosen = [*range(count - 1), held - 1] if count > 1 else [0]
        kept = {n: getattr(self, n)[:, chosen] for n, spec in SPECS.items() if spec.of_each_reference}
        if count == 1 < held:
            kept |= {"flow": self.first_flow, "visibility": self.first_visibility, "has_flow": self.has_first_flow}
        return replace(self, **kept)

    def rows(self, start: int, stop: int) -> Batch:
        """Samples `start` to `stop` of the batch."""
        return Batch(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})


def _prepared(value: Tensor, device: torch.device) -> Tensor:
    value = value.to(device, non_blocking=True)
    if value.dtype == torch.bool:
        return value.float().view(-1, 1, 1, 1)
    return value.float() / 255 if value.dtype == torch.uint8 else value
