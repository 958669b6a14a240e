# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients at once: none gets much more than another, however many requests it opens and however large its frames are.

PORTRAIT_SOAK_CLIENTS says how many (6).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from portrait_server.service.open_render import FRAME_COST_PIXELS
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.render_stream import RenderStream
from portrait_shared.protocol.references import ReferenceImage

CLIENTS = int(os.environ.get("PORTRAIT_SOAK_CLIENTS", "6"))
BATCH_FRAMES = 4
"""Of the engine that draws here: turns are of as many frames."""
FRAMES = 50 * BATCH_FRAMES
UNFAIR_SHARE = 0.1
SMALL, LARGE = (64, 64), (256, 256)
LARGE_COST = (256**2 + FRAME_COST_PIXELS) / (64**2 + FRAME_COST_PIXELS)
"""What a large frame costs, in small ones."""


@dataclass
class Customer:
    """A client that takes what it gets.

    Attributes:
        streams: its renders; frames are of one size.
        cost: of one of its frames.
        got: how many it got.
    """

    client: Client
    streams: list[RenderStream]
    cost: float = 1.0
    got: int = 0

    def take(self) -> None:
        for stream in self.streams:
            while stream.done < stream.total and stream.next(0.0) is not None:
                self.got += 1


def served_when_the_first_is_done(customers: Sequence[Customer], cost: float) -> list[float]:
    """Each one's share of `cost`, at the moment when somebody has got it."""
    while max(customer.got * customer.cost for customer in customers) < cost:
        for customer in customers:
            customer.take()
    return [customer.got * customer.cost / cost for customer in customers]


def test_all_clients_get_alike(server: ServerProcess) -> None:
    """One of them asks for sixteen renders at once, two for large frames."""
    server.start()
    points = np.full((FRAMES, 70, 3), 16, np.float32)
    points[:, 0, 0] = np.arange(FRAMES) % 100
    photo = ReferenceImage(np.full((32, 32, 3), 10, np.uint8), points[0])
    with contextlib.ExitStack() as stack:
        customers = []
        for number in range(CLIENTS):
            client = stack.enter_context(Client(server.connection, name=f"client {number}"))
            portrait = client.prepare([photo], engine="slow")
            is_large = number in (1, 2)
            renders = 16 if number == 0 else 1
            streams = [
                client.render(portrait, points, range(FRAMES), size=LARGE if is_large else SMALL, encoding="raw")
                for _ in range(renders)
            ]
            customers.append(Customer(client, streams, LARGE_COST if is_large else 1.0))
        shares = served_when_the_first_is_done(customers, FRAMES * 0.75)
        print(f"{CLIENTS} clients: shares {min(shares):.3f} to {max(shares):.3f}", flush=True)
    assert min(shares) >= 1 - UNFAIR_SHARE
