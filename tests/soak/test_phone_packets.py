# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones for long, and with damaged packets: none is lost, nothing is thrown but what is said, no memory is given.

PORTRAIT_SOAK_PHONE_SECONDS: how long a phone sends in its own time, as 600 for ten minutes.
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.live.phones.face_packet import FacePacket
from blender_addon.live.phones.formats import Decoder, NotUnderstood
from blender_addon.live.phones.receiver import Phone
from blender_addon.live.phones.stream import Counts, Stream
from blender_addon.live.source import Sample
from blender_addon.rig.blendshapes import ARKIT_NAMES
from tests.phone import Phone as Sender
from tests.phone_packets import FORMATS, live_link, made_performance, packets_of
from tests.soak.mutations import ROUNDS, damaged
from tests.waiting import wait_until

SECONDS = float(os.environ.get("PORTRAIT_SOAK_PHONE_SECONDS", "2"))
ROOT = Path(__file__).parents[2]
_MOST_BYTES = 2**20
"""What reading one packet may take for a moment; the longest is 16 KB."""


def packets(name: str) -> Iterator[bytes]:
    """Damaged packets of one format, from several moments of a performance."""
    for moment in made_performance(0.1, start=86_399.95):
        for number, data in enumerate(packets_of(name, moment)[:8]):
            yield from damaged(data, f"{name} {moment.seconds} {number}", ROUNDS)


def check(face: FacePacket | Sample) -> None:
    assert set(face.weights) <= set(ARKIT_NAMES)
    assert all(0.0 <= value <= 1.0 for value in face.weights.values())
    assert face.head is None or all(abs(angle) <= math.pi + 1e-6 for angle in face.head)
    assert face.seconds is None or math.isfinite(face.seconds)
    assert len(face.timecode) < 20


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_packets_are_read_or_refused(name: str) -> None:
    lasting = Decoder()
    read = refused = 0
    tracemalloc.start()
    try:
        for data in packets(name):
            for decoder in (Decoder(), lasting):
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                try:
                    faces = decoder.read(data)
                except NotUnderstood as error:
                    refused += 1
                    assert len(str(error)) < 200
                    continue
                finally:
                    assert tracemalloc.get_traced_memory()[1] - before < _MOST_BYTES
                read += 1
                for face in faces:
                    check(face)
                    assert len(face.sender) <= 40
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert read
    assert refused
    assert held < 8 * _MOST_BYTES


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_of_damaged_packets(name: str) -> None:
    """Whatever they say of their time, samples come in rising order, and good packets come through between them."""
    counts, now, last = Counts(), 1000.0, -math.inf
    stream = Stream(counts)
    good = itertools.cycle(made_performance(5.0, start=50.0))
    for data in itertools.islice(packets(name), 5 * ROUNDS):
        now += 1 / 120
        try:
            stream.receive(data, now)
        except NotUnderstood:
            assert counts.damaged
        now += 1 / 120
        for whole in packets_of(name, next(good)):
            stream.receive(whole, now)
        for sample in stream.take(now):
            check(sample)
            assert sample.seconds is not None
            assert last < sample.seconds <= now + 0.01
            last = sample.seconds
    assert counts.samples + counts.late > ROUNDS


def test_none_is_lost_as_fast_as_they_are_taken() -> None:
    """A phone through true packets; the clock of the test goes on with each."""
    now = 1000.0
    source = Phone(0, host="127.0.0.1", clock=lambda: now)
    source.start()
    sender = Sender(source.port)
    performance = made_performance(20.0, start=3600.0)
    samples: list[Sample] = []
    try:
        for moment in performance:
            sender.send(live_link(moment))
            wait_until(lambda: source.counts.packets == sender.sent, note=lambda: str(source.counts))
            samples += source.take()
            now += 1 / 60
        samples += source.take()
    finally:
        source.stop()
        sender.close()
    assert len(samples) == len(performance)
    for sample, moment in zip(samples, performance, strict=True):
        assert sample.weights["jawOpen"] == pytest.approx(moment.weights["jawOpen"], abs=1e-6)


def test_none_is_lost_in_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Another process sends 60 a second, as a phone does; what is taken is what was sent, without drift."""
    source = Phone(0, host="127.0.0.1")
    source.start()
    command = [sys.executable, "-m", "tests.phone", "--port", str(source.port), "--seconds", str(SECONDS)]
    began = time.process_time()
    samples: list[Sample] = []
    try:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sender:
            while sender.poll() is None:
                samples += source.take()
                time.sleep(1 / 30)
            assert sender.stdout is not None
            said = sender.stdout.read()
        sent = int(said.split()[0])
        wait_until(lambda: source.counts.packets == sent, note=lambda: str(source.counts))
        time.sleep(0.1)
        samples += source.take()
    finally:
        source.stop()
    counts = source.counts
    errors = [sample.seconds - number / 60 for number, sample in enumerate(samples) if sample.seconds is not None]
    with capsys.disabled():
        used = (time.process_time() - began) / SECONDS
        print(f"\n{sent} sent, {len(samples)} taken; from the even pace {max(errors[60:]) - min(errors[60:]):.4f} s at most; "
              f"{100 * used:.2f} % of a core; {counts}")  # fmt: skip
    assert len(samples) == sent == round(SECONDS * 60)
    if SECONDS >= 60:  # a short turn beside other tests may be held up for longer
        assert max(errors[60:]) - min(errors[60:]) < 1 / 24
