# SPDX-License-Identifier: GPL-3.0-or-later
"""TrainingConfiguration files: those that ship, and what wrong ones say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from portrait_server.networks.configurations import CONFIGURATIONS, build
from portrait_server.networks.output import References
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
        ("side = 64", "side = 65", "network.side must be a multiple of 16 from 64"),
        ("side = 64", "side = 72", "network.side must be a multiple of 16"),
        ("side = 64", "side = 48", "network.side must be a multiple of 16 from 64"),
        ("side = 64", "side = -64", "network.side must be"),
        ("side = 64", "side = 8192", "network.side must be"),
        (
            'configuration = "tiny-portrait"',
            'configuration = "huge"',
            "network.configuration must be one of .*tiny-por",
        ),
        ("side = 64", "overrides = { depth = 3 }", "network.overrides.depth is not known here; known are width"),
        ("side = 64", "overrides = { side = 64 }", "network.overrides.side is not known"),
        ("side = 64", "overrides = { copies = false }", "network.overrides.copies is not known"),
        ("side = 64", "overrides = { width = 8.0 }", "network.overrides.width must be of type int"),
        ("side = 64", "overrides = { width = true }", "network.overrides.width must be of type int"),
        ("side = 64", "overrides = { spectral = 1 }", "network.overrides.spectral must be of type bool"),
        ("side = 64", "overrides = { embedding = 0 }", "network.overrides.embedding must be from 1"),
        ("side = 64", "overrides = { embedder_side = 32 }", "network.overrides.embedder_side must be from 64"),
        (
            "side = 64",
            "side = 64\noverrides = { embedding = 8, width = 10 }",
            "network.overrides.width makes no networks",
        ),
        ("measure_samples = 2", "measure_samples = 0", "keeping.measure_samples must be above 0"),
        ("warm_up_steps = 2", "betas = [1.5, 0.9]", "optimiser.betas.0. must be from 0 to below 1"),
        ("warm_up_steps = 2", "betas = [0.5, 2]", "optimiser.betas.1. must be from 0 to below 1"),
        ("warm_up_steps = 2", "betas = [0.5, 1.0]", "optimiser.betas.1. must be from 0 to below 1"),
        ("warm_up_steps = 2", "betas = [0.5]", "optimiser.betas must be a list of 2"),
        ("warm_up_steps = 2", "warm_up_steps = -2", "optimiser.warm_up_steps must be 0 or above"),
        ("warm_up_steps = 2", "clip = nan", "optimiser.clip must be a finite number"),
        ("warm_up_steps = 2", "clip = 0", "optimiser.clip must be above 0"),
        ("warm_up_steps = 2", "ema = 1.0", "optimiser.ema must be from 0 to below 1"),
        ("generator_rate = 2e-3", "generator_rate = inf", "optimiser.generator_rate must be a finite number"),
        ("[network]", "seed = -1\n[network]", "seed must be from 0"),
        ("[network]", "seed = 4294967296\n[network]", "seed must be from 0"),
        ("[network]", "[regions]\nmouth = -1\n[network]", "regions.mouth must be 0 or above"),
        ("workers = 0", "workers = -1", "data.workers must be 0 or above"),
        ("rate_end = 0.5", "rate_end = -3", "stages.1..rate_end must be from 0 to 1"),
        ("rate_end = 0.5", "rate_end = 1.5", "stages.1..rate_end must be from 0 to 1"),
        ("discriminator_steps = 2", "discriminator_steps = -1", "stages.1..discriminator_steps must be 0 or above"),
        ("pixel = 1.0, gradient", "pixel = nan, gradient", "stages.0..weights.pixel must be a finite number"),
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


@pytest.mark.parametrize("network", ["tiny-portrait", "tiny-zakharov2019"])
@pytest.mark.parametrize("side", [64, 80])
def test_what_is_accepted_draws(tmp_path: Path, network: str, side: int) -> None:
    """The smallest side, and one between the powers of two, with narrow networks."""
    path = tmp_path / "run.toml"
    overrides = (
        "{ width = 4, embedder_side = 64, embedder_width = 1, embedder_widest = 2, embedding = 3, spectral = true }"
    )
    text = TINY.replace("tiny-portrait", network).replace("side = 64", f"side = {side}\noverrides = {overrides}")
    path.write_text(text, "utf-8")
    chosen = load(path).network
    networks = build(chosen.configuration, side=chosen.side, **chosen.overrides)
    points = side * torch.rand(1, 70, 3)
    pictures, unknown = torch.rand(1, 2, 3, side, side), torch.full((1, 2, 1, side, side), 0.5)
    references = References(pictures, torch.rand(1, 2, 70, 3) * side, unknown)
    image = networks(references, points).image
    assert image.shape == (1, 3, side, side)
    scores = networks.new_discriminator(1)(image, points, torch.zeros(1, dtype=torch.int64)).scores
    assert scores.shape == (1,) and torch.isfinite(scores).all()


def test_a_file_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as raised:
        load(tmp_path / "none.toml")
    assert raised.value.code == ErrorCode.FILE_MISSING and "portrait.toml" in raised.value.remedy
