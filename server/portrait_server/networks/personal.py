# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning to one person changes in the painters, and its file: something added to the style that their photographs
give, and low-rank changes of the last convolutions.

The file is small, and is for one set of weights alone: it names their checksum.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.safetensors_header import read_header
from portrait_shared.personal import PERSONAL_FORMAT, PersonalFile
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.nn.utils import parametrize

from portrait_server.networks.painter import Painter
from portrait_server.networks.painters import PARTS, Painters

FORMAT_VERSION: Final = 2
"""Files of version 1 were of networks that drew whole frames."""
_HIGHEST_RANK = 256
_LAST: Final = ("ups", "end")  # what comes after the styled middle: how things look, not what they are


class LowRank(nn.Module):
    """Adds left · right to a convolution's weight; nothing until it has learnt.

    Attributes:
        strength: the share of it that is added.
    """

    strength = 1.0

    def __init__(self, weight: Tensor, rank: int) -> None:
        """Args: weight: (out, in, kh, kw)."""
        super().__init__()
        inward = weight[0].numel()
        rank = min(rank, len(weight), inward)
        self.left = nn.Parameter(weight.new_zeros(len(weight), rank))
        self.right = nn.Parameter(torch.randn(rank, inward, device=weight.device) / inward**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.strength * (self.left @ self.right).view_as(weight)


@dataclass(frozen=True)
class PersonalPainter:
    """What is changed of one painter.

    Attributes:
        style: (style length,), added to whatever style references give.
        changes: the left (out, R) and the right (R, in · kh · kw) factor of each changed convolution's change, by the
            convolution's name.
    """

    style: Tensor
    changes: Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Personal:
    """What a personal file holds.

    Attributes:
        painters: by the painter's name, a part of `PARTS`; those that stay as they are have no entry.
        checksum: of the weights it belongs to (`WeightsInfo.checksum`).
    """

    painters: Mapping[str, PersonalPainter]
    checksum: str


def add_low_rank(painter: Painter, rank: int) -> dict[str, LowRank]:
    """Gives the last convolutions of a painter a low-rank change that can learn; by the convolution's name."""
    added = {}
    for name, layer in list(painter.named_modules()):
        if isinstance(layer, nn.Conv2d) and name.partition(".")[0] in _LAST:
            added[name] = LowRank(layer.weight.detach(), rank)
            parametrize.register_parametrization(layer, "weight", added[name])
    return added


def to_file(personal: Personal) -> PersonalFile:
    """What is kept on disk and sent."""
    tensors = {}
    for part, mine in personal.painters.items():
        tensors[f"{part}/style"] = mine.style
        for name, (left, right) in mine.changes.items():
            tensors[f"{part}/{name}.left"], tensors[f"{part}/{name}.right"] = left, right
    kept = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": PERSONAL_FORMAT, "version": str(FORMAT_VERSION), "checksum": personal.checksum}
    return PersonalFile(_sorted(serialised(kept, header)))


def from_file(file: PersonalFile) -> Personal:
    """Reads what `to_file` made. Raises: PortraitError: BAD_WEIGHTS where it is damaged or something else."""
    header = read_header(file.content).metadata
    if header.get("version") != str(FORMAT_VERSION):
        raise _bad(f"has format version {described(header.get('version'))}; this program reads {FORMAT_VERSION}")
    try:
        tensors = deserialised(file.content)
        if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in tensors.values()):
            raise _bad("holds what tuning never makes")
        painters = {part: _painter(part, tensors) for part in PARTS if f"{part}/style" in tensors}
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _bad(f"is damaged ({type(error).__name__}: {error})") from error
    if tensors:
        raise _bad("holds what tuning never makes")
    return Personal(painters, str(header.get("checksum")))


def apply_personal(painters: Painters, personal: Personal, checksum: str) -> Painters:
    """A copy of the painters that paints this person.

    Args:
        painters: as loaded, of the weights with `checksum`.

    Raises:
        PortraitError: BAD_WEIGHTS where the file belongs to other weights.
    """
    if personal.checksum != checksum:
        raise _bad("was made for other weights")
    tuned = copy.deepcopy(painters)
    for part, mine in personal.painters.items():
        _apply(getattr(tuned, part), mine)
    return tuned.requires_grad_(False).eval()


def _apply(painter: Painter, mine: PersonalPainter) -> None:
    if mine.style.shape != (painter.style.out_features,):
        raise _bad("was made for other painters")
    painter.style.bias = nn.Parameter(mine.style.to(painter.style.weight))
    layers = dict(painter.named_modules())
    for name, (left, right) in mine.changes.items():
        layer = layers.get(name)
        if not isinstance(layer, nn.Conv2d) or (len(left), right.shape[1]) != (
            len(layer.weight),
            layer.weight[0].numel(),
        ):
            raise _bad(f"changes {name[:100]}, which is not there")
        with torch.no_grad():
            layer.weight += (left @ right).to(layer.weight).view_as(layer.weight)


def _painter(part: str, tensors: dict[str, Tensor]) -> PersonalPainter:
    """Takes a painter's part out of a file's tensors."""
    style = tensors.pop(f"{part}/style")
    names = {name.removeprefix(f"{part}/").rpartition(".")[0] for name in tensors if name.startswith(f"{part}/")}
    changes = {n: (tensors.pop(f"{part}/{n}.left"), tensors.pop(f"{part}/{n}.right")) for n in sorted(names)}
    if style.ndim != 1 or not all(
        left.ndim == right.ndim == 2 and left.shape[1] == len(right) <= _HIGHEST_RANK
        for left, right in changes.values()
    ):
        raise _bad("holds arrays of impossible shapes")
    return PersonalPainter(style, changes)


def _sorted(content: bytes) -> bytes:
    """A safetensors file with its header in order: safetensors writes it in a random one, and equal tunings shall
    have equal hashes."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # as safetensors aligns what follows
    return len(header).to_bytes(8, "little") + header + content[end:]


def _bad(what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_WEIGHTS, f"The personal file {what}.", "Make the file again with `portrait adapt`."
    )
