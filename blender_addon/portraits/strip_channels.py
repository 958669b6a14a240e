# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sequencer has room for a strip: in its own channel, and in others."""

from __future__ import annotations

from typing import Any, Final

from ..blender import compat
from ..blender.problems import SceneError

CHANNELS: Final = 128
"""How many a sequencer has."""
_FAR: Final = 1_048_575  # no scene has a later frame


def room_of(strip: Any, neighbours: Any) -> tuple[int, int]:
    """The scene frames (first, one after the last) that a strip can take up in its channel."""
    own = compat.strip_range(strip)
    others = [compat.strip_range(each) for each in neighbours if each != strip and each.channel == strip.channel]
    earliest = max((each.stop for each in others if each.stop <= own.start), default=-_FAR)
    latest = min((each.start for each in others if each.start >= own.stop), default=_FAR)
    return earliest, latest


def free_channel(strips: Any, frames: range, above: int = 0) -> int:
    """The lowest channel without any strip, where growing never runs into another one; else one with room for frames.

    Args:
        above: the channel that it must lie above.

    Raises:
        PortraitError: SCENE where all channels are taken there.
    """
    used: dict[int, list[range]] = {}
    for strip in strips:
        used.setdefault(strip.channel, []).append(compat.strip_range(strip))
    for channel in range(above + 1, CHANNELS + 1):
        if channel not in used:
            return channel
    for channel, taken in sorted(used.items()):
        if channel > above and all(each.stop <= frames.start or each.start >= frames.stop for each in taken):
            return channel
    raise SceneError(
        f"All {CHANNELS} channels of the sequencer are taken at frames {frames[0]} to {frames[-1]}: there is no room "
        "for the strip.",
        "Free a channel there, then choose Add Strip.",
    )
