# SPDX-License-Identifier: GPL-3.0-or-later
"""The watermark's pattern: a tile of low spatial frequencies whose phases are a fixed key and an identifier.

The tile is made of `COUNT` plane waves. The phases of some are always the same: by them it is found, at whatever scale,
angle and place (*synchronisation*). Those of the others spell a message of 48 bits, 32 of an identifier and 16 that
check it, as four symbols of 12 bits: each symbol is one of 4,096 pseudo-random sequences of signs, so that even where
every single wave is lost in a picture's own content the right sequence stands out (M-ary signalling, as in
spread-spectrum radio). All that is random here comes from SHAKE-256, which is the same everywhere and for ever.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

TILE = 256.0  # side, units
# Waves of 12 to 64 units: longer ones drown in what a picture shows, shorter ones are what its compression drops.
LOWEST, HIGHEST = 4.0, 22.0  # periods in a tile
SYMBOLS, SYMBOL_BITS = 4, 12
_SYNC_SHARE = 0.28  # so that what is just found is just read
_KEY = b"talking-portraits watermark 1 "


def _random_bytes(name: str, count: int) -> np.ndarray:
    return np.frombuffer(hashlib.shake_256(_KEY + name.encode()).digest(count), np.uint8)


def _waves() -> np.ndarray:
    reach = np.arange(-int(HIGHEST), int(HIGHEST) + 1)
    ky, kx = (k.ravel() for k in np.meshgrid(reach, reach, indexing="ij"))
    radius = np.hypot(kx, ky)
    half = (kx > 0) | ((kx == 0) & (ky > 0))  # the other half are their conjugates
    chosen = half & (radius >= LOWEST) & (radius <= HIGHEST)
    return np.stack([kx[chosen], ky[chosen]], axis=1)


WAVES = _waves()  # (COUNT, 2) int: periods in a tile along x and y
COUNT = len(WAVES)
_ORDER = np.argsort(_random_bytes("order", 8 * COUNT).view("<u8"), kind="stable")
SYNC = np.sort(_ORDER[: round(_SYNC_SHARE * COUNT)])  # which waves synchronise
DATA = tuple(np.sort(part) for part in np.array_split(_ORDER[len(SYNC) :], SYMBOLS))  # … and which spell each symbol
SYNC_PHASORS = np.exp(2j * np.pi * _random_bytes("phases", 2 * len(SYNC)).view("<u2") / 65536).astype(np.complex64)


@cache
def sequences(symbol: int) -> np.ndarray:
    """What each value of a symbol looks like: (4096, N) complex64, one row a value, one column a wave of `DATA`."""
    count, waves = 1 << SYMBOL_BITS, len(DATA[symbol])
    bits = np.unpackbits(_random_bytes(f"symbol {symbol}", count * waves // 4 + 1))[: count * waves * 2]
    signs = 1.0 - 2.0 * bits.astype(np.float32).reshape(2, count, waves)
    return ((signs[0] + 1j * signs[1]) / np.sqrt(2)).astype(np.complex64)


def message(identifier: int) -> tuple[int, ...]:
    """The identifier (32 bits) and its check as `SYMBOLS` values below 4,096."""
    whole = identifier << 16 | _check(identifier)
    return tuple(whole >> SYMBOL_BITS * place & (1 << SYMBOL_BITS) - 1 for place in range(SYMBOLS))


def read_message(values: tuple[int, ...]) -> int | None:
    """The identifier that the values spell; None where its check does not hold."""
    whole = sum(value << SYMBOL_BITS * place for place, value in enumerate(values))
    identifier = whole >> 16
    return identifier if whole & 0xFFFF == _check(identifier) else None


def phasors(identifier: int) -> np.ndarray:
    """Every wave's phase for an identifier: (COUNT,) complex64 of modulus 1, in the order of `WAVES`."""
    waves = np.zeros(COUNT, np.complex64)
    waves[SYNC] = SYNC_PHASORS
    for symbol, value in enumerate(message(identifier)):
        waves[DATA[symbol]] = sequences(symbol)[value]
    return waves


def _check(identifier: int) -> int:
    return int.from_bytes(hashlib.sha256(_KEY + identifier.to_bytes(4, "big")).digest()[:2], "big")
