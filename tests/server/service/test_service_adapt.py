# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal tuning through a real server with tiny real networks: progress, cancelling, errors, and what it gives."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.commands import render
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.networks import painters
from portrait_server.networks.personal import Personal, to_file
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.tuning import Tuning
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_marks import read_digest
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.messages import Error, OfferPersonal
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack
from skimage.data import astronaut

from tests.posing import speaking, turned
from tests.server.conftest import COMMAND
from tests.server.networks.conftest import shaken_painters

SHORT_TUNING = "TALKING_PORTRAITS_TEST_SHORT_TUNING"
LONG_SECONDS = 600


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny painters that paint badly, so that tuning has something to do."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    painters.save(shaken_painters(), path, "made by chance")
    return path


@pytest.fixture(scope="module")
def tuning_server(weights: Path) -> Iterator[ServerProcess]:
    """A server whose engine `fewshot` has weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(weights))
        server = ServerProcess(COMMAND, device="cpu")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def client(tuning_server: ServerProcess) -> Iterator[Client]:
    with Client(tuning_server.connection, name="test") as client:
        yield client


@pytest.fixture
def second_client(tuning_server: ServerProcess) -> Iterator[Client]:
    with Client(tuning_server.connection, name="second") as client:
        yield client


@pytest.fixture(scope="module")
def photo() -> ReferenceImage:
    return ReferenceImage(astronaut()[:256, 96:352].copy())


@pytest.fixture(scope="module")
def photo_file(photo: ReferenceImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "her.png"
    cv2.imwrite(str(path), photo.image[..., ::-1])
    return path


@pytest.fixture
def from_command(photo_file: Path, weights: Path) -> PersonalFile:
    """What `portrait adapt` makes of the photo, with less effort than usual."""
    output = photo_file.with_name("me")
    code = "import os, sys, serve_with_test_engines; from portrait_server.cli import main; sys.exit(main())"
    words = ["adapt", photo_file, "--output", output, "--weights", weights, "--device", "cpu"]
    environment = {**os.environ, SHORT_TUNING: "1", "PYTHONPATH": str(Path(COMMAND[-1]).parent)}
    subprocess.run([sys.executable, "-c", code, *map(str, words)], env=environment, check=True)
    return PersonalFile.load(output.with_name("me.safetensors"))


@pytest.fixture
def short_client(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a server that tunes with less effort than usual."""
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    monkeypatch.setenv(SHORT_TUNING, "1")
    with Client(ServerProcess(COMMAND, device="cpu")) as client:
        yield client


def until_running(tuning: Tuning, steps: int = 1) -> None:
    for _ in range(LONG_SECONDS):
        assert tuning.next(1.0) is None, "it ended too soon"
        if tuning.state == "running" and tuning.step >= steps:
            return
    raise AssertionError("it never began")


@pytest.mark.timeout(LONG_SECONDS)
def test_tuning_through_the_server_gives_the_bytes_of_the_command_line(
    short_client: Client, client: Client, photo: ReferenceImage, from_command: PersonalFile, photo_file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    seen: list[tuple[int, int, float | None, float | None]] = []

    def progress(tuning: Tuning) -> None:
        seen.append((tuning.step, tuning.steps, tuning.score, tuning.seconds_left))

    tuned = short_client.tune([photo]).result(progress)
    steps = [step for step, *_ in seen]
    assert steps == sorted(steps) and len(set(steps)) > 3 and seen[-1][1] >= seen[-1][0] > 0
    assert seen[-1][2] is not None and 0 < seen[-1][2] < 1 and seen[-1][3] is not None and seen[-1][3] >= 0
    assert tuned.kept and tuned.after["score"] < tuned.before["score"]
    assert tuned.personal.content == from_command.content

    # Rendered through the server that tuned, which keeps the file, another, and the command line, which reads it.
    plain = short_client.prepare([photo])
    fewshot = short_client.prepare(plain.references, engine="fewshot")
    points = np.stack([turned(plain.points, yaw=8), speaking(plain.points, 0.1)])
    personal = short_client.prepare(plain.references, personal=tuned.personal)
    assert personal.engine == "fewshot" and personal.portrait_id != fewshot.portrait_id
    pictures = [frame.data for frame in short_client.render(personal, points, [1, 2])]
    assert pictures != [frame.data for frame in short_client.render(fewshot, points, [1, 2])]
    assert [frame.data for frame in client.render(personal, points, [1, 2])] == pictures

    LandmarkTrack(points, (256, 256)).save(tmp_path / "track.npz")
    LandmarkTrack(plain.points[None], (256, 256)).save(tmp_path / "rest.npz")
    from_command.save(tmp_path / "her.safetensors")
    parser = argparse.ArgumentParser()
    render.add_arguments(parser)
    words = ["--reference", photo_file, "--reference-points", tmp_path / "rest.npz", "--track", tmp_path / "track.npz",
             "--output", tmp_path / "frames", "--personal", tmp_path / "her.safetensors", "--device", "cpu"]  # fmt: skip
    assert render.run(parser.parse_args([*map(str, words)])) == 0
    saved = sorted((tmp_path / "frames").glob("*.png"))
    assert [read_digest(path) for path in saved] == [client.frame_digest(personal, row) for row in points]
    for path, data in zip(saved, pictures, strict=True):
        assert np.array_equal(cv2.imread(str(path)), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.timeout(LONG_SECONDS)
def test_others_render_while_one_tunes_and_a_cancelled_tuning_ends(
    client: Client, second_client: Client, photo: ReferenceImage, eventually: Callable
) -> None:
    tuning = client.tune([photo])
    until_running(tuning)
    assert tuning.state == "running"
    portrait = second_client.prepare([photo], engine="fewshot")
    frames = list(second_client.render(portrait, np.repeat(portrait.points[None], 3, 0), range(3), encoding="raw"))
    assert len(frames) == 3 and second_client.stats()["tunings"] == 1, "the engine did not wait for the tuning"

    with pytest.raises(PortraitError, match="has a tuning under way") as caught:
        client.tune([photo]).result()
    assert caught.value.code == ErrorCode.BUSY and "cancel" in caught.value.remedy
    waiting = second_client.tune([photo])
    while waiting.ahead != 1:
        assert waiting.next(1.0) is None
    assert waiting.state == "queued"
    waiting.cancel()

    tuning.cancel()
    tuning.cancel()
    assert tuning.next(0.1) is None and tuning.state == "cancelled"
    eventually(lambda: second_client.stats()["tunings"] == 0)
    with pytest.raises(PortraitError) as caught:
        client.tune([photo]).result(cancelled=lambda: True)
    assert caught.value.code == ErrorCode.CANCELLED
    eventually(lambda: second_client.stats()["tunings"] == 0)


def test_the_tuning_of_a_client_that_has_gone_ends(
    tuning_server: ServerProcess, client: Client, photo: ReferenceImage, eventually: Callable
) -> None:
    with Client(tuning_server.connection, name="leaves") as other:
        until_running(other.tune([photo]), 0)
        eventually(lambda: client.stats()["tunings"] == 1)
        other.link.channel.close()  # as where the process is killed: no farewell
        other.link.channel = None
    eventually(lambda: client.stats()["tunings"] == 0)


def test_a_server_that_stops_says_so(weights: Path, photo: ReferenceImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    server = ServerProcess(COMMAND, device="cpu")
    server.start()
    try:
        with Client(server.connection) as client, Client(server.connection) as other:
            tuning = client.tune([photo])
            until_running(tuning, 0)
            other.shutdown()
            with pytest.raises(PortraitError) as caught:
                tuning.result()
            assert caught.value.code == ErrorCode.SERVER_STOPPING
    finally:
        server.stop()


def test_a_tuning_begins_anew_where_the_server_has_crashed(
    weights: Path, photo: ReferenceImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    server = ServerProcess(COMMAND, device="cpu")
    with Client(server) as client, client.tune([photo]) as tuning:
        until_running(tuning, 0)
        server.kill()
        for _ in range(LONG_SECONDS):
            assert tuning.next(1.0) is None
            if client.link.generation == 2 and tuning.state == "running":
                break
        assert client.stats()["tunings"] == 1
    server.stop()


def test_what_cannot_be_tuned_to_is_named(client: Client, photo: ReferenceImage) -> None:
    faceless, deep = (
        ReferenceImage(np.full((80, 80, 3), 128, np.uint8)),
        ReferenceImage(photo.image.astype("<u2") * 257),
    )
    with pytest.raises(PortraitError, match="photo 2") as caught:
        client.tune([deep, faceless]).result()
    assert caught.value.code == ErrorCode.NO_FACE
    for photos in ([], [photo] * 33):
        with pytest.raises(PortraitError, match="1 to 32 photos") as caught:
            client.tune(photos)
        assert caught.value.code == ErrorCode.BAD_IMAGE
    for engine in ("warp", "nothing"):
        with pytest.raises(PortraitError) as caught:
            client.tune([photo], engine=engine).result()
        assert caught.value.code == ErrorCode.UNKNOWN_ENGINE and "fewshot" in caught.value.remedy


def test_without_weights_there_is_no_tuning(
    server: ServerProcess, photo: ReferenceImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "none.safetensors"))
    with Client(server) as client, pytest.raises(PortraitError) as caught:
        client.tune([photo]).result()
    assert caught.value.code == ErrorCode.WEIGHTS_MISSING


def test_personal_files_that_do_not_fit_are_refused(client: Client, photo: ReferenceImage) -> None:
    for_others = to_file(Personal({}, "0" * 64))
    portrait = client.prepare([photo])
    with pytest.raises(PortraitError, match="made for other weights") as caught:
        client.prepare(portrait.references, personal=for_others)
    assert caught.value.code == ErrorCode.BAD_WEIGHTS
    with pytest.raises(PortraitError, match="'warp' cannot be tuned") as caught:
        client.prepare(portrait.references, engine="warp", personal=for_others)
    assert caught.value.code == ErrorCode.UNKNOWN_ENGINE
    for digest, content in (("0" * 64, for_others.content), (for_others.digest[::-1], b"\x80\x04no safetensors")):
        client.send(OfferPersonal(client.new_request(), digest, content))
        while not isinstance(answer := client.pump(1.0), Error):
            pass
        assert answer.code == "bad_weights"
