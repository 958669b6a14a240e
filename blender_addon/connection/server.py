# SPDX-License-Identifier: GPL-3.0-or-later
"""The server seen from Blender: which command starts it, the one this Blender owns, and how it is doing."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import bpy
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import ServerInfo

from ..blender.problems import Fix, SceneError
from ..installation import place
from . import preferences, server_program

_START_TIMEOUT_SECONDS = 60.0
_START_LOOK_SECONDS = 0.2
_STOP_TIMEOUT_SECONDS = 10.0
_NO_SERVER = (ErrorCode.SERVER_UNAVAILABLE, ErrorCode.SERVER_LOST, ErrorCode.VERSION_MISMATCH)
_TIME_STAMP_VARIABLE = "TALKING_PORTRAITS_TIME_STAMP_SERVER"
_MODELS_VARIABLE = "TALKING_PORTRAITS_MODELS"
_STAMPED_BY = os.environ.get(_TIME_STAMP_VARIABLE, "")
_HOW_TO_GET_ONE = {
    Fix.INSTALL: "Install it with the button, or choose a server of your own in the add-on's preferences.",
    Fix.REPAIR: "Repair it: what is there already is not downloaded again.",
    Fix.PREFERENCES: "Choose the program, or the project's folder, in the add-on's preferences; clear Server Command there to "
    "use the server that the extension installs.",
}
_OFFLINE_VARIABLE = "TALKING_PORTRAITS_OFFLINE"
_OFFLINE = os.environ.get(_OFFLINE_VARIABLE, "")
_LOOPBACK = ("tcp://127.", "tcp://localhost:", "tcp://[::1]:")


class ServerState(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True)
class Health:
    """The last that was heard of the server; read by panels, which must not wait."""

    state: ServerState = ServerState.STOPPED
    info: ServerInfo | None = None
    problem: str = ""
    log_file: str = ""

    @property
    def line(self) -> str:
        if self.state is ServerState.RUNNING and self.info is not None:
            return f"Running on {self.info.draws_on} · {', '.join(self.info.engines)} · process {self.info.pid}"
        return {
            ServerState.STOPPED: "Not running; it starts when it is needed",
            ServerState.STARTING: "Starting …",
            ServerState.RUNNING: "Running",
            ServerState.FAILED: self.problem or "Failed",
        }[self.state]


@dataclass(frozen=True)
class Launch:
    """All that a worker needs to reach a server, gathered on the main thread."""

    command: tuple[str, ...]
    device: str
    may_start: bool
    online: bool
    log_level: str = "info"
    problem: str = ""  # why there is no command
    fix: Fix = Fix.INSTALL  # what mends that, or a server of another release
    ray: str = ""  # address of the cluster that renders; empty where the server does
    credentials: bool = True  # whether frames are signed
    thumbnails: bool = False  # whether their credentials show small pictures of what they were made of

    def check_command(self) -> None:
        """Raises SERVER_UNAVAILABLE, with the fix that mends it, where there is no command."""
        if not self.command:
            raise SceneError(
                f"{self.problem or 'The server is not installed yet'}.", _HOW_TO_GET_ONE[self.fix], self.fix,
                ErrorCode.SERVER_UNAVAILABLE,
            )  # fmt: skip


Reachable = Connection | ServerProcess

_health = Health()
_process: ServerProcess | None = None
_lock = threading.Lock()


def launch_plan(context: bpy.types.Context, *, may_start: bool | None = None, device: str | None = None) -> Launch:
    """What the preferences say about reaching a server.

    Args:
        may_start: whether one may be started; as the preferences say where None.
        device: as `device_names` takes it; as the preferences say where None.
    """
    asked = preferences.of(context)
    program = server_program.find(asked.server_command)
    _set_time_stamp_server(asked.time_stamp_server.strip())
    if program.origin is server_program.Origin.INSTALLED:
        os.environ.setdefault(_MODELS_VARIABLE, str(place.server_folder() / "models"))  # nothing lies outside
    _set_offline()
    return Launch(
        command=program.command,
        problem=program.problem,
        fix=program.fix,
        device=device or asked.device,
        may_start=asked.auto_start if may_start is None else may_start,
        online=bpy.app.online_access,
        log_level=asked.log_level,
        ray=asked.ray_address.strip(),
        credentials=asked.credentials,
        thumbnails=asked.thumbnails,
    )


def _set_time_stamp_server(address: str) -> None:
    """Tells the server and the commands that are started from now on who vouches for when they sign. Without online access
    nobody is asked."""
    said = address if bpy.app.online_access else ""
    if said or _STAMPED_BY:
        os.environ[_TIME_STAMP_VARIABLE] = said or _STAMPED_BY
    else:
        os.environ.pop(_TIME_STAMP_VARIABLE, None)


def _set_offline() -> None:
    """Without online access, the server and the commands that are started from now on download no networks."""
    if bpy.app.online_access and not _OFFLINE:
        os.environ.pop(_OFFLINE_VARIABLE, None)
    else:
        os.environ[_OFFLINE_VARIABLE] = _OFFLINE or "1"


def acquire(launch: Launch, cancelled: Callable[[], bool]) -> Reachable:
    """A server to talk to: this Blender's own, else one the user runs, else a new one. Called by workers.

    Raises:
        PortraitError: SERVER_UNAVAILABLE, DEVICE_UNAVAILABLE, NOT_ALLOWED, CANCELLED.
    """
    target = _find_or_launch(launch)
    if isinstance(target, Connection):
        return target
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while target.wait_ready(_START_LOOK_SECONDS) is None:
        if cancelled():
            raise PortraitError(ErrorCode.CANCELLED, "Cancelled while the server started.")
        if time.monotonic() > deadline:
            target.kill()
            raise PortraitError(
                ErrorCode.SERVER_UNAVAILABLE,
                f"The server did not get ready within {_START_TIMEOUT_SECONDS:.0f} s.",
                "Look at its log.",
            )
    return target


def connection(launch: Launch, cancelled: Callable[[], bool]) -> Connection:
    """How a `portrait` command reaches the server of `acquire`, which see for the errors."""
    reached = acquire(launch, cancelled)
    return reached if isinstance(reached, Connection) else reached.connection


def warm_up(launch: Launch) -> threading.Thread | None:
    """Starts the server, unless one runs or none may be started, without waiting for it: it is about to be needed."""
    if not launch.may_start:
        return None

    def start() -> None:
        try:
            acquire(launch, lambda: False)
        except PortraitError as error:
            failed(error)

    thread = threading.Thread(target=start, name="portrait warm-up", daemon=True)
    thread.start()
    return thread


def _find_or_launch(launch: Launch) -> Reachable:
    global _process, _health
    with _lock:
        if _process is not None and _process.alive:
            return _process
        found = find_server()
        if found is not None:
            _check_online(found, launch)
            _health = Health(log_file=found.log)
            return found
        if not launch.may_start:
            raise PortraitError(ErrorCode.SERVER_UNAVAILABLE, "The portrait server is not running.", "Start it.")
        launch.check_command()
        _health = Health(ServerState.STARTING)
        if _process is not None:
            _process.stop(0.0)  # ended by itself: only its folder is left to remove
        _process = ServerProcess(launch.command, device=launch.device, log_level=launch.log_level)
        try:
            _process.launch()  # here and not by the client, which stops what it started when it closes
        except PortraitError as error:
            raise SceneError(error.message, error.remedy, Fix.PREFERENCES, error.code) from error
        return _process


def connected(info: ServerInfo) -> None:
    """A worker reached the server."""
    global _health
    _health = Health(ServerState.RUNNING, info, log_file=info.log)


def failed(error: PortraitError) -> None:
    """A worker could not reach the server, or lost it."""
    global _health
    ended = _process is not None and not _process.alive
    if error.code in _NO_SERVER or (ended and error.code == ErrorCode.DEVICE_UNAVAILABLE):
        _health = replace(_health, state=ServerState.FAILED, info=None, problem=error.message)


def health() -> Health:
    """The last that was heard, after a look whether this Blender's own process still lives; never waits."""
    global _health
    if _health.state is ServerState.RUNNING and _process is not None and not _process.alive:
        _health = Health(ServerState.FAILED, problem="The server ended; it starts again when it is needed")
    if _health.info is not None and _process is not None and _process.pid not in (None, _health.info.pid):
        _health = replace(_health, info=replace(_health.info, pid=_process.pid))  # a client restarted it
    return _health


def owns_process() -> bool:
    return _process is not None and _process.alive


def stop() -> None:
    """Stops this Blender's own server; one that the user started elsewhere is left alone."""
    global _process, _health
    with _lock:
        if _process is not None:
            _process.stop(_STOP_TIMEOUT_SECONDS)
            _process = None
        _health = Health()


def log_tail(lines: int = 12) -> list[str]:
    """The end of the server's log."""
    if _process is not None:
        return _process.log_tail(lines).splitlines()
    file = Path(_health.log_file)
    if _health.log_file and file.is_file():
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return []


def engine_names() -> list[str]:
    """Engines of the server last heard of."""
    return list(_health.info.engines) if _health.info is not None else []


def register() -> None:
    atexit.register(stop)


def unregister() -> None:
    atexit.unregister(stop)
    stop()


def _check_online(found: Connection, launch: Launch) -> None:
    if found.address.startswith("tcp://") and not found.address.startswith(_LOOPBACK) and not launch.online:
        raise SceneError(
            f"The server at {found.address} is on another machine, and Blender's online access is off.",
            "Allow online access in the preferences (System), or start a server on this machine.",
            Fix.PREFERENCES,
            ErrorCode.NOT_ALLOWED,
        )
