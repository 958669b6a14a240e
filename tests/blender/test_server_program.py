# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's program is found from what a person chooses in the preferences, or where it usually lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender.problems import Fix, SceneError  # noqa: E402
from blender_addon.connection import server, server_program  # noqa: E402

NAME = "portrait.exe" if os.name == "nt" else "portrait"


@pytest.fixture(autouse=True)
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment's server nor one that is installed, on the PATH or in this Python, and an empty home."""
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path / "blender"))
    monkeypatch.delenv(server_program.COMMAND_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(server_program.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path / "home"))
    server_program._in_usual_places.cache_clear()


def program(path: Path, can_run: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755 if can_run else 0o644)
    return path


@pytest.mark.parametrize("inside", [".", "bin", "Scripts", ".venv/bin", ".venv/Scripts", "venv/bin"])
def test_a_folder_stands_for_the_program_in_it(tmp_path: Path, inside: str) -> None:
    there = program(tmp_path / "project of mine" / inside / NAME)
    for asked in (tmp_path / "project of mine", f"{tmp_path / 'project of mine'}{os.sep}", there, there.parent):
        assert server_program.find(str(asked)).command == (str(there),)


def test_a_file_beside_it_is_taken_for_it(tmp_path: Path) -> None:
    there = program(tmp_path / "bin" / NAME)
    assert server_program.find(str(program(tmp_path / "bin" / "python"))).command == (str(there),)


def test_what_is_not_the_program_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wrong = {
        str(tmp_path / "empty"): "There is no “portrait” program in",
        str(tmp_path / "absent" / NAME): "There is no file or folder",
        str(program(tmp_path / "readme.txt")): "is not the “portrait” program",
        "portrait-of-nobody": "There is no program",
        "'unclosed": "There is no program",
    }
    if os.name == "posix":
        wrong[str(program(tmp_path / "data" / NAME, can_run=False))] = "is not a program that can run"
    for asked, said in wrong.items():
        found = server_program.find(asked)
        assert found.command == () and said in found.problem, asked


def test_a_whole_command_is_taken_as_it_is() -> None:
    asked = f"{sys.executable} -m portrait_server"
    assert server_program.find(asked).command == (sys.executable, "-m", "portrait_server")


@pytest.mark.parametrize(
    "inside", ["talking-portraits/.venv/bin", ".local/share/pipx/venvs/portrait/bin", ".local/bin"]
)
def test_it_is_found_where_people_install_it(tmp_path: Path, inside: str) -> None:
    assert "not installed yet" in server_program.find("").problem
    there = program(tmp_path / "home" / inside / NAME)
    server_program._in_usual_places.cache_clear()  # as after a while
    assert server_program.find("").command == (str(there),)


def test_a_start_without_a_program_says_what_was_wrong(scene: Any, tmp_path: Path) -> None:
    server.stop()
    found = server_program.find(str(tmp_path))
    with pytest.raises(SceneError, match="no “portrait” program in") as caught:
        server.acquire(
            server.Launch(found.command, "cpu", True, False, problem=found.problem, fix=found.fix), lambda: False
        )
    assert caught.value.fix is Fix.PREFERENCES
