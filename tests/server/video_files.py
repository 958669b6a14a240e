# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the small videos and sounds that tests read."""

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
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    timecode: str | None = None,
) -> Path:
    """Encodes (H, W, 3) RGB frames, shown from the given times in seconds, or evenly.

    Args:
        aspect: width over height of one pixel.
        options, container_options: FFmpeg's, of the codec and of the file's format.
        timecode: of the first frame; MOV and MXF keep one.
    """
    times = [number / fps for number in range(len(frames))] if times is None else times
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        if timecode is not None:
            container.metadata["timecode"] = timecode
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = _CLOCK
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(time / _CLOCK), _CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn_display(path: Path, degrees_clockwise: int) -> None:
    """Sets the display matrix of an .mp4 file's track, as a phone held upright does."""
    a, b = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees_clockwise]
    set_display(path, a, b, -b, a)


def set_display(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Sets the display matrix of an .mp4 file's track: x' = a x + c y, y' = b x + d y."""
    one = 0x10000
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12: the matrix lies 40 bytes into a version 0 track header.
    at = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, at) == (one, 0, 0, 0, one, 0, 0, 0, 0x40000000)
    struct.pack_into(">9i", data, at, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 0x40000000)
    path.write_bytes(data)


def write_film(
    path: Path,
    *,
    seconds: float = 2.0,
    picture_at: float | None = 0.0,
    sound_at: float = 0.0,
    tone: tuple[float, float] = (0.4, 1.0),
    codecs: tuple[str, str] = ("libx264", "aac"),
    rate: int = 48_000,
    gap: tuple[float, float] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A grey picture of 25 frames a second that turns white while a tone sounds.

    Args:
        picture_at, sound_at: when each begins on the file's clock, seconds; no picture where None.
        tone: from when to when, seconds on the file's clock.
        gap: from when to when no sound is written, seconds on the file's clock.
    """
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        picture = container.add_stream(codecs[0], rate=25) if picture_at is not None else None
        sound = container.add_stream(codecs[1], rate=rate, layout="mono")
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
            picture.codec_context.time_base = _CLOCK
            for number in range(round(seconds * 25)):
                time = picture_at + number / 25
                level = 250 if tone[0] <= time + 1e-6 < tone[1] - 1e-6 else 20
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = round(time / _CLOCK), _CLOCK
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        t = sound_at + np.arange(round(seconds * rate)) / rate
        wave = np.where((t >= tone[0]) & (t < tone[1]), 12_000 * np.sin(2 * np.pi * 200 * t), 0).astype(np.int16)
        resampler = av.AudioResampler(sound.codec_context.format or "fltp", "mono", rate, sound.frame_size or 1024)
        block = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, round(sound_at * rate), Fraction(1, rate)
        for frame in (*resampler.resample(block), *resampler.resample(None)):
            time = float(frame.pts * frame.time_base)
            if gap is None or not gap[0] <= time < gap[1]:
                container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path
