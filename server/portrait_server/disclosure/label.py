# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible label: the EU's icon for pictures that AI has modified, an own wording, or both, in a corner of a frame.

The icon is the European Commission's, free for everyone to use without attribution:
https://digital-strategy.ec.europa.eu/en/policies/eu-icons-labelling-ai-generated-content. It is the black one on every
ground: its white letters lie on it, and one that was chosen by what lies behind would change from frame to frame.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from portrait_shared.disclosure import Label
from portrait_shared.errors import ErrorCode, PortraitError

_ICON: Final = Path(__file__).parent / "icons" / "ai-modified.png"
_FONT: Final = "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf"
_LEAST_PIXELS: Final = 14  # of its height, below which nobody reads it; smaller frames get as much as fits
_MARGIN, _GAP, _PADDING, _LETTERS = 0.5, 0.25, 0.45, 0.54  # in heights: to the frame's edge, between its parts, in them
_UNKNOWN: Final = "\uffff"


def check_label(label: Label) -> None:
    """Raises: PortraitError: BAD_CONFIGURATION for a wording with letters that the font lacks."""
    font = _font(32)
    unknown = bytes(font.getmask(_UNKNOWN))
    for letter in _wording(label):
        if unicodedata.bidirectional(letter) in ("R", "AL") or bytes(font.getmask(letter)) == unknown:
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"The label's wording has “{letter}”, which cannot be written.",
                "Write it in Latin, Greek or Cyrillic letters, or use the icon alone.",
            )  # fmt: skip


class LabelPicture:
    """A label as it lies on frames of one size: the same on each."""

    def __init__(self, label: Label, size: tuple[int, int]) -> None:
        """
        Args:
            size: (width, height) of the frames, pixels.
        """
        width, height = size
        wanted = max(round(label.size * height), _LEAST_PIXELS)
        row = _row(label, max(wanted, _icon().shape[0]))
        # It keeps its margin on both sides where a wording is long or a frame narrow.
        tall = min(wanted, height / (1 + 2 * _MARGIN), width / (row.shape[1] / row.shape[0] + 2 * _MARGIN))
        box = max(1, round(row.shape[1] * tall / row.shape[0])), max(1, round(tall))
        row = _premultiplied_at(row, box)
        margin = round(_MARGIN * tall)
        top = margin if label.corner.startswith("top") else height - margin - box[1]
        left = margin if label.corner.endswith("left") else width - margin - box[0]
        self._rows, self._columns = slice(top, top + box[1]), slice(left, left + box[0])
        self._colours, self._alpha = row[..., :3], row[..., 3:]

    def over(self, frame: np.ndarray, full: float) -> np.ndarray:
        """A frame with the label over it; where that is opaque, so is the frame.

        Args:
            frame: (H, W, 3 or 4) of any type, RGB or RGB with straight alpha.
            full: what stands for white, and for opaque.
        """
        labelled = frame.copy()
        under = labelled[self._rows, self._columns].astype(np.float32) / np.float32(full)
        left = 1 - self._alpha
        if frame.shape[2] == 4:
            left = left * under[..., 3:]
            alpha = self._alpha + left
            mixed = (self._colours + under[..., :3] * left) / np.maximum(alpha, np.float32(1e-6))
            mixed = np.concatenate([np.where(alpha > 0, mixed, under[..., :3]), alpha], -1)
        else:
            mixed = self._colours + under * left
        mixed *= np.float32(full)
        labelled[self._rows, self._columns] = mixed if frame.dtype.kind == "f" else np.rint(mixed)
        return labelled


def _row(label: Label, height: int) -> np.ndarray:
    """Icon and wording side by side (height, W, 4), 0 to 255, straight alpha."""
    icon = _icon()
    parts = [] if not label.icon else [cv2.resize(icon, (round(icon.shape[1] * height / icon.shape[0]), height))]
    if _wording(label):
        parts.append(_lozenge(_wording(label), height))
    if len(parts) == 2:
        parts.insert(1, np.zeros((height, round(_GAP * height), 4), np.uint8))
    return np.concatenate(parts, 1)


def _lozenge(wording: str, height: int) -> np.ndarray:
    """Words in white on black, round at its ends, as the icon is."""
    font = _font(round(_LETTERS * height))
    width = round(font.getlength(wording) + 2 * _PADDING * height)
    radius = height / 2 - 0.5
    along = np.arange(width)
    beyond = np.clip(np.maximum(radius - along, along - (width - 1 - radius)), 0, None)
    reach = np.hypot(np.arange(height)[:, None] - radius, beyond[None])
    ends = (np.clip(radius + 0.5 - reach, 0, 1) * 255).astype(np.uint8)
    drawn = Image.new("RGB", (width, height), "black")
    ImageDraw.Draw(drawn).text((width / 2, height / 2), wording, fill="white", font=font, anchor="mm")
    return np.dstack([np.asarray(drawn), ends])


def _premultiplied_at(row: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The same at (width, height), 0 to 1, colours multiplied by alpha."""
    values = row.astype(np.float32) / 255
    values[..., :3] *= values[..., 3:]
    shrinks = size[1] < row.shape[0]
    values = cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    values[values[..., 3] < 1 / 255] = 0
    return np.clip(values, 0, 1)


@cache
def _icon() -> np.ndarray:
    """(H, W, 4) uint8, without the space around it."""
    with Image.open(_ICON) as file:
        icon = np.asarray(file.convert("RGBA"))
    rows, columns = np.nonzero(icon[..., 3] > 127)
    return np.ascontiguousarray(icon[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    # Found without loading matplotlib, of which nothing else is needed.
    package = importlib.util.find_spec("matplotlib")
    assert package is not None and package.origin is not None
    file = Path(package.origin).parent / _FONT
    return ImageFont.truetype(file, pixels, layout_engine=ImageFont.Layout.BASIC)


def _wording(label: Label) -> str:
    return unicodedata.normalize("NFC", label.text.strip())
