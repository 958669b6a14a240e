# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPU each of the processes takes that train together."""

from __future__ import annotations

import pytest
import torch
from portrait_server.training import team
from portrait_server.training.team import Team
from portrait_shared.errors import ErrorCode, PortraitError


def test_each_process_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(team, "resolve_device", lambda wish: "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Team("auto").device == torch.device("cuda", 1) and set(taken) == {torch.device("cuda", 1)}
    monkeypatch.setenv("LOCAL_RANK", "9")
    with pytest.raises(PortraitError, match="no GPU cuda:9: this machine shows 2") as caught:
        Team("auto")
    assert caught.value.code == ErrorCode.DEVICE_UNAVAILABLE and "--nproc-per-node" in caught.value.remedy


def test_on_a_mac_one_process_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "resolve_device", lambda wish: "mps")
    assert Team("auto").device == torch.device("mps")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PortraitError, match="cannot train together on mps"):
        Team("auto")
