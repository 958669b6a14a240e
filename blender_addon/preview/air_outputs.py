# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be sent to live on this machine, as the server's command tells; asked in the background, kept for the panels."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from ..connection import server
from ..connection.command_run import CommandRun

_MOST: Final = 16
OUTPUTS: Final = {"virtual-camera": "Virtual Camera", "ndi": "NDI"}
"""What there may be, as `portrait air --to` calls it, and what the user calls it."""


@dataclass(frozen=True)
class Known:
    """What was told last.

    Attributes:
        obstacles: of each output why it cannot be sent to, and what to do about that; empty where it can.
        asking: whether it is being asked for now.
        problem: why that did not succeed.
    """

    obstacles: dict[str, str] | None = None
    asking: bool = False
    problem: str = ""


known = Known()


def obstacle(to: str) -> str:
    """Why pictures cannot be sent there, in a sentence or two; empty where they can."""
    if known.asking:
        return "It is being looked for"
    if known.problem:
        return known.problem
    if known.obstacles is None:
        return "Look for it first, with the button beside it"
    return known.obstacles.get(to, "The server does not know of it: it is of another release")


def ask_once(launch: server.Launch) -> None:
    """Asks unless that was done."""
    if known.obstacles is None and not known.problem:
        ask(launch)


def ask(launch: server.Launch) -> threading.Thread | None:
    """Asks anew in the background; None where that is done already."""
    global known
    if known.asking:
        return None
    known = Known(known.obstacles, True)
    thread = threading.Thread(target=_ask, args=(launch,), name="portrait outputs", daemon=True)
    thread.start()
    return thread


def _ask(launch: server.Launch) -> None:
    global known
    said: list[str] = []
    try:
        launch.check_command()
        CommandRun().run([*launch.command, "air", "--list", "--json"], said.append)
        known = Known(_read("".join(said)))
    except PortraitError as error:
        known = Known(None, False, str(error))


def _read(text: str) -> dict[str, str]:
    """Raises: PortraitError: INTERNAL where it is no such list."""
    try:
        return {
            str(entry["to"]): ""
            if entry["possible"] is True
            else f"{entry['reason']} {entry['remedy']}".strip().rstrip(".")
            for entry in json.loads(text)[:_MOST]
        }
    except (ValueError, TypeError, KeyError) as error:
        raise PortraitError(
            ErrorCode.INTERNAL,
            "The list of live outputs cannot be read.",
            "The server must be of the extension's release.",
        ) from error
