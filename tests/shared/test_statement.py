# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of frames: JSON both ways, bounded, and nothing personal that was not asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from portrait_shared.consent import NO_CONSENT
from portrait_shared.statement import MAX_STATEMENT_BYTES, MAX_THUMBNAIL_BYTES, Hashed, Source, SourceKind, Statement

THUMBNAIL = b"\xff\xd8\xff\xe0 a small picture"
FULL = Statement(
    "fewshot", "fewshot-1", True,
    (
        Source(SourceKind.PLATE, "a" * 64, Hashed.FILE, "shot.mp4", THUMBNAIL),
        Source(SourceKind.REFERENCE, "b" * 64),
    ),
    ("c" * 64,), "d" * 64, ({"ground": "written", "until": "2027-05-01", "digest": "e" * 64},), 0xDEADBEEF, "AI", "1.2.0",
)  # fmt: skip


def test_a_statement_goes_through_json_and_comes_back_the_same() -> None:
    bare = Statement("warp", "", False)
    assert Statement.parse(FULL.to_text()) == FULL and Statement.parse(bare.to_text()) == bare
    assert FULL.plate == FULL.sources[0] and bare.plate is None


def test_without_a_record_that_is_what_it_says() -> None:
    assert json.loads(Statement("warp", "warp-1", False).to_text())["consents"] == [NO_CONSENT.public]


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "w" * 65}, {"engine": 3}, {"engine": "a\nb"}, {"networks": 1}, {"weights": ["c"]}, {"personal": "C" * 64},
        {"weights": "c" * 64}, {"consents": []}, {"consents": [{"ground": "whim"}]}, {"watermark": 2**32},
        {"watermark": True}, {"release": "1.2.0 beta"}, {"sources": [{}]}, {"sources": {}}, {"user": "Ann"},
        {"sources": [{"kind": "reference", "digest": "b" * 64}] * 34},
        {"sources": [{"kind": "reference", "digest": "b" * 64, "name": "/home/ann/photo.png"}]},
        {"sources": [{"kind": "reference", "digest": "b" * 64, "thumbnail": "%%"}]},
        {"sources": [{"kind": "reference", "digest": "b" * 64, "thumbnail": "aGVsbG8="}]},
        {"sources": [{"kind": "voice", "digest": "b" * 64}]},
    ],
)  # fmt: skip
def test_anything_else_is_no_statement(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Statement.of_json({**FULL.as_json(), **change})


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000, '{"engine": "warp"}'])
def test_what_is_no_table_is_no_statement(text: str) -> None:
    with pytest.raises(ValueError):
        Statement.parse(text)


def test_the_largest_statement_there_is_can_be_sent() -> None:
    thumbnail = b"\xff\xd8\xff".ljust(MAX_THUMBNAIL_BYTES, b"\0")
    source = Source(SourceKind.REFERENCE, "b" * 64, Hashed.PIXELS, "n" * 200, thumbnail)
    largest = Statement("warp", "f" * 300, False, (source,) * 33, ("c" * 64,) * 8)
    assert len(largest.to_text()) < MAX_STATEMENT_BYTES and Statement.parse(largest.to_text()) == largest
