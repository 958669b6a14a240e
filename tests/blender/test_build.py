# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zips: what is in them, that Blender reads them rightly, and that the same source gives the same bytes."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import portrait_shared
import pytest

from tests.blender.zips import BUILD_PYTHON, HERE, ROOT, build, manifest_of

WHEEL_OF = {"linux-x64": "manylinux", "windows-x64": "win_amd64", "macos-arm64": "macosx", "macos-x64": "macosx"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def inner(path: Path, name: str) -> zipfile.ZipFile:
    """A wheel in a zip, by what is in its name."""
    with zipfile.ZipFile(path) as archive:
        (wheel,) = [each for each in archive.namelist() if name in each and each.endswith(".whl")]
        return zipfile.ZipFile(io.BytesIO(archive.read(wheel)))


def source_files(*folders: Path, root: Path) -> set[str]:
    return {
        file.relative_to(root).as_posix()
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def check_contents(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    manifest = manifest_of(path)
    assert "LICENSE" in names and "__init__.py" in names
    assert [f"./{name}" for name in names if name.startswith("wheels/")] == manifest["wheels"]
    bundled = {name.removeprefix("wheels/").split("-")[0] for name in names if name.startswith("wheels/")}
    assert bundled == {"pyzmq", "msgpack", "portrait_shared"}, "numpy and all else are Blender's own"
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|(^|/)\.|(^|/)tests?/|\.blend\d$", name)]
    with inner(path, "portrait_shared") as wheel:
        assert source_files(ROOT / "shared" / "portrait_shared", root=ROOT / "shared") <= set(wheel.namelist())
    with inner(path, "bin/talking_portraits") as wheel:
        assert source_files(ROOT / "shared" / "portrait_shared", root=ROOT / "shared") <= set(wheel.namelist())
        assert source_files(ROOT / "server" / "portrait_server", root=ROOT / "server") <= set(wheel.namelist())
        assert not [name for name in wheel.namelist() if name.startswith("blender_addon")], "it lies in the extension"
        assert [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    release = portrait_shared.__version__
    program = "uv.exe" if "windows-x64" in manifest["platforms"] else "uv"
    assert {name for name in names if name.startswith("bin/")} == {
        f"bin/{program}", f"bin/talking_portraits-{release}-py3-none-any.whl"
    }  # fmt: skip
    assert {name.split("/")[1] for name in names if name.startswith("licenses/")} == {"uv", "pyzmq", "msgpack"}
    assert manifest["version"] == release
    assert "blender_version_max" not in manifest and manifest["blender_version_min"] == "4.2.0"
    source = {file.relative_to(ROOT / "blender_addon").as_posix() for file in (ROOT / "blender_addon").rglob("*.py")}
    assert source == {name for name in names if name.endswith(".py")}


def check_merged(path: Path) -> None:
    """Each Python finds an extension module of its own in the merged wheels, and their lists of files are true."""
    system = manifest_of(path)["platforms"][0]
    for project, module in (("pyzmq", "zmq/backend/cython/_zmq"), ("msgpack", "msgpack/_cmsgpack")):
        with inner(path, f"wheels/{project}") as wheel:
            names = wheel.namelist()
            for python in PYTHONS:
                assert [name for name in names if name.startswith(module) and loads(python, name, system)], python
            (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
            rows = [row for row in csv.reader(wheel.read(record).decode().splitlines()) if row[0] != record]
            assert {row[0] for row in rows} == set(names) - {record}
            for name, digest, size in rows:
                data = wheel.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                assert (digest, int(size)) == (f"sha256={found}", len(data))


def loads(python: str, name: str, system: str) -> bool:
    """Whether that CPython takes an extension module of that name on a system (`importlib.machinery`)."""
    short = python.replace(".", "")
    stable = ".pyd" if system == "windows-x64" else ".abi3.so"
    own = {"linux-x64": f".cpython-{short}-x86_64-linux-gnu.so", "windows-x64": f".cp{short}-win_amd64.pyd"}
    suffix = name.removeprefix(name.split(".")[0])
    # pyzmq's stable modules are for 3.12 and later
    return suffix == own.get(system, f".cpython-{short}-darwin.so") or (suffix == stable and python != "3.11")


@pytest.mark.servers_environment
def test_a_zip_holds_what_the_extension_needs(built: Path) -> None:
    assert built.name == f"talking_portraits-{portrait_shared.__version__}-{HERE.replace('-', '_')}.zip"
    check_contents(built)
    check_merged(built)


@pytest.mark.servers_environment
def test_every_file_is_python_3_11(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                ast.parse(archive.read(name), filename=name, feature_version=(3, 11))


@pytest.mark.servers_environment
def test_the_manifest_names_whose_work_is_in_the_zip(built: Path) -> None:
    manifest = manifest_of(built)
    told = "\n".join(manifest["copyright"])
    for name in ("uv:", "pyzmq:", "libzmq", "libsodium", "msgpack:"):
        assert f"{name}" in told
    assert all(len(reason) <= 64 and not reason.endswith(".") for reason in manifest["permissions"].values())


def test_blender_takes_the_zip_for_every_python(built: Path) -> None:
    """pyzmq's wheels make Blender read other versions than they serve when the wrong ones share a zip."""
    bpy = pytest.importorskip("bpy")
    cli = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli"
    sys.path.append(str(cli))
    import blender_ext

    assert blender_ext.python_versions_from_wheels(manifest_of(built)["wheels"]) == {(3,)}
    done = subprocess.run(
        [sys.executable, str(cli / "blender_ext.py"), "validate", str(built)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.servers_environment
def test_zips_for_the_other_systems(tmp_path: Path) -> None:
    others = sorted(set(WHEEL_OF) - {HERE})
    zips = build(tmp_path, *(word for other in others for word in ("--platform", other)))
    assert {manifest_of(path)["platforms"][0] for path in zips} == set(others)
    for path in zips:
        check_contents(path)
        check_merged(path)
        manifest = manifest_of(path)
        tags = [name.removesuffix(".whl").split("-")[-1] for name in manifest["wheels"]]
        assert sum(WHEEL_OF[manifest["platforms"][0]] in tag for tag in tags) == 2


def copied_source(folder: Path) -> Path:
    """What a build reads, elsewhere: written in another order, at another time, with other rights."""
    kept = ("blender_addon", "shared", "release", "server/portrait_server", "build_addon.py", "bundled_wheels.txt", "LICENSE",
            "README.md", "pyproject.toml")  # fmt: skip
    found = [ROOT / name for name in kept]
    files = [file for each in found for file in (each.rglob("*") if each.is_dir() else [each]) if file.is_file()]
    for file in sorted(files, reverse=True):
        if "__pycache__" not in file.parts:
            copy = folder / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
            copy.chmod(0o600)
            os.utime(copy, (1_000_000_000, 1_000_000_000))
    return folder


@pytest.mark.servers_environment
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_the_same_source_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"}
    copy = copied_source(tmp_path / "copy")
    (again,) = build(tmp_path / "dist", "--platform", HERE, root=copy, env=environment, umask=0o077)
    for made in (again, again.with_suffix(".cdx.json")):
        assert made.read_bytes() == built.with_name(made.name).read_bytes()


@pytest.mark.servers_environment
def test_what_a_release_is_made_of_is_listed(built: Path) -> None:
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    pinned = set(re.findall(r"sha256:([0-9a-f]{64})", (ROOT / "bundled_wheels.txt").read_text()))
    lists = sorted(built.parent.glob("*.cdx.json"))
    servers = f"talking_portraits-{portrait_shared.__version__}-server.cdx.json"
    assert [path.name for path in lists] == sorted([built.with_suffix(".cdx.json").name, servers])
    for path in lists:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text(encoding="utf-8")) is None
    bill = json.loads(built.with_suffix(".cdx.json").read_text(encoding="utf-8"))
    assert hashes_of(bill["metadata"]["component"]) == {hashlib.sha256(built.read_bytes()).hexdigest()}
    with zipfile.ZipFile(built) as archive:
        parts = {
            Path(each).name: hashlib.sha256(archive.read(each)).hexdigest()
            for each in archive.namelist()
            if each.endswith(".whl") or each.startswith("bin/")
        }
    assert {digest for each in bill["components"] for digest in hashes_of(each)} == set(parts.values())
    others = [
        each for each in bill["components"] if not each["name"].startswith(("portrait-shared", "talking-portraits"))
    ]
    origins = [hashes_of(origin) for each in others for origin in each["pedigree"]["ancestors"]]
    assert sorted(each["name"] for each in others) == ["msgpack", "pyzmq", "uv"]
    assert len(origins) == 7 and set().union(*origins) <= pinned, "two of pyzmq, four of msgpack, one of uv"
    (uv,) = [each for each in others if each["name"] == "uv"]
    assert len(uv["components"]) > 100, "the crates that it is linked from"
    server = json.loads((built.parent / servers).read_text(encoding="utf-8"))["components"]
    assert {"numpy", "pyzmq", "c2pa-python", "portrait.safetensors"} <= {each["name"] for each in server}


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {each["content"] for each in component["hashes"]}


@pytest.mark.servers_environment
def test_a_failure_names_its_remedy(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    done = subprocess.run(
        [BUILD_PYTHON, str(ROOT / "build_addon.py"), "--output", str(in_the_way / "dist")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Remedy: " in done.stderr and "Traceback" not in done.stderr
