# SPDX-License-Identifier: GPL-3.0-or-later
"""The processor as a device: what it is called, its memory, and with which instructions libraries draw on it."""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path
from typing import Final

_ARCHITECTURES: Final = {"x86_64": "x86-64", "AMD64": "x86-64", "aarch64": "arm64", "ARM64": "arm64"}
"""What systems call the same one."""


@functools.cache
def processor_kind() -> str:
    """Processors of one kind draw the same bytes: ``x86-64 AVX512``, the instructions that OpenCV chose.

    A number summed with other instructions may differ in its last bit. torch chooses by the same abilities of the
    processor, unless its environment says otherwise, which is then told too; to ask it would take seconds.
    """
    import cv2

    # The best comes last; what the library knows and does not use ends in a question mark.
    used = [name.lstrip("*") for name in cv2.getCPUFeaturesLine().split() if not name.endswith("?")]
    pictures = used[-1].removesuffix("-SKX") if used else "DEFAULT"
    networks = os.environ.get("ATEN_CPU_CAPABILITY", "").upper()
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return f"{machine} {pictures}" + (f", torch {networks}" if networks else "")


def processor_model() -> str:
    """What its maker calls it, and how many cores it has."""
    cores = f"{os.cpu_count()} cores"
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:  # Linux alone has it
        found = None
    return f"{found[1] if found else platform.processor() or platform.machine()}, {cores}"


def machine_memory() -> tuple[int | None, int | None]:
    """Total and free bytes, where the system tells them in a file."""
    try:
        told = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text("utf-8"), re.MULTILINE))
    except OSError:  # Linux alone has it
        return None, None
    total, free = (int(told[name]) * 1024 if name in told else None for name in ("MemTotal", "MemAvailable"))
    return total, free
