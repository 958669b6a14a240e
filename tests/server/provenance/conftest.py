# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of each test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from portrait_server.provenance.keys import SIGNING_VARIABLE


@pytest.fixture(autouse=True)
def signing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the key that signs, and of signing.toml."""
    folder = tmp_path_factory.mktemp("signing") / "keys"
    monkeypatch.setenv(SIGNING_VARIABLE, str(folder))
    return folder
