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
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

_BLOCKS: Final = {"vgg19": (2, 2, 4, 4, 1), "vggface": (2, 2, 3, 3, 1)}
"""How many convolutions each block has, as far as conv5_1; VGGFace is a VGG16."""

_MEAN: Final = {"vgg19": (0.485, 0.456, 0.406), "vggface": (129.1863, 104.7624, 93.5940)}
_DEVIATION: Final = {"vgg19": (0.229, 0.224, 0.225), "vggface": (1.0, 1.0, 1.0)}
_SCALE: Final = {"vgg19": 1.0, "vggface": 255.0}

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
            PortraitError: WEIGHTS_MISSING when the file is missing, is damaged or lacks a layer.
        """
        super().__init__()
        arrays = _read(network, path)
        self.network = network
        self.layers: list[list[tuple[Tensor, Tensor]]] = []
        for block, count in enumerate(_BLOCKS[network], start=1):
            names = [f"conv{block}_{number}" for number in range(1, count + 1)]
            missing = [n for n in names if f"{n}.weight" not in arrays or f"{n}.bias" not in arrays]
            if missing:
                raise PortraitError(
                    ErrorCode.WEIGHTS_MISSING, f"{path} holds no layer {missing[0]} of {network}.", _ALTERNATIVE
                )
            self.layers.append([(arrays[f"{n}.weight"].float(), arrays[f"{n}.bias"].float()) for n in names])
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
        kept = []
        for block, layers in enumerate(self.layers):
            at = F.max_pool2d(at, 2) if block else at
            for number, (weight, bias) in enumerate(layers):
                at = F.relu(F.conv2d(at, weight.to(at), bias.to(at), padding=1))
                if number == 0:
                    kept.append(at)
        return kept


def _read(network: str, path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise PortraitError(
            ErrorCode.WEIGHTS_MISSING,
            f"The content loss needs the weights of {network}: {path} is missing.",
            _ALTERNATIVE,
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise PortraitError(
            ErrorCode.WEIGHTS_MISSING, f"{path} is no safetensors file of {network}: {error}.", _ALTERNATIVE
        ) from error
