# SPDX-License-Identifier: GPL-3.0-or-later
"""Painters: small networks that mend the draft's mouth, or an eye, at the crop's own resolution.

A painter sees the crop of the draft (a reference moved by geometry alone), the reference's own crop, and where lips, lids
and irises are in both. It shifts the draft a little and adds colour, both nothing at the start and at the crop's border.
What people's mouths or eyes look like it knows from training; how this person's do, from one to 32 references (style).
B batch, K references, S the crop's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from portrait_server.geometry.ramps import smoothstep
from portrait_server.networks.blocks import AdaIN, StyledResidual, assign_styles, conv, doubled

RASTERS = 2
"""Of each crop: lips and what opens between them; lids and iris."""

_FARTHEST = 0.06  # of the side: how far the draft is shifted at most
_BRIGHTEST = 0.75  # colour that is added at most, softly
_LEAK, _CALM = 0.2, 0.1
_BORDER = 0.125  # of the side: over which the painting fades to nothing


@dataclass(frozen=True)
class Painting:
    """What a painter makes of a draft.

    Attributes:
        image: (B, 3, S, S), 0 to 1 and a little beyond.
        shift: (B, 2, S, S) pixels, where in the draft each pixel is looked up less where it is.
        colour: (B, 3, S, S) what is added then.
    """

    image: Tensor
    shift: Tensor
    colour: Tensor


class StyleEmbedder(nn.Module):
    """What crops of one person have in common: each tells of each number as much as it shows of it."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        widths = (4 * (3 + RASTERS), width, 2 * width, 4 * width, 4 * width)
        self.blocks = nn.ModuleList(_Down(a, b, step=2 if i else 1) for i, (a, b) in enumerate(pairwise(widths)))
        self.tell = nn.Linear(widths[-1], 2 * embedding)

    def forward(self, references: Tensor, rasters: Tensor) -> Tensor:
        """(B, K, 3, S, S) from 0 to 1, and (B, K, 2, S, S): (B, E)."""
        batch, count = references.shape[:2]
        x = F.pixel_unshuffle(torch.cat([references, rasters], 2).flatten(0, 1) * 2 - 1, 2)
        for block in self.blocks:
            x = block(x)  # (B K, ., S / 2, ...) ... (B K, ., S / 16, ...)
        value, say = self.tell(_leaky(x).mean((2, 3))).unflatten(0, (batch, count)).chunk(2, -1)
        return (value * say.softmax(1)).sum(1)


class Painter(nn.Module):
    """See the module.

    Args:
        width: channels at half the crop's side, and so many more each time that is halved.
        embedding: numbers that stand for a person.
    """

    def __init__(self, width: int = 24, embedding: int = 96) -> None:
        super().__init__()
        w1, w2, w3, w4 = width, 2 * width, 3 * width, 4 * width
        self.width, self.embedding = width, embedding
        self.embedder = StyleEmbedder(2 * width // 3, embedding)
        self.start = conv(4 * (6 + 2 * RASTERS), w1)
        self.downs = nn.ModuleList([_Down(w1, w2), _Down(w2, w3), _Down(w3, w4)])
        self.middle = nn.ModuleList([StyledResidual(w4) for _ in range(2)])
        with torch.no_grad():
            for block in self.middle:
                block.conv2.weight *= _CALM
        self.ups = nn.ModuleList([_Up(w4, w3), _Up(w3, w2), _Up(w2, w1)])
        self.end = conv(w1, 4 * 3 + 2)
        nn.init.zeros_(self.end.weight)
        self.style = nn.Linear(embedding, assign_styles(self), bias=False)
        nn.init.normal_(self.style.weight, std=0.02)

    def styled(self, references: Tensor, rasters: Tensor) -> Tensor:
        """The style (B, N) of a person by references (B, K, 3, S, S), 0 to 1, and their rasters (B, K, 2, S, S)."""
        return self.style(self.embedder(references, rasters))

    def forward(self, draft: Tensor, raster: Tensor, reference: Tensor, seen: Tensor, style: Tensor) -> Painting:
        """Paints.

        Args:
            draft: (B, 3, S, S), 0 to 1; raster (B, 2, S, S) what it shall show.
            reference: (B, 3, S, S) what it was made of; seen (B, 2, S, S) what that shows.
            style: (B, N) from `styled`.
        """
        shift, colour = self.mended(draft, raster, reference, seen, style)
        return Painting(_moved(draft, shift) + colour, shift, colour)

    def mended(
        self, draft: Tensor, raster: Tensor, reference: Tensor, seen: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`Painting.shift` and `colour`, of the same as `forward`."""
        side = int(draft.shape[-1])  # a recording would keep a tensor here, and round what it is multiplied with
        x = self.start(F.pixel_unshuffle(torch.cat([draft, raster, reference, seen], 1) * 2 - 1, 2))
        passed = []
        for down in self.downs:
            passed.append(x)
            x = down(x)  # (B, ., S / 4, ...) ... (B, ., S / 16, ...)
        for block in self.middle:
            x = block(x, style)
        for up in self.ups:
            x = up(x, passed.pop(), style)  # ... (B, w, S / 2, S / 2)
        x = self.end(_leaky(x))
        inside = window(side, draft.device)
        x = x.float()
        shift = F.interpolate(x[:, 12:], scale_factor=2.0, mode="bilinear", align_corners=False)
        shift = inside * (_FARTHEST * side) * torch.tanh(shift)
        return shift, inside * _BRIGHTEST * torch.tanh(F.pixel_shuffle(x[:, :12], 2) / _BRIGHTEST)


def _moved(draft: Tensor, shift: Tensor) -> Tensor:
    """The draft looked up cubically, as it is when it is drawn: else blurring it would pay while it is learnt from."""
    grid = (2 * (_pixel_grid(draft.shape[-1], shift.device) + shift.permute(0, 2, 3, 1)) + 1) / draft.shape[-1] - 1
    return F.grid_sample(draft.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)


def _leaky(x: Tensor) -> Tensor:
    """A ReLU that never dies: with a plain one before its last layer, a painter went dark after 200 steps."""
    return F.leaky_relu(x, _LEAK)


def _calm(inward: int, outward: int) -> nn.Conv2d:
    """The last convolution of a residual block, of little weight at first, so that blocks do not add up."""
    layer = conv(inward, outward)
    with torch.no_grad():
        layer.weight *= _CALM
    return layer


class _Down(nn.Module):
    """(B, C, H, W) -> (B, C', H / step, W / step), without norms: colours stay what they are."""

    def __init__(self, inward: int, outward: int, step: int = 2) -> None:
        super().__init__()
        self.conv1 = conv(inward, outward)
        self.conv1.stride = (step, step)
        self.conv2 = _calm(outward, outward)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(_leaky(x))
        return x + self.conv2(_leaky(x))


class _Up(nn.Module):
    """(B, C, H, W), and what passed by (B, C', 2 H, 2 W) -> the latter's shape, styled."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.narrow = conv(inward, outward, 1)
        self.norm1, self.norm2 = AdaIN(outward), AdaIN(outward)
        self.conv1 = conv(outward, outward)
        self.conv2 = _calm(outward, outward)

    def forward(self, x: Tensor, passed: Tensor, style: Tensor) -> Tensor:
        x = doubled(self.narrow(x)) + passed
        y = self.conv1(_leaky(self.norm1(x, style)))
        return x + self.conv2(_leaky(self.norm2(y, style)))


@cache
@torch.inference_mode(False)  # else training could not use what drawing has made
def window(side: int, device: torch.device) -> Tensor:
    """1 within a crop, falling to 0 at its outermost pixels: (1, 1, side, side) float32."""
    axis = torch.arange(side, device=device) / (side - 1)
    ramp = smoothstep(torch.minimum(axis, 1 - axis) / _BORDER)
    return (ramp[:, None] * ramp)[None, None]


@cache
@torch.inference_mode(False)
def _pixel_grid(side: int, device: torch.device) -> Tensor:
    """Where each pixel is, x and y: (side, side, 2) float32."""
    axis = torch.arange(side, device=device, dtype=torch.float32)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
