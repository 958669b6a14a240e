# SPDX-License-Identifier: GPL-3.0-or-later
"""The server signs sequences of frames for clients, and refuses what is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from portrait_server.provenance.reading import parse_sequence
from portrait_shared.client.client import Client
from portrait_shared.client.credentials import statement_of, with_credentials
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.client.rendering import store_frames
from portrait_shared.consent import Consent, Ground
from portrait_shared.disclosure import Disclosure, Label, watermark_id
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.protocol.messages import Signed, SignSequence
from portrait_shared.protocol.references import PortraitHandle
from portrait_shared.statement import Statement

from tests.signed_frames import signed_frames

Paint = Callable[..., tuple[PortraitHandle, np.ndarray]]
CONSENT = Consent(Ground.ONESELF, "Anna", recorded="2026-11-29", salt="0" * 32)


def failing(error: PortraitError) -> None:
    raise error


def test_frames_of_a_client_are_signed_and_the_statement_is_what_it_says(
    client: Client, paint: Paint, tmp_path: Path
) -> None:
    portrait, points = paint(client, count=6)
    shown = Disclosure(True, Label("Anna", icon=False))
    statement = statement_of(client, portrait, "", shown, [CONSENT])
    sign = partial(client.sign_sequence, statement, "frames.c2pa", thumbnails=portrait.references)
    stored = store_frames(client, portrait, points, range(6), tmp_path)
    assert len(list(with_credentials(stored, tmp_path, "", sign, failing))) == 6
    assert sorted(signed_frames(tmp_path)) == [f"{number:04d}.png" for number in range(6)]
    told = parse_sequence((tmp_path / "frames.c2pa").read_bytes())
    assert told is not None and told[0].statement is not None and told[0].known
    (source,) = told[0].statement.sources
    assert source.digest == portrait.references[0].digest and source.thumbnail
    assert told[0].statement == dataclasses.replace(statement, sources=(source,))
    assert told[0].statement.consents == (CONSENT.public,) and b"Anna" not in str(CONSENT.public).encode()
    assert told[0].statement.watermark == watermark_id(portrait.portrait_id) and told[0].statement.label == "Anna"
    points[2] = points[5]
    stored = store_frames(client, portrait, points, range(6), tmp_path, only=[2])
    assert [frame.drawn for frame in with_credentials(stored, tmp_path, "", sign, failing)] == [True]
    assert len(signed_frames(tmp_path)) == 6, "those that stayed are signed still"


@pytest.mark.parametrize("statement", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"engine": "warp"}'])
def test_what_is_no_statement_is_refused(client: Client, statement: bytes) -> None:
    with pytest.raises(PortraitError) as caught:
        client.ask(
            SignSequence(client.new_request(), np.zeros((1, 32), np.uint8), b"0001.png", statement, "frames.c2pa"),
            Signed,
        )
    assert caught.value.code == ErrorCode.BAD_MESSAGE


def test_names_that_are_none_and_too_many_frames_are_refused(client: Client) -> None:
    statement = Statement("warp", "warp-1", False)
    with pytest.raises(PortraitError) as caught:
        client.sign_sequence(statement, "frames.c2pa", {"../0001.png": "0" * 64})
    assert caught.value.code == ErrorCode.BAD_MESSAGE
    with pytest.raises(PortraitError, match="100000"):
        client.sign_sequence(statement, "frames.c2pa", dict.fromkeys(map(str, range(100_001)), "0" * 64))


def test_a_server_without_a_key_says_so_and_frames_stay(
    server: ServerProcess, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("TALKING_PORTRAITS_SIGNING", str(tmp_path / "no folder" / "signing"))
    failures: list[PortraitError] = []
    server.start()
    with Client(server.connection, name="test") as client:
        portrait, points = paint(client, count=3)
        sign = partial(client.sign_sequence, statement_of(client, portrait, "", Disclosure()), "frames.c2pa")
        stored = store_frames(client, portrait, points, range(3), tmp_path / "out")
        assert len(list(with_credentials(stored, tmp_path / "out", "", sign, failures.append))) == 3
    assert len(failures) == 1 and failures[0].remedy
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".png"] * 3
