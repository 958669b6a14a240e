# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend of mido's for machines without MIDI: its inputs are named in a file, and their bytes come over TCP.

`MIDO_BACKEND=tests.server.live.socket_midi` chooses it, the variable `FILE_VARIABLE` names the file: a name, a tab and a
port of this machine a line. Messages, parser and ports are mido's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from mido.sockets import SocketPort

FILE_VARIABLE: Final = "TESTS_MIDI_PORTS"


def _ports() -> dict[str, int]:
    lines = Path(os.environ[FILE_VARIABLE]).read_text().splitlines()
    return {name: int(number) for name, number in (line.split("\t") for line in lines)}


def get_devices(**_: Any) -> list[dict[str, Any]]:
    return [{"name": name, "is_input": True, "is_output": False} for name in _ports()]


class Input(SocketPort):
    """One input."""

    def __init__(self, name: str, **_: Any) -> None:
        super().__init__("127.0.0.1", _ports()[name])
