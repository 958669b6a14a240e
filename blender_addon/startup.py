# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded when: Blender's window does not wait for the extension.

Loading all of it takes a good third of a second, most of that for packages: numpy, zmq, messages. While Blender starts with
a window, registering loads the preferences alone, and a timer the rest, a piece at a time, in the first moments after the
window is there. Where somebody may call operators at once, all is loaded while registering: without a window, where a
script was given on the command line, and where the extension is enabled later on.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

import bpy

_PIECES: Final = (
    "numpy", "zmq", "msgpack", "portrait_shared.protocol.messages", "portrait_shared.client.client",
    ".connection.server", ".rig.armature", ".plane.image_plane", ".portraits.properties", ".portraits.groups",
    ".portraits.portrait_parts", ".driving.mechanism", ".capture.jobs", ".render.render_job", ".render.frame_states",
    ".preview.live_preview", ".annotation.annotation", ".export.verify_job", ".export.edit_jobs",
)  # fmt: skip
"""Loaded one a tick, before what needs them: none holds Blender up for long."""
_PARTS: Final = (
    ".connection.preferences", ".portraits.scene_portraits", ".connection.server", ".connection.server_installing",
    ".interface.operators", ".interface.panels", ".interface.panels.menus", ".command_line", ".handlers",
    ".interface.panels.introduction",
)  # fmt: skip
"""Registered one after another, the first at once."""
_SCRIPT_OPTIONS: Final = (
    "-P",
    "--python",
    "--python-expr",
    "--python-text",
    "--python-console",
    "--addons",
    "-c",
    "--command",
)

_registered: list[Any] = []
_waiting: list[str] = []


def register(at_once: bool | None = None) -> None:
    """Registers all, or what is needed at once, and lets a timer do the rest.

    Args:
        at_once: whether all of it; as the situation asks for where None.
    """
    unregister()
    if needs_all() if at_once is None else at_once:
        for part in _PARTS:
            _register(part)
        return
    _register(_PARTS[0])
    _waiting[:] = [*_PIECES, *_PARTS[1:]]
    bpy.app.timers.register(_on_timer, first_interval=0.0, persistent=True)


def unregister() -> None:
    """Takes back what was registered, and what has not been yet is not any more."""
    _waiting.clear()
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    while _registered:
        _registered.pop().unregister()


def needs_all() -> bool:
    """Whether somebody may use all of it at once, or all was loaded before."""
    loaded = f"{__package__}{_PARTS[-1]}" in sys.modules
    return bpy.app.background or loaded or is_scripted(sys.argv) or not blender_starts()


def blender_starts() -> bool:
    """Whether Blender is enabling what the preferences name while it starts; else a user or a script enables it."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == ("addon_utils", "_initialize_once"):
            return True
        frame = frame.f_back
    return False


def is_scripted(arguments: Sequence[str]) -> bool:
    """Whether Blender's command line names a script."""
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(argument in _SCRIPT_OPTIONS for argument in ours)


def next_piece() -> str | None:
    """What the timer loads or registers next."""
    return _waiting[0] if _waiting else None


def go_on() -> bool:
    """Loads or registers the next piece; whether there are more."""
    if not _waiting:
        return False
    piece = _waiting.pop(0)
    if piece in _PARTS:
        _register(piece)
    else:
        importlib.import_module(piece, __package__)
    if not _waiting:
        _catch_up()
    return bool(_waiting)


def _register(part: str) -> None:
    module = importlib.import_module(part, __package__)
    module.register()
    _registered.append(module)


def _catch_up() -> None:
    """The file that was loaded meanwhile gets what its loading would have done."""
    for handler in list(bpy.app.handlers.load_post):
        if handler.__module__.startswith(f"{__package__}."):
            handler(bpy.data.filepath)


def _on_timer() -> float | None:
    return 0.0 if go_on() else None
