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
from portrait_server.media.deep_pictures import Depth

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


def rgb_of(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """The stored picture at a size, in the colours that the file means. Returns: (height, width, 3) uint8."""
    if _has_high_range(frame):
        return _from_high_range(frame, width, height, 8)
    converted = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=_likely_matrix(frame),
        interpolation=_way(frame, width, height, Interpolation.BILINEAR),
    )
    return np.ascontiguousarray(converted.to_ndarray())


def plate_of(frame: av.VideoFrame, width: int, height: int, depth: Depth = 8) -> np.ndarray:
    """The stored picture as Blender shows it, so that what is drawn in one frame differs from those beside it in nothing
    else: of 700,000 pixels of H.264 all but .2 % were the same, and those differed by 1 of 255.

    Other than `rgb_of` it rounds as exactly as FFmpeg can, and takes a matrix that is not told for BT.601's whatever the
    size, as FFmpeg's own command does. A high dynamic range is brought to sRGB, as there.

    Args:
        depth: bits a channel of what is returned.

    Returns:
        (height, width, 3) uint8 or uint16, or with straight alpha (height, width, 4) where the frame has transparency.
    """
    if _has_high_range(frame):
        return _from_high_range(frame, width, height, depth)
    alpha, own_size = has_alpha(frame), (width, height) == (frame.width, frame.height)
    if depth == 8 and own_size and frame.format.name in ("rgb24", "rgba", "bgr24", "bgra"):
        return np.ascontiguousarray(frame.reformat(format="rgba" if alpha else "rgb24").to_ndarray())
    way = _way(frame, width, height, Interpolation.POINT) | Interpolation.ACCURATE_RND
    deep = frame.reformat(width=width, height=height, format="rgba64le" if alpha else "rgb48le", interpolation=way)
    pixels = np.ascontiguousarray(deep.to_ndarray())
    if depth == 16:  # FFmpeg has 256 steps of 16 bits in one of 8, where white is 257 times white
        return np.minimum((pixels.astype(np.uint32) * 257 + 128) >> 8, 65535).astype(np.uint16)
    np.minimum(pixels, 65535 - 128, out=pixels)
    pixels += 128
    return (pixels >> 8).astype(np.uint8)


def _way(frame: av.VideoFrame, width: int, height: int, of_own_size: Interpolation) -> Interpolation:
    return of_own_size if (width, height) == (frame.width, frame.height) else Interpolation.BICUBIC


def _likely_matrix(frame: av.VideoFrame) -> Colorspace | None:
    """That of a frame which does not tell its own; None for FFmpeg's usual one, BT.601's."""
    untold = frame.colorspace == _UNSPECIFIED_COLORSPACE
    large = frame.width >= _SD_WIDTH or frame.height > _SD_HEIGHT
    return Colorspace.ITU709 if untold and large else None


def _has_high_range(frame: av.VideoFrame) -> bool:
    return frame.color_trc in (hdr.PQ, hdr.HLG)


def _from_high_range(frame: av.VideoFrame, width: int, height: int, depth: Depth) -> np.ndarray:
    way = _way(frame, width, height, Interpolation.BILINEAR)
    deep = frame.reformat(
        width=width, height=height, format="rgb48le", src_colorspace=_likely_matrix(frame), interpolation=way
    )
    pixels = np.ascontiguousarray(deep.to_ndarray())
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
