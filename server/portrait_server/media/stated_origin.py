# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture or a film says, unsigned, of how it was made: anybody can write it, and many programs remove it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import OpenEXR
from portrait_shared.errors import PortraitError
from portrait_shared.frames.frame_marks import DIGEST_KEYWORD

from portrait_server.media import exr_pictures
from portrait_server.media.containers import READ_ERRORS, open_container
from portrait_server.media.images import opened_picture
from portrait_server.media.picture_errors import in_words
from portrait_server.media.video import CONTAINERS

_MOST_XMP_BYTES: Final = 1 << 20
_MOST_TOOL_CHARACTERS: Final = 200
_XMP_KEYS: Final = ("XML:com.adobe.xmp", "xmp")
_TIFF_XMP: Final = 700
_TOOL: Final = re.compile(r'xmp:CreatorTool(?:="([^"<]{1,200})"|>([^<]{1,200})<)')
_SOURCE: Final = re.compile(r"newscodes/digitalsourcetype/([A-Za-z]{1,60})")
_OURS: Final = re.compile(r"Talking Portraits (\d[\w.+-]{0,30})(?: \(([\w-]{1,30})\))?")


@dataclass(frozen=True)
class StatedOrigin:
    """What a file says of itself.

    Attributes:
        tool: the program that made it, as it calls itself; empty where the file does not tell.
        source: IPTC's name of its digital source type, such as ``trainedAlgorithmicMedia``; empty as `tool`.
        was_frame: whether it holds the digest of a rendered frame, whose pixels it may or may not still have.
    """

    tool: str = ""
    source: str = ""
    was_frame: bool = False

    @property
    def release(self) -> str:
        """Of this project, that made it; empty where another program did, or none is told."""
        found = _OURS.search(self.tool)
        return found[1] if found else ""

    @property
    def engine(self) -> str:
        """That drew it; empty as `release`, and where the file does not tell."""
        found = _OURS.search(self.tool)
        return found[2] or "" if found else ""


def origin_of_picture(path: Path) -> StatedOrigin:
    """What a picture's XMP says, a PNG's words or an OpenEXR file's attributes; all empty where there are none.

    Args:
        path: of a file that `read_image` has read, so that it is known to be no more than can be decoded.
    """
    try:
        with in_words(str(path)), path.open("rb") as file:
            if file.read(4) == exr_pictures.MARK:
                return _origin_of_exr(path)
            file.seek(0)
            with opened_picture(file, path.suffix) as image:
                image.load()  # a PNG's words may stand behind its pixels
                told = [*map(image.info.get, _XMP_KEYS), getattr(image, "tag_v2", {}).get(_TIFF_XMP)]
                was_frame = DIGEST_KEYWORD in image.info
    except PortraitError:
        return StatedOrigin()
    text = "".join(_text(each) for each in told if isinstance(each, (str, bytes)))
    tool, source = _TOOL.search(text), _SOURCE.search(text)
    return StatedOrigin((tool[1] or tool[2]) if tool else "", source[1] if source else "", was_frame)


def _origin_of_exr(path: Path) -> StatedOrigin:
    headers = [part.header for part in OpenEXR.File(str(path), header_only=True, num_threads=0).parts]
    tool = next((header["software"] for header in headers if "software" in header), "")
    source = _SOURCE.search(
        next((header["DigitalSourceType"] for header in headers if "DigitalSourceType" in header), "")
    )
    was_frame = any(DIGEST_KEYWORD in header for header in headers)
    return StatedOrigin(str(tool)[:_MOST_TOOL_CHARACTERS], source[1] if source else "", was_frame)


def origin_of_film(path: Path) -> StatedOrigin:
    """What a film's comment says; empty where it has none, or the file cannot be read."""
    try:
        with open_container(path, CONTAINERS) as container:
            comments = [value for key, value in container.metadata.items() if key.lower() == "comment"]
    except (*READ_ERRORS, PortraitError):
        return StatedOrigin()
    found = _OURS.search(" ".join(comments)[:_MOST_XMP_BYTES])
    return StatedOrigin(found[0]) if found else StatedOrigin()


def _text(value: str | bytes) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value)[:_MOST_XMP_BYTES]
