# SPDX-License-Identifier: GPL-3.0-or-later
"""`--log-format json`: whoever gathers logs gets one object a line, from every command."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_server.cli import _COMMANDS, main
from portrait_server.commands.job import _ACTIONS
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.log_lines import JsonLines, for_people
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import PortraitHandle

from tests.server.conftest import COMMAND
from tests.server.service.test_service_devices import ABSENT

LEAVES = {
    "corpus": [["build", "photos"], ["build", "videos"], ["crops", "heads"]],
    "job": [[action] for action in _ACTIONS],
}
"""Commands that have others within them."""


def objects(text: str) -> list[dict[str, Any]]:
    """Every line's, none of which may be anything else."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", [[name, *leaf] for name in _COMMANDS for leaf in LEAVES.get(name, [[]])])
def test_every_command_takes_it(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert "--log-format {text,json}" in capsys.readouterr().out


@pytest.mark.usefixtures("test_engines_alone")
def test_a_server_logs_objects_to_standard_error_and_to_its_file(
    serve: Callable[..., subprocess.Popen[bytes]], paint: Callable[..., tuple[PortraitHandle, np.ndarray]],
    eventually: Callable[..., None], tmp_path: Path,
) -> None:  # fmt: skip
    file = tmp_path / "connection.json"
    server = serve("--connection-file", file, "--log-format", "json", "--log-level", "debug", wait_for=file)
    before = datetime.now(UTC)
    with Client(Connection.load(file), name="a client’s name") as client:
        portrait, points = paint(client, count=3)
        assert len(list(client.render(portrait, points, [1, 2, 3]))) == 3
    log = tmp_path / "0.log"
    eventually(lambda: "has left" in log.read_text("utf-8"))
    server.send_signal(signal.SIGTERM)
    server.wait()
    assert server.stdout is not None
    said = server.stdout.read()
    lines = objects(log.read_text("utf-8"))
    assert objects(said.decode()) == lines, "the same to both"
    assert [{"time", "level", "logger", "message"} <= set(line) for line in lines] == [True] * len(lines)
    (serving,) = (line for line in lines if "Serving at" in line["message"])
    assert serving["address"] in serving["message"] and serving["device"] == "cpu" and serving["level"] == "info"
    (come,) = (line for line in lines if "has come" in line["message"])
    assert come["client"] == "a client’s name" and come["logger"] == "portrait_server.service.service"
    (drawn,) = (line for line in lines if "frames of a render" in line["message"])
    assert (drawn["client"], drawn["portrait"], drawn["engine"]) == (come["client"], portrait.portrait_id, "paint")
    assert (drawn["frames"], drawn["of"], drawn["outcome"]) == (3, 3, "done") and drawn["seconds"] > 0
    assert abs((datetime.fromisoformat(come["time"]) - before).total_seconds()) < 3600 and come["time"].endswith("Z")


def test_a_command_that_fails_says_so_in_an_object(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "portrait_server", "render", "--reference", "gone.png", "--track", "gone.npz"]
    ran = subprocess.run(
        [*command, "--output", tmp_path, "--log-format", "json"], capture_output=True, text=True, check=False
    )
    (line,) = objects(ran.stderr)
    assert ran.returncode == 1 and ran.stdout == ""
    assert line["level"] == "error" and line["command"] == "render" and line["code"] == "file_missing"
    assert "gone.npz" in line["message"] and line["remedy"]


@pytest.fixture
def in_json() -> Iterator[None]:
    """This process logs in JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.mark.usefixtures("in_json", "test_engines_alone")
def test_servers_that_are_started_log_as_whoever_started_them(tmp_path: Path) -> None:
    """The log's folder is what the environment says."""
    server = ServerProcess(COMMAND, device="cpu")
    with Client(server) as client:
        assert client.server.device == "cpu"
        logged = objects(Path(server.connection.log).read_text("utf-8"))
    assert any("Serving at" in line["message"] for line in logged)
    assert "Serving at" in server.log_tail() and "{" not in server.log_tail(), "for people"
    server.stop()


@pytest.mark.usefixtures("in_json")
def test_why_a_server_did_not_start_is_read_from_its_object() -> None:
    absent = ServerProcess(COMMAND, device=ABSENT)
    with pytest.raises(PortraitError, match=r"^This machine (has no|is no)") as caught:
        absent.start()
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "--device cpu" in caught.value.remedy
    absent.stop()


def test_lines_of_a_log_are_read_by_people() -> None:
    try:
        raise ValueError("a bug")
    except ValueError:
        record = logging.makeLogRecord({"msg": "It failed", "exc_info": sys.exc_info(), "remedy": "Ask."})
    message, *trace, last, remedy = for_people(JsonLines().format(record))
    assert (message, last, remedy) == ("It failed", "ValueError: a bug", "Ask.") and "Traceback" in trace[0]
    assert [for_people(line) for line in ("plain", "", "7", '{"a": 1}')] == [["plain"], [""], ["7"], ['{"a": 1}']]


def test_what_nobody_expected_is_an_object_too() -> None:
    code = """
import threading, warnings
from portrait_server.commands.logs import log_in_json
log_in_json()
warnings.warn("an old name")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
raise RuntimeError("a bug")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    warned, thread, bug = objects(ran.stderr)
    assert ran.returncode == 1
    assert warned["level"] == "warning" and "an old name" in warned["message"]
    assert "ZeroDivisionError" in thread["exception"] and thread["level"] == bug["level"] == "critical"
    assert "RuntimeError: a bug" in bug["exception"] and "a bug" in bug["message"]


@pytest.mark.parametrize("value", ["two\nlines", "a \udcff name", 'a "quote"', Path("a/path"), np.float32(0.5), None])
def test_whatever_is_said_stays_one_line(value: object) -> None:
    record = logging.makeLogRecord({"name": "here", "levelname": "INFO", "msg": "It is %s", "args": (value,)})
    record.seconds = value
    line = JsonLines().format(record)
    assert line.isascii() and "\n" not in line
    (told,) = objects(line)
    assert told["message"] == f"It is {value}" and list(told)[:4] == ["time", "level", "logger", "message"]
    assert told["seconds"] == (value if value is None or isinstance(value, str) else str(value))


def test_a_field_hides_nothing_that_every_line_has() -> None:
    record = logging.makeLogRecord({"name": "here", "levelname": "INFO", "msg": "said"})
    record.time = record.level = "another"
    assert json.loads(JsonLines().format(record))["level"] == "info"
