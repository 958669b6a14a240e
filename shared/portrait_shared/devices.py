# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a server can compute on, by the names they have everywhere, and whether this machine may have them."""

from __future__ import annotations

import argparse
import ctypes
import functools
import os
import platform
import re
import sys
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

GPUS: Final = ("cuda", "rocm", "xpu", "mps")
"""Those of NVIDIA, AMD, Intel and Apple. `auto` takes the first that can be used."""
DEVICES: Final = ("auto", "cpu", *GPUS)
ALL_CUDA: Final = "cuda:all"
"""Every GPU of NVIDIA that the machine has; `rocm:all` are those of AMD, `xpu:all` of Intel."""

_SEVERAL: Final = ("cuda", "rocm", "xpu")
"""Of which a machine may have more than one; the first is meant where no number stands behind a colon."""
_AMD_COMPUTE: Final = "/dev/kfd"
"""What Linux's driver of AMD's GPUs computes by; ROCm's own libraries come with PyTorch. Windows' is named after HIP's release."""
_NUMBERED: Final = re.compile(rf"({'|'.join(_SEVERAL)}):(\d{{1,3}}|all)")


def kind_of(name: str) -> str:
    """One of `DEVICES` or several of one kind, without their numbers: ``cuda`` for ``cuda:1`` and ``cuda:0,cuda:1``."""
    return name.partition(":")[0].partition(",")[0]


def torch_name(name: str) -> str:
    """What torch calls a device: its builds for ROCm know AMD's GPUs as ``cuda``."""
    return name.replace("rocm", "cuda", 1)


def device_names(wish: str) -> tuple[str, ...]:
    """The devices of a wish: one of `DEVICES`, a GPU by its number (``cuda:1``), several (``cuda:0,cuda:1``), or all of a
    kind (``cuda:all``, which stays one name).

    Raises:
        PortraitError: DEVICE_UNAVAILABLE for anything else, for two kinds, and for the same GPU twice.
    """
    names = tuple(name.strip() for name in wish.split(","))
    for name in names:
        if name not in DEVICES and not _NUMBERED.fullmatch(name):
            raise PortraitError(
                ErrorCode.DEVICE_UNAVAILABLE, f"There is no device {name!r}.",
                f"Choose one of: {', '.join(DEVICES)}; of several GPUs one by its number (cuda:1), some "
                f"(cuda:0,cuda:1) or all ({ALL_CUDA}).",
            )  # fmt: skip
    if len({kind_of(name) for name in names}) > 1:
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"{' and '.join(names)} are devices of several kinds, which draw a little differently.",
            "Choose devices of one kind, or start a server for each.",
        )  # fmt: skip
    same = [name if ":" in name else f"{name}:0" for name in names]
    if len(names) > 1 and (kind_of(names[0]) not in _SEVERAL or f"{kind_of(names[0])}:all" in names):
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"{wish} names a device that stands alone together with others.",
            "Several are GPUs by their numbers, such as cuda:0,cuda:1.",
        )  # fmt: skip
    if len(set(same)) < len(same):
        raise PortraitError(
            ErrorCode.DEVICE_UNAVAILABLE, f"{wish} names the same device twice.", "Name each device once."
        )
    return names


def parse_device(text: str) -> str:
    """What `--device` was given.

    Raises:
        argparse.ArgumentTypeError: it is no wish of `device_names`.
    """
    try:
        return ",".join(device_names(text))
    except PortraitError as error:
        raise argparse.ArgumentTypeError(f"{error.message} {error.remedy}") from None


@functools.cache
def missing_driver(device: str) -> str:
    """Why this machine can have no such device, a sentence; empty where it may have one.

    It takes milliseconds: torch, which knows for sure and takes seconds to import, is not asked.
    """
    windows, kind = sys.platform == "win32", kind_of(device)
    if kind == "cuda" and not _can_load("nvcuda.dll" if windows else "libcuda.so.1"):
        return "This machine has no NVIDIA driver."
    if kind == "rocm" and not (_can_load("amdhip64_7.dll") if windows else os.path.exists(_AMD_COMPUTE)):
        return "This machine has no driver of an AMD GPU for ROCm."
    if kind == "xpu" and not _can_load("ze_loader.dll" if windows else "libze_loader.so.1"):
        return "This machine has no driver of an Intel GPU."
    if kind == "mps" and (sys.platform, platform.machine()) != ("darwin", "arm64"):
        return "This machine is no Mac with Apple silicon."
    return ""


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
