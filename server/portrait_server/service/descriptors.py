# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files and connections the process may have open."""

from __future__ import annotations

import sys
from typing import Final

_WANTED: Final = 8192
_USUAL_ON_WINDOWS: Final = 512
"""What Python's `select` can watch there."""


def raise_descriptor_limit() -> int:
    """Raises the soft limit as far as is useful and allowed; returns what it is now."""
    if sys.platform == "win32":
        return _USUAL_ON_WINDOWS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower limit that it does not tell
            return soft
        return wanted
    return soft
