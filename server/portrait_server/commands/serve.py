# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait serve`: the server that Blender and other programs connect to."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from portrait_shared import __version__
from portrait_shared.client.launcher import STATUS_NO_DEVICE, find_server
from portrait_shared.devices import kind_of
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import sweep_folders
from portrait_shared.protocol.connection import Connection, default_connection_file
from portrait_shared.protocol.framing import PROTOCOL_VERSION

from portrait_server.commands.arguments import add_device, add_engine, whole_number
from portrait_server.commands.logs import in_json, log_to_file, tell_failure
from portrait_server.networks.device import Device, choose_device
from portrait_server.networks.device_errors import DeviceLost
from portrait_server.service.descriptors import raise_descriptor_limit
from portrait_server.service.metrics import metrics_endpoint, serve_metrics
from portrait_server.service.service import Service
from portrait_server.service.single import ServerLock
from portrait_server.service.sockets.authentication import KeyRing, write_new_keys
from portrait_server.service.sockets.door import MAX_CONNECTIONS, Door
from portrait_server.service.sockets.endpoints import Endpoint, choose_endpoint, client_address, reachable_address

log = logging.getLogger(__name__)

STATUS_ALREADY_RUNNING: Final = 3
_SWITCH_SECONDS: Final = 0.001
"""A thread that serves waits no longer for one that draws to let go of the interpreter."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bind", metavar="ADDRESS",
                        help="tcp://HOST:PORT, port 0 for a free one (default: a socket that only you can open)")  # fmt: skip
    parser.add_argument("--connection-file", type=Path, default=None, metavar="FILE",
                        help="where to write how the server is reached (default: your own, which clients find)")  # fmt: skip
    add_device(parser, "computes", several=True)
    add_engine(parser)
    parser.add_argument("--parent-pid", type=whole_number(1, 2**31 - 1, "a process's number"), metavar="PID",
                        help="stop when that process has ended")  # fmt: skip
    parser.add_argument("--idle-exit", type=whole_number(1, 10**9, "a number of seconds"), metavar="SECONDS",
                        help="stop when nobody has been connected for so long")  # fmt: skip
    parser.add_argument("--metrics", metavar="PORT",
                        help="tell Prometheus what it does, at http://127.0.0.1:PORT/metrics; with --keys also HOST:PORT")  # fmt: skip
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="(default: one a run in your log folder)")
    parser.add_argument("--keys", type=Path, metavar="FILE",
                        help="keys of the server and of the clients it lets in; needed for other machines")  # fmt: skip
    parser.add_argument("--new-keys", type=Path, metavar="FILE",
                        help="make such a file and a connection file for one client that reaches --bind, then end")  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    """Serves until stopped, or until its device cannot be computed on any more: then the process ends here.

    Raises:
        PortraitError: NOT_ALLOWED, OUTPUT_NOT_WRITABLE.
    """
    connection_file: Path = asked.connection_file or default_connection_file()
    if asked.new_keys is not None:
        return _new_keys(asked)
    try:
        lock = ServerLock(connection_file)
    except PortraitError as error:
        if error.code != ErrorCode.BUSY:
            raise
        return _already_running(asked, error, connection_file)
    sys.setswitchinterval(_SWITCH_SECONDS)
    log_file = log_to_file(asked.log_file, asked.log_level, in_json(asked))
    unusable = None
    try:
        device = choose_device(asked.device)
        endpoint = choose_endpoint(asked.bind, connection_file)
        try:
            _serve(asked, endpoint, device, connection_file, log_file)
        finally:
            endpoint.remove()
        log.info("Stopped")
    except PortraitError as error:
        if error.code != ErrorCode.DEVICE_UNAVAILABLE:
            raise
        unusable = error
    finally:
        lock.release()
        # Blender, where it was killed, has left its folder, and nobody but this server may be there to remove it.
        sweep_folders(Path(tempfile.gettempdir()))
    if unusable is None:
        return 0
    tell_failure(asked, unusable.message, unusable.remedy, unusable.code)
    if isinstance(unusable, DeviceLost):  # threads may hang in the driver, and Python would wait for them
        logging.shutdown()
        os._exit(STATUS_NO_DEVICE)
    return STATUS_NO_DEVICE


def _serve(
    asked: argparse.Namespace, endpoint: Endpoint, device: Device, connection_file: Path, log_file: Path | None
) -> None:
    """Serves until stopped. Raises: DeviceLost: nothing more can be computed on the device in this process."""
    ring = _ring(endpoint, asked.keys)
    door = _open(endpoint, ring)
    parent_alive = None if asked.parent_pid is None else _watch(asked.parent_pid)
    told = None if asked.metrics is None else metrics_endpoint(asked.metrics, asked.keys is not None)
    several = asked.device if kind_of(asked.device) != asked.device else None
    service = Service(
        door, device, str(log_file or ""), parent_alive, devices=several, engine=asked.engine, idle_s=asked.idle_exit
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.ask_to_stop())
    if told is not None:
        log.info("Metrics at %s", serve_metrics(told, service.state, device))
    Connection(
        address=reachable_address(door.address), protocol=PROTOCOL_VERSION, version=__version__, pid=os.getpid(),
        server_public_key=ring.server_public_key if ring else None,
        client_public_key=ring.client_public_key if ring else None,
        client_secret_key=ring.client_secret_key if ring else None,
        log=str(log_file or ""),
    ).save(connection_file)  # fmt: skip
    log.info(
        "Serving at %s on %s (%s); connection file %s", door.address, several or device.name, device, connection_file,
        extra={"address": door.address, "device": several or device.name, "connection_file": str(connection_file)},
    )  # fmt: skip
    try:
        service.run()
    finally:
        connection_file.unlink(missing_ok=True)
    if service.lost is not None:
        raise service.lost


def _new_keys(asked: argparse.Namespace) -> int:
    if asked.bind is None:
        raise PortraitError(ErrorCode.NOT_ALLOWED, "The client must know where the server is.", "Give --bind too.")
    client_file = write_new_keys(asked.new_keys, client_address(asked.bind))
    print(f"Saved: {asked.new_keys}\nSaved: {client_file} (carry it to the client's machine by a safe way)")
    return 0


def _already_running(asked: argparse.Namespace, error: PortraitError, connection_file: Path) -> int:
    try:
        answers = find_server(connection_file) is not None
    except PortraitError as failure:
        answers = failure.code == ErrorCode.VERSION_MISMATCH
    tell_failure(asked, error.message, error.remedy if answers else "It does not answer: end its process.", error.code)
    return STATUS_ALREADY_RUNNING


def _ring(endpoint: Endpoint, keys: Path | None) -> KeyRing | None:
    if not endpoint.needs_keys:
        return None
    if keys is not None:
        return KeyRing.load(keys)
    if not endpoint.loopback:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"{endpoint.address} can be reached from other machines, which needs keys.",
            "Make keys with `portrait serve --bind ADDRESS --new-keys FILE`, with the address at which others reach this "
            "machine, and give them with --keys FILE.",
        )  # fmt: skip
    return KeyRing.new()


def _open(endpoint: Endpoint, ring: KeyRing | None) -> Door:
    try:
        # Half of what may be open stays for files: a portrait's preparation opens some.
        return Door(endpoint, ring, connections=min(MAX_CONNECTIONS, raise_descriptor_limit() // 2))
    except OSError as error:
        raise PortraitError(
            ErrorCode.NOT_ALLOWED, f"Cannot listen at {endpoint.address}: {error.strerror}.",
            "Choose another port, or 0 for a free one.",
        ) from error  # fmt: skip


def _watch(pid: int) -> Callable[[], bool]:
    """Whether a process still runs, to be asked again and again."""
    if sys.platform == "win32":
        import ctypes

        synchronize, still_running = 0x00100000, 0x102
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, pid)
        return lambda: bool(handle) and kernel.WaitForSingleObject(handle, 0) == still_running
    if os.getppid() == pid:
        return lambda: os.getppid() == pid  # another process may get the number, but is not this one's parent

    def exists() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    return exists
