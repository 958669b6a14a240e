# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE (ZeroMQ RFC 26), the server's side: who has a known key comes in, and what is said is encrypted.

Keys, boxes and nonces are libsodium's, through PyNaCl.
"""

from __future__ import annotations

import hmac
import os
import struct
from typing import Final

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_easy,
    crypto_box_easy_afternm,
    crypto_box_keypair,
    crypto_box_open_easy,
    crypto_box_open_easy_afternm,
)
from nacl.exceptions import CryptoError
from zmq.utils import z85

from portrait_server.authentication import KeyRing
from portrait_server.zmtp import ProtocolFailure, check_socket_type, command, metadata, parse_command

SEALED_EXTRA_BYTES: Final = 33
"""By how much a sealed body is longer than what is in it: the command's name, a nonce, the box and the flags."""
_KEY_BYTES: Final = 32
_COOKIE_BYTES: Final = 96
_BOX_BYTES: Final = 16
_HELLO_BYTES: Final = 194
_SEALED_MORE: Final = 1
_SEALED_COMMAND: Final = 2


class UnknownKey(ProtocolFailure):
    """The peer's key is not one of those that are let in."""


class Curve:
    """One connection's handshake, and then its encryption.

    Attributes:
        ready: whether the handshake is done.
    """

    def __init__(self, ring: KeyRing) -> None:
        self.ready = False
        self._public = z85.decode(ring.server_public_key)
        self._secret = z85.decode(ring.server_secret_key)
        self._known = [z85.decode(key) for key in ring.known_clients]
        self._short_public, self._short_secret = crypto_box_keypair()
        self._cookie = os.urandom(_COOKIE_BYTES)
        self._client_short = b""
        self._shared = b""
        self._last_nonce = -1
        self._next_nonce = 1

    def answer(self, body: bytes, own: dict[bytes, bytes]) -> bytes:
        """The body that answers one of the handshake's.

        Args:
            own: this end's metadata.

        Raises:
            ProtocolFailure: this is no handshake; UnknownKey: it is a stranger's.
        """
        name, content = parse_command(body)
        try:
            if name == b"HELLO" and not self._client_short:
                return self._welcome(content)
            if name == b"INITIATE" and self._client_short:
                return self._let_in(content, own)
        except CryptoError as error:
            raise ProtocolFailure("a box does not open") from error
        raise ProtocolFailure("the handshake is out of order")

    def _welcome(self, content: bytes) -> bytes:
        if len(content) != _HELLO_BYTES or content[:1] != b"\x01":
            raise ProtocolFailure("its HELLO is none")
        client_short, nonce, box = content[74:106], content[106:114], content[114:]
        crypto_box_open_easy(box, b"CurveZMQHELLO---" + self._counted(nonce), client_short, self._secret)
        self._client_short = client_short
        long_nonce = os.urandom(16)
        boxed = crypto_box_easy(self._short_public + self._cookie, b"WELCOME-" + long_nonce, client_short, self._secret)
        return command(b"WELCOME", long_nonce + boxed)

    def _let_in(self, content: bytes, own: dict[bytes, bytes]) -> bytes:
        cookie, nonce, box = content[:_COOKIE_BYTES], content[_COOKIE_BYTES:][:8], content[_COOKIE_BYTES + 8 :]
        if not hmac.compare_digest(cookie, self._cookie):
            raise ProtocolFailure("the cookie is not the one that was given")
        shared = crypto_box_beforenm(self._client_short, self._short_secret)
        opened = crypto_box_open_easy_afternm(box, b"CurveZMQINITIATE" + self._counted(nonce), shared)
        client, vouch_nonce, vouch = opened[:32], opened[32:48], opened[48 : 48 + 2 * _KEY_BYTES + _BOX_BYTES]
        vouched = crypto_box_open_easy(vouch, b"VOUCH---" + vouch_nonce, client, self._short_secret)
        if vouched != self._client_short + self._public:
            raise ProtocolFailure("the vouch is for somebody else")
        if not any([hmac.compare_digest(client, known) for known in self._known]):
            raise UnknownKey("its key is not known")
        check_socket_type(opened[48 + len(vouch) :])
        self._shared, self.ready = shared, True
        number = self._number()
        return command(b"READY", number + crypto_box_easy_afternm(metadata(own), b"CurveZMQREADY---" + number, shared))

    def seal(self, part: bytes | memoryview, more: bool = False, is_command: bool = False) -> bytes:
        """The body of the frame that carries a part, or a command."""
        number = self._number()
        flags = bytes((_SEALED_MORE * more | _SEALED_COMMAND * is_command,))
        plain = b"".join((flags, part))
        return command(b"MESSAGE", number + crypto_box_easy_afternm(plain, b"CurveZMQMESSAGES" + number, self._shared))

    def open(self, body: bytes | bytearray | memoryview) -> tuple[memoryview, bool, bool]:
        """What a frame carries: (content, whether more parts follow, whether it is a command).

        Raises:
            ProtocolFailure: it was altered, repeated, or is none.
        """
        if bytes(body[:8]) != command(b"MESSAGE"):
            raise ProtocolFailure("a frame is not sealed")
        try:
            plain = crypto_box_open_easy_afternm(
                bytes(body[16:]), b"CurveZMQMESSAGEC" + self._counted(bytes(body[8:16])), self._shared
            )
        except CryptoError as error:
            raise ProtocolFailure("a box does not open") from error
        if not plain:
            raise ProtocolFailure("a box is empty")
        return memoryview(plain)[1:], bool(plain[0] & _SEALED_MORE), bool(plain[0] & _SEALED_COMMAND)

    def _counted(self, nonce: bytes) -> bytes:
        """The peer's nonce, which must be larger than the one before: nothing can be said twice."""
        if len(nonce) != 8 or (number := struct.unpack(">Q", nonce)[0]) <= self._last_nonce:
            raise ProtocolFailure("a nonce comes again")
        self._last_nonce = number
        return nonce

    def _number(self) -> bytes:
        number, self._next_nonce = self._next_nonce, self._next_nonce + 1
        return struct.pack(">Q", number)


def refusal(status: bytes = b"400") -> bytes:
    """The body that tells a peer that it is not let in."""
    return command(b"ERROR", bytes((len(status),)) + status)
