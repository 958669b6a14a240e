# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of what frames were made of, for statements whose makers want them to be seen there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from portrait_shared.statement import MAX_THUMBNAIL_BYTES, Statement

from portrait_server.media.images import eight_bit, opaque

_SIDE_PIXELS: Final = 256
_QUALITIES: Final = (80, 60, 40, 20)


def with_thumbnails(statement: Statement, pictures: Sequence[np.ndarray | None]) -> Statement:
    """The statement with a thumbnail of each source, in their order, whose picture is given.

    Args:
        pictures: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha; None, or none at all, leaves a source as it is.
    """
    seen = [None if picture is None else thumbnail(picture) for picture in pictures[: len(statement.sources)]]
    seen += [None] * (len(statement.sources) - len(seen))
    sources = (
        source if small is None else dataclasses.replace(source, thumbnail=small)
        for source, small in zip(statement.sources, seen, strict=True)
    )
    return dataclasses.replace(statement, sources=tuple(sources))


def thumbnail(picture: np.ndarray) -> bytes:
    """A JPEG of a picture, as large as `_SIDE_PIXELS` at most and no larger than a statement takes.

    Args:
        picture: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha.
    """
    small = opaque(eight_bit(picture))
    height, width = small.shape[:2]
    if (scale := _SIDE_PIXELS / max(height, width)) < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        content: bytes = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()
        if len(content) <= MAX_THUMBNAIL_BYTES:
            break
    return content
