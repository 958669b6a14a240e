# SPDX-License-Identifier: GPL-3.0-or-later
"""A face to draw, and weights as small as can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from portrait_server.networks import painters
from portrait_server.networks.painter import Painter
from portrait_server.networks.painters import Painters


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, and lose much where other tests use the cores."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


def tiny_painters() -> Painters:
    """New ones, which add nothing to the draft."""
    torch.manual_seed(7)
    return Painters(Painter(6, 4), Painter(6, 4))


def shaken_painters() -> Painters:
    """Tiny ones that add chance colours to the draft: any tuning has something to do."""
    both = tiny_painters()
    for painter in (both.mouth, both.eye):
        torch.nn.init.normal_(painter.end.weight, std=0.02)
        torch.nn.init.normal_(painter.style.weight, std=0.2)
    return both


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of tiny weights that do something."""
    return _saved(tmp_path_factory, shaken_painters())


@pytest.fixture(scope="session")
def quiet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of tiny weights that add nothing to the draft."""
    return _saved(tmp_path_factory, tiny_painters())


def _saved(tmp_path_factory: pytest.TempPathFactory, both: Painters) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    painters.save(both, path, "made by chance", "CC0-1.0")
    return path
