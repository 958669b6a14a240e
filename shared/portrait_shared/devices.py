# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a server can compute on, by the names they have everywhere, and whether this machine may have them."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from typing import Final

GPUS: Final = ("cuda", "xpu", "mps")
"""Those of NVIDIA, Intel and Apple. `auto` takes the first that can be used."""
DEVICES: Final = ("auto", "cpu", *GPUS)


@functools.cache
def missing_driver(device: str) -> str:
    """Why this machine can have no such device, a sentence; empty where it may have one.

    It takes milliseconds: torch, which knows for sure and takes seconds to import, is not asked.
    """
    windows = sys.platform == "win32"
    if device == "cuda" and not _can_load("nvcuda.dll" if windows else "libcuda.so.1"):
        return "This machine has no NVIDIA driver."
    if device == "xpu" and not _can_load("ze_loader.dll" if windows else "libze_loader.so.1"):
        return "This machine has no driver of an Intel GPU."
    if device == "mps" and (sys.platform, platform.machine()) != ("darwin", "arm64"):
        return "This machine is no Mac with Apple silicon."
    return ""


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
