# SPDX-License-Identifier: GPL-3.0-or-later
"""What a safetensors file says that it holds, checked against its length before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from portrait_shared.errors import described
from portrait_shared.files.whole_files import parse_json

_LENGTH_BYTES: Final = 8
_MAX_HEADER_BYTES: Final = 4_000_000
_MAX_DIMENSIONS: Final = 8
_MAX_NUMBERS: Final = 2**40
_BYTES: Final = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "I16": 2, "U16": 2, "BF16": 2,
    "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What stands before the tensors.

    Attributes:
        metadata: what whoever wrote the file noted.
        kinds: what numbers each tensor holds, by its name: ``F32``, ``F16`` …
        end: where the tensors begin, bytes from the file's beginning.
    """

    metadata: Mapping[str, str]
    kinds: Mapping[str, str]
    end: int


def read_header(content: bytes | memoryview) -> Header:
    """The header of a whole file.

    Raises:
        ValueError: it is no safetensors file, or not a whole one; a few words.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if not 2 <= length <= min(_MAX_HEADER_BYTES, len(content) - _LENGTH_BYTES):
        raise ValueError("its header is cut short, or none")
    end = _LENGTH_BYTES + length
    try:
        header = parse_json(bytes(content[_LENGTH_BYTES:end]))
    except ValueError:
        raise ValueError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its notes are no texts")
    spans = sorted(_span(entry) for entry in header.values())
    at = 0
    for first, last in spans:
        if first != at:
            raise ValueError("its tensors overlap or leave gaps")
        at = last
    if end + at != len(content):
        raise ValueError(f"its tensors take {at} bytes, but {len(content) - end} are there")
    return Header(metadata, {name: entry["dtype"] for name, entry in header.items()}, end)


def _span(entry: Any) -> tuple[int, int]:
    """Where a tensor's first byte lies, and where the byte after its last, both from the header's end."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("a tensor is not described as it should be")
    kind, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _BYTES:
        raise ValueError(f"a tensor holds numbers of the kind {described(kind)}")
    if not (_are_counts(shape) and len(shape) <= _MAX_DIMENSIONS and _are_counts(span) and len(span) == 2):
        raise ValueError("a tensor has an impossible shape or place")
    if math.prod(side or 1 for side in shape) >= _MAX_NUMBERS:  # 0 counts as 1: libraries fail at such shapes
        raise ValueError("a tensor has an impossible shape")
    if span[1] - span[0] != math.prod(shape) * _BYTES[kind]:
        raise ValueError("a tensor has not as many bytes as its shape needs")
    return span[0], span[1]


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**62 for value in values)
