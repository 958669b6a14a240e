# SPDX-License-Identifier: GPL-3.0-or-later
"""When packets were sent, by simulation: phones whose clocks run unequally, over networks that delay, lose and overtake."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from blender_addon.live.phones.clock import ArrivalClock, SenderClock
from blender_addon.live.phones.formats import Decoder
from blender_addon.live.phones.order import Order
from blender_addon.live.phones.stream import Counts, Stream
from tests.phone_packets import live_link, made_performance

FRAME = 1 / 24
RATE = 60.0


def network(chance: random.Random) -> float:
    """Seconds on the way: 4 ms, mostly a few more, now and then many."""
    delay = 0.004 + chance.expovariate(1 / 0.006)
    return delay + (chance.random() * 0.15 if chance.random() < 0.02 else 0.0)


def played(
    seconds: float, ppm: float, delay: Callable[[random.Random], float] = network, lost: float = 0.0, seed: int = 1,
    begins: float = 50_000.0,
) -> tuple[np.ndarray, np.ndarray, SenderClock]:  # fmt: skip
    """When moments were sent on our clock, and when the clock says so, in the order of sending."""
    chance = random.Random(seed)
    clock, coming = SenderClock(), []
    for number in range(round(seconds * RATE)):
        sent = 1000.0 + number / RATE
        if chance.random() >= lost:
            theirs = begins + (sent - 1000.0) * (1 + ppm / 1e6)
            coming.append((sent + delay(chance), sent, theirs))
    found = {sent: clock.moment(theirs, arrived) for arrived, sent, theirs in sorted(coming)}
    sent = np.array(sorted(found))
    return sent, np.array([found[moment] for moment in sent]), clock


@pytest.mark.parametrize("ppm", [200.0, -200.0, 0.0])
def test_no_drift_in_ten_minutes_and_even_steps(ppm: float) -> None:
    sent, moments, clock = played(600.0, ppm, lost=0.01)
    error = moments - sent
    settled = error[sent > 1002.0]
    assert clock.restarts == 0
    assert np.abs(settled).max() < FRAME / 2
    assert np.ptp(settled) < FRAME / 2, "from the beginning to the end"
    steps = np.diff(moments[sent > 1002.0]) / np.diff(sent[sent > 1002.0])
    assert np.abs(steps - 1).max() < 0.06, "as evenly as they were sent, not as they came: within a thousandth second"
    assert np.std(steps) < 0.003


def test_a_stall_of_the_network_is_no_other_clock() -> None:
    def stalls(chance: random.Random) -> float:
        return network(chance)

    chance, clock = random.Random(3), SenderClock()
    arrivals = []
    for number in range(3600):
        sent = 10.0 + number / RATE
        arrived = sent + stalls(chance)
        if 30.0 < arrived < 31.5:
            arrived = 31.5 + (sent - 30.0) * 0.01
        arrivals.append((arrived, sent))
    errors = [clock.moment(sent + 7.0, arrived) - sent for arrived, sent in sorted(arrivals)]
    assert clock.restarts == 0
    assert max(np.abs(errors[120:])) < FRAME / 2


def test_a_network_that_is_slow_for_a_while_is_no_other_clock_either() -> None:
    chance, clock = random.Random(8), SenderClock()
    sent = [10.0 + number / RATE for number in range(3600)]
    slow = [0.4 if 30.0 < moment < 34.0 else 0.0 for moment in sent]
    arrivals = sorted((moment + late + network(chance), moment) for moment, late in zip(sent, slow, strict=True))
    errors = [clock.moment(moment + 7.0, arrived) - moment for arrived, moment in arrivals]
    assert clock.restarts == 0
    assert max(np.abs(errors[120:])) < FRAME / 2


@pytest.mark.parametrize("runs_on", [True, False])
def test_a_phone_that_sleeps(runs_on: bool) -> None:
    """Its clock runs on meanwhile, or stands."""
    chance, clock = random.Random(4), SenderClock()
    errors = []
    for number in range(1800):
        sleep = 40.0 if number >= 900 else 0.0
        sent = 10.0 + number / RATE + sleep
        theirs = 500.0 + number / RATE + (sleep if runs_on else 0.0)
        errors.append(clock.moment(theirs, sent + network(chance)) - sent)
    assert clock.restarts == (0 if runs_on else 1)
    assert max(np.abs(errors[60:900])) < FRAME / 2
    assert max(np.abs(errors[900 + 33 + 60 :])) < FRAME / 2, "half a second shows that it stood"


def test_an_app_that_begins_anew() -> None:
    chance, clock = random.Random(5), SenderClock()
    errors = []
    for number in range(1800):
        sent = 10.0 + number / RATE
        theirs = 9000.0 + number / RATE if number < 900 else (number - 900) / RATE
        errors.append(clock.moment(theirs, sent + network(chance)) - sent)
    assert clock.restarts == 1
    assert max(np.abs(errors[60:900])) < FRAME / 2
    assert max(np.abs(errors[960:])) < FRAME / 2


def test_one_packet_astray_changes_nothing() -> None:
    clock = SenderClock()
    moments = []
    for number in range(600):
        sent = 10.0 + number / RATE
        if number in (200, 300):
            moments.append(clock.moment(80_000.0 if number == 200 else 1.0, sent))
        moments.append(clock.moment(500.0 + sent, sent + 0.005))
    assert np.diff(moments).min() > 0
    assert moments[-1] == pytest.approx(10.0 + 599 / RATE + 0.005, abs=1e-3)


@pytest.mark.parametrize(
    ("rate", "counted"),
    [((60, 1), 86_400 * 60), ((30, 1), 86_400 * 30), ((30000, 1001), 2_589_408), ((30000, 1001), 2_592_000)],
)
def test_midnight(rate: tuple[int, int], counted: int) -> None:
    """A count of frames begins at 0 again; of 29.97 there are two, and the packet does not say which."""
    fps = rate[0] / rate[1]
    stream = Stream(Counts(), Decoder())
    samples = []
    for number, moment in enumerate(made_performance(4.0, fps)):
        frame = (counted - 60 + number) % counted
        placed = type(moment)(frame / fps, moment.weights, moment.angles)
        arrived = 100.0 + number / fps
        stream.receive(live_link(placed, rate=rate), arrived)
        samples += stream.take(arrived + 0.001)
    seconds = np.array([sample.seconds for sample in samples])
    assert len(samples) == round(4.0 * fps)
    assert stream.counts.restarts == 0
    np.testing.assert_allclose(np.diff(seconds), 1 / fps, atol=1e-4)


def test_the_last_of_the_day_overtaken_by_the_first() -> None:
    clock, order = SenderClock(), Order[int]()
    day = (86_400.0,)
    for number in range(20):
        clock.moment(86_399.5 + number / RATE, 10.0 + number / RATE, day)
    order.add(clock.moment(0.0, 10.5, day), 10.5, 2)
    order.add(clock.moment(86_399.5 + 29 / RATE, 10.5, day), 10.5, 1)
    assert clock.restarts == 0
    assert order.ready(11.0) == [1, 2]


def test_a_count_of_thirty_frames_for_sixty_packets_is_spread() -> None:
    clock = SenderClock()
    moments = [clock.moment(1000.0 + number // 2 / 30, 5.0 + number / 60) for number in range(600)]
    np.testing.assert_allclose(np.diff(moments[120:]), 1 / 60, atol=0.002)


def test_without_a_clock_arrivals_are_evened() -> None:
    chance, clock = random.Random(6), ArrivalClock()
    sent = np.arange(3600) / RATE
    arrived = np.maximum.accumulate([moment + 0.004 + chance.expovariate(1 / 0.004) for moment in sent])
    moments = np.array([clock.moment(float(moment)) for moment in arrived])
    assert (np.diff(moments) > 0).all()
    assert np.std(np.diff(moments[300:])) < 0.6 * np.std(np.diff(arrived[300:]))
    assert np.abs(moments - sent)[300:].max() < FRAME
    quiet = [clock.moment(100.0 + number / RATE) for number in range(10)]
    assert quiet[0] == 100.0


def test_order() -> None:
    order = Order[int]()
    for number in range(-60, 0):
        order.add(1.0 + number / 60, 1.0 + number / 60, number)
        order.ready(1.0)
    order.add(1.0, 1.0, 0)
    order.add(1.0 + 1 / 60, 1.017, 1)
    assert order.ready(1.017) == [0, 1], "what follows in sequence passes at once"
    order.add(1.0 + 3 / 60, 1.05, 3)
    assert order.ready(1.051) == [], "one is missing: it may still come"
    order.add(1.0 + 2 / 60, 1.052, 2)
    assert order.ready(1.052) == [2, 3]
    assert (order.reordered, order.lost, order.late) == (1, 0, 0)
    order.add(1.0 + 6 / 60, 1.1, 6)
    assert order.ready(1.11) == []
    assert order.ready(1.118) == [6], "it waits for one step, not longer"
    assert order.lost == 2
    order.add(1.0 + 5 / 60, 1.12, 5)
    assert order.ready(2.0) == []
    assert order.late == 1
    order.add(31.0, 31.0, 7)
    assert order.ready(31.0) == [7], "after a sleep nothing is waited for"
    assert order.lost == 2


def test_from_sixty_to_thirty_a_second() -> None:
    order, now = Order[float](), 0.0
    waits = []
    for number in range(240):
        now += 1 / 60 if number < 120 else 1 / 30
        order.add(now, now, now)
        found = order.ready(now)
        waits.append(not found)
        order.ready(now + 0.02)
    assert not any(waits[:120])
    assert sum(waits[120:]) < 12, "it learns the new pace"
    assert order.step == pytest.approx(1 / 30)


def test_a_stream_in_all_weather() -> None:
    """What comes out are the packets that came in time, each once, in order; a frame later at most."""
    chance = random.Random(9)
    counts = Counts()
    stream = Stream(counts)
    coming = []
    performance = made_performance(60.0, start=40_000.0)
    for number, moment in enumerate(performance):
        data, sent = live_link(moment), 500.0 + number / RATE
        if chance.random() < 0.02:
            continue
        arrived = sent + 0.003 + (1.3 / RATE if chance.random() < 0.02 else 0.0)
        coming.append((arrived, data))
        if chance.random() < 0.05:
            coming.append((arrived + 0.002, data))
    coming.sort()
    samples, waited = [], []
    for arrived, data in coming:
        stream.receive(data, arrived)
        for sample in stream.take(arrived):
            samples.append(sample)
            waited.append(arrived - sample.arrived)
    samples += stream.take(coming[-1][0] + 1.0)
    seconds = np.array([sample.seconds for sample in samples])
    assert (np.diff(seconds) > 0).all()
    distinct = {data for _, data in coming}
    assert counts.doubled == len(coming) - len(distinct)
    assert len(samples) + counts.late == len(distinct)
    assert counts.late <= 2
    assert counts.reordered > 30
    assert max(waited) < 2.1 / RATE
    missing = len(performance) - len(distinct)
    assert abs(counts.lost - missing) <= 6
