# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as Open Job Description templates, run by its own command, and as job bundles, read by Deadline Cloud's submitter."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from deadline.client.job_bundle.loader import read_yaml_or_json_object, validate_directory_symlink_containment
from deadline.client.job_bundle.parameters import apply_job_parameters, read_job_bundle_parameters
from deadline.client.job_bundle.submission import AssetReferences, split_parameter_args
from deadline.job_attachments.upload import S3AssetManager
from openjd.model import (
    StepParameterSpaceIterator,
    create_job,
    decode_job_template,
    preprocess_job_parameters,
)
from portrait_server.commands import job_server
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.open_job import template_of
from portrait_server.farm.worker import JobWorker
from portrait_shared.frames.frame_numbers import parse_frames

from tests.signed_frames import signed_frames
from tests.waiting import wait_until

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals or file modes")
COUNT = 6


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """The `portrait` program of this Python. Where HANG_AT is set, a worker never gets beyond the line that has that."""
    program = tmp_path / "portrait"
    program.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import os, pathlib, signal, subprocess, sys
        called = [sys.executable, "-m", "portrait_server", *sys.argv[1:]]
        if "HANG_AT" not in os.environ:
            os.execv(sys.executable, called)
        task = subprocess.Popen(called, stdout=subprocess.PIPE, text=True)
        for line in task.stdout:
            print(line, end="", flush=True)
            if os.environ["HANG_AT"] in line:
                task.kill()
                pathlib.Path(os.environ["HANGS"]).write_text("\\n".join(sys.argv))
                signal.pause()
        sys.exit(task.wait())
        """)
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def openjd(*words: object) -> list[str]:
    return [sys.executable, "-m", "openjd", *map(str, words)]


def run(job: FarmJob, portrait: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """`openjd run`, with what a session leaves kept in the folder of `portrait`."""
    called = openjd("run", job.folder / "template.yaml", "--preserve", "-p", f"Portrait={portrait}", *words)
    environment = {**os.environ, "TMPDIR": str(portrait.parent)}
    return subprocess.run(called, capture_output=True, text=True, env=environment, timeout=600)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read(template: str, values: Mapping[str, str], folder: Path) -> Any:
    """The job that Open Job Description makes of a template."""
    decoded = decode_job_template(template=yaml.safe_load(template), supported_extensions=["TASK_CHUNKING"])
    given: Any = preprocess_job_parameters(
        job_template=decoded, job_parameter_values=dict(values), job_template_dir=folder, current_working_dir=folder
    )
    return create_job(job_template=decoded, job_parameter_values=given)


@pytest.mark.parametrize(
    "frames",
    [
        (7,),
        tuple(range(1, 49)),
        (-3, -2, -1, 0, 1),
        tuple(range(1, 97, 2)),
        (1, 2, 3, 9),
        tuple(n * n for n in range(400)),
    ],
    ids=["one", "all", "below 0", "on twos", "some", "too many for a parameter"],
)
def test_chunks_are_the_jobs_frames(frames: tuple[int, ...], small_job: FarmJob) -> None:
    made = dataclasses.replace(
        small_job, digests=dict.fromkeys(frames, "digest"), folder=Path("{{x}} \x07 é 漢 “anna”")
    )
    described = read(template_of(made), {"ChunkSize": "10"}, small_job.folder)
    assert described.name == "Talking Portraits: x é 漢 “anna”"
    render, verify = described.steps
    chunks = [parse_frames(task["Frames"].value) for task in StepParameterSpaceIterator(space=render.parameterSpace)]
    assert [frame for chunk in chunks for frame in chunk] == list(frames)
    assert max(map(len, chunks)) <= 10 and len(chunks) == -(-len(frames) // 10)
    assert [each.dependsOn for each in verify.dependencies] == ["Render"]


def test_a_shot_needs_no_server(small_shot_job: FarmJob, small_job: FarmJob) -> None:
    (environment,) = read(template_of(small_job), {}, small_job.folder).steps[0].stepEnvironments
    assert environment.name == "PortraitServer"
    assert not read(template_of(small_shot_job), {}, small_shot_job.folder).steps[0].stepEnvironments


def test_templates_pass_the_check(small_job: FarmJob, small_shot_job: FarmJob) -> None:
    for folder in (small_job.folder, small_shot_job.folder):
        checked = subprocess.run(openjd("check", folder / "template.yaml"), capture_output=True, text=True, timeout=600)
        assert checked.returncode == 0, checked.stdout


@posix_only
def test_what_a_killed_worker_has_not_drawn_is_drawn_by_the_next(
    small_job: FarmJob, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, hangs, words = tmp_path / "frames", tmp_path / "hangs", ["-p", "ChunkSize=2", "-p", "Device=cpu"]
    words += ["-p", f"OutputFolder={output}"]
    template = small_job.folder / "template.yaml"
    with monkeypatch.context() as set_for:
        for name, value in {
            "HANG_AT": "Saved: " + str(output / "0003.png"),  # of its chunk it may draw 0004 before it is killed
            "HANGS": hangs,
            "TMPDIR": tmp_path,
        }.items():
            set_for.setenv(name, str(value))
        worker = psutil.Popen(openjd("run", template, "-p", f"Portrait={portrait}", *words), stdout=subprocess.DEVNULL)
        wait_until(hangs.exists)
        for process in (*worker.children(recursive=True), worker):
            process.kill()
        worker.wait()
    there = contents(output)
    assert {f"{n:04d}.png" for n in range(1, 4)} <= there.keys() <= {f"{n:04d}.png" for n in range(1, 5)}

    done = run(small_job, portrait, *words)
    assert done.returncode == 0, done.stdout
    for number in range(1, COUNT + 1):
        state = "was there" if f"{number:04d}.png" in there else "drawn"
        assert re.search(rf"openjd_status: Frame {number} {state} \([12] of 2\)", done.stdout)
    assert done.stdout.count("openjd_progress: 100.0") == 3 + 1
    assert f"openjd_status: {COUNT} of {COUNT} frames are valid" in done.stdout
    assert done.stdout.count("Server: ") == 1, "one for all tasks"
    # What the killed worker's server had prepared draws the same.
    connection = Path(hangs.read_text().split("--connect\n")[1].splitlines()[0])
    try:
        with JobWorker(small_job, connect=connection, output=tmp_path / "at once") as at_once:
            assert len(list(at_once.render(small_job.frames))) == COUNT
    finally:
        job_server.stop(argparse.Namespace(connection_file=connection))
    assert signed_frames(output) == contents(tmp_path / "at once")
    assert not list(tmp_path.glob("OpenJD/*/portrait-server*")), "no server is left"


@posix_only
def test_a_task_that_fails_says_why_and_leaves_no_server(small_job: FarmJob, portrait: Path, tmp_path: Path) -> None:
    done = run(small_job, portrait, "-p", "Frames=5-9", "-p", f"OutputFolder={tmp_path / 'frames'}", "-p", "Device=cpu")
    assert done.returncode == 1
    (said,) = re.findall("openjd_fail: (.*)", done.stdout)
    assert "7-9 are not among them" in said
    assert done.stdout.index("Server: ") < done.stdout.index("Exiting Environment: PortraitServer")
    assert list(tmp_path.glob("OpenJD/*")) and not list(tmp_path.glob("OpenJD/*/portrait-server*"))


@posix_only
def test_a_shot_is_drawn_from_what_deadline_cloud_would_bring(
    small_shot_job: FarmJob, portrait: Path, tmp_path: Path
) -> None:
    """Its workers get copies of the files that the bundle names, elsewhere, and a rule by which paths are mapped."""
    brought = tmp_path / "session"
    for file in attachments(small_shot_job.folder)["inputs"]:
        place = brought / file.relative_to(small_shot_job.folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    assert not (brought / "template.yaml").exists()
    rule = {"source_path_format": "POSIX", "source_path": str(small_shot_job.folder), "destination_path": str(brought)}
    rules = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})
    done = run(small_shot_job, portrait, "--path-mapping-rules", rules, "-p", "Device=cpu")
    assert done.returncode == 0, done.stdout
    assert "Server: " not in done.stdout
    with JobWorker(small_shot_job, device="cpu", output=tmp_path / "at once") as at_once:
        assert [frame.number for frame in at_once.render(small_shot_job.frames)] == [1, 2, 3]
    assert signed_frames(brought / "frames") == contents(tmp_path / "at once")
    assert not small_shot_job.default_output.exists()


def attachments(folder: Path) -> dict[str, set[Path]]:
    """Files that Deadline Cloud would upload, and folders that it would bring back."""
    references = AssetReferences.from_dict(read_yaml_or_json_object(str(folder), "asset_references", required=True))
    parameters = read_job_bundle_parameters(str(folder))
    apply_job_parameters([], str(folder), parameters, references)
    for inputs in references.input_directories:
        references.input_filenames.update(str(path) for path in Path(inputs).rglob("*") if path.is_file())
    manager = S3AssetManager(asset_uploader=object())  # which would reach AWS
    group = manager.prepare_paths_for_upload(
        sorted(references.input_filenames), sorted(references.output_directories), sorted(references.referenced_paths),
        require_paths_exist=True,
    )  # fmt: skip
    (assets,) = group.asset_groups
    assert Path(assets.root_path) == folder, "all of it is mapped by one rule"
    return {"inputs": set(assets.inputs), "outputs": set(assets.outputs)}


def test_the_folder_is_a_job_bundle_of_deadline_cloud(
    small_job: FarmJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # relative paths of a bundle's asset references would be looked up there
    validate_directory_symlink_containment(str(small_job.folder))
    wanted = {small_job.folder / "job.json", *(small_job.folder / name for name in small_job.inputs)}
    assert attachments(small_job.folder) == {"inputs": wanted, "outputs": {small_job.folder / "frames"}}
    parameters = read_job_bundle_parameters(str(small_job.folder))
    apply_job_parameters([{"name": "Frames", "value": "2-4"}], str(small_job.folder), parameters, AssetReferences())
    of_deadline, of_job = split_parameter_args(parameters, str(small_job.folder))
    assert of_deadline == {
        "targetTaskRunStatus": "READY", "priority": 50, "maxFailedTasksCount": 20, "maxRetriesPerTask": 5,
    }  # fmt: skip
    assert of_job["Frames"] == {"string": "2-4"} and of_job["JobFolder"] == {"path": str(small_job.folder)}
