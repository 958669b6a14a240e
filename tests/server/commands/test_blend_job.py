# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job write --blend` where Blender is not there, or fails; that it writes the panel's job is tested in Blender."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from portrait_server.cli import main


@pytest.fixture
def without_bpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without the module bpy, and the only folder on its PATH, which is empty."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "bpy" else find(name, *more))
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture
def blend(tmp_path: Path) -> Path:
    (tmp_path / "scene.blend").write_bytes(b"BLENDER")
    return tmp_path / "scene.blend"


def write(blend: Path, *more: str) -> int:
    return main(["job", "write", str(blend.with_name("job")), "--blend", str(blend), *more])


def test_without_blender_it_says_what_to_do(without_bpy: Path, blend: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(blend) == 1
    said = capsys.readouterr().err
    assert "neither the module bpy nor the program `blender`" in said and "Export Job" in said


@pytest.mark.skipif(os.name != "posix", reason="Windows runs no script by its #! line")
def test_the_program_blender_is_asked_and_its_failure_told(
    without_bpy: Path, blend: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = without_bpy / "blender"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\nsys.exit(1)\n")
    program.chmod(0o700)
    assert write(blend, "--portrait", "Anna", "--frames", "1-3,7") == 1
    told = capfd.readouterr()
    job = os.path.realpath(blend.with_name("job"))
    words = ["--command", "portrait", "job", job, "--blend", os.path.realpath(blend), "--device", "auto"]
    assert told.out.strip() == str([*words, "--portrait=Anna", "--frames=1-3,7"])
    assert "Blender did not write the job" in told.err and "install the extension" in told.err


def test_what_the_scene_says_itself_is_refused(blend: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(blend, "--size", "320") == 1
    assert "--size does not go with --blend" in capsys.readouterr().err
    assert write(blend.with_name("gone.blend")) == 1
    assert "There is no file" in capsys.readouterr().err
    assert main(["job", "write", "job", "--reference", "a.png", "--track", "a.npz", "--portrait", "Anna"]) == 1
    assert "--portrait is of a --blend" in capsys.readouterr().err
