# SPDX-License-Identifier: GPL-3.0-or-later
"""Which previews are on air. A preview that ends leaves its last picture there, until it is taken off the air itself.

What goes on air is seen by others, so it carries the watermark whatever the preferences say, and the label if one is
chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import bpy
import numpy as np
from bpy.app.handlers import persistent
from portrait_shared.disclosure import Disclosure

from ..blender.redraw import redraw_areas
from ..blender.scene_time import scene_fps
from ..connection import server
from ..portraits.properties import PORTRAIT_PG_portrait
from ..portraits.scene_portraits import find_portrait
from .air import Air

_LOOK_SECONDS: Final = 0.5
_DRAWN_AREAS: Final = ("VIEW_3D", "SEQUENCE_EDITOR")

_on: dict[str, dict[str, Air]] = {}
_lines: list[str] = []


def start(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, to: str, launch: server.Launch) -> Air:
    """Puts a portrait's preview on air.

    Args:
        portrait: the leading one of its photo.
        to: one of `air_outputs.OUTPUTS`.

    Raises:
        PortraitError: SERVER_UNAVAILABLE.
    """
    stop(portrait.uid, to)
    air = Air(to, portrait.preview_frame_size, scene_fps(scene), portrait.name, launch)
    air.start()
    _on[portrait.uid] = {**_on.get(portrait.uid, {}), to: air}
    if not bpy.app.background and not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=_LOOK_SECONDS, persistent=True)
    return air


def stop(uid: str, to: str) -> None:
    """Takes it off the air, and forgets what went wrong with it."""
    outputs = dict(_on.get(uid, {}))
    air = outputs.pop(to, None)
    if air is not None:
        air.stop()
    if outputs:
        _on[uid] = outputs
    else:
        _on.pop(uid, None)


def stop_all() -> None:
    for uid, outputs in list(_on.items()):
        for to in list(outputs):
            stop(uid, to)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)


def of(uid: str, to: str) -> Air | None:
    """What sends there: on air, or off by itself with a problem; None where nothing was put on air."""
    return _on.get(uid, {}).get(to)


def is_on(uid: str) -> bool:
    """Whether a portrait's preview is on air anywhere."""
    return any(not air.ended for air in _on.get(uid, {}).values())


def taker(uid: str) -> Callable[[np.ndarray], None]:
    """What a preview's thread gives each of its pictures to: costs nothing where it is not on air."""

    def take(pixels: np.ndarray) -> None:
        for air in _on.get(uid, {}).values():  # never changed in place
            air.offer(pixels)

    return take


def disclosure(portrait: PORTRAIT_PG_portrait) -> Disclosure:
    """What a preview's pictures show of having been made."""
    shown = portrait.disclosure
    return replace(shown, watermark=True) if is_on(portrait.uid) else shown


def pump() -> None:
    """Takes off the air what belongs to a portrait that is no longer there. Blender's timer calls it."""
    for uid, outputs in list(_on.items()):
        if find_portrait(uid) is None:
            for to in list(outputs):
                stop(uid, to)


def _on_timer() -> float | None:
    global _lines
    pump()
    lines = [air.line for outputs in _on.values() for air in outputs.values()]
    if lines != _lines:
        _lines = lines
        redraw_areas(_DRAWN_AREAS)
    return _LOOK_SECONDS if _on else None


@persistent
def _before_load(*_: object) -> None:
    stop_all()


HANDLERS: Final = ((bpy.app.handlers.load_pre, _before_load),)
