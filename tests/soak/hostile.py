# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer that has the right to connect and means ill: messages of every type, mutated, cut off, nested, sent again and out
of order, and bytes that are no messages."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

import msgpack
import numpy as np
from portrait_shared.digest import image_digest
from portrait_shared.disclosure import Disclosure, Label
from portrait_shared.protocol.framing import MAX_HEADER_BYTES, PROTOCOL_VERSION, bad_message, unpack
from portrait_shared.protocol.messages import (
    AskStats,
    Cancel,
    Credit,
    Detect,
    Done,
    Echo,
    Echoed,
    Error,
    Hello,
    Message,
    OfferPersonal,
    OfferReference,
    Prepare,
    Progress,
    ReadPicture,
    Render,
    RenderedFrame,
    SignSequence,
    Tune,
    decode,
)
from portrait_shared.statement import Source, SourceKind, Statement

from tests.server.service.raw_peer import COMMAND, MORE, frame, greeted
from tests.soak.mutations import damage
from tests.waiting import PATIENCE_SECONDS

GROUP: Final = 64
"""Messages after which the peer wants to hear that the server still answers."""
LIFE: Final = 640
"""Messages of a connection: then another takes its place, and what it has asked for ends."""
_OLD: Final = 256


STATEMENT: Final = Statement("paint", "paint-1", False, (Source(SourceKind.REFERENCE, "a" * 64),), (), "")


class Closed(Exception):
    """The server wants no more of a connection."""


def sound_messages(portrait: str, image: np.ndarray, png: bytes, manifest: bytes) -> list[Message]:
    """What clients send, but for `Shutdown`, which ends the server as it should; and some that only servers send.

    Args:
        portrait: the id of one that the server holds.
        image: (32, 32, 3) uint8.
        png: a small picture's file.
        manifest: a signed list of frames.
    """
    points, digest = np.full((2, 70, 3), 16, "<f4"), image_digest(image)
    numbers, others = np.array([1, 2], "<i4"), np.full((2, 1, 70, 3), 12, "<f4")
    body, shown = np.zeros((2, 2), "<f4"), Disclosure(True, Label("AI", "top-right", 0.2, True)).as_json()
    hashes, statement = np.zeros((2, 32), np.uint8), STATEMENT.to_text().encode()
    return [
        Hello(1, "hostile", "0"), OfferReference(2, digest, (32, 32)), OfferReference(3, digest, (32, 32), image),
        Detect(4, digest), Prepare(5, "paint", (digest,), points[:1]),
        Prepare(6, None, (digest,), points[:1], None, others[0]),
        Render(7, portrait, (32, 32), False, "raw", 2, numbers, points),
        Render(8, portrait, (32, 32), True, "png", 2, numbers, points, body),
        Render(9, portrait, (32, 32), False, "raw", 2, numbers, points, disclosure=shown),
        SignSequence(19, hashes, b"0001.png\n0002.png\n0003.png", statement, "frames.c2pa", manifest, (digest,)),
        Render(9, portrait, (32, 32), False, "exr", 2, numbers, points, None, others, None, ("rgba", "depth")),
        Credit(10, 7, 1), Cancel(11, 7), Echo(12, True), Echo(0), AskStats(13), OfferPersonal(14, digest, b"0123456789"),
        OfferPersonal(15, digest), ReadPicture(16, ".png", png), Tune(17, "paint", (digest,)),
        Progress(18, "queued"), Done(7, True), RenderedFrame(7, 1, digest, png), Error.of(7, bad_message("No.")),
    ]  # fmt: skip


def anything(chance: random.Random, depth: int = 0) -> object:
    """A random value that msgpack can hold."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return chance.randint(-(2**63), 2**64 - 1)
    if kind == 1:
        return chance.choice([0, 1, -1, 2**31, True, False, None, float("nan"), float("inf"), 1e300])
    if kind == 2:
        return "".join(chance.choice("ab\0é✓/..~") for _ in range(chance.randrange(80)))
    if kind == 3:
        return chance.randbytes(chance.randrange(80))
    if kind == 4:
        return msgpack.ExtType(chance.randrange(128), chance.randbytes(4))
    if kind == 5:
        return chance.choice(["render", "png", "a" * 64, "../../etc/passwd", "warp"])
    if kind == 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(6))]
    return {str(anything(chance, 3)): anything(chance, depth + 1) for _ in range(chance.randrange(6))}


class Hostile:
    """One peer after another at an address.

    Args:
        address: ``ipc://PATH``.
        sound: what is spoiled.
        seed: the same does the same.

    Attributes:
        sent: how many messages of each kind the server has taken.
        codes: of the errors that it answered.
    """

    def __init__(self, address: str, sound: list[Message], seed: str) -> None:
        self.sent: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self._address = address
        self._chance = random.Random(seed)
        self._sound = [[bytes(part) for part in message.encode()] for message in sound]
        self._old: deque[list[bytes]] = deque(maxlen=_OLD)
        self._answers: Iterator[list[bytes]] = iter(())
        self._peer: socket.socket | None = None
        self._life = 0
        self._under_way: Counter[str] = Counter()
        self._echo = 1 << 40
        self._kinds: list[tuple[str, Callable[[], list[bytes]]]] = [
            ("mutated", self._mutated), ("mutated", self._mutated), ("other fields", self._other_fields),
            ("other fields", self._other_fields), ("truncated", self._truncated), ("nested", self._nested),
            ("replayed", self._replayed), ("out of order", self._out_of_order), ("too large", self._too_large),
        ]  # fmt: skip

    def send(self) -> None:
        """Sends some messages."""
        with self._until_closed():
            peer = self._connected()
            for _ in range(GROUP):
                kind, make = self._chance.choice(self._kinds)
                parts = make()
                self._old.append(parts)
                peer.sendall(framed(parts))
                self._under_way[kind] += 1

    def hear(self) -> None:
        """Waits until the server has answered behind them; sends it something that is no message, sometimes.

        Raises:
            TimeoutError: the server answers nothing for too long.
        """
        with self._until_closed():
            if self._peer is not None:
                self._await_echo(self._peer)
                if self._chance.random() < 0.3:
                    self._under_way["no message"] += 1
                    self._peer.sendall(self._no_message())
                    self.close()
        self.sent += self._under_way
        self._life += self._under_way.total()
        self._under_way.clear()
        if self._life >= LIFE:
            self.close()

    @contextlib.contextmanager
    def _until_closed(self) -> Iterator[None]:
        try:
            yield
        except (Closed, ConnectionError):
            self.close()

    def close(self) -> None:
        """Leaves without a word."""
        if self._peer is not None:
            self._peer.close()
        self._peer, self._life = None, 0

    def _connected(self) -> socket.socket:
        if self._peer is None:
            self._peer = greeted(self._address)
            self._peer.settimeout(PATIENCE_SECONDS)
            self._answers = messages_from(self._peer)
            if self._chance.random() < 0.8:  # else nobody has said hello
                self._peer.sendall(framed(self._sound[0]))
        return self._peer

    def _await_echo(self, peer: socket.socket) -> None:
        self._echo += 1
        peer.sendall(framed(list(map(bytes, Echo(self._echo).encode()))))
        for parts in self._answers:
            answer = decode(parts)  # whatever the server says, it says properly
            if isinstance(answer, Error):
                self.codes[answer.code] += 1
            if answer.request == self._echo:
                assert isinstance(answer, Echoed) or answer.code == "server_lost"
                return
        raise Closed

    # Kinds of ill will

    def _some(self) -> list[bytes]:
        return list(self._chance.choice(self._sound))

    def _mutated(self) -> list[bytes]:
        parts = self._some()
        place = self._chance.randrange(len(parts))
        parts[place] = damage(parts[place], self._chance)
        return parts

    def _other_fields(self) -> list[bytes]:
        parts, chance = self._some(), self._chance
        envelope = unpack(parts)
        fields = dict(envelope.fields)
        for _ in range(chance.randint(1, 3)):
            fields[chance.choice([*fields, "extra"])] = anything(chance)
        request = chance.choice([envelope.request, 0, 7, -1, 2**60])
        version = chance.choice([PROTOCOL_VERSION] * 9 + [2])
        return [msgpack.packb({"v": version, "t": envelope.type, "id": request, **fields}), *parts[1:]]

    def _truncated(self) -> list[bytes]:
        parts, chance = self._some(), self._chance
        if chance.random() < 0.5:
            place = chance.randrange(len(parts))
            parts[place] = parts[place][: chance.randrange(len(parts[place]) + 1)]
            return parts
        return chance.choice([parts[:-1] or [b""], [*parts, b"more"], parts[::-1], parts * 2, parts * 9])

    def _nested(self) -> list[bytes]:
        head = self._chance.choice((b"\x91", b"\x81\xa1a", b"\xdd\0\0\0\x01", b"\xc7\x08\xff", b"\xdf\xff\xff\xff\xff"))
        deep = head * self._chance.randrange(1, 20_000 // len(head))
        return [b"\x84\xa1v\x03\xa1t\xa6render\xa2id\x07\xa7numbers" * self._chance.randrange(2) + deep]

    def _replayed(self) -> list[bytes]:
        return self._chance.choice(self._old) if self._old else self._some()

    def _out_of_order(self) -> list[bytes]:
        """A sound message where it does not belong: with another's id, or about a job that is another's or none."""
        parts, chance = self._some(), self._chance
        envelope = unpack(parts)
        fields = dict(envelope.fields)
        if "job" in fields:
            fields["job"] = chance.randrange(1, 30)
        header = {"v": PROTOCOL_VERSION, "t": envelope.type, "id": chance.randrange(30), **fields}
        return [msgpack.packb(header), *parts[1:]]

    def _too_large(self) -> list[bytes]:
        chance = self._chance
        kind = chance.randrange(3)
        if kind == 0:
            return [chance.randbytes(16) * ((MAX_HEADER_BYTES >> 4) + chance.randrange(-1, 2)), *self._some()[1:]]
        if kind == 1:
            return [b""] * chance.randrange(7, 60)
        return [*self._some(), bytes(chance.randrange(1 << 18))]

    def _no_message(self) -> bytes:
        chance = self._chance
        return chance.choice((
            lambda: chance.randbytes(chance.randrange(1, 400)),
            lambda: bytes((chance.randrange(8, 256), 1, 0)),  # flags that mean nothing
            lambda: framed(self._some())[: chance.randrange(1, 40)],  # and then the connection ends
            lambda: struct.pack(">BQ", 2 | MORE, chance.randrange(1 << 20, 250_000_000)) + bytes(100),
            lambda: struct.pack(">BQ", 2, chance.randrange(1 << 28, 1 << 63)),
            lambda: frame(chance.randbytes(chance.randrange(300)), COMMAND),
            lambda: frame(b"\x04PING" + chance.randbytes(chance.randrange(40)), COMMAND) * 50,
        ))()  # fmt: skip


def framed(parts: list[bytes]) -> bytes:
    """A message's bytes on the wire."""
    return b"".join(frame(part, MORE * (number < len(parts) - 1)) for number, part in enumerate(parts))


def messages_from(peer: socket.socket) -> Iterator[list[bytes]]:
    """What a server sends after its greeting, commands left out; ends where it closes the connection."""
    with peer.makefile("rb") as file:
        file.read(64)
        parts: list[bytes] = []
        while len(head := file.read(2)) == 2:
            flags, size = head
            if flags & 2:
                size = struct.unpack(">Q", head[1:] + file.read(7))[0]
            body = file.read(size)
            if flags & COMMAND:
                continue
            parts.append(body)
            if not flags & MORE:
                yield parts
                parts = []
