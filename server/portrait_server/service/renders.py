# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients' renders, and the way of each frame: drawn in batches, made a file where asked for, sent in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from portrait_shared.body import check_body
from portrait_shared.bounds import check_points
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.layers import bytes_of_pixel, followed_rows
from portrait_shared.other_faces import checked_others
from portrait_shared.protocol.framing import MAX_PART_BYTES, bad_message
from portrait_shared.protocol.messages import (
    Credit,
    Done,
    Echo,
    Echoed,
    Error,
    Message,
    Progress,
    Render,
    RenderedFrame,
)

from portrait_server.disclosure.label import check_label
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.networks.device import Device
from portrait_server.service.branches import Branch, BranchBatch, KeeperTask
from portrait_server.service.budgets import Ledger
from portrait_server.service.counters import Counters, Outcome
from portrait_server.service.lanes import Lanes
from portrait_server.service.open_render import OpenRender
from portrait_server.service.portraits import Portrait, Store
from portrait_server.service.result_queue import Result, ResultQueue
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.service_errors import stopping_error
from portrait_server.service.sessions import Send, Session
from portrait_server.service.tasks import FrameBatch, FrameEncoding, RequestTask
from portrait_server.service.workers import Workers

log = logging.getLogger(__name__)


class Renders:
    """All renders that clients wait for. Used by the service's own thread alone.

    Args:
        portraits: what is rendered; layers: what is kept of them while they are.
        helpers: make files of frames of usual size.
        large_helpers: how many threads do so with large ones.
        room: how many bytes of frames may be drawn for a client now.
        device: the server's own; branches: its further ones.
        send: sends a message to a client, unless it has left.
    """

    def __init__(
        self, portraits: Store[Portrait], layers: LayerMemory, ledger: Ledger, counters: Counters, helpers: Workers, large_helpers: int,
        results: ResultQueue, log_file: str, room: Callable[[Session], int], send: Send, device: Device,
        branches: Sequence[Branch] = (),
    ) -> None:  # fmt: skip
        self._portraits, self._layers = portraits, layers
        self._ledger = ledger
        self._counters = counters
        self._helpers = helpers
        self._large_helpers = Workers("large-helper", large_helpers, results, log_file, yields=True)
        self._send = send
        self._scheduler = Scheduler(room)
        self._device, self._branches = device, branches
        self._lanes = Lanes(self._scheduler, results, log_file, branches)
        self._open: dict[Session, dict[int, OpenRender]] = {}

    @property
    def engines_busy(self) -> bool:
        return self._lanes.busy

    @property
    def busy(self) -> bool:
        """Whether something is drawn or made a file of now."""
        return self._lanes.busy or self._large_helpers.busy

    def of(self, session: Session) -> list[OpenRender]:
        """What a client waits for."""
        return list(self._open.get(session, {}).values())

    def add(self, session: Session, message: Render) -> Message:
        """Queues a render.

        Raises:
            PortraitError: UNKNOWN_PORTRAIT, BAD_MESSAGE, BAD_POINTS, BAD_CONFIGURATION for a label that cannot be written,
                IMAGE_TOO_LARGE, BUSY.
        """
        portrait = self._portraits.get(message.portrait)
        if portrait is None:
            raise PortraitError(
                ErrorCode.UNKNOWN_PORTRAIT, "The server does not hold this portrait any more.", "Prepare it again."
            )
        if self._find(session, message.request) is not None:
            raise bad_message("This request id is in use.")
        told = message.numbers[followed_rows(message.numbers.tolist(), message.layers)]
        check_points(message.points, told, size=portrait.size)
        if message.body is not None:
            check_body(message.body, told)
        checked_others(message.other_faces, told, portrait.size, portrait.other_faces)
        if message.shown.label is not None:
            check_label(message.shown.label)
        render = OpenRender(session, message, portrait, 1 + len(self._branches), self._layers)
        sent_bytes = message.size[0] * message.size[1] * bytes_of_pixel(message.layers) or render.frame_bytes
        if sent_bytes > MAX_PART_BYTES:
            raise PortraitError(
                ErrorCode.IMAGE_TOO_LARGE,
                f"Frames of {message.size[0]}x{message.size[1]} pixels are too large for "
                + (f"the layers {', '.join(message.layers)}." if message.layers else "16 bits a channel."),
                "Render smaller frames, or fewer layers." if message.layers
                else "Render smaller frames, or with a depth of 8 bits.",
            )  # fmt: skip
        self._ledger.charge(session, render.held_bytes)
        self._open.setdefault(session, {})[render.request] = render
        self._portraits.pin(portrait.portrait_id)
        self._spread(render)
        return Progress(message.request, "queued", self._scheduler.add(session, render))

    def add_echo(self, session: Session, message: Echo) -> Message:
        """Queues an echo among the renders."""
        echoed = Echoed(message.request)
        task = RequestTask.charged(self._ledger, session, message.request, lambda: None, lambda _: echoed, "engine")
        return Progress(message.request, "queued", self._scheduler.add(session, task))

    def grant(self, session: Session, message: Credit) -> None:
        """A client has consumed frames of a render, which may just have ended."""
        if (render := self._find(session, message.job)) is not None:
            render.grant(message.count)

    def cancel(self, session: Session, request: int) -> bool:
        """Stops a render; whether there was one."""
        if (render := self._find(session, request)) is None:
            return False
        self._end(render, "cancelled")
        return True

    def end_session(self, session: Session) -> None:
        """Stops all that a client has asked for."""
        for render in self.of(session):
            self._end(render, "cancelled")
        self._open.pop(session, None)
        self._scheduler.remove(session)

    def hand_back(self, session: Session) -> None:
        """Stops a client's renders and tells it what is missing of them: the server ends."""
        for render in self.of(session):
            detail = f" {render.total - render.sent} of {render.total} frames are handed back."
            log.info("%s:%s", session.name, detail)
            self._fail(render, stopping_error(detail))

    def clear_queue(self) -> list[RequestTask]:
        """Begins nothing more; returns the echoes that waited."""
        return [work for work in self._scheduler.clear() if isinstance(work, RequestTask)]

    def dispatch(self) -> None:
        """Begins all that may be begun."""
        for task in self._lanes.dispatch():
            if isinstance(task, RequestTask):
                self._send(task.session, Progress(task.request, "running"))
            elif task.indices.start == 0:
                self._send(task.session, Progress(task.render.request, "running"))

    def returned(self, task: RequestTask) -> None:
        """Takes note that an echo is done."""
        self._lanes.returned(task)

    def take_batch(self, batch: FrameBatch | BranchBatch, result: Result) -> None:
        """Sends on what was drawn. What a branch could not draw, the server's own device draws, or says why not."""
        self._lanes.returned(batch)
        render = batch.render
        if isinstance(batch, BranchBatch) and result.error is not None:
            batch.branch.failed(batch, result.error)
            if not render.ended:
                render.take_back(batch.indices)
                self._scheduler.add_again(render)
                return
        if result.error is not None:
            self._fail(render, result.error)
        self._portraits.make_room()
        if result.value is None or render.ended:
            render.let_go(len(batch.indices))
            return
        if isinstance(batch, BranchBatch):
            self._counters.drew(len(batch.indices), result.seconds, batch.branch.device)
            for index, frame in zip(batch.indices, result.value, strict=True):
                render.let_go(1)
                self._deliver(render, index, frame)
            return
        self._counters.drew(len(batch.indices), result.seconds, self._device.name)
        for index, pixels in zip(batch.indices, result.value, strict=True):
            if render.encoding != "raw":
                self._encoders(render).give(FrameEncoding(render, index, pixels, self._device))
            else:
                render.let_go(1)
                self._deliver(
                    render, index,
                    RenderedFrame(render.request, render.number(index), render.digest(index), None, pixels),
                )  # fmt: skip

    def take_encoding(self, task: FrameEncoding, result: Result) -> None:
        """Sends what became a file."""
        render = task.render
        self._encoders(render).returned()
        render.let_go(1)
        if result.error is not None:
            self._fail(render, result.error)
        elif result.value is not None:
            self._deliver(render, task.index, result.value)

    def take_keepers(self, task: KeeperTask, result: Result) -> None:
        """Takes what a branch's keeper has done: more may be drawn there now."""
        task.branch.returned(task, result)
        if task.portrait is None:
            for renders in self._open.values():
                for render in renders.values():
                    self._spread(render)

    def stop(self, timeout_s: float) -> None:
        """Ends the threads."""
        self._lanes.stop(timeout_s)
        self._large_helpers.stop(timeout_s)

    def _spread(self, render: OpenRender) -> None:
        """Has a render's portrait prepared on all devices; for a few frames that would not be worth its while."""
        if render.to_draw > render.batch_size:
            for branch in self._branches:
                branch.want(render.portrait)

    def _find(self, session: Session, request: int) -> OpenRender | None:
        return self._open.get(session, {}).get(request)

    def _encoders(self, render: OpenRender) -> Workers:
        return self._large_helpers if render.is_large else self._helpers

    def _deliver(self, render: OpenRender, index: int, frame: RenderedFrame) -> None:
        if render.ended:
            return
        for ready in render.finish(index, frame):
            self._send(render.session, ready)
        if render.sent == render.total:
            self._send(render.session, Done(render.request, False))
            self._end(render, "done")

    def _fail(self, render: OpenRender, error: PortraitError) -> None:
        if not render.ended:
            self._send(render.session, Error.of(render.request, error))
            self._end(render, "failed")

    def _end(self, render: OpenRender, outcome: Outcome) -> None:
        """Frees what a render holds; nothing of it is drawn or sent any more."""
        if not render.ended:
            render.ended = True
            self._note_end(render, outcome)
            del self._open[render.session][render.request]
            self._scheduler.drop(render)
            self._ledger.release(render.session, render.held_bytes)
            self._portraits.unpin(render.portrait.portrait_id)

    def _note_end(self, render: OpenRender, outcome: Outcome) -> None:
        seconds = time.monotonic() - render.begun
        self._counters.render_ended(outcome, seconds)
        told = {
            "client": render.session.name, "request": render.request, "portrait": render.portrait.portrait_id,
            "engine": render.portrait.engine.name, "frames": render.sent, "of": render.total,
            "outcome": outcome, "seconds": round(seconds, 3),
        }  # fmt: skip
        level = logging.INFO if render.total > 1 else logging.DEBUG  # a live preview asks for each frame by itself
        log.log(
            level,
            "%(client)s: %(frames)d of %(of)d frames of a render, %(outcome)s after %(seconds)s s",
            told,
            extra=told,
        )
