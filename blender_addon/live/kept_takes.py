# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a portrait in the .blend: put there, read, renamed, thrown away."""

from __future__ import annotations

import math
import uuid
from typing import Final

import bpy
from portrait_shared.errors import ErrorCode, PortraitError

from ..blender.problems import SceneError
from ..portraits.live_takes import PORTRAIT_PG_live_take
from ..portraits.properties import PORTRAIT_PG_portrait
from .packing import pack, unpack
from .recorded import Recorded

MOST_TAKES: Final = 64
_KEY: Final = "portrait_take"
_WORDS: Final = "A take of Talking Portraits lies in this text's custom properties. Discard it in the Portrait tab.\n"


def check_room(portrait: PORTRAIT_PG_portrait) -> None:
    """Raises SCENE where no further take may be put into the .blend."""
    if len(portrait.live.takes) >= MOST_TAKES:
        raise SceneError(
            f"The portrait has {MOST_TAKES} takes, and no more are kept.", "Discard some of those that you do not need."
        )


def put(portrait: PORTRAIT_PG_portrait, recorded: Recorded, uid: str = "") -> PORTRAIT_PG_live_take:
    """Puts a take into the list and chooses it.

    Args:
        uid: of the take that it goes on with; a new one where there is none of that uid.
    """
    live = portrait.live
    take = by_uid(portrait, uid)
    if take is None:
        name = free_name(portrait)
        take = live.takes.add()
        take.uid = uid or uuid.uuid4().hex
        take.name = name
    if take.store is None:
        take.store = bpy.data.texts.new(f"{portrait.name} {take.name}")
        take.store.write(_WORDS)
    take.store[_KEY] = pack(recorded)
    first, last = recorded.span
    take.first, take.last = first, last
    take.seconds = (last - first) / recorded.fps
    take.samples = recorded.samples
    take.timecode = recorded.timecode
    live.take_index = list(live.takes).index(take)
    return take


def by_uid(portrait: PORTRAIT_PG_portrait, uid: str) -> PORTRAIT_PG_live_take | None:
    return next((take for take in portrait.live.takes if take.uid == uid), None) if uid else None


def read(take: PORTRAIT_PG_live_take) -> Recorded:
    """What was recorded.

    Raises:
        PortraitError: BAD_TRACK where the .blend has it no more, or damaged.
    """
    data = take.store.get(_KEY) if take.store is not None else None
    if not isinstance(data, bytes):
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"The data of “{take.name}” is not in the .blend any more.",
            "Undo, if its text was just deleted; else discard it, and record it again.",
        )  # fmt: skip
    return unpack(data)


def discard(portrait: PORTRAIT_PG_portrait, take: PORTRAIT_PG_live_take) -> None:
    """Throws a take away; keys that were made of it stay."""
    live = portrait.live
    index = list(live.takes).index(take)
    store = take.store
    live.takes.remove(index)
    live.take_index = max(0, min(live.take_index, len(live.takes) - 1))
    if store is not None and not any(other.store == store for other in live.takes):
        bpy.data.texts.remove(store)


def free_name(portrait: PORTRAIT_PG_portrait) -> str:
    """“Take” with the number after the highest one that there is."""
    numbers = [take.name.removeprefix("Take ") for take in portrait.live.takes]
    return f"Take {max((int(number) for number in numbers if number.isdecimal()), default=0) + 1}"


def line(take: PORTRAIT_PG_live_take) -> str:
    """What the list says of a take beside its name."""
    minutes, seconds = divmod(take.seconds, 60)
    length = f"{int(minutes)}:{seconds:04.1f}"
    return f"{length} · frame {math.ceil(take.first)}" + (f" · {take.timecode}" if take.timecode else "")
