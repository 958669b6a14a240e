# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip for one system, built and checked by Blender's own builder, a script inside the `bpy` wheel."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from release import wheels
from release.source import ADDON, LICENCE, MANIFEST, BuildError, copy_tree, read_manifest, run, settle
from release.systems import System

_BIN = "bin"
_LICENCES = "licenses"
_OF_LICENCES = re.compile(r"[^/]+\.dist-info/licenses/(.+[^/])")


@dataclass(frozen=True)
class Built:
    """A zip of the extension.

    Attributes:
        path: the zip.
        origins: of a wheel in it, by its name, the wheels of other projects that it is made of.
        uv: the wheel that the program uv is from.
    """

    path: Path
    origins: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    uv: Path | None = None


def blender_builder() -> Path:
    """Blender's `blender_ext.py`, found beside the `bpy` module without loading that. Raises BuildError."""
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin is not None:
        # Not Blender 4's: given a list of files, it packs the wheels twice.
        for script in Path(spec.origin).parent.glob("[5-9].*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return script
    raise BuildError(
        f"{sys.executable} has no bpy of Blender 5 or later, whose wheel holds Blender's extension builder.",
        "Run this with the project's environment, or: python -m pip install 'bpy>=5.0,<5.1' (Python 3.11).",
    )


def zip_name(system: System) -> str:
    manifest = read_manifest()
    return f"{manifest['id']}-{manifest['version']}-{system.file_name}.zip"


def build_zip(
    system: System, own_wheels: tuple[Path, Path], output: Path, downloads: Path, website: str = ""
) -> Built:  # fmt: skip
    """Builds the zip for a system into `output` and has Blender's validator pass it.

    Args:
        own_wheels: of `portrait_shared`, and the server's.
        downloads: an empty folder for wheels of other projects, which has to stay as long as the result is used.
        website: what the manifest names as such; "" for what it has.

    Raises:
        BuildError: something could not be had or built, or Blender's builder or validator refused it.
    """
    builder, manifest = blender_builder(), read_manifest()
    shared_wheel, server_wheel = own_wheels
    zip_path = output / zip_name(system)
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy_tree(ADDON, Path(temporary) / "addon")
        shutil.copy(LICENCE, folder)
        (folder / MANIFEST).unlink()
        downloaded = wheels.download(downloads, system)
        uv = next(each for each in downloaded if each.name.startswith(f"{wheels.UV}-"))
        _place_program(uv, system.uv, folder / _BIN)
        shutil.copy(server_wheel, folder / _BIN)
        _place_licences(downloaded, folder / _LICENCES)
        # In this order the list reads well; Blender's builder would take the order of the disk.
        paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

        (folder / "wheels").mkdir()
        shutil.copy(shared_wheel, folder / "wheels")
        origins = wheels.merged(downloaded, folder / "wheels", system)
        names = sorted(f"./wheels/{path.name}" for path in (folder / "wheels").iterdir())

        manifest |= {"platforms": [system.name], "wheels": names} | ({"website": website} if website else {})
        manifest["build"] = {"paths": paths}
        (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8", newline="\n")
        settle(folder)
        command = [sys.executable, str(builder)]
        remedy = "Correct what Blender's builder names above."
        run(
            [*command, "build", "--source-dir", str(folder), "--output-filepath", str(zip_path)],
            f"Blender's builder refused {zip_path.name}.",
            remedy,
            {"TZ": "UTC"},
        )
    run([*command, "validate", str(zip_path)], f"Blender's validator refused {zip_path.name}.", remedy)
    return Built(zip_path, {made.name: tuple(of) for made, of in origins.items()}, uv)


def _place_program(uv: Path, name: str, folder: Path) -> None:
    """Takes the program uv out of its wheel."""
    folder.mkdir()
    with zipfile.ZipFile(uv) as archive:
        found = [each for each in archive.namelist() if each.endswith(f".data/scripts/{name}")]
        if len(found) != 1:
            raise BuildError(f"{uv.name} holds no program {name}.", "Choose another version in bundled_wheels.txt.")
        (folder / name).write_bytes(archive.read(found[0]))


def _place_licences(downloaded: Sequence[Path], folder: Path) -> None:
    """The licences of other projects, as their wheels bring them, in a folder for each."""
    for wheel in downloaded:
        place = folder / wheel.name.split("-")[0]
        with zipfile.ZipFile(wheel) as archive:
            texts = {found[1]: each for each in archive.namelist() if (found := _OF_LICENCES.fullmatch(each))}
            if not texts:
                raise BuildError(f"{wheel.name} brings no licence.", "Choose another version in bundled_wheels.txt.")
            for name, inside in texts.items():
                text = place / name.removeprefix("licenses/")
                text.parent.mkdir(parents=True, exist_ok=True)
                text.write_bytes(archive.read(inside))


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
