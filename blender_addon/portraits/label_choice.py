# SPDX-License-Identifier: GPL-3.0-or-later
"""What a portrait's frames show of having been made: the choice of a visible label, and the preferences' watermark."""

from __future__ import annotations

from typing import Any, Final

import bpy
from portrait_shared.disclosure import CORNERS, MAX_WORDING_CHARACTERS, SIZES, USUAL_SIZE, Disclosure, Label

from ..connection import preferences

USE: Final[dict[str, Any]] = {
    "name": "Label",
    "description": "Draw a label over the frames that tells people that they are made; strip and movie show it too",
    "default": False,
}
ICON: Final[dict[str, Any]] = {
    "name": "Icon",
    "description": "Show the EU's icon “AI modified”; without a wording of your own it is shown anyway",
    "default": True,
}
TEXT: Final[dict[str, Any]] = {
    "name": "Wording",
    "description": "Write this on the label; without the icon it should say “AI” in capitals, such as “AI modified”",
    "maxlen": MAX_WORDING_CHARACTERS,
}
CORNER: Final[dict[str, Any]] = {
    "name": "Corner",
    "description": "Choose where the label lies; it must lie in the same place in all that is shown together",
    "items": tuple(
        (corner, corner.replace("-", " ").title(), f"Put the label into the {corner.replace('-', ' ')} corner")
        for corner in CORNERS
    ),
}
SIZE: Final[dict[str, Any]] = {
    "name": "Label Size",
    "description": "Choose the label's height, in heights of the frame",
    "default": USUAL_SIZE, "min": SIZES[0], "max": SIZES[1], "step": 1, "precision": 3,
}  # fmt: skip


def disclosure_of(use: bool, icon: bool, text: str, corner: str, size: float) -> Disclosure:
    """What frames show, by a portrait's choice of a label and the preferences."""
    # What cannot be printed, such as a line's end that came with a pasted text, is no part of one line.
    words = "".join(filter(str.isprintable, text)).strip()
    label = Label(words, corner, size, icon or not words) if use else None
    return Disclosure(preferences.of(bpy.context).watermark, label)
