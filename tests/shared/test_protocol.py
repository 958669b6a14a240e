# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message survives its way, and nothing else gets through."""

from __future__ import annotations

import dataclasses

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import MAX_PERSONAL_BYTES
from portrait_shared.protocol.framing import MAX_HEADER_BYTES, MAX_PARTS, PROTOCOL_VERSION, pack, unpack
from portrait_shared.protocol.messages import (
    TYPES,
    AskStats,
    Cancel,
    Credit,
    Detect,
    Detected,
    Done,
    Echo,
    Echoed,
    Error,
    Hello,
    Message,
    OfferPersonal,
    OfferReference,
    PictureRead,
    Ping,
    Prepare,
    Prepared,
    Progress,
    ReadPicture,
    ReferenceState,
    Render,
    RenderedFrame,
    Shutdown,
    Signed,
    SignSequence,
    Stats,
    Stopping,
    Tune,
    Tuned,
    TuningProgress,
    Welcome,
    decode,
)

A = "a" * 64
CHANCE = np.random.default_rng(0)
POINTS = CHANCE.uniform(0, 100, (5, 70, 3)).astype("<f4")
IMAGE = CHANCE.integers(0, 255, (6, 4, 3), np.uint8)
OFFER = OfferReference(2, A, (4, 6), IMAGE)
PREPARE = Prepare(4, None, (A, A), POINTS[:2])
RENDER = Render(5, A, (640, 480), True, "png", 8, np.arange(-2, 3, dtype="<i4"), POINTS)
BREATHING = Render(5, A, (640, 480), True, "png", 8, RENDER.numbers, POINTS, CHANCE.uniform(0, 1, (5, 2)).astype("<f4"))
FRAME = RenderedFrame(5, -2, A, b"png")
TUNED = Tuned(12, True, 40, {"score": 0.2, "psnr": 21.0}, {"score": 0.1, "psnr": 25.5}, b"safetensors")
ERROR = Error.of(5, PortraitError(ErrorCode.BAD_POINTS, "Bad.", "Mend it."))
MESSAGES: list[Message] = [
    Hello(1, "Blender é", "0.1.0"),
    OfferReference(2, A, (4, 6)),
    OFFER,
    Detect(3, A, "mediapipe", 2),
    Detect(3, A),
    PREPARE,
    RENDER,
    BREATHING,
    Render(5, A, (640, 480), False, "raw", 8, np.arange(5, dtype="<i4"), POINTS[:, :, :2].copy()),
    Credit(6, 5, 3),
    Cancel(7, 5),
    Echo(8, True),
    AskStats(9),
    Shutdown(10),
    Welcome(1, "0.1.0", 77, "cpu", {"warp": "warp-1"}, "warp", ("mediapipe",), "mediapipe", "/log"),
    ReferenceState(2, True),
    Detected(3, "mediapipe", 2, POINTS[0], CHANCE.uniform(0, 1, (478, 3)).astype("<f4")),
    Detected(3, "face-alignment", 1, POINTS[0]),
    Prepared(4, A, "warp", 4),
    Progress(5, "running"),
    FRAME,
    RenderedFrame(5, 3, A, None, IMAGE),
    Done(5, False),
    Echoed(8),
    Ping(0),
    Stats(9, {"clients": 1, "uptime_seconds": 2.5}, ({"client": "x", "sent": 3},)),
    Stopping(10),
    ReadPicture(12, ".heic", b"a picture's file"),
    ReadPicture(12, "", b""),
    PictureRead(12, IMAGE),
    Prepare(4, "fewshot", (A,), POINTS[:1], A),
    Prepared(4, A, "fewshot", 4, (A,)),
    SignSequence(13, np.zeros((1, 32), np.uint8), b"0001.png\n0002.png", b"{}", "frames.c2pa", b"manifest", (A, A)),
    SignSequence(13, np.zeros((1, 32), np.uint8), b"0001.png", b"{}", "frames.c2pa"),
    Signed(13, b"manifest"),
    OfferPersonal(11, A),
    OfferPersonal(11, A, b"safetensors"),
    Tune(12, None, (A, A)),
    TuningProgress(12, 20, 160, 0.125, 31.5),
    TuningProgress(12, 0, 160, 0.25),
    TUNED,
    ERROR,
]


def as_sent(message: Message) -> list[bytes]:
    return [bytes(part) for part in message.encode()]


def test_every_type_has_an_example() -> None:
    assert {type(message) for message in MESSAGES} == set(TYPES.values())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    arrived = decode(as_sent(message))
    assert type(arrived) is type(message)
    for item in dataclasses.fields(message):
        sent, got = getattr(message, item.name), getattr(arrived, item.name)
        if isinstance(sent, np.ndarray):
            assert got.dtype == sent.dtype and np.array_equal(sent, got) and not got.flags.writeable
        elif isinstance(sent, bytes):
            assert bytes(got) == sent
        else:
            assert got == sent


def test_pictures_of_16_bits_travel_and_those_of_8_as_ever() -> None:
    """How many bytes come for a shape tells the type; what was added stands in no message that can do without."""
    deep = np.arange(IMAGE.size, dtype="<u2").reshape(IMAGE.shape) * 999
    offered = decode(as_sent(OfferReference(2, A, (4, 6), deep)))
    assert isinstance(offered, OfferReference) and offered.image is not None
    assert offered.image.dtype == np.uint16 and np.array_equal(offered.image, deep)
    parts = as_sent(OfferReference(2, A, (4, 6), deep))
    for wrong in (parts[-1][:-1], parts[-1] * 2, b""):
        with pytest.raises(PortraitError):
            decode([*parts[:-1], wrong])
    asked = decode(as_sent(ReadPicture(12, ".png", b"file", 16)))
    assert isinstance(asked, ReadPicture) and asked.depth == 16
    assert "depth" not in msgpack.unpackb(as_sent(ReadPicture(12, ".png", b"file"))[0])
    with pytest.raises(PortraitError):
        decode(header(ReadPicture(12, ".png", b"file"), depth=12))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_buffers_are_not_copied_and_none_is_left_over(message: Message) -> None:
    parts = as_sent(message)
    arrived = decode(parts)
    arrays = [value for value in vars(arrived).values() if isinstance(value, np.ndarray)]
    for array, part in zip(arrays, parts[1:], strict=False):
        assert array.ctypes.data == np.frombuffer(part, np.uint8).ctypes.data
    with pytest.raises(PortraitError):
        decode([*parts, b"more"])
    if len(parts) > 1:
        with pytest.raises(PortraitError):
            decode(parts[:-1])
    if arrays:
        with pytest.raises(PortraitError):
            decode([parts[0], parts[1][:-1], *parts[2:]])


def header(message: Message, /, **changes: object) -> list[bytes]:
    """The message with some of its header's fields replaced."""
    parts = as_sent(message)
    fields = {**msgpack.unpackb(parts[0]), **changes}
    return [msgpack.packb(fields), *parts[1:]]


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (Echo(1), {"through_engine": 1}),
        (Echo(1), {"extra": 1}),
        (Echo(1), {"t": "nothing"}),
        (Echo(1), {"t": 5}),
        (Echo(1), {"id": -1}),
        (Echo(1), {"id": 2**60}),
        (Echo(1), {"id": True}),
        (Credit(1, 2, 3), {"count": 0}),
        (Credit(1, 2, 3), {"count": 10**6}),
        (Credit(1, 2, 3), {"job": "2"}),
        (Hello(1, "x", "0"), {"client": "x" * 65}),
        (Hello(1, "x", "0"), {"client": b"x"}),
        (Detect(1, A), {"reference": "../" + "a" * 61}),
        (Detect(1, A), {"detector": "../x"}),
        (Detect(1, A), {"detector": "/etc/passwd"}),
        (PREPARE, {"references": [A]}),
        (PREPARE, {"references": [A] * 33}),
        (PREPARE, {"points": [2, 70, 2]}),
        (PREPARE, {"points": [2, 70, -3]}),
        (PREPARE, {"points": None}),
        (RENDER, {"window": 10**6}),
        (RENDER, {"size": [0, 10]}),
        (RENDER, {"size": [10, 10, 10]}),
        (RENDER, {"size": [16384, 16384]}),
        (RENDER, {"encoding": "jpeg"}),
        (RENDER, {"matte": None}),
        (RENDER, {"numbers": [4]}),
        (OFFER, {"size": [6, 4]}),
        (OFFER, {"image": [6, 4, 2]}),
        (OFFER, {"image": [2**40, 2**40, 3]}),
        (FRAME, {"png": None}),
        (ERROR, {"code": "no_such_code"}),
        (Prepare(4, None, (A,), POINTS[:1], A), {"personal": "../me.safetensors"}),
        (Tune(1, None, (A,)), {"references": []}),
        (Tune(1, None, (A,)), {"references": [A] * 33}),
        (Tune(1, None, (A,)), {"references": ["/home/her.jpg"]}),
        (TuningProgress(1, 2, 3, 0.5), {"score": float("nan")}),
        (TuningProgress(1, 2, 3, 0.5), {"score": True}),
        (TuningProgress(1, 2, 3, 0.5), {"steps": 0}),
        (TUNED, {"content": None}),
        (TUNED, {"before": {"score": float("inf")}}),
    ],
)
def test_what_is_out_of_bounds_is_refused(message: Message, changes: dict[str, object]) -> None:
    decode(header(message))
    with pytest.raises(PortraitError) as caught:
        decode(header(message, **changes))
    assert caught.value.code in (ErrorCode.BAD_MESSAGE, ErrorCode.IMAGE_TOO_LARGE)


def test_sizes_are_bounded() -> None:
    with pytest.raises(PortraitError, match="too long"):
        unpack([b"\0" * (MAX_HEADER_BYTES + 1)])
    with pytest.raises(PortraitError, match="parts"):
        unpack([as_sent(Echo(1))[0]] + [b""] * MAX_PARTS)
    with pytest.raises(PortraitError, match="parts"):
        unpack([])
    with pytest.raises(PortraitError, match=f"at most {MAX_PERSONAL_BYTES} bytes"):
        OfferPersonal(1, A, bytes(MAX_PERSONAL_BYTES + 1))
    with pytest.raises(PortraitError, match="are the limit"):
        pack("stats", 1, {"long": "x" * MAX_HEADER_BYTES})


def test_a_message_that_breaks_the_rules_cannot_be_made() -> None:
    with pytest.raises(PortraitError):
        Credit(1, 2, 0)
    with pytest.raises(PortraitError):
        Render(5, A, (640, 480), True, "png", 8, np.arange(4, dtype="<i4"), POINTS)
    with pytest.raises(PortraitError):
        Render(5, A, (640, 480), True, "png", 8, np.arange(5, dtype="<i8"), POINTS)


def test_another_version_is_told_apart_from_garbage() -> None:
    with pytest.raises(PortraitError) as caught:
        decode([pack("of the future", 3, {"x": 1}, version=PROTOCOL_VERSION + 1)])
    assert caught.value.code == ErrorCode.VERSION_MISMATCH and caught.value.remedy


def refused_or_sound(parts: list[bytes]) -> None:
    try:
        decode(parts)
    except PortraitError as error:
        assert error.code in (ErrorCode.BAD_MESSAGE, ErrorCode.VERSION_MISMATCH, ErrorCode.IMAGE_TOO_LARGE)


@given(st.lists(st.binary(max_size=300), max_size=6))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_else(parts: list[bytes]) -> None:
    refused_or_sound(parts)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=70) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(MESSAGES), st.data())
@settings(max_examples=500, deadline=None)
def test_random_fields_raise_nothing_else(message: Message, data: st.DataObject) -> None:
    fields = msgpack.unpackb(as_sent(message)[0])
    changed = data.draw(st.sampled_from(sorted(fields)))
    refused_or_sound(header(message, **{changed: data.draw(_values)}))


@pytest.mark.parametrize(
    "names",
    [
        b"",
        b"0001.png",
        b"0001.png\n0001.png",
        b"0001.png\n../0002.png",
        b"0001.png\n",
        b"0001.png\n\xff",
        b"a\nb\\c",
        b"a\n\0",
    ],
)
def test_names_of_files_that_are_signed_are_of_files_alone(names: bytes) -> None:
    hashes = np.arange(64, dtype=np.uint8).reshape(2, 32)
    good = SignSequence(13, hashes, b"0001.png\n0002.png\n0003.png", b"{}", "").files()
    assert good == ({"0001.png": bytes(range(32)).hex(), "0002.png": bytes(range(32, 64)).hex()}, ["0003.png"])
    with pytest.raises(PortraitError) as caught:
        SignSequence(13, hashes, names, b"{}", "").files()
    assert caught.value.code == ErrorCode.BAD_MESSAGE
