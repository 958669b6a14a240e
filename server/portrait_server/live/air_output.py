# SPDX-License-Identifier: GPL-3.0-or-later
"""What pictures can be sent to live, what each says of itself, and how a picture of another size is fitted in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np

AI_MODIFIED: Final = "AI-modified"
"""What everything that is sent is called, besides its name: whoever watches live must be able to know."""
USUAL_NAME: Final = "Talking Portraits"
_NAME_CHARACTERS: Final = 80


@dataclass(frozen=True)
class OutputState:
    """Whether pictures can be sent there on this machine.

    Attributes:
        to: what it is called on a command line.
        title: what the user calls it.
        possible: whether they can.
        where: the device or the library; empty where there is none.
        reason: why they cannot, a sentence; empty where they can.
        remedy: what to do about that.
    """

    to: str
    title: str
    possible: bool
    where: str = ""
    reason: str = ""
    remedy: str = ""


class AirOutput(Protocol):
    """One open output.

    Attributes:
        where: what viewers choose: a camera's name, or an NDI source's.
        keeps_alpha: whether it takes pictures with alpha; else they are laid over black.
    """

    where: str
    keeps_alpha: bool

    def send(self, pixels: np.ndarray) -> None:
        """Sends one picture, (H, W, 3) uint8 RGB, or (H, W, 4) with straight alpha where it keeps that, of its size.

        Raises:
            PortraitError: LIVE_UNAVAILABLE where it is not there any more.
        """

    def close(self) -> None:
        """Ends it: viewers see that it is gone."""


def name_on_air(asked: str) -> str:
    """The name that viewers see: always with the words that it is AI-modified."""
    name = " ".join(asked.split())[:_NAME_CHARACTERS] or USUAL_NAME
    return name if AI_MODIFIED.casefold() in name.casefold() else f"{name} ({AI_MODIFIED})"


def fitted(pixels: np.ndarray, size: tuple[int, int], keep_alpha: bool) -> np.ndarray:
    """A picture as large as an output: all of it, in the middle, with black bars where it has another shape.

    Args:
        pixels: (H, W, 3 or 4) uint8, with straight alpha.
        size: (width, height), pixels.
        keep_alpha: whether alpha stays, with clear bars then; else the picture is laid over black.

    Returns:
        (height, width, 3 or 4) uint8, contiguous.
    """
    if pixels.shape[2] == 4 and not keep_alpha:
        pixels = (pixels[..., :3].astype(np.uint16) * pixels[..., 3:] // 255).astype(np.uint8)
    width, height = size
    if pixels.shape[1::-1] == size:
        return np.ascontiguousarray(pixels)
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    inner = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    small = cv2.resize(pixels, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    frame = np.zeros((height, width, pixels.shape[2]), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    frame[y : y + inner[1], x : x + inner[0]] = small
    return frame
