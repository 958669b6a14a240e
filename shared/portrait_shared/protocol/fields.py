# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message's field may hold. Each check takes a value as it came and returns it, or raises ValueError."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from portrait_shared.protocol.framing import MAX_PART_BYTES

Check = Callable[[Any], Any]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")


def text(limit: int) -> Check:
    """Text of at most `limit` characters without lone surrogates, which UTF-8 cannot carry."""

    def check(value: Any) -> str:
        if type(value) is not str or len(value) > limit or any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError(f"must be text of at most {limit} characters")
        return value

    return check


def matching(pattern: re.Pattern[str], what: str) -> Check:
    def check(value: Any) -> str:
        if type(value) is not str or not pattern.fullmatch(value):
            raise ValueError(f"must be {what}")
        return value

    return check


digest: Final = matching(_DIGEST, "a SHA-256 in hex")
name: Final = matching(_NAME, "a name of letters, digits and _.:+- (64 at most)")


def whole(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def depth(value: Any) -> int:
    """Bits a channel."""
    if type(value) is not int or value not in (8, 16):
        raise ValueError("must be 8 or 16")
    return value


def flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if type(value) is not str or value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return check


def optional(check_value: Check) -> Check:
    """None, or what `check_value` takes."""

    def check(value: Any) -> Any:
        return None if value is None else check_value(value)

    return check


def listing(check_value: Check, low: int, high: int) -> Check:
    """A tuple of `low` to `high` values."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or not low <= len(value) <= high:
            raise ValueError(f"must be a list of {low} to {high}")
        return tuple(check_value(item) for item in value)

    return check


def mapping(check_key: Check, check_value: Check, limit: int) -> Check:
    """A map of at most `limit` entries."""

    def check(value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping) or len(value) > limit:
            raise ValueError(f"must be a map of at most {limit}")
        return {check_key(key): check_value(item) for key, item in value.items()}

    return check


def number(value: Any) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("must be a finite number")
    return float(value)


def scalar(value: Any) -> Any:
    """A number, a short text or a truth value: what counters hold."""
    if type(value) in (int, bool) or (type(value) is float and math.isfinite(value)):
        return value
    return text(256)(value)


@dataclass(frozen=True)
class Array:
    """A field that travels as a raw buffer: its shape is in the header, its type is fixed here.

    Attributes:
        dtype: little-endian NumPy type.
        shape: one (low, high) for each axis.
        nullable: whether it may be absent.
        wide: another type that it may have instead, of more bytes: how many fill its shape tells which it is.
    """

    dtype: str
    shape: tuple[tuple[int, int], ...]
    nullable: bool = False
    wide: str | None = None

    @property
    def types(self) -> list[np.dtype[Any]]:
        return [np.dtype(name) for name in (self.dtype, self.wide) if name is not None]

    def __call__(self, value: Any) -> np.ndarray | None:
        if value is None and self.nullable:
            return None
        if not isinstance(value, np.ndarray) or value.dtype not in self.types:
            raise ValueError(f"must be an array of {' or '.join(each.str for each in self.types)}")
        self._check_shape(value.shape)
        return np.ascontiguousarray(value)

    def from_buffer(self, shape: Any, buffer: memoryview) -> np.ndarray:
        """The array over the buffer, not copied and read-only."""
        if type(shape) is not tuple or any(type(side) is not int for side in shape):
            raise ValueError("has no shape")
        self._check_shape(shape)
        dtype = next((each for each in self.types if math.prod(shape) * each.itemsize == buffer.nbytes), None)
        if dtype is None:
            raise ValueError(f"has {buffer.nbytes} bytes, which do not fill its shape {shape}")
        array = np.frombuffer(buffer, dtype).reshape(shape)
        array.flags.writeable = False
        return array

    def _check_shape(self, shape: Sequence[int]) -> None:
        if len(shape) != len(self.shape) or not all(
            low <= side <= high for side, (low, high) in zip(shape, self.shape, strict=True)
        ):
            wanted = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in self.shape)
            raise ValueError(f"has shape {tuple(shape)[:8]}; ({wanted}) is needed")


@dataclass(frozen=True)
class Blob:
    """Bytes that travel as a raw buffer, `limit` at most."""

    nullable: bool = False
    limit: int = MAX_PART_BYTES

    def __call__(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if not isinstance(value, (bytes, memoryview)) or len(value) > self.limit:
            raise ValueError(f"must be at most {self.limit} bytes")
        return value


def checked(check: Check, default: Any = dataclasses.MISSING, *, added: bool = False) -> Any:
    """A dataclass field that holds only what `check` takes.

    Args:
        added: the field came later: it travels only where it is not the default, so that older programs are understood
            and understand.
    """
    return dataclasses.field(default=default, metadata={"check": check, "added": added})
