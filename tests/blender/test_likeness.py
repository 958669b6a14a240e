# SPDX-License-Identifier: GPL-3.0-or-later
"""Further photos of a person, and tuning to them, from the panel: with the real server and the real engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.frames.frame_marks import read_digest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import problems  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.export.farm_job import FarmJobExport  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.jobs.likeness_jobs import FurtherPhotosJob, TuneJob  # noqa: E402
from blender_addon.portraits import likeness  # noqa: E402
from blender_addon.portraits import photo as photo_module  # noqa: E402
from blender_addon.render import frame_states, portrait_ids  # noqa: E402
from blender_addon.render.frame_watch import FrameState  # noqa: E402
from blender_addon.render.render_job import RenderJob  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def eileen(needs_server: None, scene: Any, astronaut_file: Path, tmp_path: Path) -> Any:
    """A portrait drawn by `fewshot`, one frame to render, her head turned a little."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "eileen.blend"))
    assert bpy.ops.portrait.add(filepath=str(astronaut_file)) == {"FINISHED"}
    portrait = bpy.context.scene.talking_portraits.active
    portrait.engine = "fewshot"
    portrait.rig.pose.bones["head"].rotation_euler[1] = 0.2
    bpy.context.scene.frame_start = bpy.context.scene.frame_end = 1
    return portrait


@pytest.fixture
def others(astronaut_file: Path, tmp_path: Path, write: Any) -> list[Path]:
    """Her again, nearer; and a wall without any face."""
    whole = photo_module.pixels(photo_module.load(str(astronaut_file)))
    near = write(tmp_path / "near.png", np.ascontiguousarray(whole[0:320, 60:380]))
    return [near, write(tmp_path / "wall.png", np.full((300, 200, 3), 130, np.uint8))]


def add(*paths: Path) -> set[str]:
    return bpy.ops.portrait.add_references(
        directory=str(paths[0].parent), files=[{"name": path.name} for path in paths]
    )


def rendered(portrait: Any) -> str:
    assert bpy.ops.portrait.render() == {"FINISHED"}
    digest = read_digest(frame_path(portrait.folder(), 1))
    assert digest is not None
    return digest


def wait_for(portrait: Any, wanted: FrameState) -> None:
    """Ticks as Blender's timer does until the panel says that of frame 1; pytest's own limit ends a hang."""
    while frame_states.of(portrait.uid).states.get(1) is not wanted:
        frame_states.pump()


def test_a_further_photo_is_drawn_from_and_one_without_a_face_is_left_out(eileen: Any, others: list[Path]) -> None:
    alone = rendered(eileen)
    wait_for(eileen, FrameState.DONE)
    with_one_alone = frame_path(eileen.folder(), 1).read_bytes()
    assert add(*others) == {"FINISHED"}
    assert [item.name for item in eileen.references] == ["near.png"]
    assert eileen.references[0].points.shape == (70, 3)
    problem = problems.last(eileen.uid)
    assert problem is not None and "wall.png" in problem.message
    wait_for(eileen, FrameState.STALE)  # one more photo: the frames are others now
    together = rendered(eileen)
    assert together != alone and frame_path(eileen.folder(), 1).read_bytes() != with_one_alone
    wait_for(eileen, FrameState.DONE)
    # What Blender reckons is what the server says.
    known = portrait_ids.known(eileen)
    assert known is not None and known.portrait_id == eileen.rendered_with.split()[1]
    bpy.ops.portrait.remove_reference()
    assert not eileen.references and rendered(eileen) == alone


def test_a_photo_counts_once(eileen: Any, others: list[Path], astronaut_file: Path) -> None:
    add(others[0])
    add(others[0])
    bpy.ops.portrait.add_references(filepath=str(astronaut_file))
    assert len(eileen.references) == 1


def test_photos_wait_in_the_list_where_there_is_no_server(eileen: Any, others: list[Path]) -> None:
    likeness.add_photo(eileen, str(others[0]))
    server.stop()
    job = FurtherPhotosJob(eileen.uid, replace(server.launch_plan(bpy.context), may_start=False))
    job_queue.run(job)
    assert job.state is JobState.FAILED and len(eileen.references) == 1
    assert likeness.further_references(eileen) == [] and likeness.digest(eileen) == ""
    assert bpy.ops.portrait.find_reference_faces() == {"FINISHED"}
    assert len(likeness.further_references(eileen)) == 1 and likeness.digest(eileen)


def test_a_photo_that_has_gone_is_named(eileen: Any, others: list[Path]) -> None:
    add(others[0])
    others[0].unlink()
    with pytest.raises(RuntimeError, match=r"near\.png.*no longer there"):
        bpy.ops.portrait.render()


@pytest.fixture
def short_tuning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[server.Launch]:
    """A server with tiny painters that paint badly, and little effort: tuning takes seconds."""
    from portrait_server.networks import painters

    from tests.server.networks.conftest import shaken_painters

    painters.save(shaken_painters(), tmp_path / "tiny.safetensors", "made by chance")
    monkeypatch.setenv("TALKING_PORTRAITS_WEIGHTS", str(tmp_path / "tiny.safetensors"))
    monkeypatch.setenv("TALKING_PORTRAITS_TEST_SHORT_TUNING", "1")
    server.stop()
    command = (sys.executable, str(ROOT / "tests" / "server" / "serve_with_test_engines.py"))
    yield replace(server.launch_plan(bpy.context), command=command)
    server.stop()


@pytest.mark.servers_environment
def test_tuning_is_kept_beside_the_file_and_drawn_with(
    eileen: Any, others: list[Path], short_tuning: server.Launch, tmp_path: Path
) -> None:
    likeness.add_photo(eileen, str(others[0]))
    job_queue.run(FurtherPhotosJob(eileen.uid, short_tuning))
    notes: list[str] = []
    job = TuneJob(eileen.uid, short_tuning)
    job_queue.run(job, lambda job: notes.append(job.note))
    assert job.state is JobState.DONE, job.error
    assert job.path is not None and job.path.parent == tmp_path, job.note
    assert eileen.personal == f"//{job.path.name}" and likeness.personal_file(eileen) is not None
    assert any(note.startswith("Step ") for note in notes) and job.note.startswith("Tuned: ")
    job_queue.run(RenderJob(eileen.uid, short_tuning))
    tuned = read_digest(frame_path(eileen.folder(), 1))
    known = portrait_ids.known(eileen)
    assert known is not None and known.portrait_id == eileen.rendered_with.split()[1]
    exported = FarmJobExport(eileen.uid, short_tuning, tmp_path / "job")
    job_queue.run(exported)
    assert exported.state is JobState.DONE, exported.error
    told = json.loads((tmp_path / "job" / "job.json").read_text(encoding="utf-8"))
    assert told["frames"] == {"1": tuned}, "a farm job has the further photo and the tuning, too"
    eileen.personal = ""
    job_queue.run(RenderJob(eileen.uid, short_tuning))
    assert read_digest(frame_path(eileen.folder(), 1)) != tuned
    eileen.personal = "//gone.safetensors"
    failing = RenderJob(eileen.uid, short_tuning)
    job_queue.run(failing)
    assert failing.state is JobState.FAILED and "no longer there" in failing.error.message
    # A second tuning is written over nothing.
    assert likeness.new_personal_path(eileen) != job.path


def test_tuning_asks_for_a_saved_file(scene: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    portrait = bpy.context.scene.talking_portraits.add("anna")
    with pytest.raises(problems.SceneError, match="has not been saved"):
        likeness.new_personal_path(portrait)
