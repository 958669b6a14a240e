# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Job: what leaves Blender renders elsewhere, in pieces, to the very bytes of the panel's own frames."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from portrait_shared.errors import PortraitError  # noqa: E402
from portrait_shared.protocol.connection import Connection  # noqa: E402

from blender_addon import command_line  # noqa: E402
from blender_addon.connection import server  # noqa: E402
from blender_addon.export import farm_job  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from blender_addon.jobs.job import JobState  # noqa: E402
from blender_addon.portraits import likeness, portrait_parts  # noqa: E402
from blender_addon.render import png  # noqa: E402
from tests.blender.conftest import HEIGHT, WIDTH, face_points  # noqa: E402
from tests.blender.test_capture_jobs import video, videos  # noqa: E402, F401
from tests.blender.test_color_depth import deep, deep_photo  # noqa: E402, F401
from tests.blender.test_faces import acted, couple, couple_file, faces, of  # noqa: E402, F401
from tests.blender.test_shots_rendered import START, filmed, shot, smile  # noqa: E402, F401

pytestmark = pytest.mark.usefixtures("without_weights")


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """The `portrait` command, as Blender finds it."""
    program = server.launch_plan(bpy.context).command
    return subprocess.run([*program, *map(str, words)], capture_output=True, text=True)


def in_pieces(job: Path, output: Path, pieces: Sequence[str], *more: object) -> dict[str, bytes]:
    """What `portrait job render` makes of a job, piece by piece."""
    for frames in pieces:
        done = command("job", "render", job, f"--frames={frames}", "--output", output, *more)
        assert done.returncode == 0, done.stderr
    return files_in(output)


def by_blenders_server() -> tuple[str, str]:
    """Saves the start of a server for each piece."""
    reached = server.acquire(server.launch_plan(bpy.context), lambda: False)
    return "--connect", str((reached if isinstance(reached, Connection) else reached.connection).file)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name[0].isdigit()}


def panel_frames() -> dict[str, bytes]:
    assert bpy.ops.portrait.render() == {"FINISHED"}
    return files_in(bpy.context.scene.talking_portraits.active.lead.folder())


@pytest.mark.servers_environment
@pytest.mark.parametrize("channels", (3, 4))
@pytest.mark.parametrize("kind", (np.uint8, np.uint16))
def test_a_picture_is_read_as_it_was_written(kind: type, channels: int, tmp_path: Path) -> None:
    from portrait_server.media.images import read_image

    pixels = np.random.default_rng(3).integers(0, np.iinfo(kind).max, (31, 45, channels), endpoint=True).astype(kind)
    (tmp_path / "a.png").write_bytes(png.png_bytes(pixels))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 8 * np.dtype(kind).itemsize), pixels)


def test_16_bits_a_further_photo_and_a_size_of_its_own(
    needs_server: None, deep: Any, write: Callable[[Path, np.ndarray], Path], photo: np.ndarray, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    """Each second frame, cut out, smaller, labelled; the photo and the .blend are gone when the job renders."""
    item = likeness.add_photo(deep, str(write(tmp_path / "pictures" / "further.png", photo[::-1])))
    item.set_points(face_points())
    deep.color_depth, deep.matte, deep.resolution_percentage = "16", True, 45
    deep.use_label, deep.label_text, deep.label_corner = True, "AI-„Test“", "bottom-left"
    deep.frame_step, deep.use_scene_range, deep.frame_start, deep.frame_end = 2, False, 1, 6
    panel, job = panel_frames(), tmp_path / "job"
    assert list(panel) == ["0001.png", "0003.png", "0005.png"]
    assert bpy.ops.portrait.export_job(filepath=str(job)) == {"FINISHED"}
    assert job_queue.last_of(deep.uid).note == "Saved job, 3 frames"
    shutil.rmtree(tmp_path / "pictures")
    Path(bpy.data.filepath).unlink()
    moved = tmp_path / "elsewhere" / "job"
    moved.parent.mkdir()
    shutil.move(job, moved)
    assert str(tmp_path) not in (moved / "job.json").read_text(encoding="utf-8"), "no path of this machine"
    assert in_pieces(moved, tmp_path / "pieces", ("5", "1,3"), *by_blenders_server()) == panel


def test_several_faces_in_layers_that_tell_of_the_next_frame(
    needs_server: None, acted: list[str], tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    of(acted[0]).file_format = "EXR"
    of(acted[1]).rig["eyeBlinkLeft"] = 0.5
    panel, job = panel_frames(), tmp_path / "job"
    assert len(panel) == 3 and all(name.endswith(".exr") for name in panel)
    assert bpy.ops.portrait.export_job(filepath=str(job)) == {"FINISHED"}
    assert in_pieces(job, tmp_path / "pieces", ("5", "4,6"), *by_blenders_server()) == panel
    of(acted[0]).output_folder = str(tmp_path / "pieces")
    assert bpy.ops.portrait.render() == {"FINISHED"}
    assert job_queue.last_of(acted[0]).drawn == 0, "they are the panel's own"


def test_of_a_shot_the_frames_that_the_panel_renders(filmed: Any, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(RuntimeError, match="Nothing is changed"):
        bpy.ops.portrait.export_job(filepath=str(tmp_path / "job"))
    assert not (tmp_path / "job").exists()
    filmed.use_label = True
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    panel, job = panel_frames(), tmp_path / "job"
    assert list(panel) == [f"{START + n:04d}.png" for n in (4, 5, 6)]
    assert bpy.ops.portrait.export_job(filepath=str(job)) == {"FINISHED"}
    assert in_pieces(job, tmp_path / "pieces", (f"{START + 6}", f"{START + 4}-{START + 5}")) == panel


@pytest.mark.servers_environment
def test_the_commands_write_the_same_job(
    needs_server: None, acting: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """That of Blender, of the panel, and the server's own, which runs Blender."""
    bpy.ops.wm.save_mainfile()
    blend, jobs = bpy.data.filepath, [tmp_path / name for name in ("panel", "blender", "server")]
    assert bpy.ops.portrait.export_job(filepath=str(jobs[0])) == {"FINISHED"}
    assert command_line.main(["job", str(jobs[1]), "--blend", blend, "--portrait", acting.name]) == 0
    assert f"Job: {jobs[1]}" in capfd.readouterr().out
    done = command("job", "write", jobs[2], "--blend", blend)
    assert done.returncode == 0, done.stderr
    told = [json.loads((job / "job.json").read_text(encoding="utf-8")) for job in jobs]
    assert told[0] == told[1] == told[2]
    assert list(told[0]["frames"]) == ["4", "5", "6"]
    done = command("job", "write", tmp_path / "other", "--blend", blend, "--depth", "16")
    assert done.returncode == 1 and "does not go with --blend" in done.stderr


def test_no_foreign_folder_is_touched(needs_server: None, acting: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="mine is there already"):
        bpy.ops.portrait.export_job(filepath=str(mine))
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_one_portrait_a_job_and_a_place_for_it(
    scene: Any, acting: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    second = portrait_parts.add(bpy.context.scene, acting.photo.filepath)
    portrait_parts.attach_rig(bpy.context, second, face_points(WIDTH, HEIGHT))
    assert command_line.main(["job", str(tmp_path / "job")]) == 1
    assert "--portrait: “anna”, “anna.001”" in capfd.readouterr().err
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    portrait_parts.add(bpy.context.scene, str(tmp_path / "pictures" / "anna.png"))
    portrait_parts.attach_rig(bpy.context, bpy.context.scene.talking_portraits.active, face_points())
    with pytest.raises(RuntimeError, match="not said where"):
        bpy.ops.portrait.export_job()


def test_a_job_that_is_cancelled_leaves_nothing(needs_server: None, acting: Any, tmp_path: Path) -> None:
    job = farm_job.FarmJobExport(acting.uid, server.launch_plan(bpy.context), tmp_path / "job")
    job.tick(1.0)
    job.cancel()
    job_queue.run(job)
    assert job.state is JobState.CANCELLED and not (tmp_path / "job").exists()


def test_a_broken_rig_is_told_before_anything_is_written(acting: Any, tmp_path: Path) -> None:
    bpy.data.objects.remove(acting.rig)
    job = farm_job.FarmJobExport(acting.uid, server.launch_plan(bpy.context), tmp_path / "job")
    with pytest.raises(PortraitError, match="deleted"):
        job.begin()
