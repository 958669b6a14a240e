# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights between two files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from portrait_server.networks.configurations import build
from portrait_server.networks.weights_file import load, save
from portrait_server.training.interpolation import interpolate
from portrait_shared.errors import ErrorCode, PortraitError


def written(path: Path, name: str, seed: int, licence: str = "MIT") -> Path:
    torch.manual_seed(seed)
    save(path, build(name), step=seed, licence=licence)
    return path


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_each_weight_lies_between(share: float, tmp_path: Path) -> None:
    start, end = written(tmp_path / "a", "tiny-portrait", 1), written(tmp_path / "b", "tiny-portrait", 2)
    interpolate(start, end, share, tmp_path / "c")
    (a, _), (b, _), (c, info) = (load(tmp_path / name) for name in "abc")
    assert info.step == 2 and info.licence == "MIT"
    assert any(not torch.equal(mine, b.state_dict()[name]) for name, mine in a.state_dict().items())
    for name, found in c.state_dict().items():
        expected = (1 - share) * a.state_dict()[name] + share * b.state_dict()[name]
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4), name


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    start = written(tmp_path / "a", "tiny-portrait", 1)
    others = [
        (written(tmp_path / "b", "tiny-zakharov2019", 2), 0.5, ErrorCode.BAD_WEIGHTS),
        (written(tmp_path / "c", "tiny-portrait", 2, "CC-BY-NC-4.0"), 0.5, ErrorCode.BAD_WEIGHTS),
        (start, 1.5, ErrorCode.BAD_CONFIGURATION),
    ]
    for other, share, code in others:
        with pytest.raises(PortraitError) as raised:
            interpolate(start, other, share, tmp_path / "out")
        assert raised.value.code == code and not (tmp_path / "out").exists()
