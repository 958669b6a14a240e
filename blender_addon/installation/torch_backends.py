# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PyTorch a choice of backend means on this machine, and about how large it is."""

from __future__ import annotations

import platform
import sys
from typing import Final, NamedTuple

from portrait_shared.devices import missing_driver
from portrait_shared.errors import ErrorCode, PortraitError

from .choices import Backend

_CUDA_WITHOUT_DRIVER: Final = "cu126"
"""What runs on drivers since 2024, where uv cannot ask for the driver's version."""
_ROCM_WITHOUT_DRIVER: Final = "rocm6.4"
_MAKERS: Final = {"cuda": "NVIDIA", "rocm": "AMD", "xpu": "Intel"}


class Size(NamedTuple):
    """About what the whole server takes with it, bytes.

    Attributes:
        download: of packages.
        disk: the environment, and the cache that the next installation uses.
    """

    download: int
    disk: int


_SIZES: Final[dict[Backend, Size]] = {
    "cpu": Size(840_000_000, 3_300_000_000),  # measured on Linux, Python 3.11, torch 2.13
    "mps": Size(730_000_000, 3_000_000_000),  # as "cpu", with the size of PyTorch's wheel for macOS
    "cuda": Size(3_700_000_000, 8_500_000_000),  # "cpu" without its torch, and torch 2.15 from PyPI, measured alone
    "rocm": Size(5_500_000_000, 19_000_000_000),  # by the sizes of PyTorch's wheels; not measured
    "xpu": Size(2_700_000_000, 8_500_000_000),  # likewise
}


def meant(backend: Backend) -> Backend:
    """What "auto" will come to, as far as this machine's drivers tell; others are what they are.

    Raises:
        PortraitError: BAD_CONFIGURATION where PyTorch is not made for that on this system.
    """
    if sys.platform == "darwin":
        if platform.machine().lower() != "arm64":
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, "PyTorch is not made for Macs with Intel processors any more.",
                "Run the server on another machine.",
            )  # fmt: skip
        if backend in _MAKERS:
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"PyTorch for {_MAKERS[backend]} GPUs is not made for macOS.",
                "Choose Automatic or Apple.",
            )  # fmt: skip
        return "cpu" if backend == "cpu" else "mps"
    if backend == "mps" or (backend == "rocm" and sys.platform == "win32"):
        what, where = ("Apple", "other systems") if backend == "mps" else ("AMD", "Windows")
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"PyTorch for {what} GPUs is not made for {where}.", "Choose Automatic."
        )
    if backend != "auto":
        return backend
    return next((name for name in ("cuda", "xpu") if not missing_driver(name)), "cpu")


def flag(backend: Backend) -> str:
    """What uv is told by `--torch-backend`; empty where any index has the right one."""
    if sys.platform == "darwin":
        return ""
    if backend == "cuda":
        return "auto" if not missing_driver("cuda") else _CUDA_WITHOUT_DRIVER
    return _ROCM_WITHOUT_DRIVER if backend == "rocm" else backend


def size(backend: Backend) -> Size:
    """About what an installation of what is `meant` takes."""
    return _SIZES[backend]


def words(backend: Backend) -> str:
    """What is `meant`, such as "for NVIDIA GPUs"."""
    if backend == "mps":
        return "for Apple's GPUs"
    return f"for {_MAKERS[backend]} GPUs" if backend in _MAKERS else "for the processor alone"
