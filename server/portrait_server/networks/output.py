# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a generator of either configuration, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class References:
    """K pictures of each person, aligned.

    Attributes:
        images: (B, K, 3, S, S), 0 to 1.
        points: (B, K, 70, 3) pixels of the aligned frame.
        mattes: (B, K, 1, S, S), 0 to 1, the person; a half where unknown.
        draft: (B, 4, S, S), 0 to 1, the first reference and its matte, already moved to the target as the engine `warp`
            does it (`aligned_draft`); None where the networks shall carry it like the others.
    """

    images: torch.Tensor
    points: torch.Tensor
    mattes: torch.Tensor
    draft: torch.Tensor | None = None

    def with_first(self, draft: torch.Tensor) -> References:
        """The same with a draft (B, 4, S, S) in the first one's place; its points stay those it was moved from."""
        images = torch.cat([draft[:, None, :3], self.images[:, 1:]], 1)
        mattes = torch.cat([draft[:, None, 3:], self.mattes[:, 1:]], 1)
        return References(images, self.points, mattes, draft)

    def only(self, number: int) -> References:
        """One of the K, as K = 1, without a draft."""
        part = slice(number, number + 1)
        return References(self.images[:, part], self.points[:, part], self.mattes[:, part])


@dataclass(frozen=True)
class Output:
    """A generated picture, S pixels a side, and for the generator that copies how it came about.

    Attributes:
        image: (B, 3, S, S), 0 to 1 but for training's sake not clamped.
        warped: (B, 3, S, S), what the references show, carried over and merged.
        flow: (B, K, S, S, 2), for each target pixel its position in each reference, pixels; in the draft where
            there is one, for the first.
        merge: (B, K, 1, S, S), each reference's share; they add up to 1.
    """

    image: torch.Tensor
    warped: torch.Tensor | None = None
    flow: torch.Tensor | None = None
    merge: torch.Tensor | None = None


@dataclass(frozen=True)
class TrainingOutput(Output):
    """With what only training looks at.

    Attributes:
        matte: (B, 1, S, S), 0 to 1, the person.
        mask: (B, 1, S, S), 0 to 1, where so much was painted that what was carried over counts for nothing.
        visibility: (B, K, 1, S, S) logits: whether each reference shows it.
    """

    matte: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    visibility: torch.Tensor | None = None
