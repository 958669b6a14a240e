# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the small videos that tests read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_CLOCK = Fraction(1, 1000)


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    fps: int = 25,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
) -> Path:
    """Encodes (H, W, 3) RGB frames, shown from the given times in seconds, or evenly."""
    times = [number / fps for number in range(len(frames))] if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = _CLOCK
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(time / _CLOCK), _CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn_display(path: Path, degrees_clockwise: int) -> None:
    """Sets the display matrix of an .mp4 file's track, as a phone held upright does."""
    one = 0x10000
    a, b = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees_clockwise]
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12: the matrix lies 40 bytes into a version 0 track header.
    at = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, at) == (one, 0, 0, 0, one, 0, 0, 0, 0x40000000)
    struct.pack_into(">9i", data, at, a, b, 0, -b, a, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
