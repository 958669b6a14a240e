# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames as a movie that editing programs and players take, and that says that it was made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import partial_file, write_error
from portrait_shared.rates import timecode

from portrait_server.media.images import read_image
from portrait_server.media.movie_sound import Soundtrack

_BT709, _SRGB = 1, 13  # ITU-T H.273: primaries and matrix of BT.709, transfer of IEC 61966-2-1


@dataclass(frozen=True)
class Codec:
    """How a movie's pictures are kept.

    Attributes:
        suffixes: of the files that may hold it; the first is the usual one.
        encoder: FFmpeg's name. options: for it.
        pixels: FFmpeg's format of the pixels, and of those with alpha where that is kept.
        transfer: how values become light, as the file is told (ITU-T H.273).
        sound: FFmpeg's encoder of sound.
        least: (width, height) that it can take, pixels.
        halved: whether colours count for two pixels, so that an odd last column (and row, of 4:2:0) is left out.
    """

    suffixes: tuple[str, ...]
    encoder: str
    options: dict[str, str]
    pixels: str
    pixels_with_alpha: str
    transfer: int
    sound: str
    least: tuple[int, int]
    halved: tuple[int, int]


CODECS: Final = {
    # Constant rate factor 16: no loss that is seen.
    "h264": Codec(
        (".mp4", ".mov", ".mkv"), "libx264", {"crf": "16"}, "yuv420p", "yuv420p", _SRGB, "aac", (2, 2), (2, 2)
    ),
    # Its bitstream knows BT.709's transfer but not sRGB's.
    "prores4444": Codec(
        (".mov",), "prores_ks", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}, "yuv444p10le",
        "yuva444p10le", _BT709, "pcm_s16le", (2, 2), (1, 1),
    ),
    "dnxhr": Codec(
        (".mov", ".mxf"), "dnxhd", {"profile": "dnxhr_hqx"}, "yuv422p10le", "yuv422p10le", _BT709, "pcm_s16le",
        (256, 120), (2, 1),
    ),
}  # fmt: skip
DEFAULT_CODEC: Final = "h264"


@dataclass(frozen=True)
class MovieFrame:
    """One picture of a movie.

    Attributes:
        name: to people.
        read: gives (H, W, 3 or 4) uint8 or uint16, sRGB with straight alpha; raises PortraitError.
        file: of a rendered frame; None where it is not one.
    """

    name: str
    read: Callable[[], np.ndarray]
    file: Path | None = None

    @classmethod
    def of_file(cls, path: Path) -> MovieFrame:
        """A picture, or a layered frame's colours; with 16 bits, of which codecs for editing keep 10."""
        return cls(path.name, lambda: read_image(path, 16), path)


@dataclass(frozen=True)
class Movie:
    """What a movie is made of.

    Attributes:
        frames: of one size, in order.
        rate: frames per second.
        codec: one of `CODECS`.
        start: the frame, counted from 0 at midnight, whose timecode the first picture gets; None for no timecode.
        sound: what is heard with it.
    """

    frames: Sequence[MovieFrame]
    rate: Fraction
    codec: str = DEFAULT_CODEC
    start: int | None = None
    sound: Soundtrack | None = None

    def write(self, path: Path, told: Callable[[int, int], None] | None = None) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: its suffix says which kind of file it becomes.
            told: hears of frames done and expected.

        Raises:
            PortraitError: BAD_CONFIGURATION for a suffix that cannot hold the codec; a frame cannot be read or has
                another size than the first; BAD_AUDIO; the file cannot be written.
        """
        codec = CODECS[self.codec]
        check_suffix(path, self.codec)
        first = self.frames[0].read()
        size = _even(first, codec)
        if size[0] < codec.least[0] or size[1] < codec.least[1]:
            raise PortraitError(
                ErrorCode.SIZE_MISMATCH,
                f"Frames of {first.shape[1]}x{first.shape[0]} pixels are too small for {self.codec}.",
                f"Render at least {codec.least[0]}x{codec.least[1]} pixels, or choose another codec.",
            )
        form = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".mxf": "mxf"}[path.suffix.lower()]
        options = {"movflags": "faststart"} if form in ("mp4", "mov") else {}
        try:
            with (
                partial_file(path) as partial,
                av.open(str(partial), "w", format=form, options=options) as container,
            ):
                container.metadata["comment"] = f"Synthetic: made with Talking Portraits {__version__}"
                self._fill(container, codec, first, size, told)
        except (OSError, av.FFmpegError) as error:
            raise write_error(path, _as_os_error(error)) from error

    def _fill(
        self, container: av.container.OutputContainer, codec: Codec, first: np.ndarray, size: tuple[int, int],
        told: Callable[[int, int], None] | None,
    ) -> None:  # fmt: skip
        stream = container.add_stream(codec.encoder, rate=self.rate)
        stream.width, stream.height = size
        stream.pix_fmt = codec.pixels_with_alpha if first.shape[2] == 4 else codec.pixels
        stream.options = codec.options
        context = stream.codec_context
        context.time_base = 1 / self.rate
        context.color_primaries, context.color_trc = _BT709, codec.transfer
        context.colorspace, context.color_range = _BT709, ColorRange.MPEG
        if self.start is not None:
            stream.metadata["timecode"] = timecode(self.start, self.rate)
        sounded = self.sound.into(container, codec.sound, len(self.frames) / self.rate) if self.sound else None
        for number, pixels in enumerate(self._pictures(first)):
            frame = self._frame(pixels, size, stream.pix_fmt, codec)
            frame.pts, frame.time_base = number, 1 / self.rate
            container.mux(stream.encode(frame))
            if sounded is not None:
                container.mux(sounded.until((number + 1) / self.rate))
            if told is not None:
                told(number + 1, len(self.frames))
        container.mux(stream.encode(None))
        if sounded is not None:
            container.mux(sounded.end())

    def _pictures(self, first: np.ndarray) -> Iterator[np.ndarray]:
        yield first
        for frame in itertools.islice(self.frames, 1, None):
            pixels = frame.read()
            if pixels.shape[:2] != first.shape[:2]:
                raise PortraitError(
                    ErrorCode.SIZE_MISMATCH,
                    f"{frame.name} has {pixels.shape[1]}x{pixels.shape[0]} pixels, {self.frames[0].name} has "
                    f"{first.shape[1]}x{first.shape[0]}.",
                    "Render them at one resolution, or choose frames of one size.",
                )
            yield pixels

    @staticmethod
    def _frame(pixels: np.ndarray, size: tuple[int, int], pixel_format: str, codec: Codec) -> av.VideoFrame:
        pixels = np.ascontiguousarray(pixels[: size[1], : size[0]])
        kind = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
        frame = av.VideoFrame.from_ndarray(pixels, format=kind[pixels.shape[2], pixels.itemsize])
        frame = frame.reformat(
            format=pixel_format, dst_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )  # fmt: skip
        frame.color_primaries, frame.color_trc = _BT709, codec.transfer
        frame.colorspace, frame.color_range = _BT709, ColorRange.MPEG
        return frame


def check_suffix(path: Path, codec: str) -> None:
    """Raises: PortraitError: BAD_CONFIGURATION where a file of that name cannot hold the codec."""
    suffixes = CODECS[codec].suffixes
    if path.suffix.lower() not in suffixes:
        raise PortraitError(
            ErrorCode.BAD_CONFIGURATION, f"{path.name} cannot hold {codec}.",
            f"Give the file a name that ends in {' or '.join(suffixes)}.",
        )  # fmt: skip


def _even(picture: np.ndarray, codec: Codec) -> tuple[int, int]:
    (height, width), (across, down) = picture.shape[:2], codec.halved
    return width - width % across, height - height % down


def _as_os_error(error: OSError | av.FFmpegError) -> OSError:
    return error if isinstance(error, OSError) else OSError(error.errno, error.strerror)
