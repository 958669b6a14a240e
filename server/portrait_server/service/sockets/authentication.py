# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect over TCP: CURVE keys."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json
from portrait_shared.protocol.connection import Connection, read_private, write_private
from portrait_shared.protocol.framing import PROTOCOL_VERSION
from zmq.utils import z85

_KEY_CHARACTERS = 40
_MAX_FILE_BYTES = 1_048_576


@dataclass(frozen=True)
class KeyRing:
    """The server's key pair and the clients it knows; all in z85.

    Attributes:
        client_public_key: of the pair that goes into the connection file.
        known_clients: public keys that are let in.
    """

    server_public_key: str
    server_secret_key: str
    client_public_key: str
    client_secret_key: str
    known_clients: frozenset[str]

    @classmethod
    def new(cls) -> KeyRing:
        """Keys for this run alone."""
        server_public, server_secret = (key.decode() for key in zmq.curve_keypair())
        return cls._with_local_client(server_public, server_secret, frozenset())

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """The keys of a file that `write_new_keys` made.

        Raises:
            PortraitError: FILE_MISSING, NOT_ALLOWED.
        """
        try:
            values: Any = parse_json(read_private(path, _MAX_FILE_BYTES))
            server = values["server_public_key"], values["server_secret_key"]
            clients = values["client_public_keys"]
            if not isinstance(clients, list) or not all(
                isinstance(key, str) and len(key) == _KEY_CHARACTERS for key in (*server, *clients)
            ):
                raise ValueError(f"keys are texts of {_KEY_CHARACTERS} characters")
            for key in (*server, *clients):
                z85.decode(key)
            if zmq.curve_public(server[1].encode()).decode() != server[0]:
                raise ValueError("the server's two keys are not of one pair: no client could ever connect")
        except OSError as error:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror}.", "Make one with --new-keys."
            ) from error
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise PortraitError(
                ErrorCode.NOT_ALLOWED, f"{path} is not a file of keys ({error}).", "Make one with --new-keys."
            ) from error
        return cls._with_local_client(*server, frozenset(clients))

    @classmethod
    def _with_local_client(cls, public: str, secret: str, known: frozenset[str]) -> KeyRing:
        client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
        return cls(public, secret, client_public, client_secret, known | {client_public})


def write_new_keys(path: Path, address: str) -> Path:
    """Makes a server's keys and those of one client on another machine.

    Args:
        path: the server's file, for ``--keys``.
        address: where that client will reach the server.

    Returns:
        The client's connection file, to be carried to its machine by a safe way.
    """
    if os.path.exists(path):
        raise PortraitError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{path} is there already.", "Choose another name.")
    server_public, server_secret = (key.decode() for key in zmq.curve_keypair())
    client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
    keys = {
        "server_public_key": server_public,
        "server_secret_key": server_secret,
        "client_public_keys": [client_public],
    }
    write_private(path, json.dumps(keys, indent=1).encode())
    client_file = path.with_name(f"{path.stem}.client.json")
    client = Connection(address, PROTOCOL_VERSION, __version__, 0, server_public, client_public, client_secret)
    try:
        client.save(client_file)
    except PortraitError:
        path.unlink(missing_ok=True)  # without the client's file it is of no use, and the next try would find it there
        raise
    return client_file
