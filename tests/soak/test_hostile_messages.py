# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile messages to a server that renders for a good client meanwhile: it goes on, holds no more, and the good client's
frames are right.

PORTRAIT_SOAK_MESSAGES says how many (6,000), PORTRAIT_FUZZ_SEED which.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter

import numpy as np
import pytest
from portrait_server.media.png import encode_png
from portrait_server.provenance.signing import sign_sequence
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.messages import Message
from portrait_shared.protocol.references import ReferenceImage

from tests.soak.faces import landmarks, photo, speech
from tests.soak.gauges import Gauge
from tests.soak.hostile import STATEMENT, Hostile, sound_messages
from tests.soak.mutations import SEED
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs POSIX systems' /proc, which Linux has")

MESSAGES = int(os.environ.get("PORTRAIT_SOAK_MESSAGES", "6000"))
PEERS = 3
SIDE = 64
FRAMES = 20
GROWTH_MIB = 48


class GoodClient(threading.Thread):
    """Renders the same again and again until it is told to stop, and looks at every frame.

    Attributes:
        frames: how many were right, of whole renders.
        trouble: what went wrong first.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(daemon=True)
        self.frames, self.trouble = 0, ""
        self._connection, self._enough = connection, threading.Event()

    def run(self) -> None:
        try:
            with Client(self._connection, name="good") as client:
                portrait = client.prepare([ReferenceImage(photo(SIDE), landmarks(SIDE))], engine="warp")
                wanted: list[bytes] = []
                while not self._enough.is_set() and not self.trouble:
                    made = [bytes(frame.data) for frame in client.render(portrait, speech(SIDE, FRAMES), range(FRAMES))]
                    wanted = wanted or made
                    if made != wanted or len(set(made)) < FRAMES / 3:
                        self.trouble = "a frame is not as it was"
                    self.frames += len(made)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.trouble = repr(error)

    def end(self) -> None:
        self._enough.set()
        self.join()


class Flood:
    """Peers that mean ill, which send at the pace at which the server answers them.

    Attributes:
        done: how many messages the server has taken.
    """

    def __init__(self, connection: Connection, sound: list[Message]) -> None:
        self.done = 0
        self._peers = [Hostile(connection.address, sound, f"{SEED} {number}") for number in range(PEERS)]

    def go_on(self) -> None:
        """Sends some more, and hears of them."""
        for peer in self._peers:
            peer.send()
        for peer in self._peers:
            peer.hear()
        self.done = self.sent.total()

    def close(self) -> None:
        for peer in self._peers:
            peer.close()

    @property
    def sent(self) -> Counter[str]:
        """Messages by their kind."""
        return sum((peer.sent for peer in self._peers), Counter[str]())

    @property
    def codes(self) -> Counter[str]:
        """Of the errors that the server answered."""
        return sum((peer.codes for peer in self._peers), Counter[str]())


def test_hostile_messages_harm_nobody(server: ServerProcess) -> None:
    """What is held is looked at once the good client has a render: then the engine has what it needs. It goes on until the
    good client has another, however long either takes."""
    server.start()
    pid = server.pid
    assert pid is not None
    image = np.random.default_rng(SEED).integers(0, 255, (32, 32, 3), np.uint8)
    gauge = Gauge(pid, MESSAGES, "messages")
    with Client(server.connection) as client:
        portrait = client.prepare([ReferenceImage(image, np.full((70, 3), 16, np.float32))], engine="paint")
        manifest = sign_sequence(STATEMENT, {"0003.png": "c" * 64})
        sound = sound_messages(portrait.portrait_id, image, encode_png(image, "a" * 64, "paint"), manifest)
        flood, good = Flood(server.connection, sound), GoodClient(server.connection)

        def go_on() -> None:
            flood.go_on()
            assert not good.trouble and server.pid == pid, good.trouble

        good.start()
        while good.frames < FRAMES:
            go_on()
        before, rendered = flood.done, good.frames
        while flood.done - before < MESSAGES:
            go_on()
            gauge.note(flood.done - before)
        while good.frames < rendered + FRAMES:
            go_on()
        good.end()
        flood.close()
        sent, codes = flood.sent, flood.codes
        print(f"sent {dict(sent)}; answered {dict(codes)}; {good.frames} frames of the good client", flush=True)
        wait_until(lambda: client.stats()["clients"] == 1)
        left = client.stats()
    assert not good.trouble and server.alive and server.pid == pid
    assert codes["bad_message"] > sent.total() / 10 and not codes["internal"]
    assert left["open_renders"] == left["frames_under_way"] == left["tunings"] == 0
    growth = gauge.growth()
    assert growth.mib < GROWTH_MIB and growth.descriptors <= 2 * PEERS + 4 and growth.threads <= 4
