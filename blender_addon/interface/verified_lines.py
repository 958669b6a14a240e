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
    column = layout.column(align=True)
    column.alert = found.outcome is Outcome.NOT_AS_MADE
    _draw_wrapped(column, found.heading, _ICONS[found.outcome], characters)
    for names, words in found.lines[:most]:
        column = layout.column(align=True)
        column.label(text=names, icon="FILE")
        _draw_wrapped(column, words, "BLANK1", characters)
    if len(found.lines) > most:
        more = f"and {len(found.lines) - most} more, of which `portrait verify` tells"
        _draw_wrapped(layout.column(align=True), more, "BLANK1", characters)
    for note in found.notes:
        _draw_wrapped(layout.column(align=True), note, "INFO", characters)


def _draw_wrapped(column: bpy.types.UILayout, text: str, icon: str, characters: int) -> None:
    for number, line in enumerate(textwrap.wrap(text, characters)):
        column.label(text=line, icon="BLANK1" if number else icon)
