# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture's pixels as Blender reads them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np


def pixels(path: Path | str) -> np.ndarray:
    """(H, W, 4) float32, the lowest row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    found = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(found)
    found = found.reshape(image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return found
