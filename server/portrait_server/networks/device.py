# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device computes. torch, which takes seconds to import, is asked only where there may be a GPU."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

DEVICES: Final = ("auto", "cpu", "cuda")


def resolve_device(wish: str) -> str:
    """``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        PortraitError: DEVICE_UNAVAILABLE where ``cuda`` is asked for and is not there.
    """
    if wish not in DEVICES:
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"There is no device {wish!r}.", f"Choose one of: {', '.join(DEVICES)}."
        )
    if wish == "cpu":
        return "cpu"
    reason = _why_no_cuda()
    if reason is None:
        return "cuda"
    if wish == "cuda":
        raise PortraitError(ErrorCode.DEVICE_UNAVAILABLE, reason, "Use --device auto or --device cpu.")
    return "cpu"


def _why_no_cuda() -> str | None:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "This machine has no NVIDIA driver."
    import torch

    return None if torch.cuda.is_available() else "The installed torch cannot use this machine's GPU."
