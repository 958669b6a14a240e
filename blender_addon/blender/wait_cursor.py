# SPDX-License-Identifier: GPL-3.0-or-later
"""The cursor that says that Blender waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy


@contextmanager
def wait_cursor() -> Iterator[None]:
    """Shows it while the main thread is held up; does nothing without a window."""
    window = None if bpy.app.background else bpy.context.window
    if window is None:
        yield
        return
    window.cursor_modal_set("WAIT")
    try:
        yield
    finally:
        window.cursor_modal_restore()
