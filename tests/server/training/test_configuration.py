# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that tell how painters are trained: the one that ships, and what wrong ones say."""

from __future__ import annotations

from pathlib import Path

import pytest
from portrait_server.training.configuration import CONFIGS, load
from portrait_server.training.objective import Weights
from portrait_shared.errors import ErrorCode, PortraitError

WRITTEN = """
licence = "GPL-3.0-or-later"
seed = 3

[mouth]
steps = 10
batch = 2

[mouth.shares]
speech = 1
smiles = 0.5

[mouth.weights]
texture = 2.0
"""


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "run.toml"
    path.write_text(text, "utf-8")
    return load(path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_those_that_ship_are_whole(path: Path) -> None:
    told = load(Path(path.name))
    assert set(told.painters) == {"mouth", "eye"} and told.licence == "GPL-3.0-or-later"
    for part in told.painters.values():
        assert sum(part.shares.values()) == pytest.approx(1)
        assert part.discriminator_from + part.cool_down < part.steps


def test_what_is_not_written_is_as_usual(tmp_path: Path) -> None:
    told = read(tmp_path, WRITTEN)
    assert set(told.painters) == {"mouth"} and told.eye is None and told.seed == 3
    assert told.mouth.shares == {"speech": 1.0, "smiles": 0.5}
    assert told.mouth.weights == Weights(texture=2.0)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("steps = 10", "", "mouth.steps is missing"),
        ("steps = 10", "steps = 10\nlayers = 3", "mouth.layers is not known here; known are shares, steps"),
        ("steps = 10", 'steps = "10"', "mouth.steps must be of type int, not str"),
        ("steps = 10", "steps = true", "mouth.steps must be of type int, not bool"),
        ("steps = 10", "steps = 0", "mouth.steps must be above 0"),
        ("batch = 2", "batch = -2", "mouth.batch must be above 0"),
        ("batch = 2", "rate = nan", "mouth.rate must be a finite number"),
        ("batch = 2", "rate = 0", "mouth.rate must be above 0"),
        ("batch = 2", "cool_down = -1", "mouth.cool_down must be 0 or above"),
        ("batch = 2", "average = 1.0", "mouth.average must be below 1"),
        ("smiles = 0.5", "smiles = -0.5", "mouth.shares.smiles must be above 0"),
        ("smiles = 0.5", 'smiles = "often"', "mouth.shares.smiles must be of type float"),
        ("speech = 1\nsmiles = 0.5", "", "mouth.shares names no corpus"),
        ("[mouth.shares]\nspeech = 1\nsmiles = 0.5", "shares = 3", "mouth.shares must be a table"),
        ("texture = 2.0", "texture = -2.0", "mouth.weights.texture must be 0 or above"),
        ("texture = 2.0", "paint = 2.0", "mouth.weights.paint is not known here"),
        ("seed = 3", "seed = -1", "seed must be from 0"),
        ("seed = 3", "shown = 0", "shown must be above 0"),
        ("seed = 3", "nose = 1", "nose is not known here; known are licence, mouth, eye"),
        ('licence = "GPL-3.0-or-later"', "", "licence is missing"),
        ("[mouth]", "[mouth", "is not TOML"),
        (WRITTEN[WRITTEN.index("[mouth]") :], "", "nothing would learn"),
    ],
)
def test_the_key_at_fault_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in WRITTEN
    with pytest.raises(PortraitError, match=named) as raised:
        read(tmp_path, WRITTEN.replace(old, new))
    assert raised.value.code == ErrorCode.BAD_CONFIGURATION


def test_a_file_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as raised:
        load(tmp_path / "none.toml")
    assert raised.value.code == ErrorCode.FILE_MISSING and "painters.toml" in raised.value.remedy
