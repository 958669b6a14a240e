# SPDX-License-Identifier: GPL-3.0-or-later
"""One portrait after another: what is kept stays within its budgets, memory does not grow, and a portrait that was forgotten
is drawn as it was.

PORTRAIT_SOAK_PORTRAITS says how many (16).
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage

from tests.server.serve_with_test_engines import PORTRAIT_BYTES_VARIABLE
from tests.soak.faces import PERIOD, photo, speech
from tests.soak.gauges import Gauge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POSIX systems' /proc, which Linux has")

PORTRAITS = int(os.environ.get("PORTRAIT_SOAK_PORTRAITS", "16"))
SIDE = 64
BUDGET_BYTES = 8_000_000
"""Of portraits; photographs may have half as much."""
GROWTH_MIB = 64


def photo_of(number: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8, another for each number."""
    chance = np.random.default_rng(number)
    picture = photo(SIDE).astype(int) + chance.integers(-2, 3, (SIDE, SIDE, 3)) + chance.integers(-20, 20)
    return np.clip(picture, 0, 255).astype(np.uint8)


def frames_of(client: Client, portrait: PortraitHandle) -> list[bytes]:
    rows = speech(SIDE, PERIOD)[[5, 20]]
    return [bytes(frame.data) for frame in client.render(portrait, rows, range(2), encoding="raw")]


def test_portraits_in_a_row(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORTRAIT_BYTES_VARIABLE, str(BUDGET_BYTES))
    server.start()
    looked_at = max(1, PORTRAITS // 20)
    with Client(server, name="many") as client:
        gauge, most = Gauge(client.server.pid, PORTRAITS, "portraits"), 0
        first, kept = [], []
        for number in range(PORTRAITS):
            portrait = client.prepare([ReferenceImage(photo_of(number))], engine="warp")  # the server finds its face
            frames = frames_of(client, portrait)
            assert frames[0] != frames[1]
            if number % looked_at == 0:
                first.append((portrait, frames))
            gauge.note(number)
            told = client.stats()
            most = max(most, told["portrait_bytes"])
            kept.append(told["portraits"])
            assert told["portrait_bytes"] <= BUDGET_BYTES and told["reference_bytes"] <= BUDGET_BYTES // 2
        gauge.note(PORTRAITS)
        assert 1 < max(kept) < PORTRAITS, "nothing was forgotten"
        for portrait, frames in first:
            assert frames_of(client, portrait) == frames
        print(f"at most {max(kept)} portraits of {most / 1e6:.0f} MB kept; {len(first)} drawn again", flush=True)
    growth = gauge.growth()
    assert growth.mib < GROWTH_MIB and growth.descriptors <= 2 and growth.threads <= 2
