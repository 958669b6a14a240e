# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may choose before the server is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Backend = Literal["auto", "cpu", "cuda", "rocm", "xpu", "mps"]
BACKENDS: Final[tuple[Backend, ...]] = ("auto", "cpu", "cuda", "rocm", "xpu", "mps")
"""Which PyTorch: the one that fits this machine's drivers, for the processor alone, or for GPUs by NVIDIA, AMD, Intel
and Apple."""


@dataclass(frozen=True)
class Choice:
    """How the server shall be installed.

    Attributes:
        backend: which PyTorch.
        index: the address of a package index, such as a company's; empty for what uv's own settings say, which is PyPI
            where they say nothing.
        wheels: a folder of wheels, as `portrait bundle` makes it; everything is taken from there and nothing from the
            network. None installs from the index.
        python: a version such as "3.12", or the path of a program; empty takes what fits.
    """

    backend: Backend = "auto"
    index: str = ""
    wheels: Path | None = None
    python: str = ""
