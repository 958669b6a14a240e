# SPDX-License-Identifier: GPL-3.0-or-later
"""The section “Verify” in the image editor's sidebar."""

from __future__ import annotations

import bpy

from ...blender import problems
from ...jobs import job_queue
from .messages import draw_last_verified, draw_problem
from .placement import InImageEditor


class PORTRAIT_PT_image_verify(InImageEditor, bpy.types.Panel):
    """Whether the image was made with Talking Portraits, and altered since."""

    bl_label = "Verify"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        column = layout.column(align=True)
        column.operator("portrait.verify_image", icon="CHECKMARK")
        column.operator("portrait.verify_file", icon="FILE")
        job = job_queue.active_of("")
        if job is not None:
            row = layout.row(align=True)
            row.progress(factor=job.progress, text=f"{job.label}: {job.note}")
            row.operator("portrait.cancel", text="", icon="CANCEL").uid = job.uid
        draw_problem(layout, context, problems.last(""))
        draw_last_verified(layout, context)


CLASSES = (PORTRAIT_PT_image_verify,)
