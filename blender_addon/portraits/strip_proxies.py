# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's proxies of rendered frames: small copies that it plays, and that tell nothing of a frame drawn anew."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import bpy

_FOLDER: Final = Path("BL_proxy", "images")
_SUFFIX: Final = "_proxy.jpg"


def forget_stale(strip: Any) -> None:
    """Deletes proxies that are older than the frame they were made of: Blender then plays the frame itself, until
    they are built again. Those in a folder of the user's own are not found here."""
    if not strip.use_proxy:
        return
    folder = Path(bpy.path.abspath(strip.directory))
    for proxy in folder.glob(f"{_FOLDER}/*/*{_SUFFIX}"):
        frame = folder / proxy.name.removesuffix(_SUFFIX)
        with contextlib.suppress(OSError):  # either may be gone meanwhile
            if os.stat(frame).st_mtime_ns > os.stat(proxy).st_mtime_ns:
                proxy.unlink()
