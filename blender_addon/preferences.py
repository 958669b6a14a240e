# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

COMMAND_VARIABLE: Final = "TALKING_PORTRAITS_SERVER"


def find_command(preferred: str) -> tuple[str, ...]:
    """The command that starts the server: from the environment, the preferences, PATH, or this very Python.

    Returns:
        The command, empty where none is found.
    """
    for text in (os.environ.get(COMMAND_VARIABLE, ""), bpy.path.abspath(preferred) if preferred else ""):
        if text:
            return (text,) if Path(text).is_file() else tuple(shlex.split(text, posix=os.name == "posix"))
    if found := shutil.which("portrait"):
        return (found,)
    if importlib.util.find_spec("portrait_server") is not None:
        return (sys.executable, "-m", "portrait_server")
    return ()


class PORTRAIT_AP_preferences(bpy.types.AddonPreferences):
    """How the server is reached."""

    bl_idname = __package__

    server_command: StringProperty(
        name="Server Command",
        description="Choose where the `portrait` program is; leave it empty to look for it on the PATH",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device",
        description="Choose what the server computes on; it takes effect when the server starts",
        items=(
            ("auto", "Automatic", "Use a GPU where there is one"),
            ("cpu", "CPU", "Use the processor alone"),
            ("cuda", "CUDA", "Use an NVIDIA GPU"),
        ),
    )
    auto_start: BoolProperty(
        name="Start When Needed", description="Start the server when a portrait needs it", default=True
    )

    log_level: EnumProperty(
        name="Server Log",
        description="Choose how much the server writes into its log; it takes effect when the server starts",
        items=(
            ("warning", "Problems", "Write only what goes wrong"),
            ("info", "Normal", "Write what the server does, in short"),
            ("debug", "Everything", "Write every detail, to be sent with a bug report"),
        ),
        default="info",
    )

    use_strip: BoolProperty(
        name="Strip for New Portraits",
        description="Put the frames of portraits that you add into the sequencer too; Render Image then shows that",
        default=False,
    )

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.prop(self, "server_command")
        column.prop(self, "device")
        column.prop(self, "auto_start")
        column.prop(self, "log_level")
        column.prop(self, "use_strip")
        found = " ".join(find_command(self.server_command))
        row = column.row()
        row.alert = not found
        row.label(text=f"Starts with: {found}" if found else "The “portrait” command was not found: see the README")


_DEFAULTS = SimpleNamespace(server_command="", device="auto", auto_start=True, log_level="info", use_strip=False)


def of(context: bpy.types.Context) -> PORTRAIT_AP_preferences | SimpleNamespace:
    """The preferences; their defaults where the add-on is a plain package that was registered by hand."""
    addon = context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None and addon.preferences is not None else _DEFAULTS


def register() -> None:
    bpy.utils.register_class(PORTRAIT_AP_preferences)


def unregister() -> None:
    bpy.utils.unregister_class(PORTRAIT_AP_preferences)
