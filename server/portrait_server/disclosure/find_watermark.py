# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture carries the watermark, and whose: found at any scale, after a crop, a turn or compression.

A pattern that repeats has its whole spectrum in a few points, `watermark_pattern.WAVES` over the tile's size. So one
Fourier transform of a picture holds what it says for every scale and angle: each is a grid of points to be looked up
there, and the tile's place comes out of a small inverse transform of what was looked up.

The chance of a false alarm can be bounded for *any* picture, since the key was drawn with no picture in mind: each
wave adds w · cos(φ) with φ even over the circle, and a sum of such terms exceeds z · sqrt(Σ w² / 2) with a probability
of at most exp(−z² / 2) (a sub-Gaussian bound), whatever the weights w are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product

import cv2
import numpy as np

from portrait_server.disclosure import watermark_pattern as pattern

_WORK_UNIT = 0.5  # pixels of a unit in the reduced picture that is transformed: the shortest wave has 7 of them
_SCALE_STEP = 0.008
_SMALLEST_UNIT, _LARGEST_UNIT = 0.3, 8.0  # pixels of the picture
_MOST_UNITS, _FEWEST_UNITS = 2048, 90  # a picture's longer side
_SURFACE = 64  # places looked at along each side of a tile
_MIRRORED = (False, True)
_ALARM = 1e-9  # bound of the chance that an unmarked picture is called marked
_LISTED = 3  # values of each symbol that are tried
_CANDIDATES = 8


@dataclass(frozen=True)
class FoundWatermark:
    """A watermark that was found.

    Attributes:
        identifier: 32 bits; None where the mark is certain but its message is not readable.
        confidence: 1 less the chance that a picture without the mark would look like this.
        scale: pixels of a unit of the pattern in the picture.
    """

    identifier: int | None
    confidence: float
    scale: float


def find_watermark(image: np.ndarray) -> FoundWatermark | None:
    """What watermark a picture carries; None for none.

    Args:
        image: (H, W, 3 or 4) RGB(A), uint8 or uint16, or floating in 0 … 1.
    """
    return find_in_frames([image])


def find_in_frames(frames: Iterable[np.ndarray]) -> FoundWatermark | None:
    """What watermark the frames of a movie carry: they are summed until it shows, or all are seen."""
    search = _Search()
    looked = 0
    for number, frame in enumerate(frames, 1):
        search.add(frame)
        if number & (number - 1) == 0:
            looked = number
            if (found := search.result()) is not None:
                return found
    return search.result() if search.count > looked else None


class _Search:
    """The summed spectra of frames of one size."""

    def __init__(self) -> None:
        self.count = 0
        self._octaves: list[_Octave] = []
        self._size: tuple[int, int] | None = None

    def add(self, frame: np.ndarray) -> None:
        height, width = frame.shape[:2]
        if self._size != (width, height):
            self._size, self.count = (width, height), 0
            self._octaves = [_Octave(*limits, (width, height)) for limits in _octaves(max(width, height))]
        blue = _blueness(frame)
        for octave in self._octaves:
            octave.add(blue)
        self.count += 1

    def result(self) -> FoundWatermark | None:
        candidates = [candidate for octave in self._octaves for candidate in octave.candidates()]
        tried = sum(octave.hypotheses for octave in self._octaves)
        candidates.sort(key=lambda candidate: -candidate.score)
        for candidate in candidates[:_CANDIDATES]:
            better = candidate.octave.refined(candidate)
            found = _judged(better, tried)
            if found is not None:
                return found
        return None


@dataclass(frozen=True)
class _Candidate:
    octave: _Octave
    score: float
    unit: float  # pixels of the reduced picture
    mirrored: bool
    waves: np.ndarray | None = None  # (COUNT,) what was looked up, weighed, moved to the place found


class _Octave:
    """One picture, reduced for units between two limits, and its spectrum."""

    def __init__(self, low: float, high: float, size: tuple[int, int]) -> None:
        self.reduction = _WORK_UNIT / math.sqrt(low * high)
        self.size = tuple(max(round(side * self.reduction), 8) for side in size)
        steps = math.ceil(math.log(high / low) / _SCALE_STEP)
        self.units = low * self.reduction * np.exp(_SCALE_STEP * np.arange(steps))
        self.hypotheses = steps * _SURFACE**2 * len(_MIRRORED)
        self.padded = 1 << math.ceil(math.log2(1.6 * max(self.size)))
        self.sum = np.zeros(self.size[::-1], np.float32)
        self._spectrum: np.ndarray | None = None

    def add(self, blue: np.ndarray) -> None:
        shrinks = self.reduction < 1
        small = cv2.resize(blue, self.size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        self.sum += _residual(small)
        self._spectrum = None

    def candidates(self) -> list[_Candidate]:
        found = []
        for mirrored in _MIRRORED:
            looked_up = self._look_up(self.units, mirrored)
            scores, _ = _surface_peaks(looked_up, _SURFACE)
            best = np.argsort(-scores)[:_CANDIDATES]
            found += [_Candidate(self, float(scores[i]), float(self.units[i]), mirrored) for i in best]
        return found

    def refined(self, rough: _Candidate) -> _Candidate:
        """The same more exactly: a finer scale and place."""
        units = rough.unit * np.exp(_SCALE_STEP * np.linspace(-0.75, 0.75, 13))
        looked_up = self._look_up(units, rough.mirrored)
        scores, places = _surface_peaks(looked_up, 4 * _SURFACE)
        best = int(np.argmax(scores))
        kx, ky = pattern.WAVES.T
        turn = np.exp(2j * np.pi * (kx * places[best][0] + ky * places[best][1]))
        return _Candidate(self, float(scores[best]), float(units[best]), rough.mirrored, looked_up[best] * turn)

    def _look_up(self, units: np.ndarray, mirrored: bool) -> np.ndarray:
        """The waves' weighed amplitudes for each unit: (len(units), COUNT) complex64."""
        if self._spectrum is None:
            self._spectrum = _spectrum(self.sum, self.padded)
        kx, ky = (k[None] * (self.padded / pattern.TILE) / units[:, None] for k in pattern.WAVES.T.astype(np.float64))
        return _weighed(_sampled(self._spectrum, -kx if mirrored else kx, ky))


def _octaves(longest: int) -> list[tuple[float, float]]:
    low = max(_SMALLEST_UNIT, longest / _MOST_UNITS)
    high = max(min(_LARGEST_UNIT, longest / _FEWEST_UNITS), low * 1.1)
    count = max(round(math.log2(high / low)), 1)
    edges = np.geomspace(low, high, count + 1)
    return [(float(a), float(b)) for a, b in pairwise(edges)]


def _blueness(frame: np.ndarray) -> np.ndarray:
    """Cb of a picture, in levels of 255: (H, W) float32."""
    scale = 1.0 if np.issubdtype(frame.dtype, np.floating) else 1 / np.iinfo(frame.dtype).max
    weights = np.array([[-0.168736, -0.331264, 0.5]], np.float32) * np.float32(255 * scale)
    return cv2.transform(np.ascontiguousarray(frame[..., :3], dtype=np.float32), weights)


def _residual(blue: np.ndarray) -> np.ndarray:
    """What is left of the blueness without its long waves, made even: no edge outshouts the rest."""
    fine = blue - cv2.GaussianBlur(blue, (0, 0), 10.0)
    deviation = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 10.0))
    even = np.clip(fine / (deviation + 0.5), -2.5, 2.5)
    return even.astype(np.float32)


def _spectrum(picture: np.ndarray, padded: int) -> np.ndarray:
    """The transform about the picture's centre: (padded, padded) complex64, frequency 0 in the middle."""
    height, width = picture.shape
    whole = np.zeros((padded, padded), np.float32)
    top, left = padded // 2 - height // 2, padded // 2 - width // 2
    whole[top : top + height, left : left + width] = picture
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(whole))).astype(np.complex64)


def _sampled(spectrum: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The spectrum between its points, bilinear. x, y: distance from frequency 0, points."""
    middle = spectrum.shape[0] // 2
    limit = spectrum.shape[0] - 2
    x, y = np.clip(x + middle, 0, limit), np.clip(y + middle, 0, limit)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    right, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    flat = spectrum.ravel()
    start = top * spectrum.shape[1] + left
    row = flat[start] * (1 - right) + flat[start + 1] * right
    start += spectrum.shape[1]
    return row * (1 - down) + (flat[start] * (1 - right) + flat[start + 1] * right) * down


_RINGS = np.floor(np.hypot(*pattern.WAVES.T)).astype(int) - int(pattern.LOWEST)
_IN_RING = np.eye(_RINGS.max() + 1, dtype=np.float32)[_RINGS]
_IN_RING /= _IN_RING.sum(axis=0)


def _weighed(waves: np.ndarray) -> np.ndarray:
    """Each wave over the usual modulus of waves as long, and none more than twice that."""
    power = (waves.real**2 + waves.imag**2) @ _IN_RING
    waves = waves / np.sqrt(power + 1e-12)[:, _RINGS]
    modulus = np.abs(waves)
    return (waves * np.minimum(1, 2 / np.maximum(modulus, 1e-12))).astype(np.complex64)


def _surface_peaks(waves: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """How well the synchronising waves fit at the best place of a tile.

    Returns:
        scores (N,): z of the bound above; places (N, 2): x and y in tiles that the picture's waves are to be moved by.
    """
    kx, ky = pattern.WAVES[pattern.SYNC].T
    matched = waves[:, pattern.SYNC] * np.conj(pattern.SYNC_PHASORS)
    spread = np.sqrt((matched.real**2 + matched.imag**2).sum(axis=1) / 2 + 1e-12)
    scores, places = [], []
    for row, deviation in zip(matched, spread, strict=True):
        grid = np.zeros((side, side), np.complex64)
        grid[ky % side, kx % side] = row
        surface = np.fft.ifft2(grid).real * side**2
        peak = int(np.argmax(surface))
        scores.append(surface.flat[peak] / deviation)
        places.append((peak % side / side, peak // side / side))
    return np.array(scores), np.array(places)


def _judged(candidate: _Candidate, tried: int) -> FoundWatermark | None:
    assert candidate.waves is not None
    alone = tried * math.exp(-(candidate.score**2) / 2)
    scale = candidate.unit / candidate.octave.reduction
    lists = []
    for symbol in range(pattern.SYMBOLS):
        fits = (pattern.sequences(symbol).conj() @ candidate.waves[pattern.DATA[symbol]]).real
        lists.append([(int(value), float(fits[value])) for value in np.argsort(-fits)[:_LISTED]])
    readings = sorted(product(*lists), key=lambda reading: -sum(fit for _, fit in reading))
    for attempt, reading in enumerate(readings, 1):
        identifier = pattern.read_message(tuple(value for value, _ in reading))
        chance = alone * attempt * _CANDIDATES / 65536
        if identifier is not None and chance < _ALARM:
            return FoundWatermark(identifier, 1 - chance, scale)
    return FoundWatermark(None, 1 - alone, scale) if alone < _ALARM else None
