# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait consent`: what is written is what was said, and says nothing of a file but its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from portrait_server.cli import main
from portrait_shared.consent import Consent, Ground


def test_a_record_is_written_that_can_be_rendered_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letter, record = tmp_path / "letter.pdf", tmp_path / "anna.json"
    letter.write_bytes(b"I agree")
    said = ["--person", "Anna", "--until", "2027-12-31", "--scope", "the film", "--child", "--document", str(letter)]
    assert main(["consent", "--ground", "written", *said, "--output", str(record)]) == 0
    printed, consent = capsys.readouterr().out, Consent.load(record)
    assert (consent.ground, consent.person, consent.scope, consent.child) == (Ground.WRITTEN, "Anna", "the film", True)
    assert consent.document == hashlib.sha256(b"I agree").hexdigest() and "letter" not in record.read_text()
    assert "agreed in writing" in printed and "Anna" not in printed and printed.endswith(f"Saved: {record}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--until", "next year"], "next year"),
        (["--person", "x" * 500], "200 characters"),
        (["--document", "{folder}/none.pdf"], "none.pdf"),
        (["--document", "{folder}/record.json"], "would be overwritten"),
        ([], "is there already"),
    ],
    ids=str,
)
def test_what_is_no_record_is_not_written(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.json"
    if words == [] or "record.json" in words[-1]:
        record.write_text("mine")
    words = [word.replace("{folder}", str(tmp_path)) for word in words]
    assert main(["consent", "--ground", "oneself", *words, "--output", str(record)]) == 1
    assert said in capsys.readouterr().err
    assert not record.exists() or record.read_text() == "mine"
