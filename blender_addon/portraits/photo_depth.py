# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo with 16 bits a channel, for frames of 16 bits. Blender's image of it has 8, which all else here works on."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol

import numpy as np

_SAME_PICTURE: Final = 20
"""Of 255, between the image and what the file holds: the image may have gone through another reader."""
_NO_FILE: Final = (
    "The photo's file is not there, or the photo was painted over since: the frames of 16 bits are made of the 8 bits "
    "that Blender has of it."
)
_ANOTHER: Final = (
    "The photo's file shows another picture than the portrait, so the frames of 16 bits are made of the portrait's 8."
)


class Reader(Protocol):
    """What reads a picture's file, as `portrait_shared.client.client.Client` does."""

    def read_picture(self, content: bytes, suffix: str, depth: Literal[8, 16] = 8) -> np.ndarray[Any, Any]: ...


def with_16_bits(reader: Reader, image: np.ndarray, stored: tuple[bytes, str] | None) -> tuple[np.ndarray, str]:
    """The photo (H, W, 3 or 4) uint16, and what the user should know of it; or an empty text.

    Args:
        image: (H, W, 3 or 4) uint8, the photo as the portrait shows it.
        stored: content and suffix of the photo's file, see `photo.stored_file`.

    Raises:
        PortraitError: those of `Client.read_picture`.
    """
    note = _NO_FILE
    if stored is not None:
        deep = reader.read_picture(*stored, depth=16)
        # In the shadows of a photo of linear colours, the upper bytes differ from its 8-bit reading: that is compared too.
        if _alike((deep >> 8).astype(np.uint8), image) or (
            deep.shape == image.shape and _alike(reader.read_picture(*stored), image)
        ):
            return deep, ""
        note = _ANOTHER
    return image.astype(np.uint16) * 257, note


def _alike(seen: np.ndarray, image: np.ndarray) -> bool:
    if seen.shape != image.shape:
        return False
    return int((np.maximum(seen, image) - np.minimum(seen, image)).max()) <= _SAME_PICTURE
