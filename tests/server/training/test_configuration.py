# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: those that ship, and what wrong ones say."""

from __future__ import annotations

from pathlib import Path

import pytest
from portrait_server.networks.configurations import CONFIGURATIONS
from portrait_server.training.configuration_file import CONFIGS, load
from portrait_shared.errors import ErrorCode, PortraitError

TINY = (CONFIGS / "tiny.toml").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_those_that_ship_are_whole(path: Path) -> None:
    configuration = load(path)
    assert configuration.name == path.stem
    assert configuration.network.configuration in CONFIGURATIONS
    assert configuration.data.corpora[0].path.is_absolute()


def test_a_bare_name_is_found_among_them() -> None:
    assert load(Path("portrait-short.toml")).network.side == 128


def test_the_paper_s_schedule() -> None:
    paper = load(Path("zakharov2019.toml"))
    assert (paper.optimiser.generator_rate, paper.optimiser.discriminator_rate) == (5e-5, 2e-4)
    assert paper.data.references == 8 and paper.network.columns
    last = paper.stages[-1]
    assert last.discriminator_steps == 2
    assert (last.weights.feature_matching, last.weights.embedding_match) == (10, 10)


def test_stages_follow_one_another() -> None:
    configuration = load(CONFIGS / "tiny.toml")
    assert configuration.steps == 10
    stages = [(stage.name, done) for stage, done in map(configuration.stage_at, (0, 3, 4, 10))]
    assert stages == [("reconstruction", 0), ("reconstruction", 0.75), ("adversarial", 0), ("adversarial", 1)]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("batch_size = 2", "", "data.batch_size is missing"),
        ("batch_size = 2", "batch_size = 2\nbatches = 3", "data.batches is not known"),
        ("batch_size = 2", 'batch_size = "2"', "data.batch_size must be of type int"),
        ("batch_size = 2", "batch_size = true", "data.batch_size must be of type int"),
        ("batch_size = 2", "batch_size = 0", "data.batch_size must be above 0"),
        ("side = 64", "side = 65", "network.side must be a multiple"),
        ("workers = 0", "workers = 0\npool_side = 96", "data.pool_side must be network.side"),
        (
            'kind = "reposed", path = "corpus" }]\nheld',
            'kind = "tapes", path = "x" }]\nheld',
            "data.corpora.0..kind must be",
        ),
        ("pixel = 1.0, gradient", "pixels = 1.0, gradient", "stages.0..weights.pixels is not known"),
        ("pixel = 1.0, gradient", "pixel = -1.0, gradient", "stages.0..weights.pixel must be 0"),
        ("pixel = 1.0, gradient", "vgg19 = 1.0, gradient", "content.vgg19 is missing"),
        ("discriminator_steps = 2", "", "stages.1..discriminator_steps must be"),
        ('licence = "GPL-3.0-or-later"', "", "licence is missing"),
        ("[network]", "[network", "is not TOML"),
    ],
)
def test_the_key_at_fault_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in TINY
    path = tmp_path / "run.toml"
    path.write_text(TINY.replace(old, new), "utf-8")
    with pytest.raises(PortraitError, match=named) as raised:
        load(path)
    assert raised.value.code == ErrorCode.BAD_CONFIGURATION


def test_a_file_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as raised:
        load(tmp_path / "none.toml")
    assert raised.value.code == ErrorCode.FILE_MISSING and "portrait.toml" in raised.value.remedy
