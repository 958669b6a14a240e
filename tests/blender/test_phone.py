# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone on the network, by true packets on this machine: who is heard, what is said of it, and what it withstands."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from portrait_shared.errors import ErrorCode, PortraitError

from blender_addon.live.phones import receiver as receiver_module
from blender_addon.live.phones import stream
from blender_addon.live.phones.addresses import is_near, own_addresses, plain_address, with_port
from blender_addon.live.phones.facial_mocap import HELLOS
from blender_addon.live.phones.receiver import Phone
from blender_addon.live.phones.udp import UdpSocket
from blender_addon.live.source import LiveSource, Sample
from tests.phone import Phone as Sender
from tests.phone_packets import FORMATS, facial_mocap, live_link, made_performance, packets_of, recorded_performance
from tests.waiting import wait_until

SECOND = "127.0.0.2"
two_addresses = pytest.mark.skipif(sys.platform != "linux", reason="this system has one loopback address alone")


class Clock:
    """Stands until it is told to go on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def phone(clock: Clock) -> Iterator[Phone]:
    source = Phone(0, host="127.0.0.1", clock=clock)
    source.start()
    yield source
    source.stop()


@pytest.fixture
def sender(phone: Phone) -> Iterator[Callable[..., Sender]]:
    """Makes phones that send to it, from any of this machine's addresses."""
    made: list[Sender] = []

    def make(source: str = "127.0.0.1") -> Sender:
        made.append(Sender(phone.port, source=source))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard(phone: Phone) -> int:
    counts = phone.counts
    return counts.packets + counts.strangers + counts.oversized


def send(phone: Phone, sender: Sender, *packets: bytes) -> None:
    """Sends and waits until all were looked at."""
    before = heard(phone)
    for data in packets:
        sender.send(data)
    wait_until(lambda: heard(phone) >= before + len(packets), note=lambda: str(phone.counts))


def play(phone: Phone, sender: Sender, clock: Clock, seconds: float = 1.0, name: str = "live-link", start: float = 7.0,
         subject: str = "iPhone") -> list[Sample]:  # fmt: skip
    """Sends a performance in its own time, on the clock of the test; what came of it."""
    samples = []
    for moment in made_performance(seconds, start=start):
        send(phone, sender, *packets_of(name, moment, subject))
        samples += phone.take()
        clock.seconds += 1 / 60
    return samples + phone.take()


def test_it_is_a_live_source() -> None:
    source: LiveSource = Phone()
    assert source.title == "Phone"
    assert not source.ended
    assert source.take() == []
    source.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_from_the_network(phone: Phone, sender: Callable[..., Sender], clock: Clock, name: str) -> None:
    samples = play(phone, sender(), clock, 0.5, name)
    assert len(samples) == 30
    last = made_performance(0.5, start=7.0)[-1]
    for control, value in last.weights.items():
        assert samples[-1].weights[control] == pytest.approx(value, abs=0.0051), control
    times = [sample.seconds for sample in samples]
    assert all(time is not None for time in times)
    assert sorted(set(times)) == times
    assert times[-1] == pytest.approx(clock.seconds - 1 / 60, abs=0.02)
    assert phone.problem == ""


def test_a_recorded_take_is_played(phone: Phone, sender: Callable[..., Sender], clock: Clock, tmp_path: Path) -> None:
    names = ["JawOpen", "EyeBlinkLeft", "HeadYaw", "HeadPitch", "HeadRoll"]
    rows = [f"10:00:00:{n:02d}.000,61,{n / 60},0.5,0.1,0.2,0.3" for n in range(30)]
    file = tmp_path / "take.csv"
    file.write_text("\n".join([",".join(["Timecode", "BlendShapeCount", *names]), *rows]))
    one = sender()
    for moment in recorded_performance(file):
        send(phone, one, live_link(moment))
        clock.seconds += 1 / 60
    samples = phone.take()
    assert len(samples) == 30
    assert samples[29].weights["jawOpen"] == pytest.approx(29 / 60)
    assert samples[29].head == pytest.approx((0.2, 0.1, 0.3))
    assert samples[29].timecode == "10:00:00:29.000"


def test_nothing_is_open_before_and_after(clock: Clock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = Phone(port, host="127.0.0.1", clock=clock)
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))
        source.start()
        source.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError):
            taken.bind(("127.0.0.1", port))
        source.stop()
        source.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "phone"]


def test_a_port_in_use_and_others_that_cannot_be_had(clock: Clock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(PortraitError) as caught:
            Phone(port, host="127.0.0.1", clock=clock).start()
    assert caught.value.code is ErrorCode.BUSY
    assert str(port) in caught.value.message
    assert "another port" in caught.value.remedy
    for bad in (Phone(70_000), Phone(0, host="203.0.113.9"), Phone(0, host="no such host"), Phone(-1)):
        with pytest.raises(PortraitError) as caught:
            bad.start()
        assert caught.value.code is ErrorCode.BAD_CONFIGURATION
        assert caught.value.remedy


def test_two_sources_do_not_share_a_port(phone: Phone) -> None:
    with pytest.raises(PortraitError, match="in use"):
        Phone(phone.port, host="127.0.0.1").start()


def test_on_all_addresses_of_this_machine() -> None:
    source = Phone(0)
    source.start()
    try:
        one = Sender(source.port)
        send(source, one, live_link(made_performance(1.0)[0]))
        assert "127.0.0.1" in source.line
        assert all(place.endswith(f":{source.port}") for place in source.addresses)
        one.close()
    finally:
        source.stop()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_over_ipv6_too_and_narrowed_to_one() -> None:
    opened = UdpSocket("", 0)
    new, old, other = Sender(opened.port, "::1"), Sender(opened.port), Sender(opened.port)
    new.send(b"six")
    assert (opened.receive() or ())[:2] == (b"six", "::1")
    old.send(b"four")
    found = opened.receive()
    assert found is not None
    assert found[:2] == (b"four", "127.0.0.1")
    opened.narrow_to("127.0.0.1", found[2])
    other.send(b"stranger")
    new.send(b"stranger")
    old.send(b"again")
    assert (opened.receive() or ())[:1] == (b"again",)
    assert opened.receive() is None
    for one in (new, old, other):
        one.close()
    opened.close()


def test_what_it_says(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    assert phone.line == f"Waiting for a phone to send to 127.0.0.1:{phone.port}."
    assert phone.problem == ""
    clock.seconds += 30.0
    assert "firewall" in phone.problem
    assert str(phone.port) in phone.problem
    one = sender()
    play(phone, one, clock, 3.0, subject="Anna's iPhone")
    assert phone.line == "Hears Anna's iPhone (Live Link Face, 127.0.0.1) at 60/s."
    assert phone.problem == ""
    for _ in range(4):
        clock.seconds += 1.0
        send(phone, one, live_link(made_performance(1.0)[0], "Anna's iPhone", count=0))
    assert phone.line == "Hears Anna's iPhone (Live Link Face, 127.0.0.1), which sees no face."
    clock.seconds += 5.0
    assert phone.line == "Nothing has come from Anna's iPhone (Live Link Face, 127.0.0.1) for 5 s."
    assert "wake it" in phone.problem
    assert not phone.ended


@pytest.mark.parametrize("start", [47.0, 1000.0, 0.0])
def test_a_phone_that_slept_is_heard_again(
    phone: Phone, sender: Callable[..., Sender], clock: Clock, start: float
) -> None:
    """Its clock ran on (from 7 s on, for 40), jumped, or began anew; it may send from another port."""
    play(phone, sender(), clock)
    clock.seconds += 39.0
    assert "gone quiet" in phone.problem
    samples = play(phone, sender(), clock, 2.0, start=start)
    assert len(samples) == 120
    assert phone.problem == ""
    assert samples[-1].seconds == pytest.approx(clock.seconds - 1 / 60, abs=0.02)


def test_garbage_and_other_protocols(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    one = sender()
    send(phone, one, b"GET / HTTP/1.1\r\n\r\n")
    assert "sends what is no face" in phone.problem
    assert "Live Link Face" in phone.problem
    send(phone, one, b"\x05" + bytes(280))
    assert "Update the app" in phone.problem
    send(phone, one, bytes(40_000))
    assert phone.counts.oversized == 1
    assert phone.take() == []
    assert len(play(phone, one, clock)) == 60
    assert phone.problem == ""
    send(phone, one, *[bytes([6]) * 50] * 150)
    assert "update" in phone.problem
    assert phone.counts.damaged == 150
    assert len(play(phone, one, clock, start=8.0)) == 60


@two_addresses
def test_the_first_is_heard_and_the_second_can_be_chosen(
    phone: Phone, sender: Callable[..., Sender], clock: Clock
) -> None:
    anna, bob = sender(), sender(SECOND)
    play(phone, anna, clock, subject="Anna's iPhone")
    send(phone, bob, live_link(made_performance(1.0)[0], "Bob's iPhone"))
    assert phone.choices == ("Bob's iPhone (127.0.0.2)",)
    assert phone.problem == (
        "Bob's iPhone (127.0.0.2) sends too, and is not heard: press its button to hear it instead."
    )
    assert phone.take() == []
    phone.choose(phone.choices[0])
    assert len(play(phone, bob, clock, subject="Bob's iPhone")) == 60
    assert "Bob's iPhone" in phone.line
    send(phone, anna, live_link(made_performance(1.0)[0], "Anna's iPhone"))
    assert phone.take() == []
    clock.seconds += 11.0
    assert phone.choices == ()


@two_addresses
def test_a_phone_whose_address_changed(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    play(phone, sender(), clock, subject="Anna's iPhone")
    clock.seconds += 5.0
    moved = sender(SECOND)
    assert play(phone, moved, clock, subject="Anna's iPhone", start=13.0) == []
    assert "gone quiet" in phone.problem
    assert "press its button" in phone.problem
    phone.choose("Anna's iPhone (127.0.0.2)")
    assert len(play(phone, moved, clock, subject="Anna's iPhone", start=14.0)) == 60


@two_addresses
def test_who_is_chosen_before_is_heard_alone(clock: Clock) -> None:
    source = Phone(0, peer=SECOND, host="127.0.0.1", clock=clock)
    source.start()
    first, second = Sender(source.port), Sender(source.port, source=SECOND)
    try:
        assert "127.0.0.2" in source.line
        assert play(source, first, clock) == []
        assert len(play(source, second, clock)) == 60
    finally:
        source.stop()
        first.close()
        second.close()


@two_addresses
def test_a_flood_of_strangers_starves_nobody(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    """The system itself keeps them out, from the time that there are too many, until the phone is quiet."""
    anna, flood = sender(), sender(SECOND)
    play(phone, anna, clock, 0.5)
    wait_until(lambda: phone._socket is not None and phone._socket.narrow, lambda: flood.send(b"x" * 200),
               lambda: str(phone.counts))  # fmt: skip
    strangers = phone.counts.strangers
    moments = made_performance(3.0, start=7.5)
    samples = []
    for moment in moments:
        for _ in range(50):
            flood.send(b"x" * 200)
        before = phone.counts.packets
        anna.send(live_link(moment))
        wait_until(lambda before=before: phone.counts.packets > before)  # type: ignore[misc]
        samples += phone.take()
        clock.seconds += 1 / 60
    samples += phone.take()
    assert len(samples) == len(moments), "none was lost"
    assert phone.counts.strangers - strangers <= 600, "what was in the buffer before"
    clock.seconds += 1.0
    wait_until(lambda: not phone._socket.narrow)  # type: ignore[union-attr]
    again = sender()
    assert len(play(phone, again, clock, start=60.0)) == 60, "from another port, too"


def test_a_phone_that_floods_is_held_to_a_bound(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    send(phone, sender(), *(live_link(moment) for moment in made_performance(10.0)))
    assert 200 < len(phone.take()) <= 250
    assert phone.counts.flooded >= 350


def test_whoever_does_not_ask_keeps_the_newest(
    phone: Phone, sender: Callable[..., Sender], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stream.MAX_WAITING == 120 * 60, "two minutes"
    monkeypatch.setattr(stream, "MAX_WAITING", 600)
    one = sender()
    performance = made_performance(12.0)
    for at in range(0, len(performance), 60):
        packets = [live_link(moment) for moment in performance[at : at + 60]]
        send(phone, one, *packets)
        clock.seconds += 1.0
    samples = phone.take()
    assert len(samples) == 600
    assert phone.counts.overflowed == 120
    assert samples[-1].weights["tongueOut"] == pytest.approx(performance[-1].weights["tongueOut"])


def test_ifacialmocap_is_asked_to_send(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Only the phone that was chosen, only on its port, and no more once it sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as app:
        app.bind(("127.0.0.1", 0))
        app.settimeout(60)
        monkeypatch.setattr(receiver_module, "HELLOS", ((app.getsockname()[1], HELLOS[0][1]),))
        source = Phone(0, peer="127.0.0.1", host="127.0.0.1", clock=clock)
        source.start()
        try:
            monkeypatch.setattr(receiver_module, "PORT", source.port)
            clock.seconds += 2.0
            hello, back = app.recvfrom(200)
            assert hello.startswith(b"iFacialMocap_")
            app.sendto(facial_mocap(made_performance(1.0)[30]), back)
            wait_until(lambda: source.counts.packets == 1)
            assert source.take()[0].weights["jawLeft"] == pytest.approx(0.05)
            assert "iFacialMocap" in source.line
        finally:
            source.stop()


def test_what_the_system_tells_of_other_packets_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux says to a narrowed socket that nobody was there, Windows to any, and it refuses what is too long."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    opened = UdpSocket("127.0.0.1", 0)
    port = opened.port
    opened.narrow_to("127.0.0.1", closed)
    assert opened.narrow
    opened.send(b"hello", "127.0.0.1", closed)
    assert opened.receive() is None
    opened.widen()
    assert opened.port == port
    sender = Sender(port)
    sender.send(b"hello")
    found = opened.receive()
    assert found is not None
    assert found[:2] == (b"hello", "127.0.0.1")
    sender.close()
    opened.close()

    class Windows:
        family = socket.AF_INET
        answers = iter([OSError(10040, "too long"), ConnectionResetError(10054, "reset"), OSError(10035, "nothing"),
                        OSError(10050, "the network is down")])  # fmt: skip

        def recvfrom(self, _count: int) -> None:
            raise next(self.answers)

    monkeypatch.setattr(opened, "_socket", Windows())
    with pytest.raises(ValueError, match="long"):
        opened.receive()
    assert opened.receive() is None
    assert opened.receive() is None
    with pytest.raises(OSError, match="down"):
        opened.receive()


def test_a_network_that_comes_back(phone: Phone, sender: Callable[..., Sender], clock: Clock) -> None:
    """The socket under it is gone, as after a laptop's sleep: another is opened on the same port."""
    play(phone, sender(), clock, 0.5)
    port, before = phone.port, phone._socket
    assert before is not None
    broken = before._socket
    broken.close()
    wait_until(lambda: before._socket is not broken)
    assert phone.port == port
    assert len(play(phone, sender(), clock, 0.5, start=7.5)) == 30
    assert not phone.ended


def test_addresses() -> None:
    assert own_addresses()
    assert not any(address.startswith("fe80") for address in own_addresses())
    assert plain_address("::ffff:192.168.1.5") == "192.168.1.5"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert with_port("fd00::2", 11111) == "[fd00::2]:11111"
    for near in (
        "192.168.1.5",
        "10.0.0.1",
        "172.20.10.3",
        "127.0.0.1",
        "fe80::1",
        "fd00::2",
        "100.64.1.1",
        "169.254.3.4",
    ):
        assert is_near(near), near
    for far in ("8.8.8.8", "2001:4860:4860::8888", "hello", ""):
        assert not is_near(far), far
