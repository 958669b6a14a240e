# SPDX-License-Identifier: GPL-3.0-or-later
"""The painters of mouths and of eyes, and their file: one safetensors file, read without any pickle.

Its numbers have 16 bits and are called ``mouth/…`` and ``eye/…``; its header tells how wide the networks are.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from portrait_shared.devices import torch_name
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.safetensors_header import Header, read_header
from portrait_shared.files.whole_files import parse_json, read_bounded, write_whole
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from portrait_server.networks.painter import Painter

FORMAT: Final = "talking-portraits weights"
FORMAT_VERSION: Final = 2
"""Files of version 1 held networks that drew whole frames."""
LICENCE: Final = "GPL-3.0-or-later"
WIDEST: Final = 1024
"""Channels: more than any painter of ours has; a header that says more is damaged."""
PARTS: Final = ("mouth", "eye")

_MAX_BYTES = 1 << 30
# What PyTorch and our own constructors raise for widths that do not fit each other.
_NOT_BUILT = (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
_INITIALISERS = (torch.nn.init.normal_, torch.nn.init.uniform_, torch.Tensor.normal_, torch.Tensor.uniform_)
_REMEDY = "Get the file again, or train weights with `portrait train`."


@dataclass(frozen=True)
class WeightsInfo:
    """What a file says of its weights.

    Attributes:
        note: how they came about, in words.
        licence: under which they may be used; an SPDX expression.
        checksum: SHA-256 of the weights, hex.
    """

    note: str
    licence: str
    checksum: str


class Painters(nn.Module):
    """Of both parts of a face that are painted.

    Attributes:
        mouth: paints the crop `geometry.crops.MOUTH`.
        eye: paints right eyes, and left ones that are mirrored.
    """

    def __init__(self, mouth: Painter, eye: Painter) -> None:
        super().__init__()
        self.mouth, self.eye = mouth, eye


def save(painters: Painters, path: Path, note: str, licence: str = LICENCE) -> WeightsInfo:
    """Writes weights, whole or not at all, rounded to 16 bits.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    tensors = {
        name.replace(".", "/", 1): tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in painters.state_dict().items()
    }
    info = WeightsInfo(note, licence, _checksum(tensors))
    widths = {part: {"width": (own := getattr(painters, part)).width, "embedding": own.embedding} for part in PARTS}
    header = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "painters": json.dumps(widths),
        "note": note,
        "licence": info.licence,
        "checksum": info.checksum,
    }
    write_whole(path, serialised(tensors, header))
    return info


def load(path: Path, device: str | torch.device = "cpu") -> tuple[Painters, WeightsInfo]:
    """Painters with the weights of a file, float32 and in evaluation mode.

    Raises:
        PortraitError: WEIGHTS_MISSING where there is no such file; BAD_WEIGHTS where it is damaged, cut short,
            of another program, or of another version.
    """
    content, file = _opened(path)
    widths, info = _described(path, file)
    if other := sorted(set(file.kinds.values()) - {"F16"}):
        raise _bad(path, f"holds numbers of the kind {other[0]}; F16 is read")
    try:
        tensors = deserialised(content)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _bad(path, f"is damaged ({error})") from error
    if _checksum(tensors) != info.checksum:
        raise _bad(path, "is damaged: its checksum is wrong")
    try:
        with torch.device("meta"), _NoInitialisation():  # however wide, it takes no memory
            painters = Painters(*(Painter(**widths[part]) for part in PARTS))
    except _NOT_BUILT as error:
        raise _bad(path, f"tells of widths that make no painters ({error})") from error
    named = {name.replace("/", ".", 1): tensor.float() for name, tensor in tensors.items()}
    expected = painters.state_dict()
    if expected.keys() != named.keys() or any(expected[name].shape != named[name].shape for name in expected):
        raise _bad(path, "does not hold the painters that its header tells of")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in named.values()):
        raise _bad(path, "holds numbers that are not finite")
    painters.load_state_dict(named, assign=True)
    return painters.to(torch_name(device) if isinstance(device, str) else device).eval(), info


class _NoInitialisation(TorchFunctionMode):
    """Tensors on the device "meta" have no numbers; drawing some for them would make torch load its compiler first."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if function in _INITIALISERS:
            return arguments[0] if arguments else options["tensor"]
        return function(*arguments, **(options or {}))


def _opened(path: Path) -> tuple[bytes, Header]:
    if not os.path.isfile(path):
        raise PortraitError(ErrorCode.WEIGHTS_MISSING, f"There is no weights file {path}.", _REMEDY)
    try:
        content = read_bounded(path, _MAX_BYTES)
        return content, read_header(content)
    except (OSError, MemoryError) as error:
        raise _bad(path, f"cannot be read ({error})") from error
    except ValueError as error:
        raise _bad(path, f"is no whole safetensors file ({error})") from error


def _described(path: Path, file: Header) -> tuple[dict[str, dict[str, int]], WeightsInfo]:
    """What the painters of a file are built with, and the rest that it says."""
    header = file.metadata
    if header.get("format") != FORMAT:
        raise _bad(path, "is a safetensors file of another program")
    if header.get("version") != str(FORMAT_VERSION):
        raise _bad(path, f"has format version {described(header.get('version'))}; this program reads {FORMAT_VERSION}")
    try:
        widths = _widths(parse_json(header["painters"]))
        return widths, WeightsInfo(header["note"], header["licence"], header["checksum"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(path, f"has a damaged header ({error})") from error


def _widths(values: Any) -> dict[str, dict[str, int]]:
    """Raises: TypeError, ValueError for what tells of no painters of ours."""
    if not isinstance(values, dict) or values.keys() != set(PARTS):
        raise ValueError("it tells of other painters")
    for part, widths in values.items():
        if not isinstance(widths, dict) or widths.keys() != {"width", "embedding"}:
            raise ValueError(f"the painter of {part} has other attributes")
        for name, value in widths.items():
            if type(value) is not int or not 0 < value <= WIDEST:
                raise ValueError(f"{name} of the painter of {part} is {described(value)}")
    return values


def _checksum(tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        total.update(tensors[name].numpy().data)
    return total.hexdigest()


def _bad(path: Path, what: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_WEIGHTS, f"The weights file {path} {what}.", _REMEDY)
