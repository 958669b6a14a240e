# SPDX-License-Identifier: GPL-3.0-or-later
"""What Verify found, drawn alike in its popup and in the panels."""

from __future__ import annotations

import textwrap
from typing import Final

import bpy

from ..export.verify_job import Outcome, Verified

_ICONS: Final = {Outcome.OURS: "CHECKMARK", Outcome.NOT_AS_MADE: "ERROR", Outcome.TELLS_NOTHING: "QUESTION"}


def draw_verified(layout: bpy.types.UILayout, found: Verified, characters: int, most: int) -> None:
    """The outcome, then what is to be said of each file.

    Args:
        characters: that fit in a line.
        most: files, or groups of them, that are shown.
    """
    row = layout.row()
    row.alert = found.outcome is Outcome.NOT_AS_MADE
    row.label(text=found.heading, icon=_ICONS[found.outcome])
    for names, words in found.lines[:most]:
        column = layout.column(align=True)
        column.label(text=names, icon="FILE")
        for line in textwrap.wrap(words, characters):
            column.label(text=line, icon="BLANK1")
    if len(found.lines) > most:
        layout.label(text=f"and {len(found.lines) - most} more; `portrait verify` tells all of them", icon="BLANK1")
    for note in found.notes:
        for number, line in enumerate(textwrap.wrap(note, characters)):
            layout.label(text=line, icon="BLANK1" if number else "INFO")
