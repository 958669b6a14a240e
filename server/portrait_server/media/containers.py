# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens video and sound files: which stream is meant, what can be read of it, and where their common clock begins."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.stream import Disposition
from portrait_shared.errors import ErrorCode, PortraitError

READ_ERRORS: Final = (
    av.FFmpegError, OSError, ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, MemoryError,
)  # fmt: skip
"""What PyAV raises on files that are damaged or no media at all."""
SOUND_CONTAINERS: Final = (
    "mov,matroska,avi,mpegts,mpeg,flv,ogg,mxf,wav,w64,mp3,aac,ac3,eac3,flac,aiff,au,amr,caf,asf,wv"
)
"""FFmpeg's names of what may be read as a sound."""
_NO_MOVING_PICTURE: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

log = logging.getLogger(__name__)


def open_container(path: Path, formats: str) -> InputContainer:
    """Opens a file and nothing but this file.

    Args:
        path: any name is taken for a file's, also one that looks like an address or an option.
        formats: FFmpeg's names of those that may be read, with commas between: it would also draw text files, and
            play lists of other files and of addresses.

    Raises:
        PortraitError: FILE_MISSING where this user may not read it; one of READ_ERRORS for all else.
    """
    options = {"format_whitelist": formats, "protocol_whitelist": "file"}
    # FFmpeg takes what stands before a colon for a protocol, but no absolute path begins with one.
    try:
        container = av.open(str(path.absolute()), options=options)
    except PermissionError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"You may not read {path}.", "Ask its owner for the right to read it, or copy it."
        ) from error
    assert isinstance(container, InputContainer)
    return container


def picture_stream(container: InputContainer) -> av.VideoStream | None:
    """The stream that a player shows: no cover picture, no thumbnails; None where nothing moves."""
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & _NO_MOVING_PICTURE and stream.codec_context is not None
    ]
    best = container.streams.best("video")
    return next((stream for stream in moving if stream is best or stream == best), moving[0] if moving else None)


def sound_stream(container: InputContainer) -> av.AudioStream | None:
    """The stream that a player plays, None where there is none."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    best = container.streams.best("audio")
    return next((stream for stream in streams if stream == best), streams[0] if streams else None)


def stated_timecode(container: InputContainer) -> str:
    """The time code of a file's first picture, as a stream or the file states it; empty where none does."""
    stated = (
        metadata.get("timecode") for metadata in (*(each.metadata for each in container.streams), container.metadata)
    )
    return next((text for text in stated if text), "")


def decoded(container: InputContainer, stream: av.VideoStream | av.AudioStream) -> Iterator[av.VideoFrame]:
    """All frames of a stream that can be decoded. What is damaged is left out; a file cut short ends where it ends."""
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except READ_ERRORS as error:
            log.warning("%s cannot be read to its end: %s", container.name, error)
            packet = None
        try:
            yield from stream.decode(packet)
        except EOFError:
            pass  # the decoder was emptied already
        except READ_ERRORS:
            damaged += 1
        if packet is None:
            break
    if damaged:
        log.warning("%s is damaged: %d packets of it cannot be decoded", container.name, damaged)


def picture_start(path: Path, formats: str) -> float | None:
    """When the first picture is shown, seconds on the file's own clock; None where it has none, or no clock.

    Raises:
        one of READ_ERRORS.
    """
    with open_container(path, formats) as container:
        stream = picture_stream(container)
        first = next(decoded(container, stream), None) if stream is not None else None
        return None if first is None or first.time is None else float(first.time)
