# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a folder, and whether their credentials speak of these very files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.reading import read_sequence
from portrait_shared.frames.frame_files import credentials_path


def signed_frames(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """All files of a folder whose names have a prefix, but for ``frames.c2pa``, which must be valid and tell the hashes of
    all of them, by their names. The file that says whose a folder is counts as none."""
    manifest = credentials_path(folder, prefix)
    files = (path for path in folder.iterdir() if path.name.startswith(prefix) and path.name != ".talking-portrait")
    frames = {path.name: path.read_bytes() for path in files if path != manifest}
    told = read_sequence(manifest)
    assert told is not None and told[0].state is CredentialsState.VALID, told
    assert told[1] == {name: hashlib.sha256(content).hexdigest() for name, content in frames.items()}
    return frames
