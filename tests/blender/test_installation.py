# SPDX-License-Identifier: GPL-3.0-or-later
"""The server is installed by the real uv, from an index on loopback or from a folder: what goes well."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.installation import environments
from tests.blender.server_wheels import RELEASE, Place, needed_wheels, server_wheel
from tests.package_index import serve_index


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    uv = pytest.importorskip("uv", reason="uv is not installed here")
    monkeypatch.setenv("TALKING_PORTRAITS_UV", uv.find_uv_bin())
    monkeypatch.setenv("TALKING_PORTRAITS_SERVER_WHEEL", str(server_wheel(tmp_path / "bin of ours")))
    for name in [name for name in os.environ if name.startswith(("UV_", "PYTHON")) or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is asked that is not on loopback
    with serve_index() as index:
        index.add(*needed_wheels(tmp_path / "wheels"))
        yield Place(tmp_path / "the user's" / "süß" / "server", index, tmp_path / "wheels")


def test_it_is_installed_and_answers(place: Place) -> None:
    assert environments.installed(place.folder) is None and environments.broken(place.folder) == ""
    made = place.install()
    assert (made.release, made.backend) == (RELEASE, "cpu")
    assert environments.installed(place.folder) == made
    said = subprocess.run([made.program, "--version"], capture_output=True, text=True, check=True).stdout
    assert RELEASE in said
