# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the server: one that is there, or one that uv downloads."""

from __future__ import annotations

import os
import platform
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json

from .uv_runs import Ended, Runs

_PREFERRED: Final = ("3.11", "3.12", "3.13")
"""What the server is tested with most comes first. Of these, the wheel says which it runs on."""
_LOOK_SECONDS: Final = 60.0
_WHAT: Final = (
    "import platform, struct, sys; print(sys.implementation.name, platform.python_version(), 8 * struct.calcsize('P'))"
)
_MAX_METADATA_BYTES: Final = 2**20


class Python(NamedTuple):
    """What is given to uv.

    Attributes:
        request: the path of a program, or a version such as "3.11" that uv downloads.
        version: such as "3.11.9"; "3.11" where it is still to be downloaded.
        there: whether it is on this machine.
    """

    request: str
    version: str
    there: bool


def runs_on(wheel: Path) -> tuple[str, ...]:
    """The versions of Python, such as "3.11", that the server's wheel says it runs on, the preferred one first.

    Raises:
        PortraitError: FILE_MISSING where it is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            with archive.open(name) as file:
                said = file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile, NotImplementedError) as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"The server's wheel {wheel} is damaged.", "Install the extension anew."
        ) from error
    wanted = re.search(r"^Requires-Python: *(.+)$", said, re.MULTILINE)
    return tuple(version for version in _PREFERRED if wanted is None or _allows(wanted[1], version))


def _allows(rules: str, version: str) -> bool:
    minor = int(version.partition(".")[2])
    for found in re.finditer(r"(>=|<=|<|>|==|!=|~=)\s*3\.(\d+)", rules):
        bound = int(found[2])
        fits = {
            ">=": minor >= bound, "~=": minor >= bound, "<=": minor <= bound, "<": minor < bound, ">": minor >= bound,
            "==": minor == bound, "!=": minor != bound,
        }  # fmt: skip
        if not fits[found[1]]:
            return False
    return True


def choose(
    runs: Runs, uv: Path, variables: Mapping[str, str], asked: str, versions: tuple[str, ...], download: bool
) -> Python:
    """The Python to take.

    Args:
        asked: as `Choice.python`.
        versions: that the server runs on, the preferred one first.
        download: whether uv may download one.

    Raises:
        PortraitError: BAD_CONFIGURATION where the one that is asked for does not fit; FILE_MISSING where there is none
            and none may be downloaded; CANCELLED.
    """
    if os.path.isabs(asked):
        return _as_asked(runs, variables, asked, versions)
    if asked and _minor(asked) not in versions:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"The server does not run on Python {asked}.",
            f"Choose {_listed(versions)}, or leave the choice empty.",
        )  # fmt: skip
    there = _on_this_machine(runs, uv, variables)
    fitting = {version: [found for found in there if _minor(found.version) == version] for version in versions}
    for version in [_minor(asked)] if asked else versions:
        for found in fitting[version]:
            if asked in ("", version, found.version):
                return found
    if not download:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"There is no Python {asked or _listed(versions)} on this machine.",
            "Install it from python.org; `portrait bundle` can also put one into the folder.",
        )  # fmt: skip
    return Python(asked or versions[0], asked or versions[0], False)


def _as_asked(runs: Runs, variables: Mapping[str, str], program: str, versions: tuple[str, ...]) -> Python:
    """One that a person has chosen, which is asked what it is."""
    try:
        ended = runs.run([program, "-I", "-c", _WHAT], variables, limit_s=_LOOK_SECONDS)
    except PortraitError as error:
        if error.code is not ErrorCode.FILE_MISSING:
            raise
        ended = Ended(1, "", ())  # it is no program, or is not there
    name, version, bits = [*ended.output.split(), "", "", ""][:3]
    if ended.status != 0 or name != "cpython" or _minor(version) not in versions or bits != "64":
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{program} is no Python that the server runs on.",
            f"Choose a Python of {_listed(versions)}, 64 bits, or leave the choice empty.",
        )  # fmt: skip
    return Python(program, version, True)


def _on_this_machine(runs: Runs, uv: Path, variables: Mapping[str, str]) -> list[Python]:
    """All that uv finds."""
    command = [uv, "python", "list", "--only-installed", "--output-format", "json"]
    ended = runs.run(command, variables, limit_s=_LOOK_SECONDS)
    try:
        listed = parse_json(ended.output)
    except ValueError:
        listed = []
    found = [_python(entry) for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return [python for python in found if python is not None]


def _python(entry: dict[str, Any]) -> Python | None:
    path, version = entry.get("path"), entry.get("version")
    usual = entry.get("implementation") == "cpython" and entry.get("variant", "default") == "default"
    if not usual or not isinstance(path, str) or not isinstance(version, str) or entry.get("arch") not in _ours():
        return None
    if not re.fullmatch(r"3\.\d+\.\d+", version):  # what is not released yet
        return None
    return Python(path, version, True)


def _ours() -> tuple[str, ...]:
    """What uv calls this machine's own processor: packages are made for it, not for one that is imitated."""
    return {
        "x86_64": ("x86_64",), "amd64": ("x86_64",), "arm64": ("aarch64",), "aarch64": ("aarch64",)
    }.get(platform.machine().lower(), ("x86_64", "aarch64"))  # fmt: skip


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _listed(versions: tuple[str, ...]) -> str:
    *most, last = versions
    return f"{', '.join(most)} or {last}" if most else last
