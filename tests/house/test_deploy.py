# SPDX-License-Identifier: GPL-3.0-or-later
"""server/deploy/: the container file and the systemd unit, as far as this machine can try them."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from portrait_server.cli import main
from portrait_server.commands import serve
from portrait_server.commands.system_libraries import DEBIAN_PACKAGE_OF
from portrait_shared.client.launcher import STATUS_NO_DEVICE

from tests.house.names import ROOT

DEPLOY = ROOT / "server" / "deploy"
CONTAINER = DEPLOY / "Dockerfile"
UNIT = DEPLOY / "talking-portraits.service"


def serve_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--log-format")
    serve.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest) of the container file, each in one line."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINER.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def last(instructions: list[tuple[str, str]], name: str) -> str:
    return [rest for instruction, rest in instructions if instruction == name][-1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the container's linter is installed on Linux alone")
def test_the_container_file_passes_its_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([linter, "--failure-threshold", "style", CONTAINER], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_image_is_what_the_page_says(instructions: list[tuple[str, str]]) -> None:
    bases = {rest.split()[0] for instruction, rest in instructions if instruction == "FROM"}
    assert len(bases) == 1 and re.fullmatch(r"debian:\d+\.\d+-slim", bases.pop()), "one base, of one release"
    assert int(last(instructions, "USER")) >= 1000, "nobody's but its own user, by number"
    assert json.loads(last(instructions, "ENTRYPOINT")) == ["portrait"]
    command, *options = json.loads(last(instructions, "CMD"))
    asked = serve_arguments(options)
    ports = last(instructions, "EXPOSE").split()
    assert command == "serve" and ports == [asked.bind.rsplit(":")[-1], asked.metrics.rsplit(":")[-1]]
    assert f"127.0.0.1:{ports[1]}/metrics" in last(instructions, "HEALTHCHECK")
    assert str(asked.keys.parent) in json.loads(last(instructions, "VOLUME"))


def test_the_image_has_what_the_server_loads(instructions: list[tuple[str, str]]) -> None:
    installed = last(instructions, "RUN").split("&&")[1].split()
    assert set(DEBIAN_PACKAGE_OF.values()) <= set(installed)
    copied = {word for _, rest in instructions if rest.startswith(("pyproject", "blender", "server", "shared"))
              for word in rest.split()[:-1]}  # fmt: skip
    let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert copied == let_in and all((ROOT / name).exists() for name in copied)


@pytest.mark.timeout(3600)  # it installs some gigabytes
def test_the_image_is_built_and_renders_a_job_without_a_network(
    tmp_path: Path, instructions: list[tuple[str, str]]
) -> None:
    tool = container_tool()
    if tool is None:
        pytest.skip("no docker or podman that works here: the container file is read by its linter alone")
    if subprocess.run([tool, "pull", last(instructions, "FROM")], check=False).returncode:
        pytest.skip("no docker or podman that works here: it cannot fetch the image that ours is built on")
    photo, points, image = tmp_path / "photo.png", tmp_path / "points.npz", "talking-portraits-test"
    Image.fromarray(skimage.data.astronaut()).save(photo)
    assert main(["landmarks", str(photo), "--output", str(points), "--device", "cpu"]) == 0
    job = ["job", "write", str(tmp_path / "job"), "--reference", str(photo), "--track", str(points), "--device", "cpu"]
    assert main(job) == 0
    subprocess.run([tool, "build", "-f", CONTAINER, "-t", image, "."], cwd=ROOT, check=True)
    try:
        locked_in = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", f"{os.getuid()}:{os.getgid()}"]
        contained = [tool, "run", "--rm", "--no-healthcheck", *locked_in, "-v", f"{tmp_path}:/jobs", image]
        subprocess.run([*contained, "job", "render", "job"], check=True)
    finally:
        subprocess.run([tool, "image", "rm", "-f", image], capture_output=True, check=False)
    assert main(["job", "render", str(tmp_path / "job"), "--output", str(tmp_path / "here"), "--device", "cpu"]) == 0
    drawn, here = ((tmp_path / folder / "0001.png").read_bytes() for folder in ("job/frames", "here"))
    assert drawn == here


def container_tool() -> str | None:
    """The first program that can build images here: installed, and its service answers."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            return name
    return None


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this system has no systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = re.search(r"^ExecStart=(\S+)", UNIT.read_text("utf-8"), re.MULTILINE)
    assert program is not None
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace(program[1], sys.executable))  # one that is there
    ran = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert ran.returncode == 0 and UNIT.stem not in ran.stderr, ran.stderr


def test_the_unit_restarts_what_a_new_process_mends() -> None:
    told = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    kept_down = {int(status) for status in told["RestartPreventExitStatus"].split()}
    assert kept_down == {2, serve.STATUS_ALREADY_RUNNING} and STATUS_NO_DEVICE not in kept_down
    assert told["Restart"] == "on-failure"
    words = shlex.split(told["ExecStart"])
    assert words[1] == "serve" and words[-1] == "$PORTRAIT_OPTIONS" and serve_arguments(words[2:-1])
