# SPDX-License-Identifier: GPL-3.0-or-later
"""The “Portrait” tab in the sidebars of the 3D view, the sequencer and the compositor."""

from __future__ import annotations

import bpy

from . import (
    capture_panel,
    compositing_panel,
    consent_panel,
    driving_panel,
    likeness_panel,
    live_panel,
    messages,
    preview_panel,
    rig_panel,
    shot_panel,
    sidebar,
    verify_panel,
)

_CLASSES = (
    *sidebar.CLASSES,
    *shot_panel.CLASSES,
    *preview_panel.CLASSES,
    *capture_panel.CLASSES,
    *live_panel.CLASSES,
    *rig_panel.CLASSES,
    *driving_panel.CLASSES,
    *likeness_panel.CLASSES,
    *consent_panel.CLASSES,
    *compositing_panel.CLASSES,
    *messages.CLASSES,
    *verify_panel.CLASSES,
)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
