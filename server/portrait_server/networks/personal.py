# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning to one person changes, and its file: a style in place of P ê, and low-rank changes of convolutions.

The file is small, and is for one set of weights alone: it names their checksum.
"""

from __future__ import annotations

import copy
import json
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

from portrait_server.networks.configurations import Networks

FORMAT_VERSION: Final = 1
_HIGHEST_RANK = 256


class LowRank(nn.Module):
    """Adds left · right to a convolution's weight, after any spectral norm; nothing until it has learnt.

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
class Personal:
    """What a personal file holds.

    Attributes:
        style: (style length,), ψ′.
        changes: the left (out, R) and the right (R, in · kh · kw) factor of each changed convolution's change,
            by the convolution's name in the generator.
        checksum: of the weights it belongs to (`WeightsInfo.checksum`).
    """

    style: Tensor
    changes: dict[str, tuple[Tensor, Tensor]]
    checksum: str


def add_low_rank(generator: nn.Module, rank: int) -> dict[str, LowRank]:
    """Gives every convolution of a generator a low-rank change that can learn; by the convolution's name."""
    added = {}
    for name, layer in list(generator.named_modules()):
        if isinstance(layer, nn.Conv2d):
            added[name] = LowRank(layer.weight.detach(), rank)
            parametrize.register_parametrization(layer, "weight", added[name])
    return added


def to_file(personal: Personal) -> PersonalFile:
    """What is kept on disk and sent."""
    tensors = {"style": personal.style.detach().float().cpu().contiguous()}
    for name, (left, right) in personal.changes.items():
        tensors[f"{name}.left"], tensors[f"{name}.right"] = left.detach().cpu(), right.detach().cpu()
    header = {"format": PERSONAL_FORMAT, "version": str(FORMAT_VERSION), "checksum": personal.checksum}
    return PersonalFile(_sorted(serialised({name: t.contiguous() for name, t in tensors.items()}, header)))


def from_file(file: PersonalFile) -> Personal:
    """Reads what `to_file` made. Raises: PortraitError: BAD_WEIGHTS where it is damaged or something else."""
    header = read_header(file.content).metadata
    if header.get("version") != str(FORMAT_VERSION):
        raise _bad(f"has format version {described(header.get('version'))}; this program reads {FORMAT_VERSION}")
    try:
        tensors = deserialised(file.content)
        style = tensors.pop("style")
        names = {name.rpartition(".")[0] for name in tensors}
        changes = {name: (tensors.pop(f"{name}.left"), tensors.pop(f"{name}.right")) for name in names}
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _bad(f"is damaged ({type(error).__name__}: {error})") from error
    all_tensors = [style, *(tensor for pair in changes.values() for tensor in pair), *tensors.values()]
    if tensors or not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in all_tensors):
        raise _bad("holds what tuning never makes")
    if style.ndim != 1 or not all(
        left.ndim == right.ndim == 2 and left.shape[1] == len(right) <= _HIGHEST_RANK
        for left, right in changes.values()
    ):
        raise _bad("holds arrays of impossible shapes")
    return Personal(style, changes, str(header.get("checksum")))


def apply_personal(networks: Networks, personal: Personal, checksum: str) -> Networks:
    """A copy of the networks that draws this person; whoever renders with it uses `personal.style` as the style.

    Args:
        networks: as loaded, of the weights with `checksum`.

    Raises:
        PortraitError: BAD_WEIGHTS where the file belongs to other weights.
    """
    if personal.checksum != checksum:
        raise _bad("was made for other weights")
    if personal.style.shape != (networks.generator.project.out_features,):
        raise _bad("was made for other networks")
    tuned = copy.deepcopy(networks)
    layers = dict(tuned.generator.named_modules())
    for name, (left, right) in personal.changes.items():
        layer = layers.get(name)
        if not isinstance(layer, nn.Conv2d) or (len(left), right.shape[1]) != _shape(layer):
            raise _bad(f"changes {name[:100]}, which is not there")
        change = LowRank(layer.weight.detach(), left.shape[1])
        change.left.data, change.right.data = left.to(layer.weight), right.to(layer.weight)
        parametrize.register_parametrization(layer, "weight", change)
        if len(layer.parametrizations.weight) == 1:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return tuned.requires_grad_(False).eval()


def _sorted(content: bytes) -> bytes:
    """A safetensors file with its header in order: safetensors writes it in a random one, and equal tunings shall
    have equal hashes."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # as safetensors aligns what follows
    return len(header).to_bytes(8, "little") + header + content[end:]


def _shape(layer: nn.Conv2d) -> tuple[int, int]:
    """(out, in · kh · kw) of a convolution's weight."""
    return len(layer.weight), layer.weight[0].numel()


def _bad(what: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_WEIGHTS, f"The personal file {what}.", "Make the file again with `portrait adapt`."
    )
