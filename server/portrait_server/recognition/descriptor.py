# SPDX-License-Identifier: GPL-3.0-or-later
"""128 numbers that tell one person's face from another's, by dlib's recognition network, which is in the public domain.

King, “High Quality Face Recognition with Deep Metric Learning”, blog.dlib.net, 2017: a residual network of 29 layers that
learnt from three million faces of 7,485 people. dlib's landmark predictor, which is not free for commercial use, is not
opened: our own points bring a face into the place where the network expects it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.geometry.alignment import crop
from portrait_server.model_files import FACE_DESCRIPTOR

MODEL: Final = "dlib_face_recognition_resnet_model_v1"
CHIP_SIDE: Final = 150
"""Pixels of the square that the network sees."""
NUMBERS: Final = 128

_POINTS: Final = range(27, 48)  # nose and eyes: lips move
# Where these lie in dlib's mean face, of which the network's own pictures were cut (`get_face_chip_details` in its
# image_transforms/interpolation.h): x and y, in that face's width.
_MEAN_FACE: Final = np.array([
    (.4901, .2034), (.4901, .3070), (.4901, .4098), (.4901, .5156),
    (.3669, .5873), (.4260, .6093), (.4901, .6281), (.5542, .6093), (.6134, .5873),
    (.1217, .2164), (.1871, .1788), (.2658, .1799), (.3346, .2317), (.2609, .2451), (.1827, .2441),
    (.6456, .2317), (.7144, .1799), (.7931, .1788), (.8585, .2164), (.7975, .2441), (.7193, .2451),
])  # fmt: skip
_AROUND: Final = 0.25  # of the mean face, on every side of it
_PLACES: Final = (_MEAN_FACE + _AROUND) / (1 + 2 * _AROUND) * CHIP_SIDE


class Descriptor:
    """Describes faces, on one core: 0.08 s each on a common processor, and 0.3 s to begin with."""

    def __init__(self) -> None:
        """Raises: PortraitError: BAD_WEIGHTS where dlib or its model is missing, or the file is another one."""
        try:
            import dlib
        except ImportError as error:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS, "Faces cannot be told apart: dlib-bin is not installed.",
                "Install the server again (python server/set_up.py), or leave out the check.",
            ) from error  # fmt: skip
        FACE_DESCRIPTOR.check()
        self._network = dlib.face_recognition_model_v1(str(FACE_DESCRIPTOR.path))

    def describe(self, chip: np.ndarray) -> np.ndarray:
        """(128,) float32 of a face's `chip_of`; the descriptors of one person's pictures are near each other (Euclid)."""
        return np.asarray(self._network.compute_face_descriptor(chip), np.float32)


def chip_of(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face as the network expects it: upright, its parts in their places.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (70, 2 or 3) pixels.

    Returns:
        (150, 150, 3) uint8.
    """
    return np.ascontiguousarray(crop(image, _chip_transform(points), CHIP_SIDE))


def _chip_transform(points: np.ndarray) -> np.ndarray:
    """(2, 3) float32: the similarity that brings points to where the mean face has them, by least squares."""
    source = np.asarray(points, float)[list(_POINTS), :2] @ (1, 1j)
    target = _PLACES @ (1, 1j)
    around, goal = source - source.mean(), target - target.mean()
    turn = np.vdot(around, goal) / max(np.vdot(around, around).real, 1e-9)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float32)
