# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the server, or finds it, and sees whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portrait_shared.client.client import Client

from ..connection import server
from .job import Job


class ServerJob(Job):
    """Belongs to no portrait: its problems are kept under the empty uid."""

    label = "Start Server"

    def __init__(self, launch: server.Launch) -> None:
        super().__init__("", launch)

    def begin(self) -> None:
        self.note = "Starting the server"

    def work(self, client: Client, post: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
        post(client.echo(through_engine=True))  # an open socket does not prove that anything runs behind it

    def handle(self, event: float) -> None:
        self.note = f"The server answered in {event * 1000:.0f} ms"
