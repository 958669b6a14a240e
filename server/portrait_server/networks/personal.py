# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning to one person changes, and its file: a style in place of P ê, and low-rank changes of convolutions.

The file is small, and is for one set of weights alone: it names their checksum.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frame_files import write_frame
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.nn.utils import parametrize

from portrait_server.networks.configurations import Networks

FORMAT: Final = "talking-portraits personal"
FORMAT_VERSION: Final = 1
_REMEDY = "Make the file again with `portrait adapt`."


class LowRank(nn.Module):
    """Adds left · right to a convolution's weight, after any spectral norm; nothing until it has learnt."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        """Args: weight: (out, in, kh, kw)."""
        super().__init__()
        inward = weight[0].numel()
        rank = min(rank, len(weight), inward)
        self.left = nn.Parameter(weight.new_zeros(len(weight), rank))
        self.right = nn.Parameter(torch.randn(rank, inward, device=weight.device) / inward**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.left @ self.right).view_as(weight)


@dataclass(frozen=True)
class Personal:
    """One person's share.

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


def save_personal(path: Path, personal: Personal) -> None:
    """Writes the file, whole or not at all. Raises: PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL."""
    tensors = {"style": personal.style.detach().float().cpu().contiguous()}
    for name, (left, right) in personal.changes.items():
        tensors[f"{name}.left"], tensors[f"{name}.right"] = left.detach().cpu(), right.detach().cpu()
    header = {"format": FORMAT, "version": str(FORMAT_VERSION), "checksum": personal.checksum}
    write_frame(path, serialised({name: t.contiguous() for name, t in tensors.items()}, header))


def load_personal(path: Path) -> Personal:
    """Reads a file of `save_personal`.

    Raises:
        PortraitError: FILE_MISSING; BAD_WEIGHTS where it is damaged or something else.
    """
    if not path.is_file():
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no personal file {path}.", "Make it with `portrait adapt`."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise PortraitError(ErrorCode.BAD_WEIGHTS, f"{path} is no whole safetensors file: {error}.", _REMEDY) from error
    if header.get("format") != FORMAT or header.get("version") != str(FORMAT_VERSION):
        raise PortraitError(ErrorCode.BAD_WEIGHTS, f"{path} is no personal file of this version.", _REMEDY)
    try:
        style = tensors.pop("style")
        names = {name.rpartition(".")[0] for name in tensors}
        changes = {name: (tensors[f"{name}.left"], tensors[f"{name}.right"]) for name in names}
        return Personal(style, changes, header["checksum"])
    except KeyError as error:
        raise PortraitError(ErrorCode.BAD_WEIGHTS, f"{path} lacks {error}.", _REMEDY) from error


def apply_personal(networks: Networks, personal: Personal, checksum: str) -> Networks:
    """A copy of the networks that draws this person; whoever renders with it uses `personal.style` as the style.

    Args:
        networks: as loaded, of the weights with `checksum`.

    Raises:
        PortraitError: BAD_WEIGHTS where the file belongs to other weights.
    """
    if personal.checksum != checksum:
        raise PortraitError(ErrorCode.BAD_WEIGHTS, "The personal file was made for other weights.", _REMEDY)
    tuned = copy.deepcopy(networks)
    layers = dict(tuned.generator.named_modules())
    for name, (left, right) in personal.changes.items():
        layer = layers.get(name)
        if not isinstance(layer, nn.Conv2d) or left.shape[0] * right.shape[1] != layer.weight.numel():
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS, f"The personal file changes {name}, which is not there.", _REMEDY
            )
        change = LowRank(layer.weight.detach(), left.shape[1])
        change.left.data, change.right.data = left.to(layer.weight), right.to(layer.weight)
        parametrize.register_parametrization(layer, "weight", change)
        if len(layer.parametrizations.weight) == 1:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return tuned.requires_grad_(False).eval()
