# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns, batches and credit of the scheduler; what the stores keep and forget."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.warp import WarpEngine
from portrait_server.service.budgets import Budgets, Ledger
from portrait_server.service.open_render import OpenRender
from portrait_server.service.portraits import Portrait, Store
from portrait_server.service.scheduler import Scheduler
from portrait_server.service.sessions import Session
from portrait_server.service.tasks import FrameBatch, RequestTask
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import Echoed, Render, RenderedFrame

PORTRAIT = Portrait("a" * 64, WarpEngine(), None, (64, 64), np.dtype(np.uint8))


def job(session: Session, request: int = 1, frames: int = 20, window: int = 8, side: int = 64) -> OpenRender:
    points = np.zeros((frames, 70, 3), "<f4")
    numbers = np.arange(frames, dtype="<i4")
    message = Render(request, "a" * 64, (side, side), False, "raw", window, numbers, points)
    return OpenRender(session, message, PORTRAIT)


def taken(scheduler: Scheduler, full_only: bool = False) -> tuple[str, int, range] | None:
    batch = scheduler.next(full_only)
    assert batch is None or isinstance(batch, FrameBatch)
    return None if batch is None else (batch.render.session.name, batch.render.request, batch.indices)


def test_clients_take_turns_and_so_do_the_jobs_of_each() -> None:
    scheduler, anne, ben = Scheduler(), Session(b"a", "anne"), Session(b"b", "ben")
    for session, request in ((anne, 1), (anne, 2), (ben, 3)):
        scheduler.add(session, job(session, request))
    order = [taken(scheduler) for _ in range(6)]
    assert [entry[:2] for entry in order if entry] == [
        ("anne", 1), ("ben", 3), ("anne", 2), ("ben", 3), ("anne", 1), ("anne", 2),
    ]  # fmt: skip
    assert order[0][2] == range(0, 4) and order[4][2] == range(4, 8)
    assert taken(scheduler) is None  # everybody's credit is used up


def test_what_a_device_could_not_draw_is_next_and_uses_no_more_credit() -> None:
    scheduler, anne = Scheduler(), Session(b"a", "anne")
    render = job(anne, frames=12, window=12)
    scheduler.add(anne, render)
    batches = [taken(scheduler) for _ in range(3)]
    assert [batch[2] for batch in batches if batch] == [range(0, 4), range(4, 8), range(8, 12)]
    assert taken(scheduler) is None and render.to_draw == 0 and render.outstanding == 12
    for lost in (range(4, 8), range(8, 10)):
        render.take_back(lost)
        scheduler.add_again(render)
    assert render.to_draw == 6 and render.outstanding == 6 and render.credit == 6
    assert anne.frame_bytes == 6 * render.frame_bytes
    again = [taken(scheduler) for _ in range(2)]
    assert [batch[2] for batch in again if batch] == [range(4, 8), range(8, 10)] and taken(scheduler) is None
    assert render.outstanding == 12 and render.credit == 0


def test_a_render_on_several_devices_leaves_each_a_batch_that_waits() -> None:
    alone, of_eight = job(Session(b"a", "anne"), frames=200, window=64), Session(b"b", "ben")
    points, numbers = np.zeros((200, 70, 3), "<f4"), np.arange(200, dtype="<i4")
    message = Render(1, "a" * 64, (64, 64), False, "raw", 32, numbers, points)
    assert alone.batch_size == PORTRAIT.engine.batch_size == 4
    assert [OpenRender(of_eight, message, PORTRAIT, devices).batch_size for devices in (1, 2, 8, 40)] == [4, 4, 2, 1]


def test_turns_go_by_cost() -> None:
    scheduler, anne, ben = Scheduler(), Session(b"a", "anne"), Session(b"b", "ben")
    scheduler.add(anne, job(anne, 1, frames=400, window=256, side=64))
    scheduler.add(ben, job(ben, 2, frames=400, window=256, side=1024))
    cost = {"anne": 0, "ben": 0}
    for _ in range(60):
        batch = scheduler.next(False)
        assert isinstance(batch, FrameBatch)
        cost[batch.session.name] += batch.cost
    assert batch.cost < 1024**2 and 0.8 < cost["anne"] / cost["ben"] < 1.25


def test_whoever_comes_later_has_no_claim_to_the_time_before() -> None:
    scheduler, anne, ben = Scheduler(), Session(b"a", "anne"), Session(b"b", "ben")
    scheduler.add(anne, job(anne, 1, frames=400, window=256))
    for _ in range(20):
        assert taken(scheduler)[0] == "anne"
    scheduler.add(ben, job(ben, 2, frames=400, window=256))
    names = [taken(scheduler)[0] for _ in range(12)]
    assert names.count("anne") >= 5


def test_large_frames_come_in_small_batches() -> None:
    scheduler, anne = Scheduler(), Session(b"a", "anne")
    scheduler.add(anne, job(anne, 1, window=8, side=1400))
    assert taken(scheduler)[2] == range(0, 2)
    scheduler.remove(anne)
    scheduler.add(anne, job(anne, 2, window=8, side=4000))
    assert taken(scheduler)[2] == range(0, 1)


def test_frames_that_wait_to_be_read_keep_others_from_being_drawn() -> None:
    anne, ben = Session(b"a", "anne"), Session(b"b", "ben")
    room = {anne: 6 * 64 * 64 * 4, ben: 1 << 30}
    scheduler = Scheduler(lambda session: room[session] - session.frame_bytes)
    for request in (1, 2, 3):
        scheduler.add(anne, job(anne, request))
    assert taken(scheduler) == ("anne", 1, range(0, 4)) and taken(scheduler) == ("anne", 2, range(0, 2))
    assert taken(scheduler) is None
    scheduler.add(ben, job(ben, 4))
    assert taken(scheduler) == ("ben", 4, range(0, 4))
    anne.frame_bytes = 0
    assert taken(scheduler) == ("anne", 3, range(0, 4))


def test_a_client_and_all_clients_hold_no_more_than_their_budget() -> None:
    ledger, anne, ben = Ledger(Budgets(client=100, total=150)), Session(b"a", "anne"), Session(b"b", "ben")
    ledger.charge(anne, 140)  # alone, one may be as large as it is
    with pytest.raises(PortraitError, match="This client's open requests") as caught:
        ledger.charge(anne, 1)
    assert caught.value.code == ErrorCode.BUSY and caught.value.remedy
    with pytest.raises(PortraitError, match="all clients"):
        ledger.charge(ben, 20)
    ledger.release(anne, 140)
    ledger.charge(ben, 60)
    ledger.charge(ben, 40)
    ben.gone = True
    ledger.forget(ben)
    ledger.release(ben, 60)
    assert ledger.held == 0 and ben.held_bytes == 0


def test_a_request_that_holds_nothing_is_open_all_the_same() -> None:
    ledger, anne = Ledger(Budgets(client=100, total=150)), Session(b"a", "anne")
    ledger.charge(anne, 140)
    ledger.charge(anne, 0)
    assert anne.pending == 2
    ledger.release(anne, 140)
    ledger.release(anne, 0)
    assert anne.pending == ledger.held == 0


def test_credit_is_never_exceeded_and_a_busy_engine_waits_for_full_batches() -> None:
    scheduler, anne = Scheduler(), Session(b"a", "anne")
    render = job(anne, frames=20, window=8)
    scheduler.add(anne, render)
    assert taken(scheduler)[2] == range(0, 4) and taken(scheduler)[2] == range(4, 8)
    render.grant(3)
    assert taken(scheduler, full_only=True) is None
    assert render.outstanding == 5
    render.grant(1)
    assert taken(scheduler, full_only=True)[2] == range(8, 12)
    render.grant(2)
    assert taken(scheduler)[2] == range(12, 14)
    assert render.peak_outstanding == 8 and render.credit == 0


def test_a_window_smaller_than_a_batch_does_not_starve() -> None:
    scheduler, anne = Scheduler(), Session(b"a", "anne")
    render = job(anne, frames=3, window=1)
    scheduler.add(anne, render)
    for index in range(3):
        assert taken(scheduler, full_only=True)[2] == range(index, index + 1)
        assert taken(scheduler, full_only=True) is None
        render.grant(1)
    assert taken(scheduler) is None


def test_huge_frames_get_less_credit_than_was_asked_for() -> None:
    render = job(Session(b"a", "anne"), frames=100, window=100, side=8000)
    assert render.credit == 4  # of 256 MB each
    render.take(4)
    render.grant(100)
    assert render.credit == 4


def test_a_request_is_done_once_and_in_turn() -> None:
    scheduler, anne, ben = Scheduler(), Session(b"a", "anne"), Session(b"b", "ben")
    scheduler.add(anne, job(anne))
    task = RequestTask(ben, 7, lambda: None, lambda _: Echoed(7))
    assert scheduler.add(ben, task) == 1
    assert taken(scheduler) is not None
    assert scheduler.next(full_only=True) is task
    scheduler.remove(anne)
    assert scheduler.next(False) is None and scheduler.clear() == []


def test_frames_leave_in_the_order_asked_for() -> None:
    render = job(Session(b"a", "anne"), frames=4)
    frames = [RenderedFrame(1, number, "a" * 64, b"png") for number in range(4)]
    assert render.finish(2, frames[2]) == [] and render.finish(1, frames[1]) == []
    assert render.finish(0, frames[0]) == frames[:3]
    assert render.finish(3, frames[3]) == frames[3:] and render.sent == render.total


def test_a_store_forgets_the_oldest_and_never_what_is_pinned_or_new() -> None:
    store: Store[str] = Store(100)
    for key in "abc":
        store.put(key, key.upper(), 40)
    assert store.get("a") is None and store.held_bytes == 80
    assert store.get("b") == "B"
    store.pin("c")
    store.pin("c")
    store.put("d", "D", 90)
    assert store.get("b") is None and store.get("c") == "C" and store.get("d") == "D"
    store.unpin("c")
    assert store.get("c") == "C"
    store.get("d")
    store.unpin("c")
    assert store.get("c") is None and store.held_bytes == 90 and len(store) == 1
    store.put("e", "E", 1000)
    assert store.get("e") == "E" and len(store) == 1


def test_a_store_leaves_layers_the_rest_of_its_budget_and_forgets_for_them_what_nobody_uses() -> None:
    class Drawn:
        """A portrait."""

    def drawn(count: int) -> None:
        layers.get(owner, count, count, lambda: np.zeros(count, np.uint8))
        store.make_room()

    layers, owner = LayerMemory(), Drawn()
    store: Store[str] = Store(100, layers)
    for key in "abc":
        store.put(key, key, 20)
    store.pin("c")
    drawn(40)
    assert len(store) == 3 and layers.held_bytes == 40
    drawn(70)  # does not fit, so that what is oldest makes room for the next time
    assert store.get("a") is None and store.get("b") is None and store.get("c") == "c"
    drawn(70)
    assert layers.held_bytes == 70
    drawn(90)
    assert len(store) == 1 and layers.held_bytes == 0, "what is pinned stays"
    drawn(1000)
    drawn(60)
    store.put("d", "d", 30)
    assert store.held_bytes == 50 and layers.held_bytes == 0, "what is new has room before layers"
    store.unpin("c")
    assert len(store) == 2
