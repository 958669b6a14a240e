# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients at once: none gets much more than another, however many requests it opens and however large its frames are.

PORTRAIT_SOAK_CLIENTS says how many (6).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import numpy as np
from portrait_server.service.open_render import FRAME_COST_PIXELS
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.protocol.messages import MAX_WINDOW
from portrait_shared.protocol.references import ReferenceImage

CLIENTS = int(os.environ.get("PORTRAIT_SOAK_CLIENTS", "6"))
MEASURED = 150
"""Small frames' worth of work that the first client gets while it is measured; the server draws four in a turn."""
FRAMES = 1000
"""Of each render: so many that none ends before it is measured."""
UNFAIR_SHARE = 0.1
SMALL, LARGE = (64, 64), (256, 256)
LARGE_COST = (256**2 + FRAME_COST_PIXELS) / (64**2 + FRAME_COST_PIXELS)
"""What a large frame costs, in small ones."""


def worth_sent(client: Client) -> dict[str, float]:
    """What the server has sent to each client, in small frames, as it counts itself at one moment: how soon clients read
    what they get tells nothing of how fair it was."""
    worth: dict[str, float] = {}
    for job in client.stats()["jobs"]:
        assert job["sent"] < job["total"], "a render has ended, and its client is away"
        name = job["client"]
        worth[name] = worth.get(name, 0.0) + job["sent"] * (LARGE_COST if name.startswith("large") else 1.0)
    return worth


def shares_of(client: Client, streams: Sequence[RenderStream]) -> list[float]:
    """Each one's share of what the one that got most gets from now on.

    Args:
        client: asks the server.
        streams: all that clients want, which are read meanwhile.
    """
    before = worth_sent(client)
    while True:
        for stream in streams:
            while stream.next(0.0) is not None:
                pass
        got = {name: worth - before[name] for name, worth in worth_sent(client).items()}
        if (most := max(got.values())) >= MEASURED:
            return [each / most for each in got.values()]


def test_all_clients_get_alike(server: ServerProcess) -> None:
    """One of them asks for sixteen renders at once, two for large frames."""
    server.start()
    points = np.full((FRAMES, 70, 3), 16, np.float32)
    points[:, 0, 0] = np.arange(FRAMES) % 100
    photo = ReferenceImage(np.full((32, 32, 3), 10, np.uint8), points[0])
    with contextlib.ExitStack() as stack:
        names = [f"{'large' if number in (1, 2) else 'client'} {number}" for number in range(CLIENTS)]
        clients = [stack.enter_context(Client(server.connection, name=name)) for name in names]
        portraits = [client.prepare([photo], engine="slow") for client in clients]
        streams = [
            # A window that holds all that is measured, and files that are small: else who reads late gets less.
            client.render(
                portrait, points, range(FRAMES), size=LARGE if name.startswith("large") else SMALL, window=MAX_WINDOW
            )
            for name, client, portrait in zip(names, clients, portraits, strict=True)
            for _ in range(16 if client is clients[0] else 1)
        ]
        while len(worth_sent(clients[-1])) < CLIENTS:  # all are open
            for stream in streams:
                stream.next(0.0)
        shares = shares_of(clients[-1], streams)
        print(f"{CLIENTS} clients: shares {min(shares):.3f} to {max(shares):.3f}", flush=True)
    assert len(shares) == CLIENTS and min(shares) >= 1 - UNFAIR_SHARE
