# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair as a texture: strands and locks made of noise, drawn along the way that hair beside them lies.

Copies of hair repeat themselves, and show where they are joined. Noise of each scale, drawn out along a direction field
(Cabral, Leedom, "Imaging Vector Fields Using Line Integral Convolution", 1993), does not; it is given what detail the seen
hair has: how strong at each scale, how much longer than wide, and how its lights and darks are distributed.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.optimize import nnls

from portrait_server.drawing.fill import push_pull

_FINEST = 1.0  # cells, sigma below which detail is of the finest scale; the next is twice as coarse
_WIDTH = 3.5  # cells: of a strand of the finest scale
_LONGEST = 7  # doublings of a strand's length at most
_TURNS = 4.0  # cells, sigma: the neighbourhood that has one direction
_USUAL = 1.25  # deviation in mean differences of noise
_COARSER = 0.8  # of what is seen of each next scale: light in large is there already
_FINER = 1.5  # of what is seen of the finest scale, of which being looked up for a frame takes a part
_STANDS_OUT = 3.0  # times the median from which on detail is an edge: twice the deviation of noise
_SMOOTH = 0.6  # cells, sigma: the finest noise would be grains of one cell
_LEAST = 32  # cells of the shorter side: a smaller strip has no coarser scale
_QUANTILES = np.linspace(0.5, 99.5, 34)
_WIDE = 3.0  # cells: a wider blur is computed smaller
_SMALL = 4  # cells of the strip in one of what changes slowly
_LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


def softened(values: np.ndarray, there: np.ndarray, sigma: float) -> np.ndarray:
    """Values (h, w, …) blurred among those that are there (h, w) alone; sigma in cells."""
    share = there.reshape(*there.shape, *(1,) * (values.ndim - 2))
    weight = blurred(there, sigma).reshape(share.shape)
    return blurred(values * share, sigma) / np.maximum(weight, 1e-4)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Values (h, w, …) blurred; computed small, where nothing is lost by that."""
    shrink = 1 << max(0, int(np.log2(sigma / _WIDE)))
    if shrink == 1:
        return cv2.GaussianBlur(values, (0, 0), sigma).reshape(values.shape)
    size = tuple(max(1, side // shrink) for side in values.shape[1::-1])
    small = cv2.GaussianBlur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink)
    return cv2.resize(small, values.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(values.shape)


def strands(colours: np.ndarray, there: np.ndarray, coarsest: float, reach: float, lying: bool = True) -> np.ndarray:
    """What hair like that which is seen has of detail: (h, w, 3) float32, everywhere, its mean about 0.

    Args:
        colours, there: (h, w, 3), (h, w) float32: what is seen, and where that is hair, 0 or 1.
        coarsest: sigma in cells of what still is detail.
        reach: sigma in cells of the neighbourhood in which hair is alike.
        lying: whether it lies along ways at all; skin does not.
    """
    known = there > 0
    if not known.any():
        return np.zeros_like(colours)
    light = colours @ _LIGHTNESS
    scales = max(1, round(np.log2(coarsest / _FINEST)))
    way = _direction(light, there, reach) if lying else None
    seen = [(_without_edges(band, share > 0), share) for band, share in _scales(light, there, scales)]
    made, power = np.zeros_like(light), np.zeros_like(light)
    each = _noise(seen, way, reach)
    wanted = np.array([_power(*scale) for scale in seen]) * _COARSER ** (2 * np.arange(len(seen)))
    wanted[0] *= _FINER**2
    for share, (noise, strong) in zip(_shares(wanted, [noise for noise, _ in each], there), each, strict=True):
        made += np.sqrt(share) * noise
        power += share * strong**2
    strength = np.sqrt(power) + 1e-3
    soft = softened(colours, there, _FINEST * 2**scales)
    detail = light - soft @ _LIGHTNESS
    if lying:
        made = strength * np.interp(
            made / strength,
            np.percentile(made / strength, _QUANTILES),
            np.percentile((detail / strength)[known], _QUANTILES),
        )
    hue = ((colours - soft)[known] * detail[known, None]).mean(0) / max(float((detail[known] ** 2).mean()), 1e-6)
    return (made[..., None] * hue).astype(np.float32)


def _scales(light: np.ndarray, there: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Detail (h, w) of each scale of light (h, w), finest first, the next in half as many cells; and where it is known."""
    found = []
    for _ in range(count):
        soft = softened(light, there, _FINEST)
        found.append((light - soft, there))
        if min(light.shape) < _LEAST:
            break
        size = tuple((side + 1) // 2 for side in light.shape[1::-1])
        share = cv2.resize(there, size, interpolation=cv2.INTER_AREA)
        light = cv2.resize(soft * there, size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)
        there = (share > 0.5).astype(np.float32)
    return found


def _without_edges(band: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Detail (h, w) held to so many times what is usual where it is known (h, w): more is the edge of a lock or of a brow."""
    most = _STANDS_OUT * float(np.median(np.abs(band[known]))) if known.any() else 0.0
    return band.clip(-most, most)


def _noise(
    seen: list[tuple[np.ndarray, np.ndarray]], way: np.ndarray | None, reach: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noise (h, w) of each scale, and how strong (h, w) it is there; all in the finest scale's cells.

    Args:
        seen: as `_scales` tells it.
        way: (h, w, 2) along which strands lie, None where they lie along none.
        reach: as of `strands`.
    """
    found = []
    for number, (band, there) in enumerate(seen):
        noise = np.random.default_rng(number).standard_normal(band.shape, np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), _SMOOTH)
        noise -= cv2.GaussianBlur(noise, (0, 0), _FINEST)
        if way is not None:
            way = cv2.resize(way, band.shape[::-1])
            noise = _drawn_out(noise, way, _WIDTH * _elongation(band, there))
        strong = _USUAL * spread(np.abs(band), there, reach / 2**number)
        noise *= strong / (noise.std() + 1e-6)
        for finer, _ in reversed(seen[:number]):
            noise, strong = (
                cv2.resize(each, finer.shape[::-1], interpolation=cv2.INTER_CUBIC) for each in (noise, strong)
            )
        found.append((noise, strong))
    return found


def _shares(wanted: np.ndarray, noises: list[np.ndarray], there: np.ndarray) -> np.ndarray:
    """By how much (S,) the power of each scale's noise (h, w) counts, for all together to have that of each scale (S,).

    Noise of one scale is also some of the scales beside it.
    """
    powers = [[_power(*scale) for scale in _scales(noise, there, len(wanted))] for noise in noises]
    return np.asarray(nnls(np.array(powers).T, wanted)[0])


def _power(band: np.ndarray, there: np.ndarray) -> float:
    """Of detail (h, w), where it is known."""
    return float((_USUAL * np.abs(band)[there > 0].mean()) ** 2) if there.any() else 0.0


def spread(values: np.ndarray, there: np.ndarray, reach: float) -> np.ndarray:
    """Values (h, w, …) of what is there (h, w), softly continued over all of it."""
    size = tuple(max(1, side // _SMALL) for side in there.shape[1::-1])
    whole = values.reshape(*there.shape, -1)
    weight = cv2.resize(there, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(whole * there[..., None], size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
    around = cv2.GaussianBlur(weight, (0, 0), reach / _SMALL)
    small = cv2.GaussianBlur(small, (0, 0), reach / _SMALL).reshape(small.shape) / np.maximum(around, 1e-4)[..., None]
    small = push_pull(small, (around / 0.05).clip(0, 1))
    return cv2.resize(small, there.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(values.shape)


def _slopes(light: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squares of slopes (h, w) along columns and rows, and their product, where it is there (h, w); else 0."""
    across, down = (cv2.Sobel(light, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    inside = cv2.erode(there, np.ones((3, 3)))
    return across**2 * inside, down**2 * inside, across * down * inside


def _direction(light: np.ndarray, there: np.ndarray, reach: float) -> np.ndarray:
    """Unit vectors (h, w, 2) along which strands lie, x and y."""
    xx, yy, xy = _slopes(softened(light, there, _FINEST), there)
    total = spread(np.dstack([xx - yy, 2 * xy]), there, reach)
    angle = 0.5 * np.arctan2(total[..., 1], total[..., 0]) + np.pi / 2
    return np.dstack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def _elongation(band: np.ndarray, there: np.ndarray) -> float:
    """How much longer than wide what one scale of detail (h, w) shows is."""
    xx, yy, xy = (cv2.GaussianBlur(each, (0, 0), _TURNS) for each in _slopes(band, there))
    middle, aside = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return float(np.sqrt((middle + aside).sum() / max(float((middle - aside).sum()), 1e-6)))


def _drawn_out(noise: np.ndarray, way: np.ndarray, length: float) -> np.ndarray:
    """Noise (h, w), blurred over a length in cells along directions (h, w, 2)."""
    height, width = noise.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    ahead = np.ascontiguousarray(way[..., 0]), np.ascontiguousarray(way[..., 1])
    step = 0.25
    for _ in range(min(_LONGEST, round(np.log2(max(length, 1.0))))):
        there, back = (
            cv2.remap(
                noise, x + sign * ahead[0], y + sign * ahead[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
            for sign in (step, -step)
        )  # fmt: skip
        noise, step = (there + back) / 2, 2 * step
    return noise
