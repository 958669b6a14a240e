# SPDX-License-Identifier: GPL-3.0-or-later
"""The “Portrait” tab in the sidebars of the 3D view and of the sequencer."""

from __future__ import annotations

import bpy

from . import sidebar


def register() -> None:
    for cls in sidebar.CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(sidebar.CLASSES):
        bpy.utils.unregister_class(cls)
