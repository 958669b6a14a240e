# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends with the program that started it: its end closes the pipe that is this process's standard input."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Final

_BYTES: Final = 4096


def watch_input(ended: Callable[[], None]) -> None:
    """Calls it, from a thread, when standard input has ended; at once where there is none. What comes there is not kept."""

    def wait() -> None:
        try:
            number = sys.__stdin__.fileno()  # type: ignore[union-attr]
            # Not through Python's own buffer: its lock, held by a thread that waits, would break the interpreter's end.
            while os.read(number, _BYTES):
                continue
        except (OSError, ValueError, AttributeError):
            return  # it was closed, or never there
        finally:
            ended()

    threading.Thread(target=wait, name="standard input", daemon=True).start()
