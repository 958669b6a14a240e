# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: each checks where it may run, calls one function, and puts its errors into words."""

from __future__ import annotations

import bpy

from . import add, capture, driving, faces, keys, likeness, parts, preview, render, rig_poses, server_control, strip

_CLASSES = (*add.CLASSES, *faces.CLASSES, *render.CLASSES, *preview.CLASSES, *parts.CLASSES, *server_control.CLASSES, *capture.CLASSES,
            *rig_poses.CLASSES, *keys.CLASSES, *driving.CLASSES, *likeness.CLASSES, *strip.CLASSES)  # fmt: skip


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
