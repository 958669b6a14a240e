# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines to choose from: those that the project ships, a server's others, and one that a file names."""

from __future__ import annotations

from typing import Any, Final

import bpy

from ..connection import server

_AUTOMATIC: Final = ("AUTOMATIC", "Automatic", "Let the server choose, which today takes warp")
_KNOWN: Final = {
    "warp": "Bend the photo itself: quick, also without a graphics card, sharp, and true to paintings; best for small turns",
    "fewshot": "Bend the photo, then paint mouth and eyes as networks learned them from people: teeth that the photo does "
    "not show, truer lids; takes two to three times as long",
}  # fmt: skip

_offered: list[tuple[str, str, str, str, int]] = []
"""The items given to Blender, which keeps no copy of their strings."""


def names(engine: str) -> list[str]:
    """The engines to choose from, as the server calls them.

    Args:
        engine: the one chosen now, which stays on offer where no server knows it.
    """
    told = server.engine_names()
    return list(dict.fromkeys([*_KNOWN, *sorted(told), *([engine] if engine else [])]))


def _items(owner: Any, context: bpy.types.Context | None) -> list[tuple[str, str, str, str, int]]:
    told = server.engine_names()
    _offered[:] = [(*_AUTOMATIC, "NONE", 0)]
    for number, name in enumerate(names(owner.engine), 1):
        absent = bool(told) and name not in told
        what = _KNOWN.get(name, "Draw with this engine, which the server offers" if name in told else
                          "Draw with this engine, which this file names")  # fmt: skip
        more = ". The server that runs now lacks it" if absent else ""
        _offered.append((f"ENGINE_{name}", name, what + more, "ERROR" if absent else "NONE", number))
    return _offered


def _chosen(owner: Any) -> int:
    return names(owner.engine).index(owner.engine) + 1 if owner.engine else 0


def _choose(owner: Any, number: int) -> None:
    owner.engine = names(owner.engine)[number - 1] if number else ""


CHOICE: Final = {
    "name": "Engine", "description": "Choose what draws the frames", "items": _items, "get": _chosen,
    "set": _choose, "options": {"SKIP_SAVE"},
}  # fmt: skip
"""An EnumProperty over the owner's `engine`, a name that scripts and files know."""
