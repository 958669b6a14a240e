# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig's motion as a LandmarkTrack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from portrait_shared.track import LandmarkTrack


def sample(scene: Any, rig: Any, space: Any, frames: Sequence[int]) -> LandmarkTrack:
    """The rig over the frames, which rise; between them the frame before is held, because a track has every number."""
    from blender_addon.rig.sampling import sample_rows

    rows = dict(sample_rows(scene, rig, space, frames))
    points, row = [], rows[frames[0]]
    for frame in range(frames[0], frames[-1] + 1):
        row = rows.get(frame, row)
        points.append(row.points)
    fps = scene.render.fps / scene.render.fps_base
    return LandmarkTrack(np.stack(points), (space.width, space.height), fps, frames[0])
