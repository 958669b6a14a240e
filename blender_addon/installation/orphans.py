# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation leaves at work where its Blender was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from . import layout

_LOOK_SECONDS: Final = 10.0


def lives(process: int) -> bool:
    """Whether there is a process of that number; True where the system does not tell."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def groups(folder: Path) -> list[int]:
    """The process groups of each uv that was started from that folder. None on Windows, where they hold no claim."""
    if sys.platform == "win32":
        return []
    command = ["ps", "-axww", "-o", "pgid=", "-o", "command="]
    try:
        listed = subprocess.run(
            command, capture_output=True, timeout=_LOOK_SECONDS, check=False, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.strip().partition(" ") for line in listed.stdout.splitlines()]
    program = f"{folder / layout.UV} "
    return sorted({int(group) for group, _, words in lines if group.isdigit() and words.strip().startswith(program)})


def end(groups: list[int]) -> None:
    """Ends those groups, with all that they started. What was downloaded is kept."""
    if sys.platform == "win32":
        return
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:  # it has ended, or is another user's
            continue
