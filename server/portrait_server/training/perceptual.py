# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's content loss: L1 on layers of VGG19 and VGGFace, for users who have their weights.

The weights come from a safetensors file whose arrays are named after the layers, `conv1_1.weight` and
`conv1_1.bias` to `conv5_1.weight` and `conv5_1.bias` (later layers are ignored). `docs/training.md` says
how to convert torchvision's VGG19 and the VGG Face Descriptor. No such file ships with this project:
without one, pixel, gradient and pyramid losses take the content loss's place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.safetensors_header import read_header
from portrait_shared.files.whole_files import read_bounded
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from torch import Tensor, nn

_BLOCKS: Final = {"vgg19": (2, 2, 4, 4, 1), "vggface": (2, 2, 3, 3, 1)}
"""How many convolutions each block has, as far as conv5_1; VGGFace is a VGG16."""

_MEAN: Final = {"vgg19": (0.485, 0.456, 0.406), "vggface": (129.1863, 104.7624, 93.5940)}
_DEVIATION: Final = {"vgg19": (0.229, 0.224, 0.225), "vggface": (1.0, 1.0, 1.0)}
_SCALE: Final = {"vgg19": 1.0, "vggface": 255.0}

_MAX_BYTES = 4 * 2**30

_ALTERNATIVE = (
    "docs/training.md says how to convert it; or leave the network's name out of [content] and give "
    "pixel, gradient and pyramid losses a weight instead, as portrait.toml does."
)


class ContentLoss(nn.Module):
    """Σ over conv1_1 … conv5_1 (after ReLU) of the mean absolute difference of one network's features."""

    def __init__(self, network: str, path: Path) -> None:
        """Loads the network's weights.

        Args:
            network: `vgg19` or `vggface`.
            path: the safetensors file.

        Raises:
            PortraitError: WEIGHTS_MISSING when the file is missing, is damaged, lacks a layer or holds one of
                another shape.
        """
        super().__init__()
        arrays = _read(network, path)
        self.network = network
        channels = 3
        for name in _names(network):
            weight, bias = (arrays.get(f"{name}.{what}") for what in ("weight", "bias"))
            if weight is None or bias is None:
                raise PortraitError(
                    ErrorCode.WEIGHTS_MISSING, f"{path} holds no layer {name} of {network}.", _ALTERNATIVE
                )
            if weight.ndim != 4 or weight.shape[1:] != (channels, 3, 3) or bias.shape != weight.shape[:1]:
                raise PortraitError(
                    ErrorCode.WEIGHTS_MISSING,
                    f"{path} holds a layer {name} whose weight has shape {tuple(weight.shape)} and whose bias "
                    f"{tuple(bias.shape)}; (C, {channels}, 3, 3) and (C,) are needed.",
                    _ALTERNATIVE,
                )
            channels = len(weight)
            self.register_buffer(_buffer(name, "weight"), weight.float())
            self.register_buffer(_buffer(name, "bias"), bias.float())
        self.register_buffer("mean", torch.tensor(_MEAN[network]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION[network]).view(1, 3, 1, 1))

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of (B, 3, S, S) RGB pictures, 0 to 1."""
        with torch.no_grad():
            wanted = self._features(target)
        return torch.stack([F.l1_loss(a, b) for a, b in zip(self._features(image), wanted, strict=True)]).sum()

    def _features(self, image: Tensor) -> list[Tensor]:
        at = (image * _SCALE[self.network] - self.mean) / self.deviation
        if self.network == "vggface":
            at = at.flip(1)  # trained by Caffe on BGR
        kept: list[Tensor] = []
        for name in _names(self.network):
            first = name.endswith("_1")
            at = F.max_pool2d(at, 2) if first and kept else at
            weight, bias = (self.get_buffer(_buffer(name, what)).to(at.dtype) for what in ("weight", "bias"))
            at = F.relu(F.conv2d(at, weight, bias, padding=1))
            if first:
                kept.append(at)
        return kept


def _names(network: str) -> list[str]:
    """`conv1_1` to `conv5_1`."""
    return [f"conv{block}_{n}" for block, count in enumerate(_BLOCKS[network], 1) for n in range(1, count + 1)]


def _buffer(name: str, what: str) -> str:
    return f"{name}_{what}"  # a buffer's name may hold no dot


def _read(network: str, path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise PortraitError(
            ErrorCode.WEIGHTS_MISSING,
            f"The content loss needs the weights of {network}: {path} is missing.",
            _ALTERNATIVE,
        )
    try:
        content = read_bounded(path, _MAX_BYTES)
        read_header(content)
        return deserialised(content)
    except (SafetensorError, OSError, KeyError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise PortraitError(
            ErrorCode.WEIGHTS_MISSING, f"{path} is no safetensors file of {network}: {error}.", _ALTERNATIVE
        ) from error
