# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait job start-server` and `stop-server`: a server that outlives the command, and is stopped by another."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from portrait_server.commands import job_server
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import find_server
from portrait_shared.errors import ErrorCode, PortraitError


def test_one_server_for_several_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "session" / "server.json"
    asked = argparse.Namespace(connection_file=file, device="cpu", engine="warp")
    try:
        assert job_server.start(asked) == 0
        first = find_server(file)
        assert first is not None and first.address in capsys.readouterr().out
        with Client(first) as client:
            assert client.echo() > 0
        assert job_server.start(asked) == 0, "it runs already"
        assert find_server(file) == first
        with monkeypatch.context() as updated, pytest.raises(PortraitError, match=r"this is 9\.9\.9") as caught:
            updated.setattr(job_server, "__version__", "9.9.9")
            job_server.start(asked)
        assert caught.value.code == ErrorCode.VERSION_MISMATCH and "stop-server" in caught.value.remedy
    finally:
        assert job_server.stop(asked) == 0
    assert find_server(file) is None and not list(file.parent.iterdir()), "nothing is left in the session's folder"
    assert job_server.stop(asked) == 0, "it has been stopped"


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    asked = argparse.Namespace(connection_file=tmp_path / "server.json", device="xpu", engine=None)
    with pytest.raises(PortraitError, match=r"Intel|xpu") as caught:
        job_server.start(asked)
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE
    assert job_server.stop(asked) == 0


def test_a_file_that_is_no_connection_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("private")
    file.chmod(0o600)
    with pytest.raises(PortraitError, match="is not a connection file"):
        job_server.stop(argparse.Namespace(connection_file=file))
    assert file.read_text() == "private"
