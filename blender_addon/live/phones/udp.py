# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket: opened on one port alone, read without surprises on any system, and narrowed to one sender under a flood."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from .addresses import plain_address
from .formats import MAX_BYTES

_BUFFER_BYTES: Final = 4 * 2**20  # the system gives what it allows; Blender may not let the thread run for seconds
_WAIT_SECONDS: Final = 0.05  # then the thread looks whether it is to stop
_TOO_LONG: Final = (errno.EMSGSIZE, 10040)  # Windows refuses what others cut off
_NOTHING: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, 10035, 10004)
_IN_USE: Final = (errno.EADDRINUSE, 10048)
_REFUSED: Final = (errno.EACCES, errno.EPERM, 10013)
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, 10049, socket.EAI_NONAME)


class UdpSocket:
    """A port on which packets are heard.

    Attributes:
        port: the one that it has; another than was asked for only where that was 0.
    """

    def __init__(self, host: str, port: int) -> None:
        """Opens it: on all of this machine's addresses where `host` is empty.

        Raises:
            PortraitError: BUSY where another program has the port; BAD_CONFIGURATION for an address that is not this
                machine's, NOT_ALLOWED for a port that the system does not give.
        """
        self._host = host
        self._socket = _open(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.narrow = False

    def receive(self) -> tuple[bytes, str, int] | None:
        """One packet, its sender's address and port; None where none came for a moment, or the system tells of a fault.

        Raises:
            ValueError: a packet that is longer than any may be; it is gone.
            OSError: the socket can no longer be used.
        """
        try:
            data, sender = self._socket.recvfrom(MAX_BYTES + 1)
        except (TimeoutError, ConnectionError):
            return None  # Windows and connected sockets tell so that what was sent before did not arrive
        except OSError as error:
            if error.errno in _NOTHING:
                return None
            if error.errno in _TOO_LONG:
                raise ValueError("too long") from None
            raise
        if len(data) > MAX_BYTES:
            raise ValueError("too long")
        return data, plain_address(str(sender[0])), int(sender[1])

    def send(self, data: bytes, address: str, port: int) -> bool:
        """Sends one packet; whether the system took it."""
        try:
            self._socket.sendto(data, (self._written(address), port))
        except OSError:
            return False
        return True

    def narrow_to(self, address: str, port: int) -> None:
        """From now on the system itself keeps all others out, so that they cannot fill the buffer either."""
        try:
            self._socket.connect((self._written(address), port))
        except OSError:
            return  # it goes on as it was: all that is lost is the help
        self.narrow = True

    def _written(self, address: str) -> str:
        """An IPv4 address as a socket that hears IPv6 too wants it."""
        return f"::ffff:{address}" if self._socket.family == socket.AF_INET6 and ":" not in address else address

    def widen(self) -> None:
        """Hears all again.

        Raises:
            PortraitError: see `__init__`.
        """
        self._socket.close()
        self._socket = _open(self._host, self.port)
        self.narrow = False

    def close(self) -> None:
        self._socket.close()


def _open(host: str, port: int) -> socket.socket:
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if sys.platform == "win32":  # else another program could take the port over
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        _enlarge(opened)
        opened.settimeout(_WAIT_SECONDS)
        opened.bind((host or ("::" if both else "0.0.0.0"), port))
    except (OSError, OverflowError) as error:
        opened.close()
        raise _failure(error, host, port) from error
    return opened


def _enlarge(opened: socket.socket) -> None:
    """Some systems refuse more than they allow, others give what they allow."""
    size = _BUFFER_BYTES
    while size >= 2**17:
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        except OSError:
            size //= 2
        else:
            return


def _failure(error: OSError | OverflowError, host: str, port: int) -> PortraitError:
    number = error.errno if isinstance(error, OSError) else None
    if number in _IN_USE:
        return PortraitError(
            ErrorCode.BUSY,
            f"Port {port} is in use by another program.",
            "Close the program that hears phones on it (Unreal, VSeeFace, another Blender), or choose another port here "
            "and in the phone's app.",
        )
    if number in _REFUSED:
        return PortraitError(
            ErrorCode.NOT_ALLOWED,
            f"The system does not let this program hear on port {port}.",
            "Choose a port above 1024 here and in the phone's app.",
        )
    if number in _NOT_HERE or isinstance(error, socket.gaierror):
        return PortraitError(
            ErrorCode.BAD_CONFIGURATION,
            f"This machine has no address {host}.",
            "Leave the address empty, to hear on all of this machine's.",
        )
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION,
        f"Port {port} cannot be opened ({error}).",
        "Choose a port from 1024 to 65535 here and in the phone's app.",
    )
