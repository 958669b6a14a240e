# SPDX-License-Identifier: GPL-3.0-or-later
"""Where optional test material lies: in the folder shared/data next to the checkout's own.

Tests that want it skip without it.
"""

from __future__ import annotations

from pathlib import Path

_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def real_clips() -> Path | None:
    """Folders of numbered frames, each with the `track.npz` that was measured on them."""
    return _folder("real-clips")


def portraits() -> Path | None:
    """Paintings."""
    return _folder("portraits")


def makehuman() -> Path | None:
    """MakeHuman's meshes of hair, and its base body."""
    return _folder("makehuman-cc0")


def grid_clips() -> Path | None:
    """People who speak: PERSON/VIDEO/CLIP."""
    return _folder("grid-clips")


def london_faces() -> Path | None:
    """NUMBER-neutral.jpg and NUMBER-smile.jpg of each person."""
    return _folder("london-faces")


def congress_portraits() -> Path | None:
    """One portrait of each person, NAME.jpg."""
    return _folder("us-congress-portraits")


def head_model() -> Path | None:
    """ICT-FaceKit's head as arrays."""
    path = (_DATA / "ict_face_model.npz").resolve()
    return path if path.is_file() else None


def _folder(name: str) -> Path | None:
    folder = (_DATA / name).resolve()
    return folder if folder.is_dir() else None
