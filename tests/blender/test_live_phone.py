# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone by UDP, from the button to keys: through the receiver, the session, the recorder and the list of takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.blender import compat  # noqa: E402
from blender_addon.live import kept_takes, sessions  # noqa: E402
from tests.blender.test_panels import drawn  # noqa: E402
from tests.phone import Phone as FakePhone  # noqa: E402
from tests.phone_packets import Moment, made_performance, packets_of  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

COUNT = 240


@pytest.fixture
def phone(portrait: Any) -> Iterator[FakePhone]:
    """It sends to the port that the portrait's button listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        portrait.live.port = free.getsockname()[1]
    assert bpy.ops.portrait.connect_phone() == {"FINISHED"}
    made = FakePhone(portrait.live.port)
    yield made
    made.close()
    sessions.disconnect_all()


def send(phone: FakePhone, moment: Moment) -> None:
    for packet in packets_of("live-link", moment):
        phone.send(packet)


def test_a_phone_moves_the_rig_and_becomes_keys(portrait: Any, phone: FakePhone) -> None:
    session, rig = sessions.of(portrait.uid), portrait.rig
    assert "Waiting for a phone" in drawn()
    moments = made_performance(seconds=(COUNT + 1) / 60)
    send(phone, moments[0])
    wait_until(lambda: rig["jawLeft"] > 0, sessions.pump)
    assert "Hears" in drawn()
    portrait.live.count_in = 0
    bpy.context.scene.frame_set(11)
    assert bpy.ops.portrait.record_live() == {"FINISHED"}
    sessions.pump()
    for number, moment in enumerate(moments[1:], 1):
        send(phone, moment)
        wait_until(lambda number=number: session.recorder.samples == number, sessions.pump)
    assert bpy.ops.portrait.stop_recording() == {"FINISHED"}
    take = portrait.live.chosen
    assert take.samples == COUNT and take.timecode
    part = kept_takes.read(take).parts[0]
    for name in ("jawOpen", "eyeBlinkLeft", "browInnerUp"):
        sent = [moment.weights[name] for moment in moments[1:]]
        np.testing.assert_allclose(part.columns[name], sent, atol=2e-5, err_msg="in order, and none lost")
    np.testing.assert_allclose(part.columns["headYaw"], [moment.head[1] for moment in moments[1:]], atol=2e-5)
    assert bpy.ops.portrait.keep_take() == {"FINISHED"}
    keyed = {curve.data_path for curve in compat.fcurves_of(rig)}
    assert {'["jawOpen"]', '["browInnerUp"]'} <= keyed and any("rotation" in path for path in keyed)
    assert bpy.ops.portrait.disconnect_live() == {"FINISHED"}
    assert all(not thread.name.startswith("phone") for thread in threading.enumerate())


def test_a_port_in_use_is_told(portrait: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        portrait.live.port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=str(portrait.live.port)):
            bpy.ops.portrait.connect_phone()
    assert sessions.of(portrait.uid) is None


def test_a_camera_that_is_not_there_is_told(portrait: Any, needs_server: None) -> None:
    portrait.live.camera = "no such camera"
    assert bpy.ops.portrait.connect_camera() == {"FINISHED"}
    source = next(iter(sessions.of(portrait.uid).sources.values()))
    wait_until(lambda: source.ended, sessions.pump)
    assert (source.problem and source.problem in drawn().replace("\n", " ")) or "no such camera" in source.problem
    sessions.disconnect_all()
