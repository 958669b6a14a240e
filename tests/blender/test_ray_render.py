# SPDX-License-Identifier: GPL-3.0-or-later
"""Render with *Ray Address* set: the panel's very frames, drawn by a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.connection import preferences  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from tests.blender.test_capture_jobs import video, videos  # noqa: E402, F401
from tests.blender.test_shots_rendered import START, filmed, shot, smile  # noqa: E402, F401

pytestmark = pytest.mark.usefixtures("without_weights")


def contents(folder: str | Path, prefix: str = "") -> dict[str, bytes]:
    from tests.signed_frames import signed_frames  # it needs the server's packages

    return signed_frames(Path(folder), prefix)


@pytest.mark.servers_environment
def test_a_cluster_draws_the_panels_frames(
    needs_server: None, acting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    assert bpy.ops.portrait.render() == {"FINISHED"}
    here, told = contents(acting.folder()), acting.rendered_with
    monkeypatch.setattr(preferences._DEFAULTS, "ray_address", "local")
    acting.output_folder, acting.frame_prefix, acting.rendered_with = str(tmp_path / "there"), "anna.", ""
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert contents(tmp_path / "there", "anna.") == {f"anna.{name}": data for name, data in here.items()}
    assert acting.rendered_with == told, "frames are known as valid without asking a server"
    assert job_queue.last_of(acting.uid).drawn == len(here)
    (tmp_path / "there" / "anna.frames.c2pa").unlink()
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert job_queue.last_of(acting.uid).drawn == 0 and contents(tmp_path / "there", "anna.")
    monkeypatch.setattr(preferences._DEFAULTS, "ray_address", "somewhere")
    with pytest.raises(RuntimeError, match="no address of a Ray cluster"):
        bpy.ops.portrait.render_again()


@pytest.mark.servers_environment
def test_changed_frames_of_a_shot_are_drawn_by_a_cluster(
    filmed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    pytest.importorskip("ray")
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    assert bpy.ops.portrait.render() == {"FINISHED"}
    here = contents(filmed.folder())
    monkeypatch.setattr(preferences._DEFAULTS, "ray_address", "local")
    filmed.output_folder = str(tmp_path / "there")
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert contents(tmp_path / "there") == here and len(here) == 3
    (tmp_path / "there" / "frames.c2pa").unlink()
    assert bpy.ops.portrait.render() == {"FINISHED"} and contents(tmp_path / "there") == here
