# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames show of having been made: one text for every program, bounded, and part of a frame's hash."""

from __future__ import annotations

import json

import numpy as np
import pytest
from portrait_shared.digest import frame_digest
from portrait_shared.disclosure import (
    CORNERS,
    MAX_DISCLOSURE_CHARACTERS,
    MAX_WORDING_CHARACTERS,
    NOTHING_SHOWN,
    SIZES,
    Disclosure,
    Label,
    watermark_id,
)
from portrait_shared.errors import ErrorCode, PortraitError

SHOWN = (
    NOTHING_SHOWN, Disclosure(), Disclosure(False, Label()), Disclosure(True, Label("AI modified", CORNERS[3], 0.1, False)),
    Disclosure(True, Label("Ä" * MAX_WORDING_CHARACTERS)),
)  # fmt: skip


@pytest.mark.parametrize("disclosure", SHOWN)
def test_the_text_gives_the_same_again(disclosure):
    told = disclosure.as_json()
    assert len(told) <= MAX_DISCLOSURE_CHARACTERS
    assert Disclosure.from_json(told) == disclosure
    assert Disclosure.from_json(told).as_json() == told


def test_each_has_a_hash_of_its_own_and_nothing_shown_leaves_hashes_as_they_were():
    row = np.zeros((70, 3), np.float32)
    hashes = [frame_digest("0" * 64, row, (8, 8), False, disclosure=each) for each in SHOWN]
    assert len(set(hashes)) == len(SHOWN)
    assert hashes[0] == frame_digest("0" * 64, row, (8, 8), False)


def test_a_size_that_blender_holds_as_float32_is_the_same_size():
    assert Label(size=float(np.float32(0.06))) == Label(size=0.06)


@pytest.mark.parametrize(
    "values",
    [
        {"text": "x" * (MAX_WORDING_CHARACTERS + 1)}, {"text": "two\nlines"}, {"text": "\ud800"}, {"text": 1},
        {"corner": "middle"}, {"corner": ["top-right"]}, {"size": SIZES[1] + 0.01}, {"size": float("nan")}, {"size": True},
        {"icon": 1}, {"icon": False, "text": " "}, {"color": "red"},
    ],
)  # fmt: skip
def test_another_label_is_refused_in_words(values):
    with pytest.raises(PortraitError) as caught:
        Disclosure.from_values({"watermark": True, "label": values})
    assert caught.value.code is ErrorCode.BAD_CONFIGURATION and caught.value.remedy


@pytest.mark.parametrize(
    "told",
    ["{", "[]", "1", "null", '{"watermark": true}', '{"watermark": 1, "label": null}', "[" * 900, " " * 2000,
     json.dumps({"watermark": True, "label": None, "more": 1}), '{"watermark": true, "label": [1]}'],
)  # fmt: skip
def test_another_text_is_refused_in_words(told):
    with pytest.raises(PortraitError) as caught:
        Disclosure.from_json(told)
    assert caught.value.code is ErrorCode.BAD_CONFIGURATION


def test_a_watermarks_number_has_32_bits_and_comes_from_the_source_alone():
    one, other = watermark_id("a" * 64), watermark_id("b" * 64)
    assert one != other and one == watermark_id("a" * 64)
    assert all(0 <= number < 2**32 for number in (one, other))
