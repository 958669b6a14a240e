# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE (ZeroMQ RFC 26), the server's side: who has a known key comes in, and what is said is encrypted.

Keys and boxes are libsodium's, through PyNaCl. PyNaCl's own functions copy what they seal three times while no other
thread may run, which keeps everybody waiting where a frame has 200 MB: frames are sealed and opened in place.
"""

from __future__ import annotations

import functools
import hmac
import os
import struct
from typing import Final, NamedTuple

import numpy as np
from nacl._sodium import ffi, lib
from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_easy,
    crypto_box_easy_afternm,
    crypto_box_keypair,
    crypto_box_open_easy,
    crypto_box_open_easy_afternm,
)
from nacl.exceptions import CryptoError
from portrait_shared.protocol.framing import Buffer
from zmq.utils import z85

from portrait_server.service.sockets.authentication import KeyRing
from portrait_server.service.sockets.zmtp import ProtocolFailure, check_socket_type, command, metadata, parse_command

SEALED_EXTRA_BYTES: Final = 33
"""By how much a sealed body is longer than what is in it: the command's name, a nonce, the box and the flags."""
_KEY_BYTES: Final = 32
_COOKIE_BYTES: Final = 96
_BOX_BYTES: Final = 16
_HELLO_BYTES: Final = 194
_SEALED_MORE: Final = 1
_SEALED_COMMAND: Final = 2
_MESSAGE: Final = command(b"MESSAGE")
_NONCE_BYTES: Final = 8
_BOX_AT: Final = len(_MESSAGE) + _NONCE_BYTES
_FLAGS_AT: Final = _BOX_AT + _BOX_BYTES


class UnknownKey(ProtocolFailure):
    """The peer's key is not one of those that are let in."""


class _Keys(NamedTuple):
    public: bytes
    secret: bytes
    known: tuple[bytes, ...]


@functools.lru_cache(maxsize=1)
def _decoded(ring: KeyRing) -> _Keys:
    """Decoded once for all connections: decoding takes longer than turning a stranger away, and strangers may be many."""
    known = tuple(z85.decode(key) for key in ring.known_clients)
    return _Keys(z85.decode(ring.server_public_key), z85.decode(ring.server_secret_key), known)


class Curve:
    """One connection's handshake, and then its encryption.

    Attributes:
        ready: whether the handshake is done.
    """

    def __init__(self, ring: KeyRing) -> None:
        self.ready = False
        self._keys = _decoded(ring)
        self._short_public = self._short_secret = self._cookie = b""
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
        crypto_box_open_easy(box, b"CurveZMQHELLO---" + self._counted(nonce), client_short, self._keys.secret)
        self._client_short = client_short
        self._short_public, self._short_secret = crypto_box_keypair()
        self._cookie = os.urandom(_COOKIE_BYTES)
        long_nonce = os.urandom(16)
        boxed = crypto_box_easy(
            self._short_public + self._cookie, b"WELCOME-" + long_nonce, client_short, self._keys.secret
        )
        return command(b"WELCOME", long_nonce + boxed)

    def _let_in(self, content: bytes, own: dict[bytes, bytes]) -> bytes:
        cookie, nonce, box = content[:_COOKIE_BYTES], content[_COOKIE_BYTES:][:8], content[_COOKIE_BYTES + 8 :]
        if not hmac.compare_digest(cookie, self._cookie):
            raise ProtocolFailure("the cookie is not the one that was given")
        shared = crypto_box_beforenm(self._client_short, self._short_secret)
        opened = crypto_box_open_easy_afternm(box, b"CurveZMQINITIATE" + self._counted(nonce), shared)
        client, vouch_nonce, vouch = opened[:32], opened[32:48], opened[48 : 48 + 2 * _KEY_BYTES + _BOX_BYTES]
        vouched = crypto_box_open_easy(vouch, b"VOUCH---" + vouch_nonce, client, self._short_secret)
        if vouched != self._client_short + self._keys.public:
            raise ProtocolFailure("the vouch is for somebody else")
        if not any([hmac.compare_digest(client, known) for known in self._keys.known]):
            raise UnknownKey("its key is not known")
        check_socket_type(opened[48 + len(vouch) :])
        self._shared, self.ready = shared, True
        number = self.next_number()
        return command(b"READY", number + crypto_box_easy_afternm(metadata(own), b"CurveZMQREADY---" + number, shared))

    def seal(self, part: Buffer, number: bytes, more: bool = False, is_command: bool = False) -> memoryview:
        """The body of the frame that carries a part, or a command. Any thread may do this.

        Args:
            number: from `next_number`; the frames are sent in this order.
        """
        plain_bytes = memoryview(part).nbytes
        body = np.empty(plain_bytes + SEALED_EXTRA_BYTES, np.uint8)
        body[:_FLAGS_AT] = np.frombuffer(_MESSAGE + number + bytes(_BOX_BYTES), np.uint8)
        body[_FLAGS_AT] = _SEALED_MORE * more | _SEALED_COMMAND * is_command
        if plain_bytes:
            body[SEALED_EXTRA_BYTES:] = np.frombuffer(part, np.uint8)
        box, plain = _box_and_plain(body.data)
        failed = lib.crypto_box_easy_afternm(box, plain, len(plain), b"CurveZMQMESSAGES" + number, self._shared)
        assert not failed
        return body.data

    def open(self, body: bytearray, number: bytes) -> tuple[memoryview, bool, bool]:
        """What a frame carries, decrypted in place: (content, whether more parts follow, whether it is a command).

        Any thread may do this.

        Args:
            number: from `number_of`.

        Raises:
            ProtocolFailure: it was altered.
        """
        box, plain = _box_and_plain(memoryview(body))
        if lib.crypto_box_open_easy_afternm(plain, box, len(box), b"CurveZMQMESSAGEC" + number, self._shared):
            raise ProtocolFailure("a box does not open")
        flags = body[_FLAGS_AT]
        return memoryview(body)[SEALED_EXTRA_BYTES:], bool(flags & _SEALED_MORE), bool(flags & _SEALED_COMMAND)

    def number_of(self, body: Buffer) -> bytes:
        """The number of a frame that has come; asked once for each, in the order in which they come.

        Raises:
            ProtocolFailure: it was repeated, or is not sealed.
        """
        if len(body) < SEALED_EXTRA_BYTES or body[: len(_MESSAGE)] != _MESSAGE:
            raise ProtocolFailure("a frame is not sealed")
        return self._counted(bytes(body[len(_MESSAGE) : _BOX_AT]))

    def next_number(self) -> bytes:
        """The number of the next frame that is sent."""
        number, self._next_nonce = self._next_nonce, self._next_nonce + 1
        return struct.pack(">Q", number)

    def _counted(self, nonce: bytes) -> bytes:
        """The peer's nonce, which must be larger than the one before: nothing can be said twice."""
        if len(nonce) != 8 or (number := struct.unpack(">Q", nonce)[0]) <= self._last_nonce:
            raise ProtocolFailure("a nonce comes again")
        self._last_nonce = number
        return nonce


def _box_and_plain(body: memoryview) -> tuple[ffi.CData, ffi.CData]:
    """Where the box stands in a frame's body, and what is in it; libsodium allows that they share their bytes."""
    return ffi.from_buffer("unsigned char[]", body[_BOX_AT:]), ffi.from_buffer("unsigned char[]", body[_FLAGS_AT:])


def refusal(status: bytes = b"400") -> bytes:
    """The body that tells a peer that it is not let in."""
    return command(b"ERROR", bytes((len(status),)) + status)
