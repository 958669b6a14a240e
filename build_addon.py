#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the extension: `python build_addon.py` writes one zip for each system into dist/.

Each zip serves every Blender from 4.2 on. It carries `portrait_shared`, pyzmq and msgpack as wheels, and the program uv
and the server's wheel, by which the extension installs the server when it is asked to. Blender's own builder, a script
inside the `bpy` wheel, makes the zips and validates them. The same source gives the same bytes, whatever the clock, the
time zone, the umask and the order of files on the disk. Beside each zip lies what it is made of (`.cdx.json`,
CycloneDX), and one such list of the server.

With --repository, the folder becomes an extension repository, which Blender installs from and keeps up to date: any web
server can serve it, from any address.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from release.repository import write_repository
from release.sbom import extension_sbom, server_sbom
from release.source import ROOT, SHARED, BuildError, version
from release.systems import SYSTEMS
from release.wheels import server_wheel, shared_wheel
from release.zips import build_zip, zip_name


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the zips (default: dist)")
    parser.add_argument("--repository", type=Path, metavar="DIR", help="the same, and makes it an extension repository")
    systems = [system.name for system in SYSTEMS]
    parser.add_argument(
        "--platform", action="append", choices=systems, help="default: all; may be given more than once"
    )
    parser.add_argument("--website", metavar="URL", default="", help="the page that Blender's Visit Website opens")
    asked = parser.parse_args(arguments)
    if asked.output and asked.repository:
        parser.error("give --output or --repository, not both")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    sys.path[:0] = [str(SHARED), str(ROOT / "server")]
    from portrait_shared.terminal import forgiving_output

    with forgiving_output():
        return build(parse_arguments(arguments))


def build(options: argparse.Namespace) -> int:
    output = (options.repository or options.output or ROOT / "dist").resolve()
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            own_wheels = (shared_wheel(Path(temporary)), server_wheel(Path(temporary)))
            for system in SYSTEMS:
                if not options.platform or system.name in options.platform:
                    downloads = Path(temporary) / system.name
                    built = build_zip(system, own_wheels, output, downloads, options.website)
                    print(f"{built.path}  {built.path.stat().st_size / 1e6:.1f} MB", flush=True)
                    write_sbom(built.path.with_suffix(".cdx.json"), extension_sbom(built, version()))
        write_sbom(output / f"talking_portraits-{version()}-server.cdx.json", told_server_sbom())
        if options.repository:
            of_this_release = [path for system in SYSTEMS if (path := output / zip_name(system)).is_file()]
            for path in write_repository(output, of_this_release):
                print(path, flush=True)
    except BuildError as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = "Choose another folder, or mend what the system names."
        print(f"build_addon: {BuildError(f'{output} cannot be written: {error}', remedy)}", file=sys.stderr)
        return 1
    return 0


def write_sbom(path: Path, bill: str) -> None:
    path.write_text(bill, encoding="utf-8", newline="\n")
    print(path, flush=True)


def told_server_sbom() -> str:
    try:
        return server_sbom(version())
    except PackageNotFoundError as error:
        raise BuildError(
            f"The list of what the server is made of lacks {error.name}, which is not installed.",
            "Build in the project's environment: python -m pip install -e '.[test]'.",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
