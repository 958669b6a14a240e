# SPDX-License-Identifier: GPL-3.0-or-later
"""A job of a person that the engine is tuned to: the personal file travels with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from portrait_server.cli import main
from portrait_server.engines.fewshot import FewshotEngine
from portrait_server.engines.fewshot_weights import find_weights
from portrait_server.farm.farm_job import FarmJob
from portrait_server.networks.personal import Personal, PersonalPainter, to_file

from tests.own_server import own_server
from tests.server.farm.conftest import FIRST, Material


@pytest.fixture(scope="module")
def personal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    engine = FewshotEngine("cpu", find_weights())
    painters = {
        part: PersonalPainter(torch.full((painter.style.out_features,), 0.5), {})
        for part, painter in engine.painters.named_children()
    }
    path = tmp_path_factory.mktemp("personal") / "anna.safetensors"
    to_file(Personal(painters, engine.checksum)).save(path)
    return path


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with own_server(tmp_path_factory.mktemp("server")) as words:
        yield words


def test_it_is_drawn_as_render_draws_it(photo: Material, personal: Path, connected: list[str], tmp_path: Path) -> None:
    words = photo.words("--frames", f"{FIRST + 3}-{FIRST + 4}", "--personal", personal, *connected)
    assert main(["job", "write", str(tmp_path / "job"), *words]) == 0
    job = FarmJob.load(tmp_path / "job")
    assert job.engine == "fewshot" and "personal" in job.fingerprint
    assert main(["job", "render", str(tmp_path / "job"), *connected]) == 0
    assert main(["render", *words, "--output", str(tmp_path / "whole")]) == 0
    names = [f"{number:04d}.png" for number in job.frames]
    for name in names:
        assert (job.default_output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_shot_of_the_person(shot: Material, personal: Path, tmp_path: Path) -> None:
    words = shot.words("--frames", "1-2", "--personal", personal, "--device", "cpu")
    assert main(["job", "write", str(tmp_path / "job"), *words]) == 0
    assert main(["job", "render", str(tmp_path / "job"), "--frames", "2", "--device", "cpu"]) == 0
    assert main(["render", *words, "--output", str(tmp_path / "whole")]) == 0
    assert (tmp_path / "job" / "frames" / "0002.png").read_bytes() == (tmp_path / "whole" / "0002.png").read_bytes()
