# SPDX-License-Identifier: GPL-3.0-or-later
"""One decoded frame of a video to the picture that a player shows: turned, mirrored, with square pixels, in RGB."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation

from portrait_server.media import hdr
from portrait_server.media.images import Depth

_UNSPECIFIED_COLORSPACE: Final = 2
_SD_WIDTH, _SD_HEIGHT = 1280, 576  # a larger picture that does not tell its colour matrix is taken for HD
_MOST_STRETCHED = 8  # a pixel wider or higher than so many times is an error of the file


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways in which a stored picture may be shown: swapped first, then mirrored."""

    swap_axes: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> Orientation:
        """As the frame's display matrix says, to the nearest quarter turn."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        # ISO/IEC 14496-12: x' = a x + c y, y' = b x + d y.
        (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data)[:36], np.int32).astype(np.int64).reshape(3, 3)
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, bool(a < 0), bool(d < 0))
        return cls(True, bool(c < 0), bool(b < 0))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Args: pixels: (H, W, C). Returns: (H, W, C), or (W, H, C) where the axes are swapped."""
        if self.swap_axes:
            pixels = pixels.transpose(1, 0, 2)
        if self.mirror_x:
            pixels = pixels[:, ::-1]
        if self.mirror_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The stored picture's size in square pixels; none of its pixels is lost.

    Args:
        aspect: width over height of a stored pixel, None or 0 where the file does not tell.
    """
    if not aspect or not Fraction(1, _MOST_STRETCHED) <= aspect <= _MOST_STRETCHED:
        return width, height
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def rgb_of(frame: av.VideoFrame, width: int, height: int, depth: Depth = 8, *, with_alpha: bool = False) -> np.ndarray:
    """The stored picture at a size, in the colours that the file means.

    Args:
        depth: bits a channel of what is returned.
        with_alpha: whether a frame that has transparency keeps it, straight, as its fourth channel.

    Returns:
        (height, width, 3 or 4) uint8 or uint16.
    """
    untold = frame.colorspace == _UNSPECIFIED_COLORSPACE
    large = frame.width >= _SD_WIDTH or frame.height > _SD_HEIGHT
    high_range = frame.color_trc in (hdr.PQ, hdr.HLG)
    channels = "rgba" if with_alpha and not high_range and has_alpha(frame) else "rgb"
    deep = {"rgb": "rgb48le", "rgba": "rgba64le"}[channels]
    converted = frame.reformat(
        width=width,
        height=height,
        format=deep if high_range or depth == 16 else {"rgb": "rgb24", "rgba": "rgba"}[channels],
        src_colorspace=Colorspace.ITU709 if untold and large else None,
        interpolation=Interpolation.BILINEAR
        if (width, height) == (frame.width, frame.height)
        else Interpolation.BICUBIC,
    )
    pixels = np.ascontiguousarray(converted.to_ndarray())
    if not high_range:
        return pixels
    return hdr.to_srgb(pixels, frame.color_trc, frame.color_primaries == hdr.BT2020_PRIMARIES, depth)


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether the frames' format has a channel for transparency."""
    return any(component.is_alpha for component in frame.format.components)


class Deinterlacer:
    """Makes whole pictures of fields, as many as there were frames."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(template=stream)
        weave = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(weave)
        weave.link_to(sink)
        self._graph.configure()

    def push(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Takes the next frame, or None at the end. Returns: the frames that are whole by now.

        Raises:
            av.FFmpegError, ValueError: where the stream changes its kind midway.
        """
        self._graph.vpush(frame)
        whole = []
        while True:
            try:
                whole.append(self._graph.vpull())
            except (BlockingIOError, EOFError):
                return whole
