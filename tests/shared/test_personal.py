# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal files: what is one, what is none, and how they are kept."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import MAX_PERSONAL_BYTES, PERSONAL_FORMAT, PersonalFile
from portrait_shared.protocol.connection import Connection
from portrait_shared.protocol.references import ReferenceImage


def content(header: object, tensors: bytes = b"") -> bytes:
    if tensors and isinstance(header, dict):
        header = header | {"style": {"dtype": "U8", "shape": [len(tensors)], "data_offsets": [0, len(tensors)]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


OURS = {"__metadata__": {"format": PERSONAL_FORMAT, "version": "1"}}


def test_a_file_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    file = PersonalFile(content(OURS, b"1234"))
    file.save(tmp_path / "her.safetensors")
    again = PersonalFile.load(tmp_path / "her.safetensors")
    assert again.content == file.content and again.digest == file.digest
    assert PersonalFile(content(OURS, b"1235")).digest != file.digest


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"12345678", content(OURS)[:-1], pickle.dumps({"style": 1}), content([]), content({}),
        content({"__metadata__": 5}), content({"__metadata__": {"format": "of another program"}}),
        (5).to_bytes(8, "little") + b"{{{{{", (2**63).to_bytes(8, "little") + b"{}",
        content([])[:8] + b"[" * 4, bytes(MAX_PERSONAL_BYTES + 1),
    ],
    ids=range(12),
)  # fmt: skip
def test_anything_else_is_refused(bad: bytes, tmp_path: Path) -> None:
    with pytest.raises(PortraitError) as caught:
        PersonalFile(bad)
    assert caught.value.code == ErrorCode.BAD_WEIGHTS and "portrait adapt" in caught.value.remedy
    (tmp_path / "bad").write_bytes(bad)
    with pytest.raises(PortraitError):
        PersonalFile.load(tmp_path / "bad")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match=r"her\.safetensors") as caught:
        PersonalFile.load(tmp_path / "her.safetensors")
    assert caught.value.code == ErrorCode.FILE_MISSING


def test_tuning_takes_1_to_32_photos_whatever_the_server() -> None:
    nowhere = Connection("ipc:///nowhere", 2, "0", 1)
    photo = ReferenceImage(np.zeros((8, 8, 3), np.uint8))
    with Client(nowhere) as client:
        for photos in ([], [photo] * 33):
            with pytest.raises(PortraitError, match="1 to 32 photos") as caught:
                client.tune(photos)
            assert caught.value.code == ErrorCode.BAD_IMAGE
