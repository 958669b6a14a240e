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

from . import command_line, handlers
from .connection import preferences, server, server_installing
from .interface import operators, panels
from .interface.panels import menus
from .portraits import scene_portraits

_MODULES = (preferences, scene_portraits, server, server_installing, operators, panels, menus, command_line, handlers)
_registered: list = []


def register() -> None:
    unregister()
    for module in _MODULES:
        module.register()
        _registered.append(module)


def unregister() -> None:
    while _registered:
        _registered.pop().unregister()
