# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait doctor`: checks this machine and names the remedy for whatever is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from portrait_shared import __version__
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.devices import DEVICES, missing_driver
from portrait_shared.errors import PortraitError
from portrait_shared.protocol.connection import default_connection_file

from portrait_server.commands.system_libraries import missing_libraries
from portrait_server.detectors.installed_mediapipe import brings_its_networks
from portrait_server.detectors.model_downloads import missing_models, models_folder
from portrait_server.detectors.registry import default_detector_name
from portrait_server.networks.device import all_of_kind, choose_device, look_at

_OLDEST_PYTHON, _NEWEST_PYTHON = (3, 11), (3, 13)
_ROOM_WANTED_BYTES = 2 * 1024**3
_BLENDER_START_TIMEOUT_SECONDS = 60


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    """The product works without it."""
    MISSING = "MISSING"


@dataclass(frozen=True)
class Finding:
    what: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-server", action="store_true", help="do not start a server to try it")


def run(asked: argparse.Namespace) -> int:
    checks: list[Callable[[], Finding]] = [
        _python, _libraries, _packages, *(partial(_device, name) for name in _devices()), _chosen_device,
        _detectors, _bpy, _blender, _disk,
    ]  # fmt: skip
    if not asked.no_server:
        checks.append(_server)
    print(f"Talking Portraits {__version__} on {platform.platform()}")
    missing = 0
    for check in checks:
        finding = check()
        print(f"{finding.verdict:>8}  {finding.what}: {finding.seen}")
        if finding.remedy:
            print(f"{'':10}-> {finding.remedy}")
        missing += finding.verdict is Verdict.MISSING
    print("All that is needed is here." if not missing else f"{missing} of {len(checks)} checks need a remedy.")
    return 1 if missing else 0


def _python() -> Finding:
    seen = f"{platform.python_version()} at {sys.executable}"
    if _OLDEST_PYTHON <= sys.version_info[:2] <= _NEWEST_PYTHON:
        return Finding("Python", Verdict.OK, seen)
    return Finding(
        "Python", Verdict.MISSING, seen,
        "Install Python 3.11 (or 3.12, or 3.13) and run `python3.11 server/set_up.py install`.",
    )  # fmt: skip


def _libraries() -> Finding:
    missing = missing_libraries(bpy=importlib.util.find_spec("bpy") is not None)  # farms' workers do without
    if not missing:
        return Finding("System libraries", Verdict.OK, "all there")
    return Finding("System libraries", Verdict.MISSING, f"{', '.join(missing)} cannot be loaded",
                   f"On Debian or Ubuntu: sudo apt-get install {' '.join(sorted(set(missing.values())))}")  # fmt: skip


def _packages() -> Finding:
    missing = list(_missing_packages())
    if missing:
        return Finding("Python packages", Verdict.MISSING, "; ".join(missing),
                       "Run `python3.11 server/set_up.py install`, which installs the versions that go together.")  # fmt: skip
    return Finding("Python packages", Verdict.OK, f"torch {importlib.metadata.version('torch')}, "
                   f"mediapipe {importlib.metadata.version('mediapipe')}")  # fmt: skip


def _missing_packages() -> Iterator[str]:
    for requirement in importlib.metadata.requires("talking-portraits") or []:
        name = requirement.split(";")[0].strip()
        if "extra ==" in requirement:
            continue
        bare = name.translate({ord(mark): " " for mark in "<>=!~["}).split()[0]
        try:
            importlib.metadata.version(bare)
        except importlib.metadata.PackageNotFoundError:
            yield f"{bare} is not installed"


def _devices() -> list[str]:
    """All that may compute: each GPU by its number where there are several."""
    found: list[str] = []
    for kind in DEVICES[1:]:
        several = all_of_kind(kind)
        found += several if len(several) > 1 else (kind,)
    return found


def _device(name: str) -> Finding:
    """One that may compute. A GPU that is not there needs no remedy, one that cannot be used does."""
    what = f"Device {name}"
    try:
        return Finding(what, Verdict.OK, str(look_at(name)))
    except PortraitError as error:
        return Finding(what, Verdict.NOTE, error.message, "" if missing_driver(name) else error.remedy)


def _chosen_device() -> Finding:
    chosen = choose_device("auto")
    hint = "" if chosen.name != "cpu" else "If this machine has a GPU, install its driver; docs/trouble.md says more."
    if len(all_of_kind(chosen.name)) > 1:
        hint = f"--device {chosen.name}:all takes all of them; in Blender, Device in the add-on's preferences."
    return Finding("Device auto", Verdict.OK, f"takes {chosen.name}", hint)


def _detectors() -> Finding:
    missing = [] if brings_its_networks() else missing_models()
    if missing:
        return Finding("Detectors", Verdict.NOTE, f"mediapipe lacks {', '.join(path.name for path in missing)}",
                       f"They are downloaded when a face is first looked for; or copy them to {models_folder()}.")  # fmt: skip
    if default_detector_name() == "face-alignment":
        return Finding("Detectors", Verdict.OK, "face-alignment, with its weights, and mediapipe")
    where = "inside the package" if brings_its_networks() else f"in {models_folder()}"
    return Finding("Detectors", Verdict.NOTE, f"mediapipe (its models are {where}); face-alignment lacks its weights",
                   "To use face-alignment, run `portrait landmarks PHOTO --output T.npz --detector face-alignment` once "
                   "while online: it downloads them.")  # fmt: skip


def _bpy() -> Finding:
    try:
        return Finding("bpy (for the demo, and jobs of .blend files)", Verdict.OK, importlib.metadata.version("bpy"))
    except importlib.metadata.PackageNotFoundError:
        return Finding("bpy (for the demo, and jobs of .blend files)", Verdict.NOTE, "not installed",
                       "Run `python3.11 server/set_up.py install`.")  # fmt: skip


def _blender() -> Finding:
    program = shutil.which("blender")
    if program is None:
        return Finding("Blender", Verdict.NOTE, "no `blender` on PATH",
                       "Install Blender 4.2 LTS or newer from blender.org, then the extension made by build_addon.py.")  # fmt: skip
    try:
        said = subprocess.run([program, "--version"], capture_output=True, check=True, encoding="utf-8", errors="replace",
                              timeout=_BLENDER_START_TIMEOUT_SECONDS).stdout.splitlines()[0]  # fmt: skip
        version = tuple(int(part) for part in said.split()[1].split(".")[:2])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        return Finding("Blender", Verdict.NOTE, f"{program} does not start: {error}", "Run it once by hand to see why.")
    if version < (4, 2):
        return Finding("Blender", Verdict.NOTE, f"{said} at {program}", "The extension needs Blender 4.2 LTS or newer.")
    return Finding("Blender", Verdict.OK, f"{said} at {program}")


def _disk() -> Finding:
    folders = {Path.cwd(), Path(tempfile.gettempdir()), default_connection_file().parent}
    tight = []
    for folder in folders:
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        if free < _ROOM_WANTED_BYTES and existing in (Path.cwd(), Path(tempfile.gettempdir())):
            tight.append(f"{existing} has {free / 2**20:.0f} MiB free")
        if not os.access(existing, os.W_OK):
            tight.append(f"{existing} cannot be written to")
    if tight:
        return Finding("Disk", Verdict.MISSING, "; ".join(tight), "Free 2 GiB there, or work in another folder.")
    return Finding("Disk", Verdict.OK, f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB free here")


def _server() -> Finding:
    running = find_server()
    source = running or ServerProcess([sys.executable, "-m", "portrait_server"], device="auto")
    try:
        with Client(source, name="doctor") as client:
            seconds = client.echo(through_engine=True)
            who = client.ask_who()
            seen = f"answers in {seconds * 1000:.1f} ms, draws on {who.draws_on}, engines {', '.join(who.engines)}"
    except PortraitError as error:
        return Finding(
            "Server", Verdict.MISSING, error.message, error.remedy or "Run `portrait serve` and read its log."
        )
    return Finding("Server", Verdict.OK, ("running, " if running else "starts, ") + seen)
