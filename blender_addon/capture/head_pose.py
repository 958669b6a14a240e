# SPDX-License-Identifier: GPL-3.0-or-later
"""The head's turn as the head handle's angles. Knows nothing of bpy."""

from __future__ import annotations

from typing import Final

import numpy as np

PIXELS_TO_HEAD: Final = np.array(((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)))
"""From the picture's axes (x right, y down, z away) to the head handle's own: right, up, towards the viewer."""


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) in the picture's axes as the head handle's ZXY Euler angles, (T, 3) radians.

    The order is Blender's: z first, then x, then y; each angle goes on from the frame before without a jump.
    """
    own = PIXELS_TO_HEAD @ rotations @ PIXELS_TO_HEAD.T
    x = np.arcsin(np.clip(-own[:, 1, 2], -1.0, 1.0))
    y = np.arctan2(own[:, 0, 2], own[:, 2, 2])
    z = np.arctan2(own[:, 1, 0], own[:, 1, 1])
    return np.unwrap(np.stack((x, y, z), axis=1), axis=0)
