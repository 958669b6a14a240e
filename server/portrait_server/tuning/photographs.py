# SPDX-License-Identifier: GPL-3.0-or-later
"""From photographs of a person to what tuning takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.corpora.build import cut
from portrait_server.corpora.shards import Face
from portrait_server.detectors.base import Detector
from portrait_server.detectors.selection import select_face
from portrait_server.media.images import opaque


def faces_of(photos: Iterable[tuple[str, np.ndarray]], detector: Detector) -> list[Face]:
    """The largest face of each photograph.

    Args:
        photos: (what an error calls it, (H, W, 3 or 4) uint8) each.
        detector: one that finds the dense mesh.

    Raises:
        PortraitError: NO_FACE, naming the photograph.
    """
    faces = []
    for name, image in photos:
        found = select_face(detector.detect(opaque(image)), None, name)
        try:
            faces.append(cut(opaque(image), found))
        except PortraitError as error:
            raise PortraitError(
                ErrorCode.NO_FACE, f"Nothing can be learnt from {name}: {error.message}",
                "Leave it out, or use one that shows the face larger.",
            ) from error  # fmt: skip
    return faces
