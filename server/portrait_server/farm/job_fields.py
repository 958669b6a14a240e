# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fields of ``job.json`` may hold. A job may come from anyone: whatever is not of its kind is refused here.

All functions raise what reading a wrong value raises: ArithmeticError, AttributeError, LookupError, TypeError, ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portrait_shared.disclosure import Disclosure
from portrait_shared.errors import PortraitError
from portrait_shared.layers import COLORSPACES, LAYERS
from portrait_shared.track import MAX_SIDE_PIXELS

from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.inputs import InputFile, checked_name, input_path

FILES: Final = ("tracks", "references", "reference_points", "plate", "plate_points", "personal")
"""Fields of a request that name files; in ``job.json`` relative to its folder."""
_SOURCE: Final = {*FILES, "faces"}
_SETTINGS: Final = {"size", "depth", "matte", "layers", "colorspace", "photo_digest", "disclosure"}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES: Final = 1 << 60
_MAX_FRAME_NUMBER: Final = 10**9


def request_of(told: Mapping[str, Any], inputs: Mapping[str, InputFile], frames: tuple[int, ...]) -> FrameRequest:
    """What a job draws; its files are named from its folder, and are among its inputs."""
    source, settings = told["source"], told["settings"]
    if source.keys() != _SOURCE or settings.keys() != _SETTINGS:
        raise ValueError("fields that this release does not know, or too few")

    def paths(field: str) -> tuple[Path, ...]:
        return tuple(input_path(name, inputs) for name in _list(source[field]))

    def path(field: str) -> Path | None:
        return None if source[field] is None else input_path(source[field], inputs)

    tracks, references, plate = paths("tracks"), paths("references"), path("plate")
    if not tracks or bool(references) == (plate is not None):
        raise ValueError("either photos or a shot, and a track")
    return FrameRequest(
        tracks, references, paths("reference_points"), plate, path("plate_points"),
        tuple(_whole(face, 0, _MAX_FRAME_NUMBER) for face in _list(source["faces"])), path("personal"), frames,
        text_of(told["engine"]["name"]), _asked_size(settings["size"]), _of(settings["depth"], (8, 16)),
        _of(settings["matte"], (False, True)), tuple(_of(layer, LAYERS) for layer in _list(settings["layers"])),
        _of(settings["colorspace"], COLORSPACES),
        None if settings["photo_digest"] is None else _digest(settings["photo_digest"]),
        _disclosure(settings["disclosure"]),
    )  # fmt: skip


def inputs_of(told: Any) -> dict[str, InputFile]:
    """A job's files, by their names in its folder. What is no picture of a sequence is named by its content."""
    inputs = {
        checked_name(name): InputFile(_digest(file["sha256"]), _whole(file["bytes"], 0, _MOST_BYTES))
        for name, file in told.items()
    }
    for name, file in inputs.items():
        if name.count("/") == 1 and Path(name).stem != file.sha256:
            raise ValueError(name)
    return inputs


def digests_of(told: Any) -> dict[int, str]:
    """Each frame's content hash by its number; there is at least one."""
    digests = {int(number): _digest(digest) for number, digest in told.items()}
    for number, name in zip(digests, told, strict=True):
        if str(_whole(number, -_MAX_FRAME_NUMBER, _MAX_FRAME_NUMBER)) != name:
            raise ValueError(name)
    if not digests:
        raise ValueError("no frames")
    return digests


def size_of(told: Any) -> tuple[int, int]:
    """(width, height) of frames, pixels."""
    width, height = (_whole(side, 1, MAX_SIDE_PIXELS) for side in _list(told))
    return width, height


def _disclosure(told: Any) -> Disclosure:
    try:
        return Disclosure.from_values(told)
    except PortraitError as error:
        raise ValueError(error.message) from error


def _asked_size(told: Any) -> int | tuple[int, int] | None:
    if told is None:
        return None
    return size_of(told) if isinstance(told, list) else _whole(told, 1, MAX_SIDE_PIXELS)


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise TypeError("not a list")
    return told


def _whole(told: Any, low: int, high: int) -> int:
    if type(told) is not int or not low <= told <= high:
        raise ValueError("not a whole number in its range")
    return told


def text_of(told: Any) -> str:
    """One line of text."""
    if not isinstance(told, str) or not told.isprintable():
        raise ValueError("not a text")
    return told


def _digest(told: Any) -> str:
    if not _DIGEST.fullmatch(told):
        raise ValueError("not a hash")
    return str(told)


def _of(told: Any, known: tuple[Any, ...]) -> Any:
    for value in known:
        if type(told) is type(value) and told == value:
            return value
    raise ValueError("none of those that there are")
