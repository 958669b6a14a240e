# SPDX-License-Identifier: GPL-3.0-or-later
"""The visible label: where it lies, that it is read on any ground, and that it fits into every frame."""

from __future__ import annotations

import numpy as np
import pytest
from portrait_server.disclosure.label import LabelPicture, check_label
from portrait_shared.disclosure import CORNERS, MAX_WORDING_CHARACTERS, Label
from portrait_shared.errors import ErrorCode, PortraitError

SIZE = (320, 240)
WORDED = Label("AI-verändert", icon=False)


def grey(level: int, size: tuple[int, int] = SIZE, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return np.full((size[1], size[0], channels), level, dtype)


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("label", [Label(), WORDED, Label("Demo")], ids=["icon", "wording", "both"])
def test_it_lies_in_its_corner_alone_and_has_its_height(corner: str, label: Label) -> None:
    frame = grey(128)
    there = Label(label.text, corner, 0.1, label.icon)
    labelled = LabelPicture(there, SIZE).over(frame, 255)
    rows, columns = np.nonzero((labelled != frame).any(2))
    assert rows.max() + 1 - rows.min() == round(0.1 * SIZE[1])
    assert (rows.max() < SIZE[1] / 2) == corner.startswith("top")
    margin = columns.min() if corner.endswith("left") else SIZE[0] - 1 - columns.max()
    assert 0 < margin < SIZE[0] * 0.1
    assert (frame == 128).all(), "the frame itself was written into"


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_its_letters_are_read_on_any_ground(ground: int) -> None:
    labelled = LabelPicture(Label(size=0.1), SIZE).over(grey(ground), 255)
    box = labelled[12:36, 200:310].astype(int)
    assert (box > 230).mean() > 0.05 and (box < 25).mean() > 0.3


def test_alpha_is_opaque_under_it_and_stays_elsewhere() -> None:
    frame = grey(90, channels=4)
    frame[..., 3] = 0
    labelled = LabelPicture(Label(size=0.1), SIZE).over(frame, 255)
    assert labelled[..., 3].max() == 255 and labelled[SIZE[1] // 2 :, :, 3].max() == 0
    clear = labelled[..., 3] == 0
    np.testing.assert_array_equal(labelled[clear], frame[clear])


def test_frames_of_16_bits_and_of_floats_get_the_same_picture() -> None:
    picture = LabelPicture(Label("AI", size=0.1), SIZE)
    shallow = picture.over(grey(128), 255).astype(float)
    deep = picture.over(grey(128 * 257, dtype=np.uint16), 65535) / 257
    floating = picture.over(grey(128, dtype=np.float32), 255)
    assert np.abs(shallow - deep).max() <= 0.51 and np.abs(shallow - floating).max() <= 0.51


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (40, 300), (900, 20), (4096, 64)])
@pytest.mark.parametrize("label", [Label(size=0.3), Label("M" * MAX_WORDING_CHARACTERS, "bottom-left")])
def test_it_fits_into_every_frame(size: tuple[int, int], label: Label) -> None:
    assert LabelPicture(label, size).over(grey(200, size), 255).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("text", ["画像", "שלום", "AI \U0001f916"])
def test_letters_that_the_font_lacks_are_refused_in_words(text: str) -> None:
    with pytest.raises(PortraitError, match="cannot be written") as caught:
        check_label(Label(text))
    assert caught.value.code is ErrorCode.BAD_CONFIGURATION


def test_letters_of_europe_are_written() -> None:
    check_label(Label("AI – Größe, ça été, Łódź, ΑΙ, изменено"))
