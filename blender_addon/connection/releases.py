# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of another release than the extension: in words, with the button that mends it."""

from __future__ import annotations

from portrait_shared.errors import PortraitError
from portrait_shared.protocol.framing import PROTOCOL_VERSION, VersionMismatch

from ..blender.problems import Fix, SceneError
from . import server

_REMEDIES = {
    Fix.UPDATE: "Update it: the button installs the extension's own release.",
    Fix.INSTALL: "Install the extension's own release with the button; the server that was found is left alone.",
    Fix.PREFERENCES: "Choose a server of the same release in the preferences, or clear Server Command there to use the one "
    "that the extension installs.",
}


def explained(error: PortraitError, launch: server.Launch) -> PortraitError:
    """An error as a person in Blender is told it: where the two releases do not understand each other, which of them is
    to be updated, and how. Any other error is returned as it is."""
    if not isinstance(error, VersionMismatch):
        return error
    if error.version > PROTOCOL_VERSION:
        return SceneError(
            f"The server is of a newer release than the extension: it speaks protocol version {error.version}, the extension "
            f"{PROTOCOL_VERSION}.",
            "Update the extension in the preferences, under Get Extensions, and start Blender again.", None, error.code,
        )  # fmt: skip
    if not server.owns_process():
        return SceneError(
            "A server of an older release runs, which this Blender did not start.",
            "End it where it was started: close the other Blender, or stop “portrait serve”. Then start the server here.",
            Fix.START_SERVER, error.code,
        )  # fmt: skip
    fix = launch.fix if launch.fix in _REMEDIES else Fix.INSTALL
    return SceneError("The server is of an older release than the extension.", _REMEDIES[fix], fix, error.code)
