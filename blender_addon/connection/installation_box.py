# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed server as a person sees it, the same in the preferences and in the sidebar: what is there, what an
installation will take, how far it is, and the buttons."""

from __future__ import annotations

import textwrap
from enum import Enum
from typing import Final

import bpy
from portrait_shared import __version__ as OWN_RELEASE
from portrait_shared.errors import PortraitError
from portrait_shared.protocol.connection import default_connection_file

from ..installation import environments, place, plans
from ..installation.choices import Choice
from ..installation.sizes import size_words
from . import preferences, server, server_installing, server_program

_INSTALL_SCALE: Final = 1.6


class Standing(Enum):
    """How it stands with the installed server."""

    NONE = "none"
    HALF_MADE = "half made"
    OTHER_RELEASE = "other release"
    COMPLETE = "complete"


def standing() -> Standing:
    """Of the folder that the extension installs into, whichever server is used. Cheap: panels ask it at every draw."""
    folder = place.server_folder()
    if environments.broken(folder):
        return Standing.HALF_MADE
    there = environments.installed(folder)
    if there is None:
        return Standing.NONE
    return Standing.COMPLETE if there.release == OWN_RELEASE else Standing.OTHER_RELEASE


def line() -> str:
    """What is installed, in a line."""
    there = environments.installed(place.server_folder())
    return (
        f"Installed: release {there.release}, for {there.backend}"
        if there is not None
        else "Not installed by the extension"
    )


def is_wanted(context: bpy.types.Context) -> bool:
    """Whether the sidebar shows it above all else: no server can be found, or its installation goes on or has failed, or
    the one that is used is of another release."""
    if server_installing.running() or server_installing.failure() or server_installing.notes():
        return True
    program = server_program.lately_found(preferences.of(context).server_command)
    return (not program.command and not _somebody_serves()) or bool(server_program.other_release(program))


def is_all(context: bpy.types.Context) -> bool:
    """Whether nothing else can be done: there is no server."""
    program = server_program.lately_found(preferences.of(context).server_command)
    return not program.command and not _somebody_serves()


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, characters: int, whole: bool) -> None:
    """The box.

    Args:
        characters: that fit in a line.
        whole: also what is well, and what removes it: in the preferences.
    """
    box = layout.box()
    characters -= 3  # which the box takes
    if (under_way := server_installing.running()) is not None:
        _draw_progress(box, under_way, characters)
        return
    if (error := server_installing.failure()) is not None:
        _draw_error(box, error, characters)
    choice = preferences.choice(context)
    found = standing()
    _draw_standing(box, found, characters)
    if found is Standing.COMPLETE:
        if server_installing.notes():
            for note in server_installing.notes():
                lines(box, note, characters, "INFO")
            box.operator("portrait.put_installation_away", icon="X")
        if whole or error is not None:
            _draw_upkeep(box, "portrait.repair_server", whole)
        return
    _draw_plan(box, choice, characters)
    operator = {
        Standing.HALF_MADE: "portrait.repair_server", Standing.OTHER_RELEASE: "portrait.update_server"
    }.get(found, "portrait.install_server")  # fmt: skip
    row = box.row()
    row.scale_y = _INSTALL_SCALE
    row.operator(operator, icon="IMPORT")
    _draw_online(box, choice, characters)
    column = box.column(align=True)
    column.operator("portrait.install_server_from_folder", icon="FILE_FOLDER")
    if found is not Standing.NONE and whole:
        column.operator("portrait.remove_server", icon="TRASH")
    if not whole:
        column.operator("portrait.show_preferences", text="Other Ways: Preferences", icon="PREFERENCES")
    _draw_log(column)


def lines(layout: bpy.types.UILayout, text: str, characters: int, icon: str = "NONE") -> None:
    """A sentence over as many lines as it takes."""
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, max(characters, 18))):
        column.label(text=line, icon=icon if number == 0 else "NONE" if icon == "NONE" else "BLANK1")


def _somebody_serves() -> bool:
    """Whether a server that somebody else has started may be there: what is heard of it, or has left its file."""
    return server.health().state is server.ServerState.RUNNING or default_connection_file().is_file()


def _draw_progress(
    layout: bpy.types.UILayout, under_way: server_installing.Installation, characters: int
) -> None:  # fmt: skip
    progress = under_way.progress
    row = layout.row(align=True)
    row.progress(factor=progress.fraction, text=f"{progress.fraction * 100:.0f} %")
    row.operator("portrait.cancel_installation", text="", icon="CANCEL")
    lines(layout, progress.words, characters, "IMPORT")
    said = [line for line in under_way.last_lines if not line.startswith("$")]  # which are commands, cut off here
    if said:
        last = layout.column()
        last.active = False
        last.scale_y = 0.7
        last.label(text=textwrap.shorten(said[-1], characters, placeholder=" …"))
    lines(
        layout, "You can go on working; if Blender ends, the next installation goes on from here.", characters, "INFO"
    )
    _draw_log(layout)


def _draw_error(layout: bpy.types.UILayout, error: PortraitError, characters: int) -> None:
    column = layout.column()
    column.alert = True
    lines(column, error.message, characters, "ERROR")
    if error.remedy:
        lines(layout, error.remedy, characters)
    layout.operator("portrait.put_installation_away", icon="X")


def _draw_standing(layout: bpy.types.UILayout, found: Standing, characters: int) -> None:
    folder = place.server_folder()
    there = environments.installed(folder)
    if found is Standing.NONE:
        lines(layout, "The server, which finds faces and draws the frames, is not installed yet.", characters, "INFO")
    elif found is Standing.HALF_MADE:
        lines(layout, environments.broken(folder), characters, "ERROR")
    elif there is not None and found is Standing.OTHER_RELEASE:
        text = f"The server is of release {there.release}, this extension of {OWN_RELEASE}."
        lines(layout, text, characters, "ERROR")
    elif there is not None:
        looked = server_installing.facts(Choice())
        size = f" · {size_words(looked.held_bytes)}" if looked is not None else ""
        text = f"Installed: {there.release} · Python {there.python} · PyTorch for {there.backend}{size}"
        lines(layout, text, characters, "CHECKMARK")
        lines(layout, plans.short_path(folder), characters)


def _draw_plan(layout: bpy.types.UILayout, choice: Choice, characters: int) -> None:
    """Size and place, before the button."""
    looked = server_installing.facts(choice)
    if looked is None:
        layout.label(text="Looking what it takes …", icon="SORTTIME")
    elif looked.problem is not None:
        column = layout.column()
        column.alert = True
        lines(column, looked.problem.message, characters, "ERROR")
        if looked.problem.remedy:
            lines(layout, looked.problem.remedy, characters)
    elif looked.plan is not None:
        for text in looked.plan.words:
            lines(layout, text, characters)
        if not looked.plan.fits:
            column = layout.column()
            column.alert = True
            missing = looked.plan.disk_bytes - looked.plan.free_bytes
            lines(column, f"The disk is too full: make {size_words(missing)} of room.", characters, "ERROR")


def _draw_online(layout: bpy.types.UILayout, choice: Choice, characters: int) -> None:
    """Why it cannot download, and the button to the place that permits it."""
    try:
        server_installing.check_online(choice)
    except PortraitError as error:
        lines(layout, f"{error.message} {error.remedy}", characters, "INTERNET_OFFLINE")
        if not bpy.app.online_access_override:
            layout.operator("portrait.show_online_access", icon="PREFERENCES")


def _draw_upkeep(layout: bpy.types.UILayout, operator: str, may_remove: bool) -> None:
    row = layout.row(align=True)
    row.operator(operator, icon="TOOL_SETTINGS")
    if may_remove:
        row.operator("portrait.remove_server", icon="TRASH")
    _draw_log(layout)


def _draw_log(layout: bpy.types.UILayout) -> None:
    if server_installing.log_file() is not None:
        layout.operator("portrait.open_installation_log", icon="TEXT")
