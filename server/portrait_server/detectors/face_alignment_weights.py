# SPDX-License-Identifier: GPL-3.0-or-later
"""The weight files of the package face-alignment, and where it keeps them. Loads nothing of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# What face-alignment 1.4 and 1.5 keep in torch's hub folder for landmarks with depth.
FACE_ALIGNMENT_WEIGHTS: Final = (
    "s3fd-619a316812.pth",
    "3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar",
)


def face_alignment_weights_folder() -> Path:
    """Where torch's hub, and so face-alignment, keeps weights; the same rules as `torch.hub.get_dir`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser() / "hub" / "checkpoints"


def missing_face_alignment_weights() -> list[Path]:
    """The weight files that face-alignment would have to download; nothing is loaded to find out."""
    folder = face_alignment_weights_folder()
    return [folder / name for name in FACE_ALIGNMENT_WEIGHTS if not (folder / name).is_file()]
