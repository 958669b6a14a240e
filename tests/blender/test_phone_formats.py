# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of each app are read as they were meant, and what is none of them is told from them."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from blender_addon.importers.live_link import read_live_link
from blender_addon.live.phones import osc
from blender_addon.live.phones.face_packet import head_of_quaternion
from blender_addon.live.phones.formats import MAX_BYTES, Decoder, NotUnderstood
from blender_addon.live.phones.live_link_face import NAMES as LIVE_LINK_NAMES
from blender_addon.rig.blendshapes import ARKIT_NAMES
from tests import phone_packets
from tests.phone_packets import (
    ANGLES,
    FORMATS,
    NAMES,
    Moment,
    facial_mocap,
    live_link,
    made_performance,
    osc_bundle,
    osc_message,
    packets_of,
    vmc_messages,
)

WITHIN = {"live-link": 1e-6, "vmc": 1e-6, "face-cap": 1e-6, "osc": 1e-6, "facial-mocap": 0.0051, "facemotion": 0.0051}
HEADLESS = ("osc",)


def distinct() -> Moment:
    """No two controls alike."""
    weights = {name: (number + 1) / 64 for number, name in enumerate(NAMES)}
    turned = dict(zip(ANGLES, (0.31, -0.12, 0.05, 0.2, 0.1, 0.0, 0.15, 0.1, 0.0), strict=True))
    return Moment(3723.25, weights, turned)


@pytest.mark.parametrize("name", FORMATS)
def test_each_app_says_the_same_of_a_face(name: str) -> None:
    moment, decoder = distinct(), Decoder()
    faces = [
        face
        for _ in range(2)
        for data in packets_of(name, moment)
        for face in decoder.read(data)
    ]  # fmt: skip
    assert faces, "the second time all is there at the latest"
    face = faces[-1]
    assert set(face.weights) == set(ARKIT_NAMES)
    for control, value in moment.weights.items():
        assert face.weights[control] == pytest.approx(value, abs=WITHIN[name]), control
    if name in HEADLESS:
        assert face.head is None
    else:
        assert face.head == pytest.approx(moment.head, abs=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_each_moment_comes_once_and_none_is_lost(name: str) -> None:
    decoder = Decoder()
    counts = [
        sum(len(decoder.read(data)) for data in packets_of(name, moment))
        for moment in made_performance(1.0)
    ]  # fmt: skip
    # Packets of single values show what belongs together when the first moment came a second time.
    assert sum(counts) == len(counts)
    assert counts[2:] == [1] * (len(counts) - 2)


def test_a_recording_and_a_packet_agree(tmp_path: Path) -> None:
    """The same values by name in a file and on the wire give the same weights and angles, gaze included."""
    weights = {name: value for name, value in distinct().weights.items() if not name.startswith("eyeLook")}
    moment = Moment(5.0, weights, distinct().angles)
    names = [*weights, *ANGLES]
    header = ",".join(["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in names)])
    values = [moment.weights.get(name, moment.angles.get(name)) for name in names]
    rows = [f"00:00:05:{n:02d}.000,61,{','.join(map(str, values))}" for n in range(3)]
    file = tmp_path / "take.csv"
    file.write_text("\n".join([header, *rows]))
    recording = read_live_link(file)
    (face,) = Decoder().read(live_link(moment))
    assert recording.head is not None
    assert face.head == pytest.approx(tuple(recording.head[0]), abs=1e-6)
    for name, column in recording.weights.items():
        assert face.weights[name] == pytest.approx(column[0], abs=1e-6), name
    assert face.weights["eyeLookInRight"] > 0.1 < face.weights["eyeLookOutLeft"], "both eyes look to the person's left"


def test_the_order_of_packets_is_unreals() -> None:
    assert LIVE_LINK_NAMES == phone_packets.NAMES
    assert LIVE_LINK_NAMES[14:18] == ("jawForward", "jawLeft", "jawRight", "jawOpen")
    assert LIVE_LINK_NAMES[21:23] == ("mouthLeft", "mouthRight")


def test_live_link_tells_its_name_and_its_time() -> None:
    (face,) = Decoder().read(live_link(distinct(), "Anna's iPhone\n\0"))
    assert face.sender == "Anna's iPhone"
    assert face.seconds == pytest.approx(3723.25)
    assert face.timecode == "01:02:03:15.000"
    (face,) = Decoder().read(live_link(distinct(), rate=(30000, 1001)))
    assert face.timecode.startswith("01:02:03;"), "drop-frame keeps to the clock"
    assert face.seconds == pytest.approx(3723.25)
    assert face.days == pytest.approx((86_399.9136, 86_486.4))
    (face,) = Decoder().read(live_link(distinct(), rate=(24, 1)))
    assert face.timecode == "01:02:03:06.000"


def test_live_link_with_fewer_and_more_values() -> None:
    (face,) = Decoder().read(live_link(distinct(), count=52))
    assert len(face.weights) == 52
    assert face.head is None
    (face,) = Decoder().read(live_link(distinct(), count=10))
    assert set(face.weights) == set(NAMES[:10])
    whole = bytearray(live_link(distinct()))
    whole[-61 * 4 - 1] = 63
    (face,) = Decoder().read(bytes(whole) + struct.pack(">2f", 0.5, 0.5))
    assert face.head == pytest.approx(distinct().head)


def test_a_sign_of_life_is_no_face() -> None:
    for data in (
        live_link(distinct(), count=0),
        live_link(distinct(), count=0)[:-1],
        live_link(distinct(), count=0)[:-17],
    ):
        (face,) = Decoder().read(data)
        assert not face.sees_face
        assert face.sender == "iPhone"
    (face,) = Decoder().read(b"trackingStatus-0|" + facial_mocap(distinct()))
    assert not face.sees_face


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(bad: float) -> None:
    moment = Moment(1.0, distinct().weights | {"jawOpen": bad}, distinct().angles | {"headYaw": bad})
    for name in ("live-link", "vmc", "face-cap"):
        decoder = Decoder()
        if name == "vmc":  # a quaternion of a NaN is four of them
            messages = [
                osc_message("/VMC/Ext/Bone/Pos", "Head", *([bad] * 7)),
                *vmc_messages(Moment(1.0, moment.weights))[4:],
            ]
            faces = decoder.read(osc_bundle(messages))
        else:
            faces = [face for _ in range(2) for data in packets_of(name, moment) for face in decoder.read(data)]
        assert "jawOpen" not in faces[-1].weights, name
        assert faces[-1].head is None, name
        assert len(faces[-1].weights) == 51


def test_values_out_of_range_are_clipped() -> None:
    (face,) = Decoder().read(live_link(Moment(1.0, {"jawOpen": 7.5, "jawLeft": -3.0}, {"headYaw": 7.0})))
    assert face.weights["jawOpen"] == 1.0
    assert face.weights["jawLeft"] == 0.0
    assert face.head is not None
    assert face.head[1] == pytest.approx(7.0 - math.tau, abs=1e-6)
    (face,) = Decoder().read(live_link(Moment(1.0, {}, {"headYaw": 1e30})))
    assert face.head is None


def test_vmc_in_packets_of_single_messages_and_of_parts() -> None:
    moments = made_performance(0.2)
    single, parts = Decoder(), Decoder()
    single.read(vmc_messages(moments[0])[-1])
    for moment in moments:
        faces = [face for data in vmc_messages(moment) for face in single.read(data)]
        messages = vmc_messages(moment)
        halves = [osc_bundle(messages[:20]), osc_bundle(messages[20:])]
        again = [face for data in halves for face in parts.read(data)]
        assert len(faces) == 1
        assert len(again) == (2 if moment is moments[0] else 1), "a half is no moment, once Apply was seen"
        for face in (faces[-1], again[-1] if moment is not moments[0] else faces[-1]):
            assert face.weights == pytest.approx(moment.weights, abs=1e-6)
            assert face.head == pytest.approx(moment.head, abs=1e-5)
            assert face.seconds == pytest.approx(moment.seconds, abs=1e-5)


def test_the_neck_carries_the_head() -> None:
    def bone(name: str, yaw: float) -> bytes:
        return osc_message(
            "/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, 0.0, -math.sin(yaw / 2), 0.0, math.cos(yaw / 2)
        )  # fmt: skip

    (face,) = Decoder().read(osc_bundle([bone("Neck", 0.2), bone("Head", 0.3), osc_message("/VMC/Ext/Blend/Apply")]))
    assert face.head == pytest.approx((0.0, 0.5, 0.0), abs=1e-6)


def test_turns_to_angles_and_back() -> None:
    for angles in ((0.4, -0.9, 0.3), (-1.2, 2.0, -2.5), (0.0, 3.0, 0.0), (1.5, 0.1, 0.2)):
        assert head_of_quaternion(*phone_packets._quaternion(*angles)) == pytest.approx(angles, abs=1e-6)
    assert head_of_quaternion(0.0, 0.0, 0.0, 0.0) is None
    assert head_of_quaternion(math.nan, 0.0, 0.0, 1.0) is None
    straight_down = head_of_quaternion(*phone_packets._quaternion(math.pi / 2, 0.3, 0.0))
    assert straight_down == pytest.approx((math.pi / 2, 0.3, 0.0), abs=1e-3)


def test_osc_values_of_all_kinds() -> None:
    data = b"/a\0\0,ihdTFNIsSbtcrm[i]\0\0" + struct.pack(">iqd", 7, -8, 0.5) + b"one\0two\0"
    data += struct.pack(">i", 5) + b"12345\0\0\0" + bytes(8) + bytes(12) + struct.pack(">i", 9)
    (message,) = osc.read(data).messages
    assert message.values == (7, -8, 0.5, True, False, None, None, "one", "two", None, None, None, None, None, 9)
    assert osc.read(b"/bare\0\0\0").messages[0].values == ()


def test_osc_bundles_have_bounds() -> None:
    message = osc_message("/jawOpen", 0.5)
    nested = osc_bundle([message])
    for _ in range(3):
        nested = osc_bundle([nested])
    assert len(osc.read(nested).messages) == 1
    for hostile in (
        osc_bundle([nested]),
        osc_bundle([message] * 600),
        b"#bundle\0",
        b"#bundle\0" + bytes(8) + b"\x7f\xff\xff\xfc",
    ):
        with pytest.raises(osc.NotOsc):
            osc.read(hostile)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\x05" + bytes(300), b"\x06", b"\x06\x7f\xff\xff\xff", b"\x06\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n",
     b"/", b"/x", b"#bundle", b"hello", b"|||", "|jawOpen-ß".encode(), b"\xff" * 100, b"|" * 5000, live_link(distinct())[:-1],
     bytes(MAX_BYTES + 1), b"jawOpen-" + b"9" * 5000 + b"|"],
)  # fmt: skip
def test_what_is_of_no_app_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(NotUnderstood) as caught:
        Decoder().read(data)
    assert 3 < len(str(caught.value)) < 100
