# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, kept for the panel together with the operator that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from portrait_shared.errors import ErrorCode, PortraitError


class Fix(Enum):
    """An operator that mends a problem: (bl_idname, what its button says)."""

    SAVE = ("wm.save_as_mainfile", "Save the .blend")
    START_SERVER = ("portrait.start_server", "Start Server")
    PREFERENCES = ("portrait.show_preferences", "Open Preferences")
    INSTALL = ("portrait.install_server", "Install Server")
    UPDATE = ("portrait.update_server", "Update Server")
    REPAIR = ("portrait.repair_server", "Repair Server")
    RELOCATE_PHOTO = ("portrait.relocate_photo", "Locate Photo")
    CHOOSE_FOLDER = ("portrait.choose_folder", "Choose Folder")
    REBUILD = ("portrait.rebuild", "Rebuild Plane and Rig")
    PLACE_POINTS = ("portrait.place_points", "Place Points by Hand")
    FIND_POINTS = ("portrait.find_points", "Find Points Again")
    RELOCATE_SHOT = ("portrait.relocate_shot", "Locate Shot")
    RENDER_AGAIN = ("portrait.render", "Render Again")


class SceneError(PortraitError):
    """A PortraitError that knows the operator which mends it."""

    def __init__(self, message: str, remedy: str, fix: Fix | None = None, code: ErrorCode = ErrorCode.SCENE) -> None:
        super().__init__(code, message, remedy)
        self.fix = fix


@dataclass(frozen=True)
class Problem:
    """What the panel shows of an error."""

    code: ErrorCode
    message: str
    remedy: str
    fix: Fix | None


_FIX_OF_CODE = {
    ErrorCode.SERVER_UNAVAILABLE: Fix.START_SERVER,
    ErrorCode.DEVICE_UNAVAILABLE: Fix.PREFERENCES,
    ErrorCode.SERVER_LOST: Fix.RENDER_AGAIN,
    ErrorCode.SERVER_STOPPING: Fix.START_SERVER,
    ErrorCode.OUTPUT_NOT_WRITABLE: Fix.CHOOSE_FOLDER,
    ErrorCode.DISK_FULL: Fix.CHOOSE_FOLDER,
}

_problems: dict[str, Problem] = {}


def listed(names: Sequence[str], most: int) -> str:
    """For sentences: “jaw, lips, gaze and 4 more”."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def locked_channels(names: Sequence[str]) -> str:
    """What to say of channels that were to be keyed and are locked."""
    return f"Locked channels got no key: {listed(names, 3)}. Unlock them in the Dope Sheet"


def problem_of(error: PortraitError) -> Problem:
    fix = error.fix if isinstance(error, SceneError) else _FIX_OF_CODE.get(error.code)
    return Problem(error.code, error.message, error.remedy, fix)


def keep(portrait_uid: str, error: PortraitError) -> Problem:
    """Remembers the last problem of a portrait; the empty uid is for none in particular."""
    _problems[portrait_uid] = problem_of(error)
    return _problems[portrait_uid]


def forget(portrait_uid: str) -> None:
    _problems.pop(portrait_uid, None)


def forget_mended(fix: Fix) -> None:
    """Forgets those that were to be mended so: it has been done."""
    for uid in [uid for uid, problem in _problems.items() if problem.fix is fix]:
        del _problems[uid]


def forget_all() -> None:
    _problems.clear()


def last(portrait_uid: str) -> Problem | None:
    return _problems.get(portrait_uid)
