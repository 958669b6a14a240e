# SPDX-License-Identifier: GPL-3.0-or-later
"""The elements of an image strip: one file a frame, held where the next is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..blender import compat


def set_elements(strip: Any, names: list[str]) -> None:
    """Gives a strip so many elements of those names; its length follows."""
    while len(strip.elements) > len(names):
        strip.elements.pop(-1)
    for element, name in zip(strip.elements, names, strict=False):
        if element.filename != name:
            element.filename = name
    for name in names[len(strip.elements) :]:
        strip.elements.append(name)


def set_elements_behind_handles(strip: Any, start: int, names: list[str], free_channel: Callable[[], int]) -> None:
    """As `set_elements` for a strip that was cut or trimmed: what is seen of it, and when, stays as it is.

    Args:
        start: the scene's frame of the first element, at or before the handle.
        free_channel: gives a channel where the strip can be for a moment.
    """
    if len(names) == len(strip.elements) and start == compat.strip_start(strip):
        set_elements(strip, names)
        return
    shown, channel = compat.strip_range(strip), strip.channel
    # While its start moves, Blender pushes aside what it overlaps in its channel.
    strip.channel = free_channel()
    set_elements(strip, names)
    compat.set_strip_start(strip, start)
    compat.set_handle_offsets(strip, shown.start - start, start + len(names) - shown.stop)
    strip.channel = channel
