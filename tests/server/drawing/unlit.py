# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as geometry alone makes them: their light turns with the head."""

from __future__ import annotations

from portrait_server.drawing.frame import composite, move
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.scene import Scene
from portrait_server.kernels.base import Array, Kernels


def draw_frames(kernels: Kernels, scene: Scene, motion: Motion, matte: bool) -> Array:
    """Frames (N, H, W, 3 or 4) uint8 or uint16 of a scene that is where the kernels have their pixels."""
    return composite(kernels, scene, move(kernels, scene, motion), matte)
