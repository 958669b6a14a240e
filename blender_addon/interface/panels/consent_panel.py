# SPDX-License-Identifier: GPL-3.0-or-later
"""On what ground the person is animated: asked once in the first section, then kept in the section “Consent”."""

from __future__ import annotations

from typing import Final

import bpy

from ...portraits.age_estimate import may_be_child
from ...portraits.properties import PORTRAIT_PG_portrait
from ..operators.common import active_portrait
from .placement import ForFace, InSequencer, InView3D
from .sections import draw_text

_CHILD: Final = "For a child those responsible have to agree, and the child as far as it can."
_MAY_BE_CHILD: Final = "This may be a child. " + _CHILD
_FILMED: Final = "Who agreed to be filmed has not yet agreed to a face that does something else."
_NO_RECORD: Final = "Files then say: no consent is on record."
_DIGITS: Final = 8


def draw_question(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """A short box, until it is put away."""
    portrait = active_portrait(context)
    if portrait is None or portrait.detected_points is None or portrait.consent.put_away:
        return
    if portrait.id_data.library is not None:
        return
    box = layout.box()
    row = box.row()
    row.label(text="Whose likeness is it?", icon="USER")
    answered = portrait.consent.ground != "NONE"
    row.prop(portrait.consent, "put_away", text="", icon="CHECKMARK" if answered else "X", emboss=answered)
    draw_consent(box, context, portrait)


def draw_consent(layout: bpy.types.UILayout, context: bpy.types.Context, portrait: PORTRAIT_PG_portrait) -> None:
    """The ground, and what more can be said; then what the user should know of it."""
    consent = portrait.consent
    column = layout.column()
    column.use_property_decorate = False
    column.prop(consent, "ground", text="")
    if consent.ground == "NONE":
        draw_text(layout, context, _NO_RECORD, "BLANK1")
    else:
        column.use_property_split = True
        column.prop(consent, "person", placeholder="nobody is told")
        column.prop(consent, "scope", placeholder="nobody is told")
        column.prop(consent, "until", placeholder="2027-12-31")
        column.prop(consent, "child")
        _draw_document(column, consent.document)
    for note in consent.notes:
        draw_text(layout, context, note, "ERROR")
    if consent.ground != "ARTWORK":
        points = portrait.detected_points
        if consent.child:
            draw_text(layout, context, _CHILD, "INFO")
        elif points is not None and may_be_child(points):
            draw_text(layout, context, _MAY_BE_CHILD, "INFO")
        if portrait.shot.is_filmed:
            draw_text(layout, context, _FILMED, "INFO")


def _draw_document(layout: bpy.types.UILayout, digest: str) -> None:
    row = layout.row(align=True)
    row.operator(
        "portrait.choose_consent",
        text=f"Document {digest[:_DIGITS]}…" if digest else "Choose Document",
        icon="FILE_TICK",
    )
    if digest:
        row.operator("portrait.forget_consent", text="", icon="X")


class _Consent(ForFace):
    bl_label = "Consent"
    bl_order = 46
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and active_portrait(context).consent.put_away

    def draw(self, context: bpy.types.Context) -> None:
        draw_consent(self.layout, context, active_portrait(context))


class PORTRAIT_PT_consent(InView3D, _Consent, bpy.types.Panel):
    """On what ground the person is animated, in the 3D view."""


class PORTRAIT_PT_sequencer_consent(InSequencer, _Consent, bpy.types.Panel):
    """On what ground the person is animated, in the sequencer."""


CLASSES = (PORTRAIT_PT_consent, PORTRAIT_PT_sequencer_consent)
