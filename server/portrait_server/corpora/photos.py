# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of portraits as a source of shards: one face a picture, the largest."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_server.corpora.build import Source, cut
from portrait_server.corpora.shards import Face
from portrait_server.detectors.base import Detector
from portrait_server.detectors.selection import select_face
from portrait_server.media.images import is_picture, opaque, read_image


class Photos(Source):
    """All pictures of a folder and the folders within."""

    def find(self) -> list[str]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [path.relative_to(self.folder).as_posix() for path in files if is_picture(path)]

    def faces(self, name: str, detector: Detector) -> Iterator[tuple[int, Face]]:
        image = opaque(read_image(self.folder / name))
        yield 0, cut(image, select_face(detector.detect(image), None, name))
