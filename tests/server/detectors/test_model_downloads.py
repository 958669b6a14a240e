# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks' files that are downloaded: whole, checked, and with words for a network that is not there or that lies."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from portrait_server.detectors import model_downloads
from portrait_server.detectors.model_downloads import MODELS_VARIABLE, OFFLINE_VARIABLE, DownloadedModel
from portrait_shared.errors import ErrorCode, PortraitError

CONTENT = b"numbers" * 1000
PAGE = b"<!DOCTYPE html><title>Sign in to the hotel's network</title>"


class Publisher(ThreadingHTTPServer):
    """Answers with each of its answers once, the last one for ever: (status, content, how much of it is sent)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers = [(200, CONTENT, len(CONTENT))]
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/net.bin"


class _Answer(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        answers = self.server.answers
        status, content, sent = answers[min(self.server.asked, len(answers) - 1)]
        self.server.asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *of: object) -> None:
        """Tests read what the program says, not this."""


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", OFFLINE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with Publisher() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user who has named no folder."""
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(model_downloads.platformdirs, "user_cache_dir", lambda *of: str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def model(publisher: Publisher, folder: Path) -> DownloadedModel:
    return DownloadedModel("net.bin", publisher.url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def failure(model: DownloadedModel) -> PortraitError:
    with pytest.raises(PortraitError) as caught:
        model.fetched()
    said = caught.value
    assert model.url in said.remedy and MODELS_VARIABLE in said.remedy and "3.11" in said.remedy
    return said


def test_a_file_is_downloaded_once(model: DownloadedModel, publisher: Publisher, folder: Path) -> None:
    assert model.path == folder / "net.bin" and not model.path.exists()
    assert model.fetched().read_bytes() == CONTENT
    assert model.fetched() == model.path
    assert publisher.asked == 1
    assert [path.name for path in folder.iterdir()] == ["net.bin"]


def test_a_broken_connection_is_tried_again(model: DownloadedModel, publisher: Publisher) -> None:
    publisher.answers = [(200, CONTENT, 99), (503, b"busy", 4), (200, CONTENT, len(CONTENT))]
    assert model.fetched().read_bytes() == CONTENT
    assert publisher.asked == 3


def test_connections_that_always_break_end(model: DownloadedModel, publisher: Publisher, folder: Path) -> None:
    publisher.answers = [(200, CONTENT, 99)]
    said = failure(model)
    assert said.code is ErrorCode.WEIGHTS_MISSING and "the connection broke" in said.message
    assert publisher.asked == 3 and not any(folder.iterdir())


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((200, PAGE, len(PAGE)), ErrorCode.WEIGHTS_MISSING, "login page"),
        ((200, CONTENT.swapcase(), len(CONTENT)), ErrorCode.BAD_WEIGHTS, "another content"),
        ((200, CONTENT * 3, 3 * len(CONTENT)), ErrorCode.BAD_WEIGHTS, "another content"),
        ((404, b"gone", 4), ErrorCode.WEIGHTS_MISSING, "404"),
        ((407, PAGE, len(PAGE)), ErrorCode.WEIGHTS_MISSING, "407"),
    ],
    ids=["login page", "changed", "endless", "gone", "proxy"],
)
def test_a_wrong_answer_is_not_kept(
    answer: tuple[int, bytes, int],
    code: ErrorCode,
    words: str,
    model: DownloadedModel,
    publisher: Publisher,
    folder: Path,
) -> None:
    publisher.answers = [answer]
    said = failure(model)
    assert said.code is code and words in said.message
    assert publisher.asked == 1 and not any(folder.iterdir())


def test_no_network(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = failure(DownloadedModel("net.bin", f"http://127.0.0.1:{port}/net.bin", 9, "0" * 64))
    assert said.code is ErrorCode.WEIGHTS_MISSING and "refused" in said.message and str(folder) in said.message


def test_who_may_not_use_the_internet_asks_nobody(
    model: DownloadedModel, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")
    said = failure(model)
    assert said.code is ErrorCode.WEIGHTS_MISSING and "may not use the internet" in said.message
    assert publisher.asked == 0


@pytest.mark.parametrize("spoil", [lambda content: content[:50], lambda content: content.swapcase()])
def test_a_damaged_file_in_the_cache_is_downloaded_anew(
    spoil: Callable[[bytes], bytes], model: DownloadedModel, publisher: Publisher
) -> None:
    model.fetched().write_bytes(spoil(CONTENT))
    assert model.fetched().read_bytes() == CONTENT
    assert publisher.asked == 2


def test_files_that_the_user_brought(
    model: DownloadedModel, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    monkeypatch.setenv(MODELS_VARIABLE, str(brought))
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")
    (brought / "net.bin").write_bytes(CONTENT)
    assert model.fetched() == brought / "net.bin"
    (brought / "net.bin").write_bytes(PAGE)
    monkeypatch.delenv(OFFLINE_VARIABLE)
    assert failure(model).code is ErrorCode.BAD_WEIGHTS
    assert (brought / "net.bin").read_bytes() == PAGE, "what a user has put there is not replaced"
    assert publisher.asked == 0


def test_a_folder_that_cannot_be_made(model: DownloadedModel, folder: Path) -> None:
    folder.parent.write_text("a file lies there")
    with pytest.raises(PortraitError) as caught:
        model.fetched()
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE and MODELS_VARIABLE in caught.value.remedy
