# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zips: what is in them, and that Blender installs, enables and disables one with nothing else there."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import portrait_shared
import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_NETWORK = re.compile(r"name resolution|NewConnectionError|Network is unreachable|ProxyError|timed out|PIP_NO_INDEX")
# The builder in Blender 4 packs wheels twice, so the environments of those (versions.py) have another Python build.
BUILD_PYTHON = os.environ.get("TALKING_PORTRAITS_BUILD_PYTHON", sys.executable)
HERE = {("Linux", "x86_64"): "linux-x64", ("Darwin", "arm64"): "macos-arm64", ("Windows", "AMD64"): "windows-x64"}.get(
    (platform.system(), platform.machine()), "linux-x64"
)

OWN_TARGET = f"py{sys.version_info.major}{sys.version_info.minor}"

INSTALL = """
import importlib.util, os, sys
sys.path.append(sys.argv[2])
for name in ("zmq", "msgpack", "portrait_shared"):
    assert importlib.util.find_spec(name) is None, f"{name} is there before the extension: the test shows nothing"
import bpy
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
name = "bl_ext.user_default.talking_portraits"
assert name in bpy.context.preferences.addons, "not enabled"

import msgpack, portrait_shared, zmq
for module in (msgpack, portrait_shared, zmq):
    assert module.__file__.startswith(sys.argv[3]), f"{module.__file__} is not from the zip"

def classes(base):
    return [c for c in base.__subclasses__() if c.__module__.startswith(name)]

operators = [c.bl_idname for c in classes(bpy.types.Operator)]
assert operators, "no operator"
for idname in operators:
    category, operator = idname.split(".")
    assert operator in dir(getattr(bpy.ops, category)), f"{idname} is not registered"
assert classes(bpy.types.Panel), "no panel"
assert not [c for c in classes(bpy.types.Panel) if not c.is_registered], "a panel is not registered"

bpy.ops.preferences.addon_disable(module=name)
for idname in operators:
    category, operator = idname.split(".")
    assert operator not in dir(getattr(bpy.ops, category)), f"{idname} is left after disabling"
bpy.ops.preferences.addon_enable(module=name)
assert name in bpy.context.preferences.addons, "not enabled again"
print("INSTALLED", len(operators), "operators", flush=True)
if bpy.app.version < (5, 0, 0):
    os._exit(0)  # see conftest.pytest_unconfigure
"""


def build(output: Path, *arguments: str, root: Path = ROOT, **how: Any) -> list[Path]:
    done = subprocess.run(
        [BUILD_PYTHON, str(root / "build_addon.py"), "--output", str(output), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **how,
    )
    if done.returncode and NO_NETWORK.search(done.stdout):
        pytest.skip("the package index, from which the bundled wheels come, cannot be reached")
    assert done.returncode == 0, done.stdout
    return sorted(output.glob("*.zip"))


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zips for this system, by the name of their target; those alone that the tests here need."""
    wanted = () if sys.executable == BUILD_PYTHON else ("--target", OWN_TARGET)
    built = build(tmp_path_factory.mktemp("dist"), "--platform", HERE, *wanted)
    return {path.name.split("-")[2]: path for path in built}


def manifest_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        return tomllib.loads(archive.read("blender_manifest.toml").decode())


def check_contents(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        shared_wheel = next(name for name in names if "portrait_shared" in name)
        with archive.open(shared_wheel) as stream, zipfile.ZipFile(stream) as wheel:
            shared_names = wheel.namelist()
    manifest = manifest_of(path)
    assert "LICENSE" in names and "__init__.py" in names
    assert [f"./{name}" for name in names if name.endswith(".whl")] == manifest["wheels"]
    bundled = {name.removeprefix("wheels/").split("-")[0] for name in names if name.endswith(".whl")}
    assert bundled == {"pyzmq", "msgpack", "portrait_shared"}, "numpy and all else are Blender's own"
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|(^|/)\.|(^|/)tests?/|\.blend\d$", name)]
    assert manifest["version"] == portrait_shared.__version__ == shared_wheel.split("-")[1]
    shared = ROOT / "shared"
    in_source = {file.relative_to(shared).as_posix() for file in (shared / "portrait_shared").rglob("*.py")}
    assert in_source <= set(shared_names)
    source = {file.relative_to(ROOT / "blender_addon").as_posix() for file in (ROOT / "blender_addon").rglob("*.py")}
    assert source == {name for name in names if name.endswith(".py")}


@pytest.mark.servers_environment
def test_zips_hold_what_the_extension_needs(zips: dict[str, Path]) -> None:
    for path in zips.values():
        check_contents(path)


@pytest.mark.servers_environment
def test_every_file_is_python_3_11(zips: dict[str, Path]) -> None:
    with zipfile.ZipFile(zips["py311"]) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                ast.parse(archive.read(name), filename=name, feature_version=(3, 11))


@pytest.mark.servers_environment
def test_blender_versions_do_not_overlap_between_official_zips(zips: dict[str, Path]) -> None:
    assert manifest_of(zips["py311"])["blender_version_max"] == manifest_of(zips["py313"])["blender_version_min"]
    assert "blender_version_max" not in manifest_of(zips["py313"])


def test_blender_reads_the_pythons_of_each_zip_from_its_wheels(zips: dict[str, Path]) -> None:
    """pyzmq's wheels make Blender read other versions than they serve when the wrong ones share a zip."""
    bpy = pytest.importorskip("bpy")
    sys.path.append(str(Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli"))
    import blender_ext

    expected = {"py311": {(3, 11)}, "py313": {(3, 13)}, "distribution": {(3, 13), (3, 14)}}
    for target, path in zips.items():
        assert blender_ext.python_versions_from_wheels(manifest_of(path)["wheels"]) == expected[target]


@pytest.mark.servers_environment
def test_zips_for_the_other_systems(tmp_path: Path) -> None:
    others = sorted({"linux-x64", "windows-x64", "macos-arm64", "macos-x64"} - {HERE})
    built = build(tmp_path, *(word for other in others for word in ("--platform", other)))
    wheel_of = {"linux-x64": "manylinux", "windows-x64": "win_amd64", "macos-arm64": "macosx", "macos-x64": "macosx"}
    assert {manifest_of(path)["platforms"][0] for path in built} == set(others)  # type: ignore[index]
    for path in built:
        check_contents(path)
        manifest = manifest_of(path)
        tags = [name.removesuffix(".whl").split("-")[-1] for name in manifest["wheels"]]  # type: ignore[union-attr]
        assert sum(wheel_of[manifest["platforms"][0]] in tag for tag in tags) == 2  # type: ignore[index]


def copied_source(folder: Path) -> Path:
    """What a build reads, elsewhere: written in another order, at another time, with other rights."""
    kept = ("blender_addon", "shared", "build_addon.py", "sbom.py", "bundled_wheels.txt", "LICENSE", "pyproject.toml",
            "server/portrait_server/__init__.py", "server/portrait_server/model_files.py")  # fmt: skip
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
def test_the_same_source_gives_the_same_bytes(zips: dict[str, Path], tmp_path: Path) -> None:
    environment = {**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"}
    words = ("--platform", HERE, "--target", "py311")
    (again,) = build(tmp_path / "dist", *words, root=copied_source(tmp_path / "copy"), env=environment, umask=0o077)
    for made in (again, again.with_suffix(".cdx.json")):
        assert made.read_bytes() == zips["py311"].with_name(made.name).read_bytes()


@pytest.mark.servers_environment
def test_what_a_release_is_made_of_is_listed(zips: dict[str, Path]) -> None:
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    pinned = set(re.findall(r"sha256:([0-9a-f]{64})", (ROOT / "bundled_wheels.txt").read_text()))
    lists = sorted(zips["py311"].parent.glob("*.cdx.json"))
    assert [path.name for path in lists] == sorted(
        [path.with_suffix(".cdx.json").name for path in zips.values()]
        + [f"talking_portraits-{portrait_shared.__version__}-server.cdx.json"]
    )
    for path in lists:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text(encoding="utf-8")) is None
    for path in zips.values():
        bill = json.loads(path.with_suffix(".cdx.json").read_text(encoding="utf-8"))
        assert hashes_of(bill["metadata"]["component"]) == {hashlib.sha256(path.read_bytes()).hexdigest()}
        with zipfile.ZipFile(path) as archive:
            wheels = {
                each: hashlib.sha256(archive.read(each)).hexdigest() for each in archive.namelist() if ".whl" in each
            }
        assert {digest for each in bill["components"] for digest in hashes_of(each)} == set(wheels.values())
        assert {digest for name, digest in wheels.items() if "portrait_shared" not in name} <= pinned
    server = json.loads(lists[-1].read_text(encoding="utf-8"))["components"]
    assert {"numpy", "pyzmq", "c2pa-python", "portrait.safetensors"} <= {each["name"] for each in server}


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {each["content"] for each in component["hashes"]}


@pytest.mark.servers_environment
def test_a_failure_names_its_remedy(tmp_path: Path) -> None:
    no_such_build = ["--target", "distribution", "--platform", "windows-x64"]
    done = subprocess.run(
        [BUILD_PYTHON, str(ROOT / "build_addon.py"), "--output", str(tmp_path), *no_such_build],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Remedy: " in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def bare_site(tmp_path: Path) -> Path:
    """This environment's packages without those that the extension brings: as in Blender's own Python."""
    bare = tmp_path / "site"
    bare.mkdir()
    brought = ("zmq", "pyzmq", "msgpack", "portrait", "__editable__", "talking_portraits")
    for entry in Path(sysconfig.get_paths()["platlib"]).iterdir():
        if entry.suffix != ".pth" and not entry.name.startswith(brought):
            (bare / entry.name).symlink_to(entry)
    return bare


def test_blender_installs_and_enables_the_zip(zips: dict[str, Path], bare_site: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    home = tmp_path / "home"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        # -S: only the bare packages are seen
        [sys.executable, "-S", "-c", INSTALL, str(zips[OWN_TARGET]), str(bare_site), str(home)],
        env={**environment, "BLENDER_USER_RESOURCES": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0 and "INSTALLED" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
