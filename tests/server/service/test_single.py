# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a server: one holder, no link followed, nothing left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from portrait_server.service.single import ServerLock
from portrait_shared.errors import ErrorCode, PortraitError


def test_one_at_a_time_and_nothing_left(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    first = ServerLock(file)
    with pytest.raises(PortraitError) as caught:
        ServerLock(file)
    assert caught.value.code is ErrorCode.BUSY
    first.release()
    assert not list(tmp_path.iterdir())
    ServerLock(file).release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps links and pipes from most users")
def test_a_link_or_somebody_elses_file_is_refused(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    lock = tmp_path / "connection.json.lock"
    lock.symlink_to(treasure)
    with pytest.raises(PortraitError) as caught:
        ServerLock(tmp_path / "connection.json")
    assert caught.value.code is ErrorCode.NOT_ALLOWED and not treasure.exists() and lock.is_symlink()
    lock.unlink()
    if os.geteuid() == 0:
        lock.touch()
        os.chown(lock, 65534, 65534)
        with pytest.raises(PortraitError) as caught:
            ServerLock(tmp_path / "connection.json")
        assert caught.value.code is ErrorCode.NOT_ALLOWED and lock.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sticky folders")
def test_another_users_connection_file_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connection.json").write_text("theirs")
    tmp_path.chmod(0o1777)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 65534)
    with pytest.raises(PortraitError, match=r"connection\.json: it is another user's") as caught:
        ServerLock(tmp_path / "connection.json")
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert [path.name for path in tmp_path.iterdir()] == ["connection.json"]
