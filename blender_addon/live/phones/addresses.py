# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this machine, to be typed into a phone. Asks the system alone: nothing is sent."""

from __future__ import annotations

import ctypes
import ctypes.util
import ipaddress
import socket
import sys
from typing import Final

_MAX_INTERFACES: Final = 256
_ELSEWHERE: Final = (
    (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "10.255.255.254"), (socket.AF_INET, "172.31.255.254"),
    (socket.AF_INET, "192.168.255.254"), (socket.AF_INET, "169.254.255.254"), (socket.AF_INET6, "2001:db8::1"),
    (socket.AF_INET6, "fd00::fffe"),
)  # fmt: skip


def plain_address(address: str) -> str:
    """An address as people write it: without a zone, IPv4 without the clothes that it wears on IPv6 sockets."""
    text = address.partition("%")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def is_near(address: str) -> bool:
    """Whether it belongs to this machine or to a network of one's own; addresses of the open internet do not."""
    try:
        return not ipaddress.ip_address(plain_address(address)).is_global
    except ValueError:
        return False


def with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def own_addresses() -> tuple[str, ...]:
    """IPv4 first, those of local networks before others; what only this machine itself can reach comes last, or not at
    all where there is something else.
    """
    found = _of_interfaces() or _of_routes()
    if sys.platform == "win32":
        found += _of_name()
    plain = {plain_address(address) for address in found}
    usable = [address for address in plain if _usable(address)]
    return tuple(sorted(usable, key=_rank)) or ("127.0.0.1",)


def _usable(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A link-local address of IPv6 needs the phone's own name of its network behind it: nobody can type that.
    local = parsed.version == 6 and parsed.is_link_local
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast or local)


def _rank(address: str) -> tuple[int, bool, bool, str]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, parsed.is_link_local, parsed.is_global, address


def _of_routes() -> list[str]:
    """The address that the system would send from to some others. A UDP socket that is connected sends nothing."""
    found = []
    for family, other in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((other, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no route there
    return found


def _of_name() -> list[str]:
    """Windows answers for its own name with the addresses of all its interfaces."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)]
    except OSError:
        return []


class _Interface(ctypes.Structure):
    """`struct ifaddrs`, as far as it is read."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]  # fmt: skip


def _of_interfaces() -> list[str]:
    """All addresses, from `getifaddrs` of Linux, macOS and the BSDs; none where it is not there."""
    if sys.platform == "win32":
        return []
    first = ctypes.POINTER(_Interface)()
    try:
        library = ctypes.CDLL(None)
        if library.getifaddrs(ctypes.byref(first)):
            return []
    except (OSError, AttributeError):
        return []
    try:
        found, at = [], first
        for _ in range(_MAX_INTERFACES):
            if not at:
                break
            entry = at.contents
            address = _address_at(entry.address) if entry.address else None
            if address is not None:
                found.append(address)
            at = entry.next
        return found
    finally:
        library.freeifaddrs.argtypes = [ctypes.POINTER(_Interface)]
        library.freeifaddrs.restype = None
        library.freeifaddrs(first)


def _address_at(place: int) -> str | None:
    """The address in a `struct sockaddr`."""
    head = ctypes.string_at(place, 2)
    family = int.from_bytes(head, sys.byteorder) if sys.platform.startswith("linux") else head[1]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, ctypes.string_at(place + 4, 4))
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, ctypes.string_at(place + 8, 16))
    return None
