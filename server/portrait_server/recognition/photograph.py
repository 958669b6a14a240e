# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture of a face is a photograph: of paintings and drawings nobody knows how far a descriptor tells people apart.

Means and deviations of a network's features, which say of what a picture's surface is made, weighed by two linear
discriminants (Fisher): of paintings and of drawings against photographs. tests/benchmarks/photographs.py fits them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from portrait_server.geometry.alignment import aligned_transform, crop

if TYPE_CHECKING:
    from torch import nn

SIDE = 160
"""Pixels of the aligned frame that is looked at."""


def is_photograph(image: np.ndarray, points: np.ndarray) -> bool:
    """Whether a picture of a face was taken by a camera.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (70, 2 or 3) of its pixels.

    Raises:
        PortraitError: BAD_WEIGHTS where the network's weights are missing, or others.
    """
    return bool((surface_of(image, points) @ _discriminants()[:-1] + _discriminants()[-1] < 0).all())


def surface_of(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(320,) float32: means and deviations of the network's features of a head; arguments and errors as `is_photograph`."""
    import torch  # only where a picture is looked at: it takes a second to load

    head = crop(image, aligned_transform(points, SIDE), SIDE)
    pixels = torch.from_numpy(np.ascontiguousarray(head)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        levels = _network()(pixels)
    return np.concatenate([part for level in levels for part in (level.mean((2, 3))[0], level.std((2, 3))[0])])


@cache
def _network() -> nn.Module:
    from portrait_server.networks.efficientnet import EfficientNetLite

    return EfficientNetLite().eval()


@cache
def _discriminants() -> np.ndarray:
    """(321, 2) float32: weights, and in the last row what is added; above 0 is a painting, or a drawing."""
    with resources.as_file(resources.files(__package__) / "photograph.npy") as path:
        return np.asarray(np.load(path, allow_pickle=False))
