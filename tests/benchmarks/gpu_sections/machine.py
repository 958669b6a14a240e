# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine, which versions, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.gpu_sections.report import Row

if TYPE_CHECKING:
    from tests.benchmarks.gpu_sections.material import Plan

_PACKAGES = ("torch", "numpy", "opencv-python", "mediapipe", "scipy", "safetensors", "array-api-compat", "scikit-image")
_ASKED = "name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw,memory.used,memory.total"
_ROOT = Path(__file__).resolve().parents[3]


def machine(plan: Plan) -> Iterator[Row]:
    """Everything that figures depend on."""
    yield Row("code", note=_commit())
    yield Row("system", note=f"{platform.platform()}, Python {platform.python_version()}")
    yield Row("processor", os.cpu_count(), "threads", _processor())
    for package in _PACKAGES:
        try:
            yield Row(package, note=importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Row(package, note="missing: `python3.11 server/set_up.py install` brings it", red=True)
    import torch

    yield Row("CUDA that torch was built for", note=str(torch.version.cuda))
    if plan.device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(plan.device)
        yield Row(
            properties.name, properties.total_memory / 2**30, "GiB", f"{properties.multi_processor_count} processors"
        )
        yield Row("bfloat16", note="yes" if torch.cuda.is_bf16_supported() else "no")


def conditions() -> str:
    """Load, and what the driver says of the GPU: as long as it is still warm from the work."""
    words = [f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} threads"] if hasattr(os, "getloadavg") else []
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        words.append(f"{_ASKED}: {done.stdout.strip() or done.stderr.strip()}")
    return "; ".join(words)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def _commit() -> str:
    if not shutil.which("git"):
        return "unknown"
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip() or "unknown"
