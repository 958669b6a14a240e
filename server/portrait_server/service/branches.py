# SPDX-License-Identifier: GPL-3.0-or-later
"""The further devices of a server that has several: each draws in a branch, a server in a process of its own.

In one process, threads that draw would wait for one another wherever Python itself computes, and the loss of one GPU
would end the work on all. A branch is a whole server, whose only client is the one that started it: what makes a lost
server come back, and a photo come to it once, holds for branches as for any other.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, cast
from weakref import WeakKeyDictionary

from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.link import STABLE_SECONDS, START_SECONDS
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import RenderedFrame
from portrait_shared.protocol.references import PortraitHandle

from portrait_server.service.open_render import OpenRender
from portrait_server.service.portraits import Portrait
from portrait_server.service.result_queue import Result, ResultQueue
from portrait_server.service.sessions import Session
from portrait_server.service.workers import Workers

log = logging.getLogger(__name__)

COMMAND: Final = [sys.executable, "-m", "portrait_server"]
_CLIENT: Final = "the server it is a branch of"
_MOST_LOSSES: Final = 5
"""In a row, after which a device is left alone until the server is started anew."""
_POLL_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 5.0
_OF_A_LOSS: Final = (
    ErrorCode.SERVER_LOST, ErrorCode.SERVER_UNAVAILABLE, ErrorCode.SERVER_STOPPING, ErrorCode.NOT_ALLOWED,
)  # fmt: skip


class BranchLost(PortraitError):
    """A branch has ended, or cannot be reached any more."""


@dataclass(frozen=True, eq=False)
class KeeperTask:
    """What a branch's keeper does: prepares a portrait there, or starts the branch again where there is none."""

    branch: Branch
    run: Callable[[], Any]
    portrait: Portrait | None = None


@dataclass(frozen=True, eq=False)
class BranchBatch:
    """Some frames of one render, drawn, and made files where asked for, by a branch.

    Attributes:
        handle: how the branch knows the portrait.
        losses: of the branch, until the batch was given to it.
    """

    render: OpenRender
    indices: range
    branch: Branch
    handle: PortraitHandle
    losses: int

    @property
    def session(self) -> Session:
        return self.render.session

    def run(self) -> list[RenderedFrame] | None:
        """The frames; None where nobody waits for them any more.

        Raises:
            BranchLost.
            PortraitError: what drawing there came to.
        """
        return self.branch.talk(self._drawn)

    def _drawn(self, client: Client) -> list[RenderedFrame] | None:
        render, indices = self.render, self.indices
        numbers = [render.number(index) for index in indices]
        frames: list[RenderedFrame] = []
        with client.render(
            self.handle, render.points(indices), numbers, size=render.size, matte=render.matte,
            encoding=cast(Literal["png", "raw", "exr"], render.encoding), window=len(numbers), body=render.body(indices), others=render.others(indices),
            layers=render.layers, colorspace=render.colorspace, disclosure=render.disclosure,
        ) as stream:  # fmt: skip
            while not stream.ended and not render.ended:
                if (frame := stream.next(_POLL_SECONDS)) is not None:
                    data: Any = frame.data
                    png, pixels, exr = (data if render.encoding == kind else None for kind in ("png", "raw", "exr"))
                    frames.append(RenderedFrame(render.request, frame.number, frame.digest, png, pixels, exr))
        return None if render.ended else frames


class Branch:
    """One further device. Used by the service's own thread alone, but for what it gives to others.

    Attributes:
        device: its name.
    """

    def __init__(self, device: str, engine: str | None, results: ResultQueue, log_file: str) -> None:
        """Begins to start its server: `wait_ready` says whether that came to something."""
        self.device = device
        log_level = logging.getLevelName(log.getEffectiveLevel()).lower()
        self._process = ServerProcess(COMMAND, device=device, engine=engine, log_level=log_level)
        self._process.launch()
        self._started = time.monotonic()
        self._keeper = Workers(f"keeper-{device}", 1, results, log_file)
        self._state: Literal["working", "starting", "given up"] = "working"
        self._losses = self._all_losses = 0
        self._handles: WeakKeyDictionary[Portrait, PortraitHandle | None] = WeakKeyDictionary()
        self._of_thread = threading.local()

    def wait_ready(self) -> None:
        """Raises: PortraitError: DEVICE_UNAVAILABLE, in the words of the server that could not start."""
        self._process.start(START_SECONDS)

    def batch(self, render: OpenRender, indices: range) -> BranchBatch:
        """Frames of a portrait that it `draws`, as a task."""
        handle = self._handles[render.portrait]
        assert handle is not None
        return BranchBatch(render, indices, self, handle, self._all_losses)

    def draws(self, portrait: Portrait) -> bool:
        """Whether frames of a portrait may be given to it now."""
        return self._state == "working" and self._handles.get(portrait) is not None

    def want(self, portrait: Portrait) -> None:
        """Has a portrait prepared there, unless that was tried; until then it is drawn elsewhere."""
        if self._state == "working" and portrait.order is not None and portrait not in self._handles:
            self._handles[portrait] = None
            self._keeper.give(KeeperTask(self, partial(self._prepare, portrait), portrait))

    def failed(self, batch: BranchBatch, error: PortraitError) -> None:
        """Takes note that it could not draw a batch: it is given no more of that portrait, or is started again."""
        if not isinstance(error, BranchLost):
            log.warning("The device %s draws no more of a portrait's frames: %s", self.device, error)
            self._handles[batch.render.portrait] = None
        elif batch.losses == self._all_losses:  # else the one is lost already that it was given to
            self._lose(error)

    def returned(self, task: KeeperTask, result: Result) -> None:
        """Takes what its keeper came to."""
        self._keeper.returned()
        if task.portrait is None:
            if result.error is not None:
                self._give_up(result.error)
            else:
                self._state, self._started = "working", time.monotonic()
                log.info("The device %s is back", self.device)
        elif isinstance(result.error, BranchLost):
            if self._state == "working":
                self._lose(result.error)
        elif result.error is not None:
            log.warning("The device %s draws none of a portrait's frames: %s", self.device, result.error)
        elif self._state == "working":
            self._handles[task.portrait] = result.value

    def talk(self, about: Callable[[Client], Any]) -> Any:
        """What comes of talking to it, by this thread's own client. Called by lanes' threads and the keeper's.

        Raises:
            BranchLost.
            PortraitError: what it answers.
        """
        client: Client | None = getattr(self._of_thread, "client", None)
        if client is None:
            # The branch is started again by its keeper, so that nobody waits for that who could draw elsewhere.
            client = self._of_thread.client = Client(self._process, name=_CLIENT, restarts=0)
        try:
            return about(client)
        except PortraitError as error:
            if error.code not in _OF_A_LOSS and self._process.alive:
                raise
            self._of_thread.client = None
            with suppress(PortraitError):
                client.close()
            raise BranchLost(error.code, error.message, error.remedy) from None

    def stop(self) -> None:
        """Ends its server and its thread."""
        self._process.stop(_STOP_SECONDS)
        self._keeper.stop(_STOP_SECONDS)

    def _prepare(self, portrait: Portrait) -> PortraitHandle:
        order = portrait.order
        assert order is not None
        made = self.talk(
            lambda client: client.prepare(
                order.references, engine=portrait.engine.name, personal=order.personal, others=order.others
            )
        )
        if made.portrait_id != portrait.portrait_id:
            raise PortraitError(
                ErrorCode.VERSION_MISMATCH, f"On {self.device} the engine {made.engine} is another one."
            )
        return made

    def _lose(self, error: BranchLost) -> None:
        """Has its server started again; not for ever, where it ends again and again."""
        self._losses = 1 if time.monotonic() - self._started > STABLE_SECONDS else self._losses + 1
        self._all_losses += 1
        self._handles.clear()
        if self._losses > _MOST_LOSSES:
            self._give_up(error)
            return
        log.warning("The device %s was lost and is started again; others go on: %s", self.device, error)
        self._state = "starting"
        self._keeper.give(KeeperTask(self, self._start_again))

    def _start_again(self) -> None:
        if self._process.alive:  # its connection broke
            self._process.kill()
        self._process.start(START_SECONDS)

    def _give_up(self, error: PortraitError) -> None:
        self._state = "given up"
        log.error("The device %s is not used any more until the server is started anew: %s", self.device, error)
