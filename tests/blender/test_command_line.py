# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender --command portrait render`: what it prints, its exit status, and that it draws what the panel draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from portrait_shared.client.client import Client

bpy = pytest.importorskip("bpy")

from blender_addon import command_line  # noqa: E402
from blender_addon.portraits import sequencer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blend(portrait: Any) -> Path:
    """A saved file with a small portrait that moves, frames 2 to 4."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 2, 4
    bone = portrait.rig.pose.bones["head"]
    bone.keyframe_insert("rotation_euler", frame=2)
    bone.rotation_euler[1] = 0.4
    bone.keyframe_insert("rotation_euler", frame=4)
    bpy.ops.wm.save_mainfile()
    return Path(bpy.data.filepath)


def saved(text: str) -> list[str]:
    return [Path(line.removeprefix("Saved: ")).name for line in text.splitlines() if line.startswith("Saved: ")]


def test_it_renders_what_the_panel_renders(
    needs_server: None, blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bpy.ops.portrait.render()
    panel = bpy.context.scene.talking_portraits.active.folder()
    capfd.readouterr()
    status = command_line.main(["render", "--blend", str(blend), "--output", str(tmp_path / "out")])
    assert status == 0
    assert saved(capfd.readouterr().out) == ["0002.png", "0003.png", "0004.png"]
    for name in ("0002.png", "0003.png", "0004.png"):
        assert (tmp_path / "out" / name).read_bytes() == (panel / name).read_bytes()


def test_chunks_of_a_farm_give_the_same_files(
    needs_server: None, blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["render", "--blend", str(blend), "--output", str(tmp_path / "whole")]) == 0
    for frames in ("4", "2-3"):
        arguments = ["render", "--blend", str(blend), "--output", str(tmp_path / "chunks"), "--frames", frames]
        assert command_line.main(arguments) == 0
    assert (tmp_path / "chunks" / "frames.c2pa").is_file()
    for file in (tmp_path / "whole").glob("*.png"):
        assert (tmp_path / "chunks" / file.name).read_bytes() == file.read_bytes()


def test_frames_below_zero(needs_server: None, blend: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["render", "--blend", str(blend), "--frames", "-2--1,1"]) == 0
    assert saved(capfd.readouterr().out) == ["-0002.png", "-0001.png", "0001.png"]


def test_no_frame_is_rendered_twice(needs_server: None, blend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after the panel, and not where the chunks of a farm overlap."""
    asked: list[int] = []
    render = Client.render
    monkeypatch.setattr(
        Client, "render", lambda self, portrait, points, numbers, **more: (
            asked.extend(numbers), render(self, portrait, points, numbers, **more)
        )[1],
    )  # fmt: skip
    folder = bpy.context.scene.talking_portraits.active.folder()
    assert command_line.main(["render", "--blend", str(blend), "--frames", "2-3"]) == 0
    assert asked == [2, 3]
    assert command_line.main(["render", "--blend", str(blend), "--frames", "3-4"]) == 0
    assert asked == [2, 3, 4]
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    bpy.ops.portrait.render()
    assert command_line.main(["render", "--blend", str(blend)]) == 0
    assert asked == [2, 3, 4]
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")} == times


def test_in_a_process_of_its_own(needs_server: None, blend: Path) -> None:
    bpy.context.scene.talking_portraits.active.use_strip = True
    bpy.ops.wm.save_mainfile()
    script = (
        "import os, sys, bpy, blender_addon; blender_addon.register()\n"
        "from blender_addon.command_line import main; status = main(sys.argv[1:])\n"
        "from blender_addon.connection import server; server.stop(); sys.stdout.flush()\n"
        "os._exit(status)"  # see conftest.pytest_unconfigure
    )
    command = [sys.executable, "-c", script, "render", "--blend", str(blend), "--save"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert saved(done.stdout) == ["0002.png", "0003.png", "0004.png"]
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    assert sequencer.find_strips(bpy.context.scene.talking_portraits.active.uid), "--save keeps the strip"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["render", "--blend", "/no/such.blend"], 1, "no file"),
        (["render", "--portrait", "nobody"], 1, "nobody"),
        (["render", "--frames", "9-2"], 2, "empty"),
        (["render", "--frames", "some"], 2, "range"),
        (["render", "--frames", "-1--5"], 2, "empty"),
        (["render", "--frames", "-1-"], 2, "-10--1"),
        (["render", "--device", "toaster"], 2, "toaster"),
        ([], 2, "ACTION"),
    ],
)
def test_wrong_arguments(
    blend: Path, arguments: list[str], status: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(arguments) == status
    assert words in capfd.readouterr().err


def test_a_file_without_portraits(scene: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["render"]) == 1
    assert "no portraits" in capfd.readouterr().err


def test_a_missing_frame_is_a_failure(needs_server: None, blend: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path(bpy.path.abspath(bpy.context.scene.talking_portraits.active.photo.filepath)).unlink()
    assert command_line.main(["render", "--blend", str(blend)]) == 1
    assert "no longer there" in capfd.readouterr().err
