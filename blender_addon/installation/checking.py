# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new environment works: its Python, PyTorch, and the server's own program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import parse_json

from . import layout
from .uv_runs import Runs

_LIMIT_SECONDS: Final = 600.0
"""The first start reads gigabytes, perhaps through a virus scanner."""
_ASK: Final = """
import json, platform, sys, torch
build = getattr(torch, "version", None)
print(json.dumps({
    "python": platform.python_version(), "torch": str(torch.__version__), "cuda": getattr(build, "cuda", None),
    "hip": getattr(build, "hip", None), "xpu": getattr(build, "xpu", None),
    "mac": sys.platform == "darwin" and platform.machine() == "arm64",
}))
"""
_MISSING: Final = re.compile(r"^ *MISSING +(.+)$\n?(?:^ *-> +(.+)$)?", re.MULTILINE)


class Checked(NamedTuple):
    """What was found.

    Attributes:
        python: its version.
        backend: as `Installed.backend`.
        notes: what else the server misses on this machine, each with what mends it.
    """

    python: str
    backend: str
    notes: tuple[str, ...]


def check(runs: Runs, environment: Path, variables: Mapping[str, str], release: str) -> Checked:
    """Tries the environment.

    Raises:
        PortraitError: SERVER_UNAVAILABLE where it does not work; VERSION_MISMATCH where it has another release;
            CANCELLED.
    """
    asked = runs.run([layout.python_in(environment), "-I", "-c", _ASK], variables, limit_s=_LIMIT_SECONDS)
    try:
        said = parse_json(asked.output) if asked.status == 0 else None
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise _does_not_work(asked.lines)
    program = layout.program_in(environment)
    version = runs.run([program, "--version"], variables, limit_s=_LIMIT_SECONDS)
    if version.status != 0:
        raise _does_not_work(version.lines)
    if release not in version.output.split():
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH, f"Release {release} was to be installed, and {version.output.strip()} answers.",
            "Repair the server.",
        )  # fmt: skip
    doctor = runs.run([program, "doctor", "--no-server"], variables, limit_s=_LIMIT_SECONDS)
    notes = tuple(f"{what} {remedy or ''}".strip() for what, remedy in _MISSING.findall(doctor.output))
    return Checked(str(said.get("python")), _backend(said), notes)


def _backend(said: Mapping[str, object]) -> str:
    if said.get("mac"):
        return "mps"
    if cuda := said.get("cuda"):
        return f"cu{str(cuda).replace('.', '')}"
    if hip := said.get("hip"):
        return "rocm" + ".".join(str(hip).split(".")[:2])
    return "xpu" if said.get("xpu") else "cpu"


def _does_not_work(lines: tuple[str, ...]) -> PortraitError:
    last = next((line.strip().rstrip(".") for line in reversed(lines) if line.strip()), "it said nothing")
    remedy = "Repair the server; if it comes back, report it with the log."
    if re.search(r"WinError (126|1114)|VCRUNTIME|MSVCP", "\n".join(lines)):
        remedy = "Install Microsoft's Visual C++ Redistributable (vc_redist.x64.exe), then install the server again."
    elif found := re.search(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object", "\n".join(lines)):
        remedy = f"Install the system's package that has {found[1]}, then install the server again."
    return PortraitError(ErrorCode.SERVER_UNAVAILABLE, f"The server was installed but does not work: {last}.", remedy)
