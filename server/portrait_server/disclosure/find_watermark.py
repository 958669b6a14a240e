# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture carries the watermark, and whose: found at any scale, after a crop, a small turn or compression.

The chance of a false alarm can be bounded for *any* picture, since the key was drawn with no picture in mind. At a given
scale, angle and place each wave adds w · cos(φ) to the sum that is looked at, with φ even over the circle and w whatever
the picture holds; such a sum exceeds z · sqrt(Σ w² / 2) with a chance of at most exp(−z² / 2), as sums of sub-Gaussian
variables do. Over everything that is tried these chances are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from scipy import fft

from portrait_server.disclosure import watermark_pattern as pattern
from portrait_server.disclosure.watermark_spectrum import Spectrum

MOST_FRAMES = 64
"""Of a movie: what these do not show, more of them rarely do."""
_SMALLEST_UNIT, _LARGEST_UNIT = 0.3, 8.0  # pixels of the picture
_MOST_UNITS, _FEWEST_UNITS = 2048, 90  # along a picture's longer side
_STEP_AT_EDGE = 5.0  # units by which two neighbouring scales, or angles, differ where the picture ends
_MOST_ANGLE = math.radians(2)
_PLACES = 64  # along each side of a tile
_FINER = 4  # times as many in the end, of scales and of places
_CANDIDATES = 24  # scales, angles and places that are looked at more closely
_LISTED = 3  # values of each symbol that are tried
_ALARM = 1e-8  # bound of the chance that a picture without the mark is said to carry it
_LEAST_SIDE = 48  # pixels; nothing is found in less


@dataclass(frozen=True)
class FoundWatermark:
    """A watermark that was found.

    Attributes:
        identifier: 32 bits; None where the mark is certain but its message cannot be read.
        confidence: 1 less the chance that a picture without the mark looks like this.
        scale: pixels of a unit of the pattern in the picture.
    """

    identifier: int | None
    confidence: float
    scale: float


@dataclass(frozen=True)
class _Place:
    """Where the pattern may lie in the pictures of a spectrum."""

    spectrum: Spectrum
    score: float
    unit: float
    angle: float
    mirrored: bool


def find_watermark(image: np.ndarray) -> FoundWatermark | None:
    """What watermark a picture carries; None for none.

    Takes about half a second for a picture of 512², and two for one of 4096².

    Args:
        image: (H, W), (H, W, 3) or (H, W, 4) RGB(A), uint8, uint16, or floating in 0 … 1. What has no colour has no mark.
    """
    return find_in_frames([image])


def find_in_frames(frames: Iterable[np.ndarray]) -> FoundWatermark | None:
    """What watermark the frames of a movie carry: they are summed until it shows, `MOST_FRAMES` of them at most.

    The mark stays in its place while the picture moves, so frames that lie far from each other say more than neighbours.
    A frame of another size than those before begins a new sum.
    """
    spectra: list[Spectrum] = []
    size, count = (0, 0), 0
    for frame, _ in zip(frames, range(MOST_FRAMES), strict=False):
        if frame.ndim != 3 or min(frame.shape[:2]) < _LEAST_SIDE:
            continue
        if (frame.shape[1], frame.shape[0]) != size:
            if count and (found := _found(spectra, size)) is not None:
                return found
            size, count = (frame.shape[1], frame.shape[0]), 0
            spectra = [Spectrum(low, high, size) for low, high in _octaves(max(size))]
        for spectrum in spectra:
            spectrum.add(frame)
        count += 1
        if count & (count - 1) == 0 and (found := _found(spectra, size)) is not None:
            return found
    return _found(spectra, size) if count & (count - 1) else None


def _octaves(longest: int) -> list[tuple[float, float]]:
    """Ranges of a unit's size that are searched in one reduced picture each."""
    low = max(_SMALLEST_UNIT, longest / _MOST_UNITS)
    high = max(min(_LARGEST_UNIT, longest / _FEWEST_UNITS), low * 1.1)
    edges = np.geomspace(low, high, max(round(math.log2(high / low)), 1) + 1).tolist()
    return list(pairwise(edges))


def _found(spectra: list[Spectrum], size: tuple[int, int]) -> FoundWatermark | None:
    places: list[_Place] = []
    tried = 0
    for spectrum in spectra:
        for units, angles, mirrored in _grids(spectrum, max(size)):
            scores, _ = _best_fits(spectrum.waves(units, angles, mirrored, pattern.SYNC), _PLACES)
            tried += len(units) * _PLACES**2
            best = np.argsort(-scores)[:_CANDIDATES]
            places += [_Place(spectrum, float(scores[i]), float(units[i]), float(angles[i]), mirrored) for i in best]
    places.sort(key=lambda place: -place.score)
    readings = [_read(place, max(size), tried) for place in places[:_CANDIDATES]]
    chance, identifier, unit = min(readings, key=lambda reading: reading[0])
    return FoundWatermark(identifier, 1 - chance, unit) if chance < _ALARM else None


def _grids(spectrum: Spectrum, longest: int) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Every scale at every angle, as it is and mirrored, a few thousand at once."""
    low, high = spectrum.limits
    step = _step(longest, low)
    units = low * np.exp(step * np.arange(math.ceil(math.log(high / low) / step)))
    turns = math.ceil(_MOST_ANGLE / step)
    for angle in step * np.arange(-turns, turns + 1):
        for mirrored in (False, True):
            yield units, np.full(len(units), angle), mirrored


def _step(longest: int, unit: float) -> float:
    """Between scales (relative) or angles (radians)."""
    return _STEP_AT_EDGE / (longest / unit / 2)


def _best_fits(waves: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """How well the synchronising waves fit at the best place of a tile.

    Args:
        waves: (N, len(SYNC)) of `Spectrum.waves`.
        side: how many places are looked at along each side of a tile.

    Returns:
        scores (N,): z of the bound above; places (N, 2): how far the waves are to be moved in x and y, tiles.
    """
    kx, ky = pattern.WAVES[pattern.SYNC].T
    grids = np.zeros((len(waves), side, side // 2 + 1), np.complex64)
    grids[:, ky % side, kx] = waves * np.conj(pattern.SYNC_PHASORS)
    surfaces = fft.irfft2(grids, (side, side), overwrite_x=True).reshape(len(waves), -1) * (side**2 / 2)
    peaks = np.argmax(surfaces, axis=1)
    scores = surfaces[np.arange(len(waves)), peaks] / _deviation(waves)
    return scores, np.stack([peaks % side, peaks // side], axis=1) / side


def _read(place: _Place, longest: int, tried: int) -> tuple[float, int | None, float]:
    """Looks more closely.

    Returns:
        A bound of the chance that a picture without the mark looks so, the identifier if it could be read, and the unit.
    """
    step = _step(longest, place.unit) / _FINER
    around = step * np.arange(-_FINER // 2, _FINER // 2 + 1)
    units, angles = (
        values.ravel() for values in np.meshgrid(place.unit * np.exp(around), place.angle + around, indexing="ij")
    )
    sync = place.spectrum.waves(units, angles, place.mirrored, pattern.SYNC)
    scores, moves = _best_fits(sync, _PLACES * _FINER // 2)
    best = int(np.argmax(scores))
    exact = units[best : best + 1], angles[best : best + 1], place.mirrored
    chances = [tried * math.exp(-(place.score**2) / 2)]  # of the score that was found among those tried
    likely = []
    for symbol, chosen in enumerate(pattern.DATA):
        waves = place.spectrum.waves(*exact, chosen)
        moved = waves[0] * np.exp(2j * np.pi * (pattern.WAVES[chosen] @ moves[best])).astype(np.complex64)
        fits = (pattern.sequences(symbol).conj() @ moved).real / _deviation(waves)[0]
        values = np.argsort(-fits)[:_LISTED]
        likely.append([(float(fits[value]), int(value)) for value in values])
        chances.append(len(fits) * math.exp(-(fits[values[0]] ** 2) / 2))
    chance = _CANDIDATES * _together([min(chance, 1.0) for chance in chances])
    readings = sorted(product(*likely), key=lambda reading: -sum(fit for fit, _ in reading))
    for attempt, reading in enumerate(readings, 1):
        identifier = pattern.read_message(tuple(value for _, value in reading))
        if identifier is not None:  # its check holds by chance once in 65,536 attempts; later ones count for less
            return chance * min(1.0, attempt * (attempt + 1) / 65536), identifier, float(units[best])
    return chance, None, float(units[best])


def _together(chances: list[float]) -> float:
    """The chance that several independent chances multiply to as little as these do (Fisher's method)."""
    rarity = -sum(math.log(max(chance, 1e-99)) for chance in chances)
    return math.exp(-rarity) * sum(rarity**count / math.factorial(count) for count in range(len(chances)))


def _deviation(waves: np.ndarray) -> np.ndarray:
    """Root mean square of what is added up where there is no mark: (N,)."""
    return np.sqrt((waves.real**2 + waves.imag**2).sum(axis=1) / 2 + 1e-12)
