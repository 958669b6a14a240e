# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender installs, enables, disables and updates the extension, from its zip and from a repository, with nothing else
there."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import portrait_shared
import pytest

from tests.blender.zips import BUILD_PYTHON, HERE, ROOT, in_blender

NEWER = "99.0.0"
_INSTALL = """
import importlib.util, os, sys
sys.path.append(sys.argv[1])
for name in ("zmq", "msgpack", "portrait_shared"):
    assert importlib.util.find_spec(name) is None, f"{name} is there before the extension: the test shows nothing"
import bpy
bpy.ops.extensions.package_install_files(filepath=sys.argv[2], repo="user_default", enable_on_install=True)
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


_REPOSITORY = """
import os, sys
sys.path.append(sys.argv[1])
address, steps = sys.argv[2], sys.argv[3:]
import bpy
from bl_pkg import bl_extension_cli

bpy.context.preferences.system.use_online_access = True  # the address is on this machine
name = "bl_ext.portraits.talking_portraits"
for step in steps:
    if step == "enable":
        bpy.ops.preferences.addon_enable(module=name)
        continue
    status = bl_extension_cli.cli_extension_handler(step.format(address=address).split())
    assert status == 0, (step, status)
assert name in bpy.context.preferences.addons, "not enabled"
manifest = os.path.join(bpy.utils.user_resource("EXTENSIONS"), "portraits", "talking_portraits", "blender_manifest.toml")
import tomllib, zmq, msgpack
with open(manifest, "rb") as file:
    print("VERSION", tomllib.load(file)["version"], flush=True)
os._exit(0)  # see conftest.pytest_unconfigure
"""
_DROPPED = """
import json, os, sys
sys.path.append(sys.argv[1])
import bpy
from bl_pkg.bl_extension_utils import url_parse_for_blender

print("DROPPED", json.dumps(url_parse_for_blender(sys.argv[2])), flush=True)
os._exit(0)
"""
_LIST = """
import pathlib, sys
from release.repository import write_repository
folder = pathlib.Path(sys.argv[1])
write_repository(folder, sorted(folder.glob(sys.argv[2])))
"""


def test_blender_installs_and_enables_the_zip(built: Path, bare_site: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    home = tmp_path / "home"
    assert "INSTALLED" in in_blender(_INSTALL, str(built), str(home), home=home, bare_site=bare_site)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder below the root of a web server, as any would serve it, and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    folder = tmp_path / "site of a studio" / "extensions"
    folder.mkdir(parents=True)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *words: Quiet(*words, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = urllib.parse.quote(folder.relative_to(tmp_path).as_posix())
        yield folder, f"http://127.0.0.1:{server.server_port}/{place}"
        server.shutdown()


def list_zips(folder: Path, names: str) -> None:
    subprocess.run([BUILD_PYTHON, "-c", _LIST, str(folder), names], cwd=ROOT, check=True, timeout=300)


def newer(zip_path: Path, folder: Path) -> Path:
    """The same extension as a later release."""
    path = folder / zip_path.name.replace(portrait_shared.__version__, NEWER)
    with zipfile.ZipFile(zip_path) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "blender_manifest.toml":
                text = data.decode().replace(f'version = "{portrait_shared.__version__}"', f'version = "{NEWER}"', 1)
                data = text.encode()
            new.writestr(entry.filename, data)
    return path


def test_blender_installs_from_a_repository_and_updates(
    built: Path, bare_site: Path, tmp_path: Path, served: tuple[Path, str]
) -> None:
    pytest.importorskip("bpy")
    folder, address = served
    shutil.copy(built, folder)
    list_zips(folder, "*.zip")
    home = tmp_path / "home"
    # Each process is told of the repository: the module, unlike the program, starts without the user's preferences.
    known = ["repo-remove blender_org", "repo-add --name Portraits --url {address}/index.json portraits", "sync"]
    install = [*known, "install --enable portraits.talking_portraits"]
    said = in_blender(_REPOSITORY, address, *install, home=home, bare_site=bare_site)
    assert f"VERSION {portrait_shared.__version__}" in said, said

    newer(built, folder)
    list_zips(folder, f"*{NEWER}*.zip")
    said = in_blender(_REPOSITORY, address, *known, "enable", "update", home=home, bare_site=bare_site)
    assert f"VERSION {NEWER}" in said, said
    assert len(list(folder.glob("*.zip"))) == 2, "the older zip stays for whoever downloads it just now"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_blender_reads_the_link_that_is_dragged(
    built: Path, bare_site: Path, tmp_path: Path, served: tuple[Path, str]
) -> None:
    pytest.importorskip("bpy")
    folder, address = served
    shutil.copy(built, folder)
    list_zips(folder, "*.zip")
    (link,) = [each.split('"')[0] for each in (folder / "index.html").read_text().split('<a href="')[1:]]
    dragged = urllib.parse.urljoin(f"{address}/index.html", link.replace("&amp;", "&"))  # as a browser does
    said = in_blender(_DROPPED, dragged, home=tmp_path / "home", bare_site=bare_site)
    url, told = json.loads(said.split("DROPPED ")[1].splitlines()[0])
    assert url == f"{address}/{built.name}"
    assert told["repository"] == f"{address}/index.json"
    assert told["blender_version_min"] == "4.2.0" and told["platforms"] == HERE


def test_addresses_in_the_repository_are_relative(built: Path, tmp_path: Path) -> None:
    shutil.copy(built, tmp_path)
    list_zips(tmp_path, "*.zip")
    (entry,) = json.loads((tmp_path / "index.json").read_text())["data"]
    assert entry["archive_url"] == f"./{built.name}"
    assert "http" not in (tmp_path / "index.html").read_text()
