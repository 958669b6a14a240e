# SPDX-License-Identifier: GPL-3.0-or-later
"""Where frames go that are rendered before the .blend was ever saved: Blender's own folder for the session.

It goes when Blender ends, as the unsaved work itself does; saving moves the frames beside the .blend.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import bpy

from ..blender.problems import Fix, SceneError

_FOLDER: Final = "unsaved_frames"
"""The frames' own: Blender keeps files of its own beside it."""
_SAVED_LATER = not bpy.app.background  # without a window nobody is there to save: the frames would be lost


def unsaved_place(text: str) -> Path:
    """The folder for one that is to be beside the .blend, whatever its path: all of them lie in the session's.

    Args:
        text: the path as the .blend keeps it, with ``//`` before it.

    Raises:
        PortraitError: SCENE with the fix *Save* without a window.
    """
    if not _SAVED_LATER:
        raise SceneError(
            "The frames go to a folder beside the .blend, which has not been saved yet.",
            "Save the .blend, or choose a folder elsewhere.", Fix.SAVE,
        )  # fmt: skip
    inside = os.path.normpath(f"/{text.lstrip('/')}").lstrip("/\\")  # "//../x" is x, too
    return Path(os.path.realpath(Path(bpy.app.tempdir) / _FOLDER / inside))
