# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of consent: what one may say, how it is kept, and what others are told of it."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from pathlib import Path

import pytest
from portrait_shared.consent import (
    NO_CONSENT,
    SCOPE_CHARACTERS,
    Consent,
    Ground,
    checked_public,
    document_digest,
    new_salt,
    sentence,
    today,
)
from portrait_shared.errors import ErrorCode, PortraitError

SALT = "0123456789abcdef" * 2
ANNA = Consent(
    Ground.WRITTEN, "Anna Nuñez", document="ab" * 32, scope="the film, not its trailer", until="2027-12-31",
    recorded="2026-11-29", child=True, salt=SALT,
)  # fmt: skip


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    for number, consent in enumerate((ANNA, NO_CONSENT, oneself_today())):
        path = tmp_path / f"{number}.json"
        consent.save(path)
        assert Consent.load(path) == consent and Consent.load(path).digest == consent.digest


def oneself_today() -> Consent:
    return Consent(Ground.ONESELF, recorded=today(), salt=new_salt())


def test_two_records_of_the_same_words_have_hashes_of_their_own() -> None:
    assert oneself_today().digest != oneself_today().digest


def test_others_are_told_neither_the_name_nor_the_users_words() -> None:
    text = json.dumps(ANNA.public)
    assert "Anna" not in text and "film" not in text and SALT not in text
    assert ANNA.public == {"ground": "written", "until": "2027-12-31", "document": "ab" * 32, "digest": ANNA.digest}
    assert NO_CONSENT.public == {"ground": "none"}


def test_the_digest_depends_on_all_that_is_said() -> None:
    said = {"person": "Ann", "document": "", "scope": "", "until": "", "recorded": "2026-11-28", "child": False}
    others = [Consent(**{**vars_of(ANNA), name: value}) for name, value in said.items()]
    others.append(Consent(**{**vars_of(ANNA), "ground": Ground.DECEASED}))
    assert len({ANNA.digest, *(other.digest for other in others)}) == 8


def vars_of(consent: Consent) -> dict[str, object]:
    return {name: getattr(consent, name) for name in Consent.__dataclass_fields__}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ground": "verbal"}, {"ground": 5}, {"ground": "none"}, {"child": 1}, {"person": "x" * 201}, {"person": "a\nb"},
        {"person": "\ud800"}, {"scope": "x" * (SCOPE_CHARACTERS + 1)}, {"document": "consent.pdf"}, {"until": "2027-02-30"},
        {"until": "31.12.2027"}, {"until": "20271231"}, {"recorded": ""}, {"salt": ""}, {"salt": "anna"}, {"scope": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_record_is_refused_in_words(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as caught:
        Consent(**{**vars_of(ANNA), **wrong})
    assert caught.value.code == ErrorCode.BAD_CONFIGURATION and caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 9000, b"{}", b'{"format": "talking-portraits edit 1"}', bytes(20_000),
                                     b'{"format": "talking-portraits consent 1", "name": "Anna"}'], ids=range(7))  # fmt: skip
def test_a_file_that_is_no_record_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "consent.json").write_bytes(content)
    with pytest.raises(PortraitError, match=r"consent\.json") as caught:
        Consent.load(tmp_path / "consent.json")
    assert caught.value.code == ErrorCode.BAD_CONFIGURATION


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (Consent.load, document_digest):
        for path in (tmp_path / "consent.pdf", tmp_path, Path("a\0b"), Path(os.devnull)):
            with pytest.raises(PortraitError) as caught:
                read(path)
            assert caught.value.code == ErrorCode.FILE_MISSING


def test_a_document_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    (tmp_path / "consent.pdf").write_bytes(b"I agree." * 100_000)
    assert document_digest(tmp_path / "consent.pdf") == hashlib.sha256(b"I agree." * 100_000).hexdigest()


def test_a_record_ends_after_its_last_day() -> None:
    assert not ANNA.ended(datetime.date(2027, 12, 31)) and ANNA.ended(datetime.date(2028, 1, 1))
    assert not NO_CONSENT.ended(datetime.date(9999, 1, 1))


def test_what_others_are_told_is_checked_and_said() -> None:
    assert checked_public(ANNA.public) == ANNA.public and checked_public(NO_CONSENT.public) == NO_CONSENT.public
    assert "in writing" in sentence(ANNA.public) and "until 31 December 2027" in sentence(ANNA.public)
    assert "No consent" in sentence(NO_CONSENT.public)
    assert all(sentence({"ground": ground}).endswith(".") for ground in Ground)
    others = ([], {}, {"ground": "verbal"}, {"ground": []}, {"ground": "none", "person": "Anna"},
              {**ANNA.public, "until": "soon"}, {**ANNA.public, "digest": "ab"}, {"ground": "oneself", "until": 5})  # fmt: skip
    for wrong in others:
        with pytest.raises(ValueError):
            checked_public(wrong)
