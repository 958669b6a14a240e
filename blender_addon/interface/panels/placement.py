# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sections of the tab share: in which editor they are, and of which portraits they tell."""

from __future__ import annotations

import bpy

from ..operators.common import active_portrait


class InView3D:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Portrait"


class InSequencer:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Portrait"


class InImageEditor:
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Portrait"


class ForFace:
    """Sections for a portrait whose face was found."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        portrait = active_portrait(context)
        return portrait is not None and portrait.detected_points is not None


class ForRig:
    """Sections for a portrait that has a rig."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        portrait = active_portrait(context)
        return portrait is not None and portrait.rig is not None
