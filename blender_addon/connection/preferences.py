# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from portrait_shared.devices import ALL_CUDA, DEVICES, GPUS, missing_driver

from ..blender import compat
from ..installation.choices import Choice

_EXTENSION: Final = __package__.rpartition(".")[0]
"""Blender knows the preferences by the name of the extension's own package."""

_LINE_CHARACTERS: Final = 80
_WORDS: Final = {
    "auto": ("Automatic", "Use a GPU where there is one that can be used, else the processor"),
    "cpu": ("CPU", "Use the processor alone"),
    "cuda": ("CUDA", "Use an NVIDIA GPU"),
    "rocm": ("ROCm", "Use an AMD GPU"),
    "xpu": ("XPU", "Use an Intel GPU"),
    "mps": ("Metal", "Use the GPU of a Mac with Apple silicon"),
    ALL_CUDA: ("CUDA, All GPUs", "Share the frames of a render out among all NVIDIA GPUs of this machine"),
}
"""What each device is called, and what choosing it does."""
_BACKENDS: Final = {
    "auto": ("Automatic", "Install the PyTorch that fits this computer's drivers", 0),
    "cpu": ("Processor", "Install PyTorch for the processor alone, which is the smallest", 1),
    "cuda": ("NVIDIA", "Install PyTorch for GPUs by NVIDIA", 2),
    "rocm": ("AMD", "Install PyTorch for GPUs by AMD (ROCm)", 3),
    "xpu": ("Intel", "Install PyTorch for GPUs by Intel", 4),
    "mps": ("Apple", "Install PyTorch for the GPU of a Mac with Apple silicon", 5),
}
"""What each is called, what choosing it does, and the number that Blender keeps, the same on every system."""
_BACKENDS_OF: Final = {"darwin": ("auto", "cpu", "mps"), "win32": ("auto", "cpu", "cuda", "xpu")}
_BACKENDS_ELSEWHERE: Final = ("auto", "cpu", "cuda", "rocm", "xpu")
"""PyTorch has packages of these for each system."""
_WITHOUT_WATERMARK: Final = (
    "Nothing in the pixels tells that frames are made: once they were copied or encoded anew, nobody can check it. The law "
    "may ask for such a mark, as Article 50 of the EU's AI Act does. What the files say of themselves stays in them."
)
_WITHOUT_CREDENTIALS: Final = (
    "Nobody can check who made the frames, from what, and whether they were altered since. What the files say of themselves, "
    "unsigned, stays in them."
)
_BACKEND_ITEMS: Final = tuple(
    (name, *_BACKENDS[name][:2], "NONE", _BACKENDS[name][2])
    for name in _BACKENDS_OF.get(sys.platform, _BACKENDS_ELSEWHERE)
)
_DEVICE_ITEMS: Final = tuple((name, *_WORDS[name]) for name in (*DEVICES, ALL_CUDA))


class PORTRAIT_AP_preferences(bpy.types.AddonPreferences):
    """How the server is reached."""

    bl_idname = _EXTENSION

    backend: EnumProperty(
        name="Computes On",
        description="Choose for what the server is installed; another choice takes effect with the next installation",
        items=_BACKEND_ITEMS,
        default=0,
    )
    package_index: StringProperty(
        name="Package Index",
        description="Install from this index instead of PyPI, such as a company's: https://pypi.example.com/simple",
    )
    wheels_folder: StringProperty(
        name="Wheels Folder",
        description="Install from this folder, which `portrait bundle` has made, and without any network; empty downloads",
        subtype="DIR_PATH",
        options=compat.path_options(),
    )
    introduced: BoolProperty(
        description="Remember that the sidebar was opened at the tab, once", default=False, options={"HIDDEN"}
    )
    server_command: StringProperty(
        name="Server Command",
        description="Choose the `portrait` program of your own, or the folder of the project, instead of the installed "
        "server; empty uses that, and else looks in the usual places",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device",
        description="Choose what the server computes on; it takes effect when the server starts",
        items=_DEVICE_ITEMS,
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

    ray_address: StringProperty(
        name="Ray Address",
        description="Render on this Ray cluster, such as 10.0.0.5:6379; “local” starts workers on this machine, empty "
        "renders with the server",
    )

    use_strip: BoolProperty(
        name="Strip for New Portraits",
        description="Put the frames of portraits that you add into the sequencer too; Render Image then shows that",
        default=False,
    )

    watermark: BoolProperty(
        name="Watermark",
        description="Put an invisible watermark into all frames, by which programs can tell that they are made, also after "
        "they were copied or encoded anew",
        default=True,
    )

    check_likeness: BoolProperty(
        name="Check the Likeness",
        description="After a render, find out whether the frames show the person of the photo: at low priority, and never "
        "while anything is rendered",
        default=True,
    )

    credentials: BoolProperty(
        name="Content Credentials",
        description="Sign the frames of a render, in one file beside them: anyone can then check who made them, and "
        "whether they were altered. Without, each file still says what made it, but nobody vouches for that",
        default=True,
    )
    thumbnails: BoolProperty(
        name="Thumbnails",
        description="Put small pictures of the photos, or of the shot, into the credentials; else these tell hashes alone",
        default=False,
    )
    time_stamp_server: StringProperty(
        name="Time-Stamp Server",
        description="Let this server vouch for the time at which frames are signed, such as "
        "http://timestamp.digicert.com; it gets a hash alone, needs online access, and takes effect when the server starts",
    )

    def draw(self, context: bpy.types.Context) -> None:
        from . import (
            installation_box,
            server_program,
        )  # here: they read the preferences, and come later (see `startup`)

        self.layout.label(text="Server")
        installation_box.draw(self.layout, context, _LINE_CHARACTERS, whole=True)
        column = self.layout.column()
        column.use_property_split = True
        column.prop(self, "backend")
        column.prop(self, "package_index", placeholder="PyPI")
        column.prop(self, "wheels_folder", placeholder="none: from the network")
        column.prop(self, "server_command", placeholder="none: the installed server")
        column.prop(self, "device")
        missing = missing_driver(self.device)
        column.label(text=missing or _what_is_there(), icon="ERROR" if missing else "INFO")
        column.prop(self, "auto_start")
        column.prop(self, "log_level")
        column.prop(self, "ray_address")
        column.prop(self, "use_strip")
        column.prop(self, "watermark")
        if not self.watermark:
            _draw_lines(column, _WITHOUT_WATERMARK, "ERROR")
        column.prop(self, "check_likeness")
        column.prop(self, "credentials")
        if not self.credentials:
            _draw_lines(column, _WITHOUT_CREDENTIALS, "ERROR")
        signing = column.column()
        signing.active = self.credentials
        signing.prop(self, "thumbnails")
        signing.prop(self, "time_stamp_server")
        program = server_program.lately_found(self.server_command)
        said = f"Starts with: {' '.join(program.command)}" if program.command else program.problem
        column.alert = not program.command
        _draw_lines(column, said, "CHECKMARK" if program.command else "ERROR")


def _draw_lines(layout: bpy.types.UILayout, text: str, icon: str) -> None:
    for number, line in enumerate(textwrap.wrap(text, _LINE_CHARACTERS)):
        layout.label(text=line, icon="BLANK1" if number else icon)


def _what_is_there() -> str:
    """Of GPUs, as far as this machine's drivers tell: whether one can be used, PyTorch says when the server starts."""
    found = [_WORDS[name][0] for name in GPUS if not missing_driver(name)]
    return f"Drivers of this machine: {', '.join(found)}" if found else "This machine has no driver of a GPU."


_DEFAULTS = SimpleNamespace(
    backend="auto", package_index="", wheels_folder="", introduced=True, server_command="", device="auto", auto_start=True, log_level="info", ray_address="", use_strip=False, watermark=True,
    check_likeness=True, credentials=True, thumbnails=False, time_stamp_server="",
)  # fmt: skip


def of(context: bpy.types.Context) -> PORTRAIT_AP_preferences | SimpleNamespace:
    """The preferences; their defaults where the add-on is a plain package that was registered by hand."""
    addon = context.preferences.addons.get(_EXTENSION)
    return addon.preferences if addon is not None and addon.preferences is not None else _DEFAULTS


def choice(context: bpy.types.Context) -> Choice:
    """How the server shall be installed."""
    asked = of(context)
    folder = asked.wheels_folder.strip()
    wheels = Path(os.path.realpath(bpy.path.abspath(os.path.expanduser(folder)))) if folder else None
    return Choice(asked.backend, asked.package_index.strip(), wheels)


def register() -> None:
    bpy.utils.register_class(PORTRAIT_AP_preferences)


def unregister() -> None:
    bpy.utils.unregister_class(PORTRAIT_AP_preferences)
