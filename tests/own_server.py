# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that a module's tests share, and what commands are told to use it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait_shared.client.launcher import ServerProcess


@contextmanager
def own_server(folder: Path) -> Iterator[list[str]]:
    """Arguments that use it.

    Args:
        folder: where its connection file goes.
    """
    file = folder / "connection.json"
    process = ServerProcess([sys.executable, "-m", "portrait_server"], connection_file=file, device="cpu")
    process.start()
    try:
        yield ["--connect", str(file)]
    finally:
        process.stop(10)
