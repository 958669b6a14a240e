# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights on disk: one safetensors file whose header tells what networks they are for. No pickle is ever read."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError, described
from portrait_shared.files.safetensors_header import Header, read_header
from portrait_shared.files.whole_files import parse_json, read_bounded, write_whole
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised
from torch.overrides import TorchFunctionMode

from portrait_server.networks.configurations import Configuration, Networks

FORMAT: Final = "talking-portraits weights"
FORMAT_VERSION: Final = 1
WIDEST: Final = 4096
"""Channels or pixels: more than any network of ours has; a header that says more is damaged."""
LEAST_SIDE: Final = 64
"""Of a frame: embedder and discriminator halve it six times."""
SIDE_STEP: Final = 16
"""The generators halve a frame four times, and double it again."""
_MAX_BYTES = 4 * 2**30
_KINDS = ("F32", "F16")
# What PyTorch and our own constructors raise for widths that do not fit each other.
_NOT_BUILT = (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
_INITIALISERS = (torch.nn.init.normal_, torch.nn.init.uniform_, torch.Tensor.normal_, torch.Tensor.uniform_)
_REMEDY = "Get the file again, or train weights with `portrait train`."


@dataclass(frozen=True)
class WeightsInfo:
    """What a file says of its weights.

    Attributes:
        configuration: of the networks.
        step: of training, after which they were written.
        licence: under which they may be used; an SPDX expression.
        checksum: SHA-256 of the weights, hex.
    """

    configuration: Configuration
    step: int
    licence: str
    checksum: str


def save(path: Path, networks: Networks, *, step: int, licence: str, half: bool = False) -> WeightsInfo:
    """Writes weights, whole or not at all.

    Args:
        half: as 16-bit numbers, which are read as 32-bit ones again: half the size, rounded by a two-thousandth.

    Raises:
        PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", kind).contiguous() for name, tensor in networks.state_dict().items()}
    info = WeightsInfo(networks.configuration, step, licence, _checksum(tensors))
    header = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "configuration": json.dumps(info.configuration.to_json()),
        "step": str(step),
        "licence": licence,
        "checksum": info.checksum,
    }
    write_whole(path, serialised(tensors, header))
    return info


def load(path: Path, device: str | torch.device = "cpu") -> tuple[Networks, WeightsInfo]:
    """Networks with the weights of a file, in evaluation mode.

    Raises:
        PortraitError: WEIGHTS_MISSING where there is no such file; BAD_WEIGHTS where it is damaged, cut short,
            of another program, or of a newer version.
    """
    content, header = _opened(path)
    info = _info(path, header)
    if other := sorted(set(header.kinds.values()) - set(_KINDS)):
        raise _bad(path, f"holds numbers of the kind {other[0]}; {' and '.join(_KINDS)} are read")
    try:
        tensors = deserialised(content)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _bad(path, f"is damaged ({error})") from error
    if _checksum(tensors) != info.checksum:
        raise _bad(path, "is damaged: its checksum is wrong")
    try:
        with torch.device("meta"), _NoInitialisation():  # whatever the widths, it takes no memory
            networks = Networks(info.configuration)
    except _NOT_BUILT as error:
        raise _bad(path, f"has a configuration that makes no networks ({error})") from error
    expected = networks.state_dict()
    if expected.keys() != tensors.keys() or any(expected[name].shape != tensors[name].shape for name in expected):
        raise _bad(path, f"does not hold the networks of its configuration {info.configuration.name!r}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise _bad(path, "holds numbers that are not finite")
    networks.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return networks.to(device).eval(), info


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


def _info(path: Path, file: Header) -> WeightsInfo:
    header = file.metadata
    if header.get("format") != FORMAT:
        raise _bad(path, "is a safetensors file of another program")
    if header.get("version") != str(FORMAT_VERSION):
        raise _bad(path, f"has format version {described(header.get('version'))}; this program reads {FORMAT_VERSION}")
    try:
        configuration = _configuration(parse_json(header["configuration"]))
        return WeightsInfo(configuration, int(header["step"]), header["licence"], header["checksum"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(path, f"has a damaged header ({error})") from error


def _configuration(values: Any) -> Configuration:
    """Raises: TypeError, ValueError for what is no configuration of ours."""
    if not isinstance(values, dict):
        raise TypeError("the configuration is no table")
    if "side" in values:
        values = {"embedder_side": values["side"]} | values  # files of before it was a choice
    kinds = {"str": str, "bool": bool, "int": int}
    if {field.name for field in fields(Configuration)} != values.keys():
        raise ValueError("the configuration has other attributes")
    for field in fields(Configuration):
        value = values[field.name]
        if type(value) is not kinds[str(field.type)]:
            raise TypeError(f"{field.name} is {described(value)}")
        if type(value) is int and not 0 < value <= WIDEST:
            raise ValueError(f"{field.name} is {described(value)}")
    configuration = Configuration(**values)
    if configuration.side % SIDE_STEP or not LEAST_SIDE <= configuration.embedder_side <= configuration.side:
        raise ValueError(f"sides of {configuration.side} and {configuration.embedder_side} pixels do not go together")
    return configuration


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        total.update(tensors[name].numpy().data)
    return total.hexdigest()


def _bad(path: Path, what: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_WEIGHTS, f"The weights file {path} {what}.", _REMEDY)
