# SPDX-License-Identifier: GPL-3.0-or-later
"""One portrait for hours: every frame as it was the first time, and memory that does not grow.

PORTRAIT_SOAK_FRAMES says how many frames (400): eight hours at 25 frames a second are 720,000.
"""

from __future__ import annotations

import hashlib
import os
import sys

import pytest
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.references import ReferenceImage

from tests.soak.faces import PERIOD, landmarks, photo, speech
from tests.soak.gauges import Gauge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POSIX systems' /proc, which Linux has")

FRAMES = int(os.environ.get("PORTRAIT_SOAK_FRAMES", "400"))
SIDE = 48
RENDER_FRAMES = 20_000
"""Of one request."""
GROWTH_MIB = 24


def test_frame_after_frame_of_one_portrait(server: ServerProcess) -> None:
    server.start()
    first: dict[int, str] = {}
    with Client(server, name="all night") as client:
        portrait = client.prepare([ReferenceImage(photo(SIDE), landmarks(SIDE))], engine="warp")
        gauge, own = Gauge(client.server.pid, FRAMES, "frames"), Gauge(os.getpid(), FRAMES, "frames had")
        for start in range(0, FRAMES, RENDER_FRAMES):
            numbers = range(start, min(FRAMES, start + RENDER_FRAMES))
            rows = speech(SIDE, RENDER_FRAMES)[: len(numbers)]  # RENDER_FRAMES is a multiple of the period
            for frame in client.render(portrait, rows, numbers):
                made = hashlib.sha256(bytes(frame.data)).hexdigest()
                assert first.setdefault(frame.number % PERIOD, made) == made, f"frame {frame.number} is another"
                if frame.number % PERIOD == 0:
                    gauge.note(frame.number)
                    own.note(frame.number)
        gauge.note(FRAMES)
        own.note(FRAMES)
    assert len(set(first.values())) > PERIOD / 3
    for growth in (gauge.growth(), own.growth()):
        assert growth.mib < GROWTH_MIB and growth.descriptors <= 2 and growth.threads <= 2
