# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights on disk: one safetensors file whose header tells what networks they are for. No pickle is ever read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frame_files import write_frame
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialised

from portrait_server.networks.configurations import Configuration, Networks

FORMAT: Final = "talking-portraits weights"
FORMAT_VERSION: Final = 1
WIDEST: Final = 4096
"""Channels or pixels: no network of ours comes near, a damaged header may."""
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
    write_frame(path, serialised(tensors, header))
    return info


def load(path: Path, device: str | torch.device = "cpu") -> tuple[Networks, WeightsInfo]:
    """Networks with the weights of a file, in evaluation mode.

    Raises:
        PortraitError: WEIGHTS_MISSING where there is no such file; BAD_WEIGHTS where it is damaged, cut short,
            of another program, or of a newer version.
    """
    info = read_info(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _bad(path, f"is damaged ({error})") from error
    if _checksum(tensors) != info.checksum:
        raise _bad(path, "is damaged: its checksum is wrong")
    with torch.device("meta"):
        networks = Networks(info.configuration)
    expected = networks.state_dict()
    if expected.keys() != tensors.keys() or any(expected[name].shape != tensors[name].shape for name in expected):
        raise _bad(path, f"does not hold the networks of its configuration {info.configuration.name!r}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise _bad(path, "holds numbers that are not finite")
    networks.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return networks.to(device).eval(), info


def read_info(path: Path) -> WeightsInfo:
    """What a file says of itself. Raises: as `load`."""
    if not path.is_file():
        raise PortraitError(ErrorCode.WEIGHTS_MISSING, f"There is no weights file {path}.", _REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _bad(path, f"is no whole safetensors file ({error})") from error
    if header.get("format") != FORMAT:
        raise _bad(path, "is a safetensors file of another program")
    if header.get("version") != str(FORMAT_VERSION):
        raise _bad(path, f"has format version {header.get('version')!r}; this program reads {FORMAT_VERSION}")
    try:
        configuration = _configuration(json.loads(header["configuration"]))
        return WeightsInfo(configuration, int(header["step"]), header["licence"], header["checksum"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(path, f"has a damaged header ({error})") from error


def _configuration(values: dict[str, Any]) -> Configuration:
    """Raises: TypeError, ValueError for what is no configuration of ours."""
    if "side" in values:
        values = {"embedder_side": values["side"]} | values  # files of before it was a choice
    kinds = {"str": str, "bool": bool, "int": int}
    if {field.name for field in fields(Configuration)} != values.keys():
        raise ValueError("the configuration has other attributes")
    for field in fields(Configuration):
        value = values[field.name]
        if type(value) is not kinds[str(field.type)]:
            raise TypeError(f"{field.name} is {value!r}")
        if type(value) is int and not 0 < value <= WIDEST:
            raise ValueError(f"{field.name} is {value}")
    return Configuration(**values)


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        total.update(tensors[name].numpy().data)
    return total.hexdigest()


def _bad(path: Path, what: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_WEIGHTS, f"The weights file {path} {what}.", _REMEDY)
