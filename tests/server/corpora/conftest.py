# SPDX-License-Identifier: GPL-3.0-or-later
"""A photograph of a person, and a folder of shards made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from portrait_server.corpora.build import build
from portrait_server.corpora.photos import Photos


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(512, 512, 3) uint8 RGB: Eileen Collins, NASA, public domain."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def photo_folder(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures with a face in folders, one without, one damaged."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    Image.fromarray(photo).save(folder / "a.png")
    Image.fromarray(np.ascontiguousarray(photo[:, ::-1])).save(folder / "more" / "b.png")
    Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(folder / "nobody.png")
    (folder / "zdamaged.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    return folder


@pytest.fixture(scope="session")
def photo_shards(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shards")
    build(Photos(photo_folder), output)
    return output
