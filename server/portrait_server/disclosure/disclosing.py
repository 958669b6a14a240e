# SPDX-License-Identifier: GPL-3.0-or-later
"""The last that happens to a frame before it is encoded: it gets its watermark, and its label.

The watermark lies where a photo's people are, or where a shot was changed. All else stays the photo's or the shot's to
the bit. A photo's frames carry it also where nothing moves: a film's encoder draws frames from those before, and would take
what comes later and is so faint for noise.
"""

from __future__ import annotations

import cv2
import numpy as np
from portrait_shared.disclosure import Disclosure, watermark_id
from portrait_shared.layers import channels_of

from portrait_server.disclosure.label import LabelPicture
from portrait_server.disclosure.watermark import Watermark, activity_of

_BYTES_OF_PIXEL = 24  # the watermark's, about


class Disclosing:
    """Puts into the frames of a portrait or a shot, all of one size, what they show of having been made."""

    def __init__(
        self, disclosure: Disclosure, size: tuple[int, int], source: str, where: np.ndarray | None = None,
        photo: np.ndarray | None = None, kind: tuple[np.dtype, int] | None = None, area: float | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            size: (width, height) of the frames, pixels.
            source: content hash of what is drawn, see `watermark_id`.
            where: (h, w) 0 to 1, of any size: which part of a frame may be marked; all of it where None.
            photo: (h, w, 3 or 4) uint8 or uint16, what the frames look like, where that is always much the same.
            kind: type and channels of the frames that it is for, where it is measured what it holds.
            area: pixels of a frame that are marked as a rule, where they are but a small part of those that may be.
        """
        self._watermark = None
        if disclosure.watermark:
            weight = np.ones(size[::-1], np.float32) if where is None else _resized(where.astype(np.float32), size)
            activity = None if photo is None else activity_of(_resized(photo, size))
            self._watermark = Watermark(size, watermark_id(source), np.clip(weight, 0, 1), activity, area)
            if kind is not None:
                self._watermark.get_ready(*kind)
        self._label = None if disclosure.label is None else LabelPicture(disclosure.label, size)

    @staticmethod
    def bytes_of(size: tuple[int, int]) -> int:
        """About what it holds for frames of (width, height) pixels."""
        return size[0] * size[1] * _BYTES_OF_PIXEL

    def into(self, frame: np.ndarray) -> np.ndarray:
        """A frame (H, W, 3 or 4) of a photo, uint8 or uint16."""
        if self._watermark is not None:
            frame = self._watermark.apply(frame)
        return self._labelled(frame)

    def into_layers(self, frame: np.ndarray, layers: tuple[str, ...]) -> np.ndarray:
        """A layered frame of a photo, see `into`: its picture gets what other frames get, the other layers stay.

        Args:
            frame: (H, W, K) float32, as `Engine.render_layers` draws it.
            layers: in their order.
        """
        channels = channels_of(layers)
        if "R" not in channels:
            return frame
        picture = slice(channels.index("R"), channels.index("R") + 4)
        shown = frame[..., picture]
        if self._watermark is not None:
            shown = np.clip(self._watermark.apply(shown / np.float32(255)) * np.float32(255), 0, 255)
        shown = shown if self._label is None else self._label.over(shown, 255)
        disclosed = frame.copy()
        disclosed[..., picture] = shown
        return disclosed

    def into_changed(self, frame: np.ndarray, filmed: np.ndarray) -> np.ndarray:
        """A changed frame of a shot: pixels that are the shot's own stay so, but under the label.

        Args:
            frame, filmed: (H, W, 3 or 4) uint8 or uint16, as drawn and as it was.
        """
        if self._watermark is not None:
            frame = _where_changed(frame, filmed, self._watermark.apply(frame))
        return self._labelled(frame)

    def _labelled(self, frame: np.ndarray) -> np.ndarray:
        return frame if self._label is None else self._label.over(frame, np.iinfo(frame.dtype).max)


def _where_changed(frame: np.ndarray, filmed: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """A frame (H, W, C) that is the marked one where it is not as filmed. Only the box of what is changed is looked at
    pixel by pixel: of a large frame that is little."""
    rows = np.flatnonzero((frame != filmed).reshape(len(frame), -1).any(1))
    if not len(rows):
        return frame
    high = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero((frame[high] != filmed[high]).any(0).any(-1))
    box = high, slice(columns[0], columns[-1] + 1)
    changed = np.logical_or.reduce([frame[box][..., c] != filmed[box][..., c] for c in range(frame.shape[2])])
    shown = frame.copy()
    shown[box] = cv2.copyTo(marked[box], changed.astype(np.uint8), frame[box].copy())
    return shown


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w) or (h, w, C) at (width, height), averaged where it shrinks."""
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
