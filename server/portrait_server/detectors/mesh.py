# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the 70 points lie on MediaPipe's dense mesh of 478 vertices. Loads nothing of MediaPipe."""

from __future__ import annotations

from typing import Final

# fmt: off
MESH_VERTICES: Final[tuple[int, ...]] = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 6, 195, 4, 240, 97, 2, 326, 460,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,  # lips
    468, 473,  # pupils
)
# fmt: on
"""The vertex of the mesh for each of the 70 points."""
