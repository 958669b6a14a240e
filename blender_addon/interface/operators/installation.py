# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the server, update, repair and remove it; in the background from a button, to its end from a script."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import bpy
from bpy.props import StringProperty
from portrait_shared.errors import ErrorCode, PortraitError

from ...connection import installation_box, preferences, server_installing
from ...connection.installation_box import Standing
from ...installation.choices import Choice
from ...jobs import job_queue
from .common import AsksForFile, SaysWhyNot, has_window, report, tell


def _is_idle() -> bool:
    return job_queue.current() is None


class _Installs(SaysWhyNot):
    """Begins an installation, and waits for it where there is no window."""

    _repair = False

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if server_installing.running() is not None:
            return "The server is being installed already"
        try:
            server_installing.check_online(cls.choice(context))
        except PortraitError as error:
            return str(error).rstrip(".")
        return None

    @classmethod
    def choice(cls, context: bpy.types.Context) -> Choice:
        return preferences.choice(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self.install(context, self.choice(context))

    def install(self, context: bpy.types.Context, choice: Choice) -> set[str]:
        try:
            server_installing.begin(choice, _is_idle, self._repair)
            if has_window(context):
                return {"FINISHED"}  # the box tells how it goes on
            there = server_installing.wait()
        except PortraitError as error:
            return report(self, error)
        line = f"The server {there.release} is installed, with PyTorch for {there.backend}"
        return tell(self, line, server_installing.notes())


class PORTRAIT_OT_install_server(_Installs, bpy.types.Operator):
    """Download and install the server, which finds faces and draws frames, into Blender's own folder for this extension"""

    bl_idname = "portrait.install_server"
    bl_label = "Install Server"


class _Mends(_Installs):
    """Begins where something is installed already."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        nothing = installation_box.standing() is Standing.NONE
        return "No server is installed yet" if nothing else super().obstacle(context)


class PORTRAIT_OT_update_server(_Mends, bpy.types.Operator):
    """Install the server of this extension's release; the one that is there works until the new one is complete"""

    bl_idname = "portrait.update_server"
    bl_label = "Update Server"


class PORTRAIT_OT_repair_server(_Mends, bpy.types.Operator):
    """Check every file of the installed server, and download anew what is damaged or missing"""

    bl_idname = "portrait.repair_server"
    bl_label = "Repair Server"

    _repair = True


class PORTRAIT_OT_install_server_from_folder(AsksForFile, _Installs, bpy.types.Operator):
    """Install the server from a folder that `portrait bundle` has made, or of wheels, without any network"""

    bl_idname = "portrait.install_server_from_folder"
    bl_label = "Install from Folder"

    directory: StringProperty(
        name="Folder", description="Choose the folder of the wheels", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def choice(cls, context: bpy.types.Context) -> Choice:
        return dataclasses.replace(preferences.choice(context), wheels=Path())  # which one is asked afterwards

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = os.path.realpath(bpy.path.abspath(self.directory))
        if not self.directory or not os.path.isdir(folder):
            return report(self, PortraitError(ErrorCode.FILE_MISSING, f"There is no folder “{self.directory}”.",
                                              "Choose the folder that “portrait bundle” has made."))  # fmt: skip
        return self.install(context, dataclasses.replace(preferences.choice(context), wheels=Path(folder)))


class PORTRAIT_OT_remove_server(SaysWhyNot, bpy.types.Operator):
    """Remove the installed server and all that was downloaded for it; portraits, frames and settings stay"""

    bl_idname = "portrait.remove_server"
    bl_label = "Remove Server"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        if server_installing.running() is not None:
            return "The server is being installed: cancel that first"
        if not _is_idle():
            return "Portraits are being worked on: wait, or cancel that first"
        return "No server is installed" if installation_box.standing() is Standing.NONE else None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not has_window(context):
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self, event, title="Remove the server?", message="Portraits, frames and settings stay. Installing it again downloads it.",
            confirm_text="Remove Server",
        )  # fmt: skip

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            server_installing.remove()
        except PortraitError as error:
            return report(self, error)
        self.report({"INFO"}, "The server is removed")
        return {"FINISHED"}


class PORTRAIT_OT_cancel_installation(SaysWhyNot, bpy.types.Operator):
    """Stop the installation; what was downloaded is kept, and the next one goes on from there"""

    bl_idname = "portrait.cancel_installation"
    bl_label = "Cancel Installation"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "Nothing is being installed" if server_installing.running() is None else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        server_installing.cancel()
        return {"FINISHED"}


class PORTRAIT_OT_put_installation_away(SaysWhyNot, bpy.types.Operator):
    """Put away what is said of the last installation; its log stays"""

    bl_idname = "portrait.put_installation_away"
    bl_label = "Put Away"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        told = server_installing.failure() is not None or server_installing.notes()
        return None if told else "Nothing is said of an installation"

    def execute(self, context: bpy.types.Context) -> set[str]:
        server_installing.put_away()
        return {"FINISHED"}


class PORTRAIT_OT_open_installation_log(SaysWhyNot, bpy.types.Operator):
    """Open what the last installation has written of each step, with the program that the system has for text"""

    bl_idname = "portrait.open_installation_log"
    bl_label = "Open Log"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> str | None:
        return "Nothing was installed yet" if server_installing.log_file() is None else None

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(server_installing.log_file()))


class PORTRAIT_OT_show_online_access(bpy.types.Operator):
    """Open the page of the preferences that has Allow Online Access, under Network"""

    bl_idname = "portrait.show_online_access"
    bl_label = "Open Preferences: Online Access"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.screen.userpref_show(section="SYSTEM")


CLASSES = (
    PORTRAIT_OT_install_server, PORTRAIT_OT_update_server, PORTRAIT_OT_repair_server,
    PORTRAIT_OT_install_server_from_folder, PORTRAIT_OT_remove_server, PORTRAIT_OT_cancel_installation,
    PORTRAIT_OT_put_installation_away, PORTRAIT_OT_open_installation_log, PORTRAIT_OT_show_online_access,
)  # fmt: skip
