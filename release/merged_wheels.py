# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of one project for several Pythons, merged into one.

Blender 5.0 reads wheels for Python 3.11 and wheels of the stable ABI, side by side in a zip, as "3.11 only", and keeps
that zip from later Blenders. What differs between such wheels are the extension modules, and those bear their
Python in their names (`_zmq.cpython-311-x86_64-linux-gnu.so`, `_zmq.abi3.so`), of which each Python loads its own. So
one wheel holds them all, with the tag `py3-none-PLATFORM`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from release.source import BuildError

_ABOUT_THE_FILES = re.compile(r"[^/]+\.dist-info/(RECORD|WHEEL)")
_MODULE = re.compile(r".*\.(so|pyd)")
_TIME = (1980, 1, 1, 0, 0, 0)
_MODES = {False: 0o100644, True: 0o100755}


def merge(wheels: Iterable[Path], folder: Path, platform: str) -> Path:
    """Writes one wheel into `folder` that holds what all of `wheels`, of one version of one project, hold.

    Args:
        platform: the platform in the wheel's tag.

    Raises:
        BuildError: two of them hold a file of the same name and other content, or differ in what is no extension module.
    """
    wheels = sorted(wheels)
    contents = [_content(wheel) for wheel in wheels]
    files: dict[str, bytes] = {}
    for wheel, content in zip(wheels, contents, strict=True):
        for name, data in content.items():
            everywhere = all(name in other for other in contents)
            if files.setdefault(name, data) != data or not (everywhere or _MODULE.fullmatch(name)):
                raise BuildError(
                    f"{wheel.name} cannot be merged with the wheels for other Pythons: {name} differs.",
                    "Choose another version, or find out whether one of the two files serves all of them.",
                )
    project, number = wheels[0].name.split("-")[:2]
    about = f"{project}-{number}.dist-info"
    tag = f"py3-none-{platform}"
    files[f"{about}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: build_addon.py\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    )
    files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD")
    merged = folder / f"{project}-{number}-{tag}.whl"
    with zipfile.ZipFile(merged, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever builds
            entry.external_attr = _MODES[bool(_MODULE.fullmatch(name))] << 16
            archive.writestr(entry, files[name])
    return merged


def _content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not _ABOUT_THE_FILES.fullmatch(name)]
        return {name: archive.read(name) for name in names}


def _record(files: dict[str, bytes], own_name: str) -> bytes:
    """The list of a wheel's files, as installers want it. No name has a comma or a quote in it."""
    lines = []
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(files[name])}")
    return "\n".join([*lines, f"{own_name},,", ""]).encode()
