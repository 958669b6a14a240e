# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for a written consent: the file that holds it is kept by its hash alone."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty
from portrait_shared.consent import document_digest

from ...portraits.properties import PORTRAIT_PG_portrait
from .common import AsksForFile, OnPortrait, active_portrait


class PORTRAIT_OT_choose_consent(AsksForFile, OnPortrait, bpy.types.Operator):
    """Choose the file that holds the person's consent: its hash is kept, so that you can show later which file it was"""

    bl_idname = "portrait.choose_consent"
    bl_label = "Choose Document"
    bl_options = {"UNDO"}

    filepath: StringProperty(
        name="Document", description="Choose the file of the consent", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait.consent.document = document_digest(Path(self.filepath))
        return {"FINISHED"}


class PORTRAIT_OT_forget_consent(OnPortrait, bpy.types.Operator):
    """Leave the document out of the record; its file stays"""

    bl_idname = "portrait.forget_consent"
    bl_label = "Leave Document Out"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if (obstacle := super().obstacle(context)) is not None:
            return obstacle
        return "There is no document" if not active_portrait(context).consent.document else None

    def work(self, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> set[str]:
        portrait.consent.document = ""
        return {"FINISHED"}


CLASSES = (PORTRAIT_OT_choose_consent, PORTRAIT_OT_forget_consent)
