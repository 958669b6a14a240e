# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to files and messages, the same for the same seed.

PORTRAIT_FUZZ_ROUNDS says how much is tried of each (40), PORTRAIT_FUZZ_SEED with which seed (1).
"""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Final

ROUNDS: Final = int(os.environ.get("PORTRAIT_FUZZ_ROUNDS", "40"))
SEED: Final = int(os.environ.get("PORTRAIT_FUZZ_SEED", "1"))

_NUMBERS: Final = (
    b"\0",
    b"\xff",
    b"\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    bytes(8),
    b"\xff" * 8,
)
_WORDS: Final = (b"[" * 3000, b"{", b"}", b"]", b'"', b"\\ud800", b"1e999", b"-1", b"9" * 5000, b"null", b"NaN", b"\xed\xa0\x80",
                 b"\xff\xfe", b"0" * 70, b"\n", b",")  # fmt: skip


def damaged(content: bytes, name: str, rounds: int = ROUNDS) -> Iterator[bytes]:
    """As many damaged copies of a content.

    Args:
        name: gives each kind of content damage of its own.
    """
    for number in range(rounds):
        chance = random.Random(f"{SEED} {name} {number}")
        yield damage(content, chance)


def damage(content: bytes, chance: random.Random) -> bytes:
    """A copy with some accidents, one to sixteen."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1) if chance.random() < 0.5 else chance.randrange(min(len(data), 512) + 1)
        kind = chance.randrange(8)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            number = chance.choice(_NUMBERS)
            data[at : at + len(number)] = number
        elif kind == 2:
            data[at:at] = chance.choice(_WORDS)
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            del data[at : at + chance.randrange(1, 64)]
        elif kind == 5:
            data[at:at] = data[at : at + chance.randrange(1, 256)] * chance.choice((1, 2, 20))
        elif kind == 6:
            data[at : at + 8] = chance.randbytes(8)
        else:
            word = chance.choice(_WORDS)
            data[at : at + len(word)] = word
    return bytes(data)


def checked_png(data: bytes) -> bytes:
    """A damaged PNG with the checksums of its chunks put right, so that what they hold is looked at."""
    found, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        found += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(found)
