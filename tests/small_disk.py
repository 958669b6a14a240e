# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is soon full."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at the folder, which is made; the test is skipped where nobody may have one.

    Args:
        size: as tmpfs takes it, such as "3m".
    """
    folder.mkdir(parents=True)
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(options, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this system lets nobody have mounts of their own")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
