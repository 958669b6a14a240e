# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays signed where a part of a sequence is rendered again, and whose word counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from portrait_server.provenance import keys
from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.reading import parse_sequence
from portrait_server.provenance.sequences import renewed_sequence
from portrait_server.provenance.thumbnails import thumbnail, with_thumbnails
from portrait_shared.consent import Consent, Ground
from portrait_shared.statement import MAX_THUMBNAIL_BYTES, Source, SourceKind, Statement

STATEMENT = Statement("warp", "warp-1", False, (Source(SourceKind.REFERENCE, "a" * 64),))
TITLE = "frames.c2pa"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.SIGNING_VARIABLE, str(tmp_path / "signing"))


def files(letter: str, *numbers: int) -> dict[str, str]:
    return {f"{number:04d}.png": letter * 64 for number in numbers}


def held(manifest: bytes) -> dict[str, str]:
    told = parse_sequence(manifest)
    assert told is not None and told[0].state is CredentialsState.VALID and told[0].known
    return told[1]


def test_frames_that_stay_keep_their_hashes_and_those_that_are_gone_are_left_out() -> None:
    before = renewed_sequence(STATEMENT, TITLE, files("1", 1, 2, 3))
    after = renewed_sequence(STATEMENT, TITLE, files("2", 2), before, ["0001.png", "0009.png"])
    assert held(after) == files("1", 1) | files("2", 2)


def test_what_is_said_already_is_not_signed_again() -> None:
    before = renewed_sequence(STATEMENT, TITLE, files("1", 1, 2))
    assert renewed_sequence(STATEMENT, TITLE, files("1", 1), before, ["0002.png"]) == before


def test_a_consent_that_was_recorded_since_is_told_of_all_frames() -> None:
    before = renewed_sequence(STATEMENT, TITLE, files("1", 1, 2))
    consent = Consent(Ground.ONESELF, recorded="2026-01-01", salt="0" * 32)
    agreed = dataclasses.replace(STATEMENT, consents=(consent.public,))
    after = renewed_sequence(agreed, TITLE, files("1", 1), before, ["0002.png"])
    told = parse_sequence(after)
    assert held(after) == files("1", 1, 2) and told is not None and told[0].statement == agreed


def test_frames_of_another_making_are_not_vouched_for() -> None:
    before = renewed_sequence(STATEMENT, TITLE, files("1", 1, 2))
    other = dataclasses.replace(STATEMENT, engine="fewshot", networks=True)
    assert held(renewed_sequence(other, TITLE, files("2", 2), before, ["0001.png"])) == files("2", 2)


def test_nobody_vouches_for_what_another_has_signed_or_somebody_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = renewed_sequence(STATEMENT, TITLE, files("1", 1, 2))
    middle = before.index(b"1" * 64)
    altered = before[:middle] + b"3" + before[middle + 1 :]
    assert held(renewed_sequence(STATEMENT, TITLE, files("2", 2), altered, ["0001.png"])) == files("2", 2)
    assert held(renewed_sequence(STATEMENT, TITLE, files("2", 2), b"nothing", ["0001.png"])) == files("2", 2)
    monkeypatch.setenv(keys.SIGNING_VARIABLE, str(tmp_path / "another user's"))
    assert renewed_sequence(STATEMENT, TITLE, files("1", 1, 2), before) == before  # their word stands
    assert held(renewed_sequence(STATEMENT, TITLE, files("2", 2), before, ["0001.png"])) == files("2", 2)


@pytest.mark.parametrize("shape", [(900, 700, 3), (3, 2000, 4), (1, 1, 3)])
def test_thumbnails_are_small(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, shape, np.uint16)
    small = thumbnail(noise)
    assert small.startswith(b"\xff\xd8") and len(small) <= MAX_THUMBNAIL_BYTES
    two = dataclasses.replace(STATEMENT, sources=(*STATEMENT.sources, Source(SourceKind.REFERENCE, "b" * 64)))
    assert [bool(source.thumbnail) for source in with_thumbnails(two, [None, noise]).sources] == [False, True]
    assert with_thumbnails(two, []) == two
