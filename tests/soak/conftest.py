# SPDX-License-Identifier: GPL-3.0-or-later
"""A server for those who are to be served for long, and patience."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_shared.client.launcher import ServerProcess

from tests import waiting

COMMAND = [sys.executable, str(Path(__file__).parents[1] / "server" / "serve_with_test_engines.py")]
patient_client = pytest.fixture(scope="session", autouse=True)(waiting.patient_client)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    """A server of the test's own, with `warp` and the tests' engines; not yet started."""
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none"))  # it starts sooner without the networks
    process = ServerProcess(COMMAND, device="cpu", log_level="warning")
    yield process
    process.stop()
