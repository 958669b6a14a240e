# SPDX-License-Identifier: GPL-3.0-or-later
"""A face to draw, and weights as small as can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from portrait_server.networks import weights_file
from portrait_server.networks.configurations import Networks, build


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, and lose much where other tests use the cores."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of tiny weights that do something."""
    torch.manual_seed(7)
    networks = build("tiny-portrait")
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return _saved(tmp_path_factory, networks)


@pytest.fixture(scope="session")
def quiet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of tiny weights that add nothing to the draft."""
    torch.manual_seed(7)
    return _saved(tmp_path_factory, build("tiny-portrait"))


def _saved(tmp_path_factory: pytest.TempPathFactory, networks: Networks) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights_file.save(path, networks, step=0, licence="CC0-1.0")
    return path
