# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines, dots, text and pictures over a viewport, drawn by Blender's GPU module. Places are pixels of the region.

Blender loads that module only where there is a window, so each function does so when it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import blf
import numpy as np

from ..blender import compat

Color = tuple[float, float, float, float]
_SIDES: Final = 20
_FONT: Final = 0


def lines(segments: Sequence[tuple[np.ndarray, Color]], width: float, region: tuple[int, int]) -> None:
    """Each polyline (N, 2) in its colour, `width` pixels wide."""
    import gpu
    from gpu_extras.batch import batch_for_shader

    places, colors = [], []
    for points, color in segments:
        pairs = np.stack((points[:-1], points[1:]), axis=1).reshape(-1, 2)
        places.append(pairs)
        colors += [color] * len(pairs)
    if not colors:
        return
    shader = gpu.shader.from_builtin("POLYLINE_SMOOTH_COLOR")
    shader.bind()
    shader.uniform_float("viewportSize", region)
    shader.uniform_float("lineWidth", width)
    flat = np.concatenate(places)
    deep = np.column_stack((flat, np.zeros(len(flat)))).astype(np.float32)
    batch_for_shader(shader, "LINES", {"pos": deep, "color": np.array(colors, np.float32)}).draw(shader)


def dots(spots: Sequence[tuple[np.ndarray, float, Color]]) -> None:
    """Filled circles: (centre (2,), radius in pixels, colour)."""
    turn = np.linspace(0, 2 * np.pi, _SIDES + 1)
    rim = np.column_stack((np.cos(turn), np.sin(turn)))
    fan = np.stack((np.zeros((_SIDES, 2)), rim[:-1], rim[1:]), axis=1).reshape(-1, 2)
    _triangles([(centre + radius * fan, color) for centre, radius, color in spots])


def circles(spots: Sequence[tuple[np.ndarray, float, Color]], width: float, region: tuple[int, int]) -> None:
    """Rings: (centre (2,), radius in pixels, colour)."""
    turn = np.linspace(0, 2 * np.pi, _SIDES + 1)
    rim = np.column_stack((np.cos(turn), np.sin(turn)))
    lines([(centre + radius * rim, color) for centre, radius, color in spots], width, region)


def rectangle(left: float, bottom: float, width: float, height: float, color: Color) -> None:
    corners = np.array(((0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1))) * (width, height) + (left, bottom)
    _triangles([(corners, color)])


def frame(left: float, bottom: float, width: float, height: float, color: Color, region: tuple[int, int]) -> None:
    corners = np.array(((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))) * (width, height) + (left, bottom)
    lines([(corners, color)], 1.5, region)


def picture(pixels: np.ndarray, left: float, bottom: float) -> None:
    """(H, W, 4) float32 display colours, the lowest row first, a pixel on a pixel."""
    import gpu
    from gpu_extras.presets import draw_texture_2d

    height, width = pixels.shape[:2]
    data = gpu.types.Buffer("FLOAT", pixels.size, np.ascontiguousarray(compat.texture_colors(pixels)).ravel())
    texture = gpu.types.GPUTexture((width, height), format="RGBA16F", data=data)
    draw_texture_2d(texture, (left, bottom), width, height)


def text(words: str, left: float, bottom: float, size: float, color: Color) -> None:
    blf.size(_FONT, size)
    blf.color(_FONT, *color)
    blf.position(_FONT, left, bottom, 0)
    blf.draw(_FONT, words)


def text_width(words: str, size: float) -> float:
    blf.size(_FONT, size)
    return float(blf.dimensions(_FONT, words)[0])


def _triangles(shapes: Sequence[tuple[np.ndarray, Color]]) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    if not shapes:
        return
    flat = np.concatenate([places for places, _ in shapes])
    deep = np.column_stack((flat, np.zeros(len(flat)))).astype(np.float32)
    colors = np.concatenate([np.tile(np.array(color, np.float32), (len(places), 1)) for places, color in shapes])
    shader = gpu.shader.from_builtin("SMOOTH_COLOR")
    batch_for_shader(shader, "TRIS", {"pos": deep, "color": colors}).draw(shader)
