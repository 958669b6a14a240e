# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job start-server` and `stop-server`: one server for all the tasks that a farm's worker does in a row.

A farm runs each step of a job as a process of its own, which must end before the next begins. So the first one starts a
server that outlives it, the tasks between use it by its connection file, and the last one stops it. Where a worker dies
before that, the server ends by itself when nobody has come for a while.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Final

from portrait_shared import __version__
from portrait_shared.client.launcher import ServerProcess, find_server, stop_server
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection

from portrait_server.commands.arguments import add_device, add_engine
from portrait_server.service.single import ServerLock

IDLE_SECONDS: Final = 600
"""How long a farm's server waits for the next task: longer than any manager takes to hand one out."""
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    _add_connection_file(parser)
    add_device(parser, "draws", several=True)
    add_engine(parser)


def add_stop_arguments(parser: argparse.ArgumentParser) -> None:
    _add_connection_file(parser)


def start(asked: argparse.Namespace) -> int:
    """Starts a server that stays, unless one answers at the connection file already.

    Raises:
        PortraitError: SERVER_UNAVAILABLE, DEVICE_UNAVAILABLE, OUTPUT_NOT_WRITABLE, VERSION_MISMATCH, NOT_ALLOWED.
    """
    connection = find_server(asked.connection_file)
    if connection is None:
        command = [sys.executable, "-m", "portrait_server"]
        server = ServerProcess(
            command, connection_file=asked.connection_file, device=asked.device, engine=asked.engine,
            idle_exit_s=IDLE_SECONDS,
        )  # fmt: skip
        connection = server.start(_START_SECONDS)
    if connection.version != __version__:
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH,
            f"The server at {asked.connection_file} is of Talking Portraits {connection.version}; this is {__version__}.",
            "Stop it with `portrait job stop-server`, or give another --connection-file.",
        )
    print(f"Server: {connection.address} (process {connection.pid}, log {connection.log})", flush=True)
    return 0


def stop(asked: argparse.Namespace) -> int:
    """Stops the server at the connection file and waits until it has let go of that; where there is none, that is all.

    Raises:
        PortraitError: BUSY where it does not end; SERVER_UNAVAILABLE for a file that is no connection file; NOT_ALLOWED.
    """
    connection = None
    try:
        connection = Connection.load(asked.connection_file)
        stop_server(connection)
    except PortraitError as error:
        has_ended = error.code in (ErrorCode.SERVER_UNAVAILABLE, ErrorCode.SERVER_LOST)
        if not has_ended or (connection is None and os.path.lexists(asked.connection_file)):
            raise
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        try:
            ServerLock(asked.connection_file).release()
        except PortraitError as error:
            if error.code != ErrorCode.BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            asked.connection_file.unlink(missing_ok=True)  # a killed server's
            return 0


def _add_connection_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connection-file", type=Path, required=True, metavar="FILE",
                        help="where the server writes how it is reached, for --connect")  # fmt: skip
