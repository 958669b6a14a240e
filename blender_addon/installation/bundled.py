# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension's zip brings for an installation: the program uv, and the server's wheel."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

UV_VARIABLE: Final = "TALKING_PORTRAITS_UV"
WHEEL_VARIABLE: Final = "TALKING_PORTRAITS_SERVER_WHEEL"
_FOLDER: Final = Path(__file__).parents[1] / "bin"
_UV: Final = "uv.exe" if os.name == "nt" else "uv"
_WHEEL: Final = re.compile(r"talking_portraits-([^-]+)-py3-none-any\.whl")
_COMPLETE_ZIP: Final = "Install the extension's zip for your system: it brings what is missing."


def uv_program() -> Path:
    """The program uv: the variable `UV_VARIABLE`, the extension's own, or one on PATH.

    Raises:
        PortraitError: FILE_MISSING.
    """
    asked = os.environ.get(UV_VARIABLE, "")
    found = asked or (str(_FOLDER / _UV) if (_FOLDER / _UV).is_file() else shutil.which("uv"))
    if not found or not os.path.isfile(found):
        raise PortraitError(ErrorCode.FILE_MISSING, f"The program uv is not there{f': {found}' if found else ''}.",
                            _COMPLETE_ZIP)  # fmt: skip
    return Path(found)


def server_wheel() -> Path:
    """The server's wheel: the variable `WHEEL_VARIABLE`, or the extension's own.

    Raises:
        PortraitError: FILE_MISSING.
    """
    asked = os.environ.get(WHEEL_VARIABLE, "")
    wheels = [Path(asked)] if asked else sorted(_FOLDER.glob("*.whl"))
    found = [wheel for wheel in wheels if _WHEEL.fullmatch(wheel.name) and wheel.is_file()]
    if len(found) != 1:
        raise PortraitError(ErrorCode.FILE_MISSING, "The server's wheel is not there.", _COMPLETE_ZIP)
    return found[0]


def release_of(wheel: Path) -> str:
    """The server's release that a wheel holds, such as "0.1.0"."""
    named = _WHEEL.fullmatch(wheel.name)
    assert named is not None, wheel
    return named[1]
