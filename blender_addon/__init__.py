# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking Portraits: an animator's side of the project, as a Blender extension."""

from __future__ import annotations

try:
    import portrait_shared  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"Talking Portraits lacks the wheel of “{error.name}”. Install the extension's zip for your system with "
        "Edit > Preferences > Get Extensions > Install from Disk; a copy of the source folder alone does not work."
    ) from error

from .startup import register, unregister

__all__ = ("register", "unregister")
