# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal files: what fits the networks is applied, anything else is refused with words."""

from __future__ import annotations

import pytest
import torch
from portrait_server.networks.configurations import build
from portrait_server.networks.personal import Personal, apply_personal, from_file, to_file
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile

CHECKSUM = "0" * 64


def test_personal_files_of_other_weights_and_damaged_ones() -> None:
    networks = build("tiny-portrait").eval()
    style = torch.zeros(networks.generator.project.out_features)
    name = next(name for name, layer in networks.generator.named_modules() if isinstance(layer, torch.nn.Conv2d))
    out, inward = len(weight := dict(networks.generator.named_parameters())[f"{name}.weight"]), weight[0].numel()

    def applied(personal: Personal) -> None:
        apply_personal(networks, from_file(to_file(personal)), CHECKSUM)

    change = torch.zeros(out, 2), torch.zeros(2, inward)
    applied(Personal(style, {name: change}, CHECKSUM))
    bad = [
        (Personal(style, {}, "1" * 64), "other weights"),
        (Personal(style[:-1], {}, CHECKSUM), "other networks"),
        (Personal(style * torch.nan, {}, CHECKSUM), "never makes"),
        (Personal(style, {"nothing": change}, CHECKSUM), "not there"),
        (Personal(style, {name: (change[0], change[1].repeat(2, 1))}, CHECKSUM), "impossible shapes"),
        (Personal(style, {name: (change[0].T, change[1].T)}, CHECKSUM), "impossible shapes|not there"),
        (Personal(style, {name: (change[0].double(), change[1])}, CHECKSUM), "never makes"),
    ]
    for personal, words in bad:
        with pytest.raises(PortraitError, match=words) as raised:
            applied(personal)
        assert raised.value.code == ErrorCode.BAD_WEIGHTS
    whole = to_file(Personal(style, {}, CHECKSUM)).content
    assert all(to_file(Personal(style, {}, CHECKSUM)).content == whole for _ in range(8))
    with pytest.raises(PortraitError, match="damaged") as raised:
        from_file(PersonalFile(whole[:-5]))
    assert raised.value.code == ErrorCode.BAD_WEIGHTS
