# SPDX-License-Identifier: GPL-3.0-or-later
"""A library that stands for NDI's, compiled after its public header: it sends nothing, and writes down what it gets."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
_NAMES = {"linux": "libndi.so.6", "darwin": "libndi.dylib"}
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform not in _NAMES, reason="no C compiler to make NDI's stand-in with"
)


def compile_into(folder: Path) -> Path:
    """Makes the library; returns its folder, for the variable NDI_RUNTIME_DIR_V6. Its file of notes is named by
    NDI_STAND_IN_LOG; with NDI_STAND_IN_REFUSES it does not start, with NDI_STAND_IN_FULL it opens no source."""
    assert COMPILER is not None
    source = Path(__file__).with_suffix(".c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", folder / _NAMES[sys.platform], source], check=True)
    return folder


def pixels_in(line: str, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 4) uint8, as a line of the notes has them."""
    return np.frombuffer(bytes.fromhex(line.removeprefix("pixels ")), np.uint8).reshape(size[1], size[0], 4)
