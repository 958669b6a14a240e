# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the server is installed: a folder of the extension's own among the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import bpy

_EXTENSION: Final = __package__.rpartition(".")[0]
_NAME: Final = "server"


def server_folder() -> Path:
    """The folder, which need not be there. Blender keeps it when the extension is updated, and removes it with the
    extension where the user says so.

    Where the add-on is a plain package and no extension, it lies with Blender's other data of this user.
    """
    try:
        return Path(bpy.utils.extension_path_user(_EXTENSION, path=_NAME))
    except ValueError:  # no extension
        return Path(bpy.utils.user_resource("DATAFILES", path=f"talking_portraits/{_NAME}"))
