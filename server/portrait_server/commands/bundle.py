# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait bundle`: the folder that *Install from Folder* takes on a machine without network."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.commands.bundle_files import Bundle
from portrait_server.commands.bundle_lock import PLATFORMS, Target, Uv, find_wheel, lock

PYTHONS: Final = ("3.11", "3.12", "3.13")
BACKENDS: Final = ("cpu", "cuda", "rocm", "xpu", "mps")
_HERE: Final = {
    ("linux", "x86_64"): "linux-x64",
    ("win32", "amd64"): "windows-x64",
    ("darwin", "arm64"): "macos-arm64",
    ("darwin", "x86_64"): "macos-x64",
}


def this_platform() -> str:
    """This machine as Blender calls it; "" where it is another."""
    return _HERE.get((sys.platform, platform.machine().lower()), "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="DIR", help="the folder; a second run goes on with it")
    parser.add_argument("--platform", choices=list(PLATFORMS), help="of the other machine (default: as this one)")
    parser.add_argument("--python", choices=PYTHONS, default=f"{sys.version_info[0]}.{sys.version_info[1]}",
                        help="that the other machine has (default: as here)")  # fmt: skip
    parser.add_argument("--backend", choices=BACKENDS, help="what draws there (default: cpu; mps on Apple silicon)")
    parser.add_argument("--torch", metavar="NAME", default="",
                        help="PyTorch's build more exactly, such as cu128 or rocm6.4 (default: by --backend)")  # fmt: skip
    parser.add_argument("--with-python", action="store_true", help="put a Python into the folder, too")
    parser.add_argument("--wheel", type=Path, metavar="FILE",
                        help="the server's wheel, or a zip of the extension, which holds it (default: what this server "
                             "was installed from)")  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    """Makes the folder, or goes on where an earlier run has stopped.

    Raises:
        PortraitError: FILE_MISSING, BAD_CONFIGURATION, SERVER_UNAVAILABLE, NOT_ALLOWED, OUTPUT_NOT_WRITABLE, DISK_FULL;
            what is complete stays, and `bundle.json` is there only when all is.
    """
    where = asked.platform or this_platform()
    if not where:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"This machine, {sys.platform} on {platform.machine()}, is none that the "
            "server's packages are made for.", "Name the other machine by --platform.",
        )  # fmt: skip
    backend = asked.backend or ("mps" if where == "macos-arm64" else "cpu")
    target = Target(where, asked.python, backend, asked.torch)
    target.check()
    uv = Uv.found()
    with find_wheel(asked.wheel) as wheel, Bundle.opened(asked.output) as bundle:
        print(f"Finding out what the server needs on {where} with Python {asked.python} …", flush=True)
        locked = lock(uv, wheel, target, bundle.work)
        if locked.note:
            print(locked.note)
        bundle.add_own(wheel)
        for number, artifact in enumerate(locked.artifacts, 1):
            print(f"{number} of {len(locked.artifacts)}: {artifact.name}", flush=True)
            if artifact.is_wheel:
                bundle.fetch(artifact)
            else:
                bundle.build(artifact, uv, target)
        if asked.with_python:
            print(f"Python {asked.python}", flush=True)
            bundle.fetch_python(uv.python_archive(target))
        files, size = bundle.complete(locked.release, target)
    print(f"{files} files, {size / 1e6:.0f} MB. Saved: {asked.output}")
    if not asked.with_python:
        print(f"The other machine needs a Python {asked.python}; --with-python brings one along.")
    print("On the other machine: Preferences, Add-ons, Talking Portraits, Install from Folder.")
    return 0
