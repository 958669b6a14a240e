# SPDX-License-Identifier: GPL-3.0-or-later
"""From what size on frames are drawn, encoded and encrypted by threads that yield to others."""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

LARGE_PIXELS: Final = 1 << 22
_NICENESS: Final = 5


def yield_to_others() -> None:
    """Lowers the calling thread's priority, where the system has priorities for threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
