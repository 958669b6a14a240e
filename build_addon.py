#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the extension's zips: `python build_addon.py` writes one for each platform and Python into dist/.

Each zip carries `portrait_shared`, pyzmq and msgpack as wheels, so nothing is downloaded when it is installed.
Blender's own builder, a script inside the `bpy` wheel, makes the zips and validates them. The same source gives
the same bytes, whatever the clock, the time zone, the umask and the order of files on the disk. Beside each zip lies what
it is made of (`.cdx.json`, CycloneDX), and one such list of the server.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from sbom import extension_sbom, server_sbom

ROOT = Path(__file__).resolve().parent
ADDON = ROOT / "blender_addon"
SHARED = ROOT / "shared"
BUNDLED_WHEELS = ROOT / "bundled_wheels.txt"
MANIFEST = "blender_manifest.toml"
NOT_SHIPPED = ("__pycache__", "wheels", ".*", "*.zip", "*.blend[1-9]")
EARLIEST_ZIP_TIME = 315532800  # 1980-01-01, in seconds since 1970; a zip holds nothing earlier

# Blender's platforms, and the oldest system each of them runs on, in pip's words.
PIP_PLATFORMS = {
    "linux-x64": "manylinux_2_28_x86_64",
    "windows-x64": "win_amd64",
    "macos-arm64": "macosx_11_0_arm64",
    "macos-x64": "macosx_10_15_x86_64",
}


@dataclass(frozen=True)
class Target:
    """Builds of Blender that one set of wheels serves. `blender_max` is exclusive, as in the manifest."""

    name: str
    pythons: tuple[str, ...]
    blender_min: str
    blender_max: str | None
    platforms: tuple[str, ...]


# Python 3.11 and 3.13 never share a zip: pyzmq's cp311 and cp312-abi3 wheels together read as "3.11 only" to Blender,
# which then refuses the extension on 5.1. There is no Blender for Macs with Intel processors from 5.0 on.
TARGETS = (
    Target("py311", ("3.11",), "4.2.0", "5.1.0", ("linux-x64", "windows-x64", "macos-arm64", "macos-x64")),
    Target("py313", ("3.13",), "5.1.0", None, ("linux-x64", "windows-x64", "macos-arm64")),
    # Linux distributions build Blender for their own Python: Debian has 4.3 on 3.13 and 5.2 on 3.14.
    Target("distribution", ("3.13", "3.14"), "4.2.0", None, ("linux-x64",)),
)


class BuildError(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}\n  Remedy: {remedy}")


def shared_version() -> str:
    text = (SHARED / "portrait_shared" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise BuildError("portrait_shared names no version.", 'Add `__version__ = "…"` to its __init__.py.')
    return found[1]


def read_manifest() -> dict[str, object]:
    path = ADDON / MANIFEST
    if not path.is_file():
        raise BuildError(f"{path} is missing.", "Build from a complete checkout.")
    manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    if manifest.get("version") != shared_version():
        raise BuildError(
            f"The manifest says version {manifest.get('version')}, portrait_shared says {shared_version()}.",
            f"Set both to the same: {path} and {SHARED / 'portrait_shared' / '__init__.py'}.",
        )
    return manifest


def blender_builder() -> Path:
    """Blender's `blender_ext.py`, found beside the `bpy` module without loading that."""
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin is not None:
        # Not Blender 4's: given a list of files, it packs the wheels twice.
        for script in Path(spec.origin).parent.glob("[5-9].*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return script
    raise BuildError(
        f"{sys.executable} has no bpy of Blender 5 or later, whose wheel holds Blender's extension builder.",
        "Run this with the project's environment, or: python -m pip install 'bpy>=5.0,<5.1' (Python 3.11).",
    )


def run(
    command: Sequence[str], failure: str, remedy: str, environment: dict[str, str] | None = None, umask: int = -1
) -> str:
    """Runs a program and returns what it printed. Raises BuildError with its last lines when it fails.

    Args:
        umask: what rights its files lack; this process's own umask where -1.
    """
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace", **(environment or {})}, umask=umask,
    )  # fmt: skip
    if done.returncode:
        last_lines = "\n".join(f"    {line}" for line in done.stdout.strip().splitlines()[-12:])
        raise BuildError(f"{failure}\n{last_lines}", remedy)
    return done.stdout


def build_shared_wheel(folder: Path, source_time: int) -> Path:
    """Builds the portrait_shared wheel into `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        # A copy: setuptools leaves build folders beside what it builds.
        source = copy_tree(SHARED, Path(temporary) / "shared", source_time)
        shutil.copy(ROOT / "LICENSE", source)
        settle(source, source_time)
        run(
            [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)],
            "The portrait_shared wheel could not be built.",
            "Building needs pip (python -m ensurepip) and, for setuptools, a package index: see pip's message above.",
            {"SOURCE_DATE_EPOCH": str(source_time)},
            umask=0o022,  # setuptools writes the rights of its own files into the wheel
        )
    return folder / f"portrait_shared-{shared_version()}-py3-none-any.whl"


def download_wheels(folder: Path, platform: str, python: str) -> None:
    """Downloads the bundled wheels for one of Blender's platforms and one Python into `folder`."""
    what = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--requirement", str(BUNDLED_WHEELS)]
    where = ["--implementation", "cp", "--python-version", python, "--platform", PIP_PLATFORMS[platform]]
    run(
        [sys.executable, "-m", "pip", "download", "--dest", str(folder), *what, *where],
        f"A wheel for {platform} and Python {python} could not be had.",
        f"Check the connection to the package index; offline, set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder of "
        f"the wheels; if a release has no such wheel, choose another in {BUNDLED_WHEELS.name}.",
    )


def copy_tree(source: Path, target: Path, source_time: int) -> Path:
    """Copies what ships, with one time and one mode for every file: both end in the zip."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_SHIPPED, "*.egg-info", "build"))
    settle(target, source_time)
    return target


def settle(folder: Path, source_time: int) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (source_time, source_time))


def toml(value: object) -> str:
    """A TOML value. The manifest holds nothing but strings, lists of strings and tables of these."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return "[" + "".join(f"\n  {toml(item)}," for item in value) + "\n]"
    raise BuildError(f"{MANIFEST} holds {value!r}.", "Use strings, lists of strings and tables of these alone.")


def manifest_text(manifest: dict[str, object]) -> str:
    """The manifest as TOML: plain values first, then the tables."""
    lines = [f"{key} = {toml(value)}" for key, value in manifest.items() if not isinstance(value, dict)]
    for name, table in manifest.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def build_zip(target: Target, platform: str, shared_wheel: Path, output: Path, source_time: int) -> Path:
    """Builds one zip into `output` and has Blender's validator pass it."""
    builder, manifest = blender_builder(), read_manifest()
    zip_path = output / f"{manifest['id']}-{manifest['version']}-{target.name}-{platform.replace('-', '_')}.zip"
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy_tree(ADDON, Path(temporary) / "addon", source_time)
        shutil.copy(ROOT / "LICENSE", folder)
        (folder / MANIFEST).unlink()
        # In this order the list reads well; Blender's builder would take the order of the disk.
        paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

        (folder / "wheels").mkdir()
        shutil.copy(shared_wheel, folder / "wheels")
        for python in target.pythons:
            download_wheels(folder / "wheels", platform, python)
        wheels = sorted(f"./wheels/{path.name}" for path in (folder / "wheels").iterdir())

        manifest |= {"blender_version_min": target.blender_min, "platforms": [platform], "wheels": wheels}
        manifest.pop("blender_version_max", None)
        if target.blender_max is not None:
            manifest["blender_version_max"] = target.blender_max
        manifest["build"] = {"paths": paths}
        (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8", newline="\n")
        settle(folder, source_time)
        command = [sys.executable, str(builder)]
        remedy = "Correct what Blender's builder names above."
        run(
            [*command, "build", "--source-dir", str(folder), "--output-filepath", str(zip_path)],
            f"Blender's builder refused {zip_path.name}.",
            remedy,
            {"TZ": "UTC"},
        )
    run([*command, "validate", str(zip_path)], f"Blender's validator refused {zip_path.name}.", remedy)
    return zip_path


def write_sbom(path: Path, bill: str) -> None:
    path.write_text(bill, encoding="utf-8", newline="\n")
    print(path, flush=True)


def told_server_sbom() -> str:
    try:
        return server_sbom(shared_version())
    except PackageNotFoundError as error:
        raise BuildError(
            f"The list of what the server is made of lacks {error.name}, which is not installed.",
            "Build in the project's environment: python -m pip install -e '.[test]'.",
        ) from error


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the zips (default: dist)")
    parser.add_argument(
        "--target",
        action="append",
        choices=[target.name for target in TARGETS],
        help="py311: Blender 4.2 to 5.0; py313: from 5.1; distribution: builds of Linux distributions, such as "
        "Debian's (default: all; may be given more than once)",
    )
    parser.add_argument("--platform", action="append", choices=list(PIP_PLATFORMS), help="default: all; more than once")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    sys.path[:0] = [str(SHARED), str(ROOT / "server")]
    from portrait_shared.terminal import forgiving_output

    with forgiving_output():
        return build(arguments)


def build(arguments: Sequence[str] | None) -> int:
    options = parse_arguments(arguments)
    source_time = max(int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST_ZIP_TIME)), EARLIEST_ZIP_TIME)
    wanted = [
        (target, platform)
        for target in TARGETS
        for platform in target.platforms
        if (not options.target or target.name in options.target)
        and (not options.platform or platform in options.platform)
    ]
    try:
        if not wanted:
            raise BuildError(
                "There is no Blender for that target and platform.",
                "See TARGETS in build_addon.py for those there are.",
            )
        options.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            shared_wheel = build_shared_wheel(Path(temporary), source_time)
            for target, platform in wanted:
                zip_path = build_zip(target, platform, shared_wheel, options.output.resolve(), source_time)
                print(f"{zip_path}  {zip_path.stat().st_size / 1e6:.1f} MB", flush=True)
                write_sbom(zip_path.with_suffix(".cdx.json"), extension_sbom(zip_path, shared_version()))
            write_sbom(options.output / f"talking_portraits-{shared_version()}-server.cdx.json", told_server_sbom())
    except BuildError as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
