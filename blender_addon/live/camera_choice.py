# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cameras there are, as the server's command lists them; asked in the background, and kept for the panels."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from ..connection import server
from ..connection.command_run import CommandRun

_MOST: Final = 64


@dataclass(frozen=True)
class CameraChoice:
    """One camera.

    Attributes:
        number: what it is called on a command line.
        name: as the system calls it.
        problem: what is in the way of it and what to do about that; empty where nothing is.
    """

    number: int
    name: str
    problem: str = ""


@dataclass(frozen=True)
class _Known:
    cameras: tuple[CameraChoice, ...] = ()
    line: str = ""
    asking: bool = False


_known = _Known()


def cameras() -> tuple[CameraChoice, ...]:
    """Those that were there when they were last asked for."""
    return _known.cameras


def line() -> str:
    """What there is to say of the list itself; empty where there is nothing."""
    return "Looking for cameras …" if _known.asking else _known.line


def is_asking() -> bool:
    """Whether the list is being asked for."""
    return _known.asking


def refresh(launch: server.Launch) -> threading.Thread | None:
    """Asks for them anew in the background; None where that is done already."""
    global _known
    if _known.asking:
        return None
    _known = _Known(_known.cameras, "", True)
    thread = threading.Thread(target=_ask, args=(launch,), name="portrait cameras", daemon=True)
    thread.start()
    return thread


def _ask(launch: server.Launch) -> None:
    global _known
    said: list[str] = []
    found: tuple[CameraChoice, ...] = ()
    try:
        launch.check_command()
        CommandRun().run([*launch.command, "camera", "--list", "--json"], said.append)
        found = _read("".join(said))
        told = "" if found else "This machine has no camera"
    except PortraitError as error:
        told = str(error)
    _known = _Known(found, told)


def _read(text: str) -> tuple[CameraChoice, ...]:
    """Raises: PortraitError: INTERNAL where it is no such list."""
    try:
        return tuple(
            CameraChoice(int(entry["number"]), str(entry["name"]), f"{entry['problem']} {entry['remedy']}".strip())
            for entry in json.loads(text)[:_MOST]
        )
    except (ValueError, TypeError, KeyError) as error:
        raise PortraitError(
            ErrorCode.INTERNAL, "The list of cameras cannot be read.", "The server must be of the extension's release."
        ) from error
