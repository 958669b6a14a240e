# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs all that Talking Portraits needs into `.venv` beside this project, then runs it.

    python3.11 server/set_up.py demo     installs, then makes a portrait talk
    python3.11 server/set_up.py test     installs, then runs every check and test
    python3.11 server/set_up.py install  installs only

Needs Python 3.11, 3.12 or 3.13 and nothing else; the demo and the tests need a Blender module, which 3.12 does not
have. A second run finds what is there and starts at once.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ENVIRONMENT = PROJECT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
STAMP = ENVIRONMENT / "talking_portraits_installed"
PYTHONS = ((3, 11), (3, 12), (3, 13))
WITHOUT_BPY = ((3, 12),)  # Blender's module has wheels for the Pythons that releases of Blender have


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("goal", choices=("demo", "test", "install"))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="passed on to `portrait demo` or to the tests")
    asked = parser.parse_args()
    this = sys.version_info[:2]
    if this not in PYTHONS or (asked.goal != "install" and this in WITHOUT_BPY):
        sys.exit(
            f"set_up: this is Python {this[0]}.{this[1]}; {asked.goal} needs Python "
            f"{_listed([each for each in PYTHONS if asked.goal == 'install' or each not in WITHOUT_BPY])}: "
            f"`python3.11 {sys.argv[0]} {asked.goal}`."
        )
    sys.path.insert(0, str(PROJECT / "shared"))
    from portrait_shared.terminal import forgiving_output

    with forgiving_output():
        return _set_up(asked)


def _set_up(asked: argparse.Namespace) -> int:
    install_system_libraries()
    install_packages("test" if asked.goal == "test" else "demo")
    if asked.goal == "demo":
        return subprocess.call([BIN / "portrait", "demo", *asked.rest])
    if asked.goal == "test":
        return subprocess.call([BIN / "python", PROJECT / "tests" / "run_all.py", *asked.rest])
    print(f"Installed. Run {BIN / 'portrait'} doctor to check this machine.")
    return 0


def install_system_libraries() -> None:
    """Installs the missing shared libraries where apt-get can, or says what to install."""
    sys.path.insert(0, str(PROJECT / "server"))
    from portrait_server.commands.system_libraries import missing_libraries

    packages = sorted(set(missing_libraries(bpy=True).values()))
    if os.name != "nt" and importlib.util.find_spec("ensurepip") is None:
        packages.append(f"python3.{sys.version_info[1]}-venv")
    if not packages:
        return
    prefix = [] if os.name != "nt" and os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not prefix or shutil.which("sudo")):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        print("Installing system libraries:", *packages, flush=True)
        subprocess.call([*prefix, "apt-get", "update", "-q"], env=environment)
        command = [*prefix, "apt-get", "install", "-qy", "--no-install-recommends", *packages]
        if subprocess.call(command, env=environment) == 0:
            return
    sys.exit(
        "set_up: these system libraries are missing and could not be installed from here: "
        + ", ".join(packages)
        + ".\n  On Debian or Ubuntu: sudo apt-get install "
        + " ".join(packages)
    )


def install_packages(extra: str) -> None:
    """Makes `.venv` and installs the project into it, unless that was done for this pyproject.toml."""
    here = f"{PROJECT} {sys.version_info[0]}.{sys.version_info[1]}"
    wanted = hashlib.sha256((PROJECT / "pyproject.toml").read_bytes() + here.encode()).hexdigest()
    done = STAMP.read_text().split() if STAMP.exists() else []
    if wanted in done and (extra in done or "test" in done):
        return
    print(f"Installing Python packages into {ENVIRONMENT} …", flush=True)
    kept = (BIN / "portrait").exists() and _python_of_environment() == list(sys.version_info[:2])
    venv.create(ENVIRONMENT, with_pip=True, clear=not kept, symlinks=os.name != "nt")
    _check([BIN / "python", "-m", "pip", "install", "-q", "-e", f"{PROJECT}[{extra}]"])
    STAMP.write_text(f"{wanted} {extra}")


def _python_of_environment() -> list[int]:
    """Of `.venv`, as `pyvenv.cfg` says; empty where it does not."""
    try:
        lines = (ENVIRONMENT / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    said = next((line.partition("=")[2].strip() for line in lines if line.startswith("version")), "")
    return [int(part) for part in said.split(".")[:2] if part.isdigit()]


def _listed(versions: Sequence[tuple[int, int]]) -> str:
    *others, last = (f"{major}.{minor}" for major, minor in versions)
    return f"{', '.join(others)} or {last}"


def _check(command: Sequence[str | Path]) -> None:
    if subprocess.call([str(word) for word in command]) != 0:
        sys.exit(
            "set_up: installing failed; the lines above say why. Check the network and the disk, then run it again."
        )


if __name__ == "__main__":
    sys.exit(main())
