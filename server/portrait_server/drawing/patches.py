# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of a small picture that look alike: how they are compared, found, and what they say of what is unknown.

A pixel is addressed by one number, its place in the picture with a rim around it, so that every patch lies inside.
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 3  # a patch is 7 pixels wide
_SPREAD = 2.5  # sigma, in pixels, by which a patch's middle counts more than its corners
_COMPONENTS = 14
_SAMPLES = 4000
_MEAN = 0.6  # how much a patch's mean colour counts beside its pattern
_APART = (60.0, 15.0)  # levels by which a patch seems to differ from one a picture's height, or width, away
_DESCRIBED = 1 << 14  # patches described at a time
_COMPARED = 1 << 10  # and compared with all examples
_GENTLE = 10.0  # levels by which an example may be made lighter or darker
_DOUBT = 1.3  # how much less certain an unknown pixel is than the one before it on the way from what is known
_LIKE = 0.75  # quantile of errors by which it is judged what is alike (Newson et al., "Video Inpainting", 2014)


class Canvas:
    """A picture (h, w, C) float32, and its rim that continues it.

    Attributes:
        pixels: (h, w, C), writable; flat: (P, C) the same and the rim, by places.
        stride: from a place to the one below.
        around: (49,) from a patch's middle to its pixels.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.height, self.width, self.channels = picture.shape
        self.stride = self.width + 2 * RADIUS
        self._whole = np.empty((self.height + 2 * RADIUS, self.stride, self.channels), np.float32)
        self.pixels = self._whole[RADIUS:-RADIUS, RADIUS:-RADIUS]
        self.pixels[:] = picture
        self.close_rim()
        self.flat = self._whole.reshape(-1, self.channels)
        across = np.arange(-RADIUS, RADIUS + 1)
        self.around = (across[:, None] * self.stride + across).ravel()

    def close_rim(self) -> None:
        """The rim continues the picture as it is now."""
        inner = np.ascontiguousarray(self.pixels)
        self._whole[:] = cv2.copyMakeBorder(inner, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REPLICATE).reshape(
            self._whole.shape
        )

    def places(self, mask: np.ndarray) -> np.ndarray:
        """The places (N,) of a mask (h, w)."""
        rows, columns = np.nonzero(mask)
        return (rows + RADIUS) * self.stride + columns + RADIUS

    def marked(self, mask: np.ndarray) -> np.ndarray:
        """A mask (h, w) by places: (P,) bool."""
        found = np.zeros(len(self.flat), bool)
        found[self.places(mask)] = True
        return found

    def rows_columns(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return places // self.stride - RADIUS, places % self.stride - RADIUS

    def shifted(self, places: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """The places (N,) that shifts (h, w, 2) say, down and right; held inside the picture."""
        rows, columns = self.rows_columns(places)
        shift = shifts[rows, columns]
        rows = np.clip(rows + shift[:, 0], 0, self.height - 1)
        columns = np.clip(columns + shift[:, 1], 0, self.width - 1)
        return (rows + RADIUS) * self.stride + columns + RADIUS

    def shifts(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The shifts (h, w, 2) int, down and right, from places to others (N,); 0 elsewhere."""
        found = np.zeros((self.height, self.width, 2), np.int64)
        here, there = self.rows_columns(places), self.rows_columns(others)
        found[here] = np.stack([there[0] - here[0], there[1] - here[1]], -1)
        return found


class Examples:
    """The patches that may serve as examples, and how patches are compared with them."""

    def __init__(self, picture: np.ndarray, allowed: np.ndarray) -> None:
        """Of a picture (h, w, C) and a mask (h, w) bool with something in it.

        Where the mask is too narrow for whole patches, smaller middles of them have to do.
        """
        self._canvas = Canvas(picture)
        for size in range(2 * RADIUS + 1, 0, -2):
            kernel = np.ones((size, size), np.uint8)
            inner = cv2.erode(allowed.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))
            if inner.any():
                break
        self._places = self._canvas.places(inner)
        across = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / _SPREAD) ** 2)
        weight = np.outer(across, across).ravel()
        self._weight = (weight / weight.sum()).astype(np.float32)
        self._basis = self._components()
        self._described = self.describe(self._canvas, self._places)

    def _components(self) -> np.ndarray:
        """The patterns that tell these patches apart best: (49 C, K) float32."""
        step = max(1, len(self._places) // _SAMPLES)
        patterns = self._patterns(self._canvas, self._places[::step])[1]
        _, vectors = np.linalg.eigh(patterns.T @ patterns)
        return np.ascontiguousarray(vectors[:, -_COMPONENTS:])

    def _patterns(self, canvas: Canvas, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean colours (N, C) of patches, and what differs from them: (N, 49 C), weighted."""
        patches = canvas.flat.take(places[:, None] + canvas.around, axis=0)
        mean = np.tensordot(patches, self._weight, (1, 0))
        patches -= mean[:, None]
        patches *= np.sqrt(self._weight)[:, None]
        return mean, patches.reshape(len(patches), -1)

    def describe(self, canvas: Canvas, places: np.ndarray) -> np.ndarray:
        """What patches look like and where they are, (N, F) float32: to be compared."""
        channels = canvas.channels
        found = np.empty((len(places), channels + self._basis.shape[1] + 2), np.float32)
        for first in range(0, len(places), _DESCRIBED):
            part = slice(first, first + _DESCRIBED)
            mean, patterns = self._patterns(canvas, places[part])
            found[part, :channels] = _MEAN * mean
            found[part, channels:-2] = patterns @ self._basis
        rows, columns = canvas.rows_columns(places)
        found[:, -2], found[:, -1] = rows * (_APART[0] / canvas.height), columns * (_APART[1] / canvas.width)
        return found

    def nearest(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The examples most like descriptions (N, F): their places (N,), and how their descriptions differ (N, F)."""
        own = 0.5 * np.einsum("nf,nf->n", self._described, self._described)
        found = np.empty(len(wanted), np.int64)
        for first in range(0, len(wanted), _COMPARED):
            part = slice(first, first + _COMPARED)
            found[part] = (wanted[part] @ self._described.T - own).argmax(1)
        return self._places[found], self._described[found] - wanted

    def colours(self, places: np.ndarray) -> np.ndarray:
        return self._canvas.flat.take(places, axis=0)


class Gap:
    """What is unknown of a picture, and for each patch that touches it the example it resembles."""

    def __init__(self, picture: np.ndarray, unknown: np.ndarray, source: Examples) -> None:
        """Of a picture (h, w, C) in which the unknown (h, w) bool is a first guess."""
        self._canvas, self._source = Canvas(picture), source
        size = 2 * RADIUS + 1
        self._holes = self._canvas.places(unknown)
        self._patches = self._canvas.places(cv2.dilate(unknown.astype(np.uint8), np.ones((size, size), np.uint8)))
        self._examples = self._patches
        self._number = np.full(len(self._canvas.flat), len(self._patches))
        self._number[self._patches] = np.arange(len(self._patches))
        depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3)[
            self._canvas.rows_columns(self._patches)
        ]
        self._trust = np.maximum(_DOUBT**-depth, 1e-4)

    @property
    def guess(self) -> np.ndarray:
        """The picture as it is thought to be by now: (h, w, C) float32."""
        return self._canvas.pixels

    @property
    def shifts(self) -> np.ndarray:
        """How far down and right of each pixel its example lies: (h, w, 2) int; 0 where there is none."""
        return self._canvas.shifts(self._patches, self._examples)

    def start(self, shifts: np.ndarray) -> None:
        """The first guess is what examples say that lie where shifts (h, w, 2) point to."""
        self._examples = self._canvas.shifted(self._patches, shifts)
        channels = self._canvas.channels
        self._vote(np.ones(len(self._patches), np.float32), np.zeros((len(self._patches), channels), np.float32))

    def refine(self, rounds: int) -> None:
        """Patches find what they resemble, and what is unknown becomes what that says, in turn."""
        channels = self._canvas.channels
        for _ in range(rounds):
            wanted = self._source.describe(self._canvas, self._patches)
            self._examples, difference = self._source.nearest(wanted)
            errors = np.einsum("nf,nf->n", difference, difference)
            alike = np.exp(-0.5 * errors / max(float(np.quantile(errors, _LIKE)), 1.0)) + 1e-6
            self._vote(alike, np.clip(difference[:, :channels] / -_MEAN, -_GENTLE, _GENTLE))

    def _vote(self, alike: np.ndarray, light: np.ndarray) -> None:
        """Each unknown pixel becomes the mean of what all patches around it say.

        Args:
            alike: (N,) how much each patch counts.
            light: (N, C) how much lighter than its example it is.
        """
        canvas = self._canvas
        # One more stands for what is no patch of the gap, as beyond the picture's border.
        weight = np.append(alike * self._trust, 0).astype(np.float32)
        light = np.append(light, np.zeros((1, canvas.channels), np.float32), 0)
        examples = np.append(self._examples, self._examples[:1])
        total = np.zeros((len(self._holes), canvas.channels), np.float32)
        weights = np.zeros((len(self._holes), 1), np.float32)
        for step in canvas.around:
            patch = self._number[self._holes - step]
            share = weight[patch, None]
            total += share * (self._source.colours(examples[patch] + step) + light[patch])
            weights += share
        canvas.flat[self._holes] = np.clip(total / weights, 0, 255)
        canvas.close_rim()
