# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal files: what fits the painters is applied, anything else is refused with words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from portrait_server.networks.personal import Personal, PersonalPainter, apply_personal, from_file, to_file
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile

from tests.server.networks.conftest import tiny_painters

CHECKSUM = "0" * 64


def test_what_is_changed_is_what_the_file_says() -> None:
    painters = tiny_painters().eval()
    style, left, right = torch.rand(painters.eye.style.out_features), torch.rand(6, 1), torch.rand(1, 54)
    personal = Personal({"eye": PersonalPainter(style, {"ups.2.conv1": (left, right)})}, CHECKSUM)
    tuned = apply_personal(painters, from_file(to_file(personal)), CHECKSUM)
    crops = torch.rand(1, 2, 3, 80, 80), torch.rand(1, 2, 2, 80, 80)
    assert torch.allclose(tuned.eye.styled(*crops), painters.eye.styled(*crops) + style)
    before, after = (each.eye.ups[2].conv1.weight for each in (painters, tuned))
    assert torch.allclose(after, before + (left @ right).view_as(before))
    assert torch.equal(tuned.mouth.styled(*crops), painters.mouth.styled(*crops))


def test_personal_files_of_other_weights_and_damaged_ones() -> None:
    painters = tiny_painters().eval()
    layer = painters.mouth.end
    mine = PersonalPainter(
        torch.zeros(painters.mouth.style.out_features),
        {"end": (torch.zeros(len(layer.weight), 2), torch.zeros(2, layer.weight[0].numel()))},
    )
    left, right = mine.changes["end"]

    def applied(mine: PersonalPainter, checksum: str = CHECKSUM) -> None:
        apply_personal(painters, from_file(to_file(Personal({"mouth": mine}, checksum))), CHECKSUM)

    applied(mine)
    bad = [
        (replace(mine, style=mine.style[:-1]), "other painters"),
        (replace(mine, style=mine.style * torch.nan), "never makes"),
        (replace(mine, style=mine.style[None]), "impossible shapes"),
        (replace(mine, changes={"nothing": (left, right)}), "not there"),
        (replace(mine, changes={"end": (left, right.repeat(2, 1))}), "impossible shapes"),
        (replace(mine, changes={"end": (left.T, right.T)}), "impossible shapes|not there"),
    ]
    for changed, words in bad:
        with pytest.raises(PortraitError, match=words) as raised:
            applied(changed)
        assert raised.value.code == ErrorCode.BAD_WEIGHTS
    with pytest.raises(PortraitError, match="other weights"):
        applied(mine, "1" * 64)
    nose = to_file(Personal({"nose": mine}, CHECKSUM))
    with pytest.raises(PortraitError, match="never makes"):
        from_file(nose)
    whole = to_file(Personal({"mouth": mine}, CHECKSUM)).content
    assert all(to_file(Personal({"mouth": mine}, CHECKSUM)).content == whole for _ in range(8))
    with pytest.raises(PortraitError, match="damaged") as raised:
        from_file(PersonalFile(whole[:-5]))
    assert raised.value.code == ErrorCode.BAD_WEIGHTS
