# SPDX-License-Identifier: GPL-3.0-or-later
"""Panoramas of light: Radiance files, whose pixels tell how bright a place is, however bright."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError


def read_panorama(path: Path) -> np.ndarray:
    """(H, W, 3) float32, linear RGB: an equirectangular picture of all that is around a place.

    Raises:
        PortraitError: FILE_MISSING, or BAD_IMAGE where it is another file.
    """
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        raise PortraitError(
            ErrorCode.FILE_MISSING,
            f"There is no panorama {path}.",
            "The documentation of corpora says where to get some.",
        ) from None
    picture = None
    if content[:2].tobytes() == b"#?":
        picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.float32:
        raise PortraitError(
            ErrorCode.BAD_IMAGE, f"{path} is not a Radiance panorama (.hdr).", "Give files of Poly Haven, for example."
        )
    return np.ascontiguousarray(picture[..., ::-1])
