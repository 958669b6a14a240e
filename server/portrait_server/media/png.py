# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered frame as a PNG file that says what made it, and from what."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from portrait_shared import __version__
from portrait_shared.frames.frame_marks import DEVICE_KEYWORD, DIGEST_KEYWORD, SEAL_KEYWORD, pixel_seal, text_chunk

from portrait_server.media.source_types import draws_with_networks, source_type

# On photographs run-length matching is both the fastest of zlib's strategies and the smallest file.
_PNG_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_HEADER_BYTES = 8 + 25  # the signature and the IHDR chunk, which must come first

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmp:CreatorTool="{tool}" Iptc4xmpExt:DigitalSourceType="{source}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def encode_png(frame: np.ndarray, digest: str, engine: str | None, device: str = "") -> bytes:
    """A PNG file with the frame's digest, the seal of its pixels, and a statement that the picture is synthetic.

    Args:
        frame: (H, W, 3 or 4) uint8 or uint16, RGB or RGB with straight alpha.
        digest: what `portrait_shared.digest.frame_digest` gives for it.
        engine: name of the engine that drew it; None for a shot's own frame, of which nothing is stated.
        device: what it drew on, see `Device.kind`; nothing is stated where empty.

    Returns:
        The bytes of the file; the same arguments give the same bytes.
    """
    order = cv2.COLOR_RGB2BGR if frame.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    data = cv2.imencode(".png", cv2.cvtColor(frame, order), _PNG_SETTINGS)[1].tobytes()
    stated = b"" if engine is None else xmp_chunk(xmp_of(tool_of(engine), draws_with_networks(engine)))
    if engine is not None and device:
        stated = text_chunk(DEVICE_KEYWORD, device) + stated
    return b"".join(
        (
            data[:_HEADER_BYTES],
            text_chunk(DIGEST_KEYWORD, digest),
            text_chunk(SEAL_KEYWORD, pixel_seal(data)),
            stated,
            data[_HEADER_BYTES:],
        )
    )


def tool_of(engine: str) -> str:
    """What a frame says of what made it."""
    return f"Talking Portraits {__version__} ({engine})"


def xmp_of(tool: str, networks: bool) -> bytes:
    """What any picture may say of itself, unsigned: an XMP packet. Args: networks: see `source_type`."""
    return _XMP.format(tool=tool, source=source_type(networks)).encode()


def xmp_chunk(xmp: bytes) -> bytes:
    """An XMP packet as a chunk of a PNG file."""
    # iTXt: keyword, no compression, no language, no translated keyword, UTF-8 text
    return _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
