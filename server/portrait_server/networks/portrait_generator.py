# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator that copies: moves the references' pixels, merges them by what each shows, mends the rest.

The first reference may come as a draft, already where the target is; what it lacks is then what is learnt.
An untrained one draws what draft and `prior` alone would: every output layer starts at nought.
Shapes: B batch, K references, S side of the aligned frame, w width, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from portrait_server.networks import landmark_raster
from portrait_server.networks.blocks import assign_styles
from portrait_server.networks.flow import pixel_grid, sampled, shrunk, stretched, to_side
from portrait_server.networks.generator_parts import MotionNetwork, ReferenceEncoder, RefinementNetwork
from portrait_server.networks.output import Output, References, TrainingOutput
from portrait_server.networks.prior import Motion, fit_motion, flow_pixels
from portrait_server.networks.regions import EYES, MOUTH, around, head

_LARGEST_RESIDUAL = 1 / 16  # of the learnt flow, in sides of the frame, for an output of 1
_COVERING = 0.3  # a change of colour that leaves nothing of what was carried over
_SHADES = 32  # a side: away from eyes and mouth, paint is as coarse as a picture of so many pixels
_OPENINGS_REACH = 0.6  # height of the bell around eyes and mouth above which paint keeps all its detail
_CERTAIN = 1e-3  # a matte's distance from 0 and 1 where it is taken to logits
_RIM_CELLS, _RIM = 32, 3  # a matte changes near its contour alone: within a cell, of so many a side of the frame
_SURELY_PERSON = 0.6, 0.95  # of a further reference's matte: below, nothing of it is taken; above, all
_NEARNESS = 100.0  # how fast a reference loses its say with its distance, in sides of the frame
_STRETCH = 0.04  # in sides: how much farther a reference counts as that must be stretched, as a shut eye to an open one


@dataclass(frozen=True)
class Features:
    """What is known of the references before there is a target; computed once for a portrait.

    Attributes:
        references: the pictures themselves.
        half: (B K, w / 2, S / 2, S / 2), quarter: (B K, 3 w / 2, S / 4, S / 4), eighth: (B K, 3 w, S / 8, S / 8).
        lines: (B K, 3, S / 4, S / 4), raster of the references' landmarks.
    """

    references: References
    half: torch.Tensor
    quarter: torch.Tensor
    eighth: torch.Tensor
    lines: torch.Tensor

    @classmethod
    def joined(cls, references: References, parts: Sequence[Features]) -> Features:
        """Of one person (B = 1), from those of each reference."""
        kinds = ([getattr(part, name) for part in parts] for name in ("half", "quarter", "eighth", "lines"))
        return cls(references, *(torch.cat(kind) for kind in kinds))

    def repeated(self, batch: int) -> Features:
        """Of one person (B = 1), the same for a batch of targets."""
        if batch == 1:
            return self
        images, points, mattes = self.references.images, self.references.points, self.references.mattes
        references = References(
            images.expand(batch, -1, -1, -1, -1),
            points.expand(batch, -1, -1, -1),
            mattes.expand(batch, -1, -1, -1, -1),
        )
        parts = (self.half, self.quarter, self.eighth, self.lines)
        return Features(references, *(part.repeat(batch, 1, 1, 1) for part in parts))

    def with_first(self, draft: torch.Tensor, first: Sequence[torch.Tensor]) -> Features:
        """The same with a draft (B, 4, S, S) in the first one's place, and its `half`, `quarter` and `eighth`."""
        batch, count = self.references.images.shape[:2]
        parts = []
        for own, other in zip((self.half, self.quarter, self.eighth), first, strict=True):
            rest = own.unflatten(0, (batch, count))[:, 1:]
            parts.append(torch.cat([other[:, None], rest], 1).flatten(0, 1))
        half, quarter, eighth = parts
        return Features(self.references.with_first(draft), half, quarter, eighth, self.lines)


class PortraitGenerator(nn.Module):
    """Flow from landmarks, several references merged, refinement in the person's style, a matte.

    Args:
        side: of the aligned frame, pixels; a multiple of 16.
        width: w.
        embedding: E, length of a person's embedding.
    """

    def __init__(self, side: int, width: int, embedding: int) -> None:
        super().__init__()
        self.side = side
        self.encoder = ReferenceEncoder(width)
        self.motion = MotionNetwork(width)
        self.refinement = RefinementNetwork(width)
        self.nearness = nn.Parameter(torch.ones(()))
        self.project = nn.Linear(embedding, assign_styles(self), bias=False)
        """P: a plain matrix from embedding to the scales and shifts of every AdaIN layer."""
        nn.init.normal_(self.project.weight, std=0.02)

    def style(self, embedding: torch.Tensor) -> torch.Tensor:
        """P e / |e|: embeddings (B, E) -> styles (B, style length).

        Embeddings are sums over places, and grow large; unscaled, their styles drive every refined value below 0
        within some hundred steps of training, and the network never paints again.
        """
        return self.project(F.normalize(embedding, dim=1))

    def forward(self, references: References, target_points: torch.Tensor, style: torch.Tensor) -> TrainingOutput:
        """Pictures of the aligned frame.

        Args:
            references: of the same B people.
            target_points: (B, 70, 3) pixels of the aligned frame.
            style: (B, style length), from `style` or tuned to a person.
        """
        if references.draft is not None:
            references = references.with_first(references.draft)
        output, painted, matte, change, visibility = self._drawn(self.encode(references), target_points, style)
        logits = torch.logit(matte.clamp(_CERTAIN, 1 - _CERTAIN)) + change * _rim(matte)
        return TrainingOutput(
            output.image, output.warped, output.flow, output.merge,
            matte=torch.sigmoid(logits),
            mask=(painted.abs().amax(1, keepdim=True) / _COVERING).clamp_max(1),
            visibility=to_side(visibility, self.side).unflatten(0, references.images.shape[:2]),
        )  # fmt: skip

    def encode(self, references: References) -> Features:
        """The references' features."""
        pictures = torch.cat([references.images, references.mattes], 2).flatten(0, 1)
        half, quarter, eighth = self.encoder(pictures * 2 - 1)
        lines = landmark_raster.rasterize(references.points.flatten(0, 1), self.side // 4, self.side)
        return Features(references, half, quarter, eighth, lines)

    def draw(self, features: Features, target_points: torch.Tensor, style: torch.Tensor, draft: torch.Tensor) -> Output:
        """As `forward`, from features made before there was a draft (B, 4, S, S)."""
        features = features.with_first(draft, self.encoder(draft * 2 - 1))
        return self._drawn(features, target_points, style)[0]

    def _drawn(
        self, features: Features, target_points: torch.Tensor, style: torch.Tensor
    ) -> tuple[Output, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pictures, and what training looks at besides: paint (B, 3, S, S), the mattes carried over (B, 1, S, S),
        the change of their logits, and visibility logits (B K, 1, S / 4, S / 4)."""
        references = features.references
        batch, count = references.images.shape[:2]
        flow, visibility, coarse, drawn = self._flow(features, target_points)
        merge = self._shares(visibility.unflatten(0, (batch, count)), coarse)

        pictures = torch.cat([references.images, references.mattes], 2).flatten(0, 1)
        parts = sampled(pictures, flow)
        if references.draft is not None and count > 1:
            merge = _of_the_person(merge, parts[:, 3:].unflatten(0, (batch, count)))
        carried = _merged(parts, merge)  # (B, 4, S, S)
        pyramid, at = [], flow
        for part in (features.half, features.quarter, features.eighth):
            at = shrunk(at, 2)
            pyramid.append(_merged(sampled(part, at), merge))
        half, quarter, eighth = pyramid
        seen = _merged(to_side(torch.sigmoid(visibility), self.side), merge)  # (B, 1, S, S)
        made = self.refinement(
            torch.cat([F.pixel_unshuffle(carried * 2 - 1, 2), half, F.avg_pool2d(seen, 2)], 1),
            torch.cat([quarter, drawn], 1),
            eighth,
            style,
        )
        made = made * head(self.side, made.device)
        painted = self._paint(made[:, :3], target_points)
        # Paint is added, not blended: through a mask that is closed at first, nothing is learnt.
        output = Output(
            carried[:, :3] + painted, warped=carried[:, :3], flow=flow.unflatten(0, (batch, count)), merge=merge
        )
        return output, painted, carried[:, 3:], made[:, 3:], visibility

    def _flow(
        self, features: Features, target_points: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Flow (B K, S, S, 2), visibility logits (B K, 1, S / 4, S / 4), the prior's own flow (B K, S / 4, S / 4, 2) in
        pixels of frames of that size, target raster (B, 3, S / 4, S / 4)."""
        references = features.references
        count = references.images.shape[1]
        small = self.side // 4
        motion = fit_motion(references.points, target_points, self.side)
        coarse = flow_pixels(motion, small).flatten(0, 1)
        offset = ((coarse - pixel_grid(small, coarse)) / small).permute(0, 3, 1, 2)
        drawn = landmark_raster.rasterize(target_points, small, self.side)
        start, quarter = self._carried_by_prior(features, motion)
        seen = torch.cat(
            [quarter, sampled(features.lines, coarse), drawn.repeat_interleave(count, 0), offset * 8],
            1,
        )
        residual, visibility = self.motion(seen)
        residual = to_side(residual, self.side) * (_LARGEST_RESIDUAL * self.side) * head(self.side, residual.device)
        return start + residual.permute(0, 2, 3, 1), visibility, coarse, drawn

    def _carried_by_prior(self, features: Features, motion: Motion) -> tuple[torch.Tensor, torch.Tensor]:
        """The flow (B K, S, S, 2) that geometry tells, and `quarter` carried along it. A draft is there already."""
        references, quarter = features.references, features.quarter
        batch, count = references.images.shape[:2]
        if references.draft is None:
            start = flow_pixels(motion, self.side).flatten(0, 1)
            return start, sampled(quarter, shrunk(start, 4))
        still = pixel_grid(self.side, motion.centres).expand(batch, 1, -1, -1, -1)
        if count == 1:
            return still[:, 0], quarter
        start = flow_pixels(motion.without_first(), self.side)
        own = quarter.unflatten(0, (batch, count))
        others = sampled(own[:, 1:].flatten(0, 1), shrunk(start.flatten(0, 1), 4)).unflatten(0, (batch, count - 1))
        return torch.cat([still, start], 1).flatten(0, 1), torch.cat([own[:, :1], others], 1).flatten(0, 1)

    def _shares(self, visibility: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Each reference's share (B, K, 1, S, S), by visibility logits (B, K, 1, S / 4, S / 4) and by how far and how
        stretched the prior's flow (B K, S / 4, S / 4, 2) finds it."""
        batch, count, _, small = visibility.shape[:4]
        if count == 1:
            return visibility.new_ones(batch, 1, 1, self.side, self.side)
        offset = (coarse - pixel_grid(small, coarse)) / small
        distance = offset.norm(dim=-1)[:, None] + _STRETCH * stretched(coarse)
        logits = visibility - self.nearness * _NEARNESS * distance.unflatten(0, (batch, count))
        return to_side(torch.softmax(logits, 1).flatten(0, 1), self.side).unflatten(0, (batch, count))

    def _paint(self, painted: torch.Tensor, target_points: torch.Tensor) -> torch.Tensor:
        """What is painted (B, 3, S, S), in its fine detail only where something new may appear: in eyes and mouth.

        Skin and hair change their shade, but keep their own detail: a network free to paint there blurs every freckle
        whose place it cannot tell. (So do Zakharov et al., ECCV 2020: low frequencies are made, high ones warped.)
        """
        shades = to_side(F.adaptive_avg_pool2d(painted, _SHADES), self.side)
        openings = around(target_points, (*EYES, *MOUTH), self.side) / _OPENINGS_REACH
        return shades + openings.clamp_max(1) * (painted - shades)


def _rim(matte: torch.Tensor) -> torch.Tensor:
    """1 near the contour of a matte (B, 1, S, S), 0 deep inside, where a change would be a hole, and far outside."""
    coarse = F.adaptive_avg_pool2d(matte.detach(), _RIM_CELLS)
    most, least = (F.max_pool2d(sign * coarse, _RIM, 1, _RIM // 2) for sign in (1, -1))
    return to_side(most + least, matte.shape[-1])


def _of_the_person(merge: torch.Tensor, mattes: torch.Tensor) -> torch.Tensor:
    """Shares (B, K, 1, S, S) with those of further references kept to where their mattes, of the same shape, surely
    show the person; the draft has the rest. The background comes from the first photograph alone."""
    first, last = _SURELY_PERSON
    sure = ((mattes[:, 1:] - first) / (last - first)).clamp(0, 1)
    others = merge[:, 1:] * sure.to(merge.dtype)
    return torch.cat([1 - others.sum(1, keepdim=True), others], 1)


def _merged(parts: torch.Tensor, merge: torch.Tensor) -> torch.Tensor:
    """Parts (B K, C, s, s) of the references by their shares (B, K, 1, S, S): (B, C, s, s)."""
    batch, count = merge.shape[:2]
    if count == 1:
        return parts
    step = merge.shape[-1] // parts.shape[-1]
    shares = merge if step == 1 else F.avg_pool2d(merge.flatten(0, 1), step).unflatten(0, (batch, count))
    return (parts.unflatten(0, (batch, count)) * shares.to(parts.dtype)).sum(1)
