# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: each checks where it may run, calls one function, and puts its errors into words."""

from __future__ import annotations

import bpy

from . import (  # fmt: skip
    add,
    cameras,
    capture,
    compositing,
    consent,
    controls,
    driving,
    export,
    faces,
    installation,
    keys,
    likeness,
    live,
    live_sources,
    parts,
    place_points,
    preview,
    render,
    rig_poses,
    server_control,
    shots,
    strip,
    verify,
)

_MODULES = (
    add,
    cameras,
    capture,
    compositing,
    consent,
    controls,
    driving,
    export,
    faces,
    installation,
    keys,
    likeness,
    live,
    live_sources,
    parts,
    place_points,
    preview,
    render,
    rig_poses,
    server_control,
    shots,
    strip,
    verify,
)
_CLASSES = tuple(cls for module in _MODULES for cls in module.CLASSES)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
