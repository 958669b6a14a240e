# SPDX-License-Identifier: GPL-3.0-or-later
"""Which face of a photo or a video is meant, in words: 0 is the largest one, others are counted from the left."""

from __future__ import annotations

from typing import Any, Final

_ORDINALS: Final = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")

ITEMS: Final = (
    ("LARGEST", "Largest Face", "Take the largest face", "NONE", 0),
    *(
        (f"FACE_{number}", f"{word} Face from Left", f"Take the {word.lower()} face, counted from the left", "NONE", number)
        for number, word in enumerate(_ORDINALS, 1)
    ),
)  # fmt: skip


def words(face: int) -> str:
    """For sentences: “the largest”, “the second from the left”."""
    if face == 0:
        return "the largest"
    return (
        f"the {_ORDINALS[face - 1].lower()} from the left" if face <= len(_ORDINALS) else f"face {face} from the left"
    )


def _chosen(owner: Any) -> int:
    return int(owner.face)


def _choose(owner: Any, number: int) -> None:
    owner.face = number


CHOICE: Final = {
    "name": "Face", "description": "Choose which face is meant", "items": ITEMS, "get": _chosen,
    "set": _choose, "options": {"SKIP_SAVE"},
}  # fmt: skip
"""An EnumProperty over the owner's `face`, a number that scripts and files know."""
