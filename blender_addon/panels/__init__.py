# SPDX-License-Identifier: GPL-3.0-or-later
"""The “Portrait” tab in the sidebars of the 3D view and of the sequencer."""

from __future__ import annotations

import bpy

from . import capture_panel, driving_panel, likeness_panel, messages, preview_panel, rig_panel, sidebar

_CLASSES = (
    *sidebar.CLASSES,
    *preview_panel.CLASSES,
    *capture_panel.CLASSES,
    *rig_panel.CLASSES,
    *driving_panel.CLASSES,
    *likeness_panel.CLASSES,
    *messages.CLASSES,
)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
