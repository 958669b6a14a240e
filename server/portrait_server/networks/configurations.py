# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations by name: which networks, how wide, for frames of which side."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from portrait_server.networks.discriminator import ProjectionDiscriminator
from portrait_server.networks.embedder import Embedder
from portrait_server.networks.generator import Generator
from portrait_server.networks.output import References, TrainingOutput
from portrait_server.networks.portrait_generator import PortraitGenerator


@dataclass(frozen=True)
class Configuration:
    """How networks are built.

    Attributes:
        name: of the configuration it started from.
        copies: the generator moves the references' pixels (`PortraitGenerator`) instead of making all (`Generator`).
        side: of the aligned frame, pixels.
        width: of the generator.
        embedder_side: pixels a side of what the embedder looks at: who a person is shows in small pictures, too.
        embedder_width, embedder_widest, embedding: of the embedder; the discriminator has the same.
        spectral: spectral norm in embedder and generator; the discriminator always has it.
    """

    name: str
    copies: bool
    side: int
    width: int
    embedder_side: int
    embedder_width: int
    embedder_widest: int
    embedding: int
    spectral: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


CONFIGURATIONS: Final[dict[str, Configuration]] = {
    each.name: each
    for each in (
        Configuration("zakharov2019", False, 256, 64, 256, 64, 512, 512, True),
        Configuration("portrait", True, 256, 32, 128, 32, 256, 512, False),
        Configuration("tiny-zakharov2019", False, 64, 4, 64, 4, 16, 16, True),
        Configuration("tiny-portrait", True, 64, 8, 64, 4, 16, 16, False),
    )
}


class Networks(nn.Module):
    """Embedder and generator of one configuration.

    Attributes:
        configuration: what they were built from.
        embedder: (B, K) pictures with landmarks -> embeddings (B, E).
        generator: its ``style(embeddings)`` and ``forward(references, target_points, style)`` are the same in both.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        c = self.configuration = configuration
        self.embedder = Embedder(c.embedder_side, c.embedder_width, c.embedder_widest, c.embedding, spectral=c.spectral)
        self.generator: Generator | PortraitGenerator = (
            PortraitGenerator(c.side, c.width, c.embedding)
            if c.copies
            else Generator(c.side, c.width, c.embedding, spectral=c.spectral)
        )

    def forward(self, references: References, target_points: torch.Tensor) -> TrainingOutput:
        """Feed-forward: the references (B, K, 3, S, S) of each person, driven to target points (B, 70, 3)."""
        style = self.generator.style(self.embedder(references.images, references.points))
        return self.generator(references, target_points, style)

    def new_discriminator(self, identities: int) -> ProjectionDiscriminator:
        """A discriminator that knows so many people, new, on the networks' device."""
        c = self.configuration
        device = next(self.parameters()).device
        return ProjectionDiscriminator(c.side, c.embedder_width, c.embedder_widest, c.embedding, identities).to(device)


def build(name: str, **overrides: Any) -> Networks:
    """New networks of a configuration, some of its attributes replaced; the embedder's side is at most the frame's.

    Raises:
        ValueError: for a name that is none of `CONFIGURATIONS`.
    """
    if name not in CONFIGURATIONS:
        raise ValueError(f"There is no configuration {name!r}; there are {', '.join(CONFIGURATIONS)}.")
    chosen = replace(CONFIGURATIONS[name], **overrides)
    return Networks(replace(chosen, embedder_side=min(chosen.embedder_side, chosen.side)))
