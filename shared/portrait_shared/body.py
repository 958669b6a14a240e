# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames say of the body below the head: how far the shoulders follow its turn, and how deep the breath is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from portrait_shared.errors import ErrorCode, PortraitError, described

SHOULDERS, BREATHING = 0, 1
"""Columns of a body: 0 shoulders that stay, 1 those that follow as people's do, 2 twice as far; 0 the photo's breath, 1 a
deep one."""
USUAL: Final = np.array([1, 0], "<f4")
"""What holds where nothing is said."""
USUAL.flags.writeable = False
HIGHEST: Final = (2.0, 1.0)
"""Of each column; the lowest is 0."""


def check_body(
    body: np.ndarray, frames: Sequence[int] | np.ndarray, *, code: ErrorCode = ErrorCode.BAD_POINTS
) -> np.ndarray:
    """The one check of what frames say of the body, wherever it comes from; returns contiguous little-endian float32.

    Args:
        body: (T, 2) numbers of any kind, see `SHOULDERS` and `BREATHING`; beyond the bounds they count as those.
        frames: T frame numbers, for messages.
        code: of the error.

    Raises:
        PortraitError: `code`, naming the frame.
    """
    body = np.asarray(body)
    if body.dtype.kind not in "fiu" or body.shape != (len(frames), 2):
        raise PortraitError(
            code, f"What frames say of the body must be ({len(frames)}, 2) numbers, not {described(body)}.",
            "Give each frame how far the shoulders follow (usually 1) and the breath (usually 0), or leave `body` out.",
        )  # fmt: skip
    with np.errstate(over="ignore"):
        body = np.ascontiguousarray(body, "<f4")
    bad = np.flatnonzero(~np.isfinite(body).all(1))
    if len(bad):
        raise PortraitError(
            code, f"Frame {frames[bad[0]]}: what it says of shoulders and breath is not finite: {body[bad[0]].tolist()}.",
            "Give shoulders from 0 to 2 and breath from 0 to 1.",
        )  # fmt: skip
    return body


def is_usual(body: np.ndarray | None) -> bool:
    """Whether a body (2,) or (T, 2), or None, says what holds anyway."""
    return body is None or bool((body == USUAL).all())
