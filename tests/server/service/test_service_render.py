# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server over a real socket: rendering, credit, fairness, cancelling, errors."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from portrait_server.service.requests import MAX_PENDING
from portrait_shared.body import USUAL
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.rendering import store_frames
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.protocol.messages import Error, Render
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from skimage.data import astronaut

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return astronaut()[:400:2, 100:400:2].copy()


@pytest.fixture
def second_client(shared_server: ServerProcess) -> Iterator[Client]:
    with Client(shared_server.connection, name="second") as client:
        yield client


def job_of(client: Client, name: str) -> dict[str, int] | None:
    return next((job for job in client.stats()["jobs"] if job["client"] == name), None)


def test_a_photo_is_detected_prepared_and_moved_by_its_landmarks(client: Client, photo: np.ndarray, tmp_path) -> None:
    portrait = client.prepare([ReferenceImage(photo)])
    assert portrait.points.shape == (70, 3) and portrait.size == (150, 200)
    assert (portrait.points[:68, 0] > 0).all() and (portrait.points[:68, 0] < 150).all()
    points = np.repeat(portrait.points[None], 3, axis=0)
    points[1, 60:68, 1] += 4
    points[2, :, 0] += 3
    raw = list(client.render(portrait, points, [5, 7, 6], encoding="raw"))
    assert [frame.number for frame in raw] == [5, 7, 6]
    assert all(frame.data.shape == (200, 150, 3) for frame in raw)
    assert not np.array_equal(raw[0].data, raw[1].data) and not np.array_equal(raw[0].data, raw[2].data)
    assert [frame.digest for frame in raw] == [client.frame_digest(portrait, row) for row in points]
    for frame, row in zip(client.render(portrait, points, [5, 7, 6]), points, strict=True):
        (tmp_path / "frame.png").write_bytes(frame.data)
        assert read_digest(tmp_path / "frame.png") == client.frame_digest(portrait, row)


def test_each_frame_is_drawn_with_its_own_body(client: Client, paint: Paint, tmp_path: Path) -> None:
    portrait, points = paint(client)
    body = np.column_stack([np.ones(20), np.linspace(0, 0.95, 20)]).astype(np.float32)
    plain = list(client.render(portrait, points, range(20), encoding="raw"))
    breathing = list(client.render(portrait, points, range(20), encoding="raw", body=body))
    assert [int(frame.data[0, 0, 0]) for frame in breathing] == [10 + n + round(100 * body[n, 1]) for n in range(20)]
    assert breathing[0].digest == plain[0].digest and breathing[1].digest != plain[1].digest
    as_usual = list(client.render(portrait, points, range(20), encoding="raw", body=np.tile(USUAL, (20, 1))))
    assert [frame.digest for frame in as_usual] == [frame.digest for frame in plain]
    stored = list(store_frames(client, portrait, points, range(20), tmp_path, body=body))
    assert [frame.drawn for frame in stored] == [True] * 20
    assert read_digest(stored[3].path) == client.frame_digest(
        portrait, points[stored[3].number], body=body[stored[3].number]
    )
    again = list(store_frames(client, portrait, points, range(20), tmp_path))
    assert sum(frame.drawn for frame in again) == 19, "the first frame breathes as usual"
    with pytest.raises(PortraitError, match=r"\(20, 2\) numbers"):
        client.render(portrait, points, range(20), body=body[:3])


def test_size_matte_and_two_dimensional_points(client: Client, paint: Paint) -> None:
    portrait, points = paint(client)
    frames = list(client.render(portrait, points[:, :, :2], range(20), size=(30, 50), matte=True, encoding="raw"))
    assert [int(frame.data[0, 0, 0]) for frame in frames] == list(range(10, 30))
    assert frames[0].data.shape == (50, 30, 4)


def test_an_image_is_sent_once(client: Client, second_client: Client, photo: np.ndarray) -> None:
    photo = photo[::-1].copy()
    points = np.random.default_rng(0).uniform(0, 150, (70, 3)).astype(np.float32)
    before = client.stats()["images_received"]
    client.prepare([ReferenceImage(photo, points)], engine="paint")
    second_client.prepare([ReferenceImage(photo, points + 1)], engine="paint")
    assert client.stats()["images_received"] == before + 1


def test_a_slow_reader_holds_the_server_to_its_window(
    client: Client, second_client: Client, paint: Paint, eventually: Callable
) -> None:
    portrait, points = paint(client, count=60)
    stream = client.render(portrait, points, range(60), encoding="raw", window=5)
    seen = [next(stream) for _ in range(3)]
    eventually(lambda: job_of(second_client, "test")["sent"] >= 6)
    for _ in range(3):  # whatever the engine could still draw, it has by the time these come back
        second_client.echo(through_engine=True)
    job = job_of(second_client, "test")
    assert job["sent"] <= 3 + 5 and job["outstanding"] <= 5 and job["peak_outstanding"] <= 5
    seen += list(stream)
    assert [frame.number for frame in seen] == list(range(60))


def test_a_client_may_have_so_many_requests_open(client: Client, paint: Paint) -> None:
    portrait, points = paint(client, count=2)
    streams = [client.render(portrait, points, range(2), encoding="raw", window=1) for _ in range(MAX_PENDING)]
    for stream in streams:
        next(stream)  # and the second frame waits for its credit
    with pytest.raises(PortraitError, match="requests open") as caught:
        client.echo(through_engine=True)
    assert caught.value.code == ErrorCode.BUSY and caught.value.remedy
    assert client.echo() >= 0, "what is answered at once always is"
    streams[0].cancel()
    assert client.echo(through_engine=True) >= 0
    for stream in streams:
        stream.cancel()


def test_a_fast_reader_keeps_batches_full(client: Client, paint: Paint) -> None:
    portrait, points = paint(client, "slow", count=40)
    before = client.stats()
    assert len(list(client.render(portrait, points, range(40), encoding="raw", window=40))) == 40
    after = client.stats()
    assert after["largest_batch"] == portrait.batch_size
    assert after["batches"] - before["batches"] <= 10 + 1  # full ones; the first may begin with what has come


def test_two_clients_are_served_in_turn(
    client: Client, second_client: Client, paint: Paint, eventually: Callable
) -> None:
    """Neither reads much, so that the server alone says who gets on: both counts are of one moment."""
    portrait, points = paint(client, "slow", count=1000)
    first = client.render(portrait, points, range(1000), encoding="raw", window=400)
    next(first)
    other, other_points = paint(second_client, "slow", count=1000, level=20)
    second = second_client.render(other, other_points, range(1000), encoding="raw", window=400)
    next(second)

    def sent() -> tuple[int, int]:
        jobs = {job["client"]: job["sent"] for job in client.stats()["jobs"]}
        return jobs["test"], jobs["second"]

    before = sent()
    eventually(lambda: sent()[1] >= before[1] + 38)
    after = sent()
    assert abs((after[0] - before[0]) - (after[1] - before[1])) <= 12  # batches of four, two of them under way
    frames = [next(second) for _ in range(38)]
    assert all(frame.data[0, 0, 0] == (frame.number % 200 + 20) for frame in frames)
    first.cancel()
    second.cancel()


def test_two_streams_of_one_client_can_be_read_by_turns(client: Client, paint: Paint) -> None:
    portrait, points = paint(client, count=30)
    one = client.render(portrait, points, range(30), encoding="raw")
    two = client.render(portrait, points[::-1], range(30), encoding="raw")
    for frame_of_one, frame_of_two in zip(one, two, strict=True):
        assert client.echo() > 0
        assert frame_of_one.data[0, 0, 0] == 10 + frame_of_one.number
        assert frame_of_two.data[0, 0, 0] == 39 - frame_of_two.number


def test_a_cancelled_render_ends_and_frees_its_place(client: Client, paint: Paint, eventually: Callable) -> None:
    portrait, points = paint(client, "slow", count=100)
    stream = client.render(portrait, points, range(100))
    next(stream)
    stream.cancel()
    stream.cancel()
    assert list(stream) == [] and stream.state == "cancelled" and stream.done == 1
    eventually(lambda: job_of(client, "test") is None)
    assert len(list(client.render(portrait, points[:3], range(3)))) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot halt a process")
def test_a_stream_with_a_time_out_returns_none_when_nothing_is_there_yet(
    shared_server: ServerProcess, client: Client, paint: Paint
) -> None:
    portrait, points = paint(client, "slow", count=8)
    assert shared_server.pid is not None
    os.kill(shared_server.pid, signal.SIGSTOP)
    try:
        stream = client.render(portrait, points, range(8))
        answers = [stream.next(0.001)]
    finally:
        os.kill(shared_server.pid, signal.SIGCONT)
    while stream.done < stream.total:
        answers.append(stream.next(0.001))
    assert answers[0] is None and sum(frame is not None for frame in answers) == 8
    assert stream.next(0.1) is None and stream.state == "done"


@pytest.mark.parametrize(
    ("failure", "code"), [(0, ErrorCode.INTERNAL), (1, ErrorCode.INTERNAL), (2, ErrorCode.IMAGE_TOO_LARGE)]
)
def test_a_failing_engine_is_an_error_and_the_server_lives_on(
    client: Client, paint: Paint, failure: int, code: ErrorCode
) -> None:
    portrait, points = paint(client, "failing")
    points[:, 0, 1] = failure
    with pytest.raises(PortraitError) as caught:
        list(client.render(portrait, points, range(20)))
    assert caught.value.code == code
    if failure == 1:
        assert client.server.log in caught.value.remedy
    assert len(list(client.render(*paint(client), range(20)))) == 20


def test_what_does_not_exist_is_named(client: Client, photo: np.ndarray, paint: Paint) -> None:
    with pytest.raises(PortraitError, match="no engine named 'nothing'") as caught:
        paint(client, "nothing")
    assert caught.value.code == ErrorCode.UNKNOWN_ENGINE and "warp" in caught.value.remedy
    with pytest.raises(PortraitError, match="no detector named 'nobody'") as caught:
        client.detect(photo, detector="nobody")
    assert caught.value.code == ErrorCode.UNKNOWN_DETECTOR
    with pytest.raises(PortraitError) as caught:
        client.detect(np.full((80, 80, 3), 128, np.uint8))
    assert caught.value.code == ErrorCode.NO_FACE
    with pytest.raises(PortraitError) as caught:
        client.detect(photo, face=9)
    assert caught.value.code == ErrorCode.NO_SUCH_FACE


@pytest.mark.parametrize(("value", "words"), [(np.nan, "is not finite"), (1e6, "lies far outside")])
def test_bad_points_are_named_by_client_and_server(client: Client, paint: Paint, value: float, words: str) -> None:
    portrait, points = paint(client)
    points[4, 33, 1] = value
    with pytest.raises(PortraitError, match=f"Frame 104, point 33 .*{words}") as caught:
        client.render(portrait, points, range(100, 120))
    assert caught.value.code == ErrorCode.BAD_POINTS
    request = Render(
        client.new_request(), portrait.portrait_id, portrait.size, False, "raw", 4,
        np.arange(100, 120, dtype="<i4"), points,
    )  # fmt: skip
    client.send(request)
    while not isinstance(answer := client.pump(1.0), Error):
        pass
    assert answer.request == request.request and answer.code == "bad_points"
    assert "Frame 104, point 33" in answer.message and words in answer.message


@pytest.mark.usefixtures("test_engines_alone")
def test_a_portrait_that_the_server_does_not_hold_is_prepared_again(
    client: Client, server: ServerProcess, paint: Paint
) -> None:
    portrait, points = paint(client)
    expected = [frame.data for frame in client.render(portrait, points, range(20))]
    with Client(server) as other:
        assert [frame.data for frame in other.render(portrait, points, range(20))] == expected


def test_a_portrait_that_cannot_be_kept_is_an_error_and_the_server_lives_on(client: Client, paint: Paint) -> None:
    with pytest.raises(PortraitError, match="OverflowError") as caught:
        paint(client, "unmeasurable")
    assert caught.value.code == ErrorCode.INTERNAL
    assert client.echo(through_engine=True) > 0


@pytest.mark.usefixtures("test_engines_alone")
def test_frames_that_have_arrived_need_no_server(server: ServerProcess, paint: Paint, eventually: Callable) -> None:
    with Client(server) as client:
        portrait, points = paint(client, count=20)
        stream = client.render(portrait, points, range(20), window=8)
        next(stream)
        eventually(lambda: client.stats()["jobs"][0]["sent"] >= 8)  # its answer comes after the frames
        server.kill()
        server.stop()  # no client starts it again
        with pytest.raises(PortraitError, match="was stopped"):
            client.echo()
        assert [stream.next(0.0).number for _ in range(7)] == list(range(1, 8))
        with pytest.raises(PortraitError, match="was stopped"):
            next(stream)
