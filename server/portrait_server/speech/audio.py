# SPDX-License-Identifier: GPL-3.0-or-later
"""Any sound or video file to the mono speech that a recogniser hears, and how loud it is over time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

RATE: Final = 16_000
"""Samples per second that the acoustic model was trained on."""
LOUDNESS_FPS: Final = 100
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,ogg,mxf,wav,w64,mp3,aac,flac,aiff,caf,asf"
_WINDOW_SECONDS = 0.03
_QUIETEST_DECIBELS = 35.0  # below the loud parts of speech, where the mouth hardly moves
_LONGEST_SECONDS = 2 * 3600


def read_speech(path: Path, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """The sound between two times, mono.

    Args:
        start, end: seconds from the file's beginning; to its end where None.

    Returns:
        (N,) int16 at `RATE`.

    Raises:
        PortraitError: FILE_MISSING; BAD_AUDIO for a file without a sound that can be read.
    """
    if not path.is_file():
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.")
    try:
        with av.open(str(path), options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise bad_audio(path, "it has no sound")
            last = start + _LONGEST_SECONDS if end is None else end
            samples = _decode(container, last)
    except (av.FFmpegError, ValueError) as error:
        raise bad_audio(path, str(error)) from error
    samples = samples[round(max(start, 0.0) * RATE) : None if end is None else round(end * RATE)]
    if len(samples) < RATE // 10:
        raise bad_audio(path, "less than a tenth of a second of sound is in the part asked for")
    return samples


def loudness(samples: np.ndarray) -> np.ndarray:
    """How loud the speech is, 0 for silence to 1 for its loud parts, `LOUDNESS_FPS` values a second.

    Args:
        samples: (N,) int16 at `RATE`.
    """
    energy = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    middles = np.arange(0, len(samples), RATE // LOUDNESS_FPS)
    half = round(_WINDOW_SECONDS * RATE / 2)
    low, high = np.clip(middles - half, 0, len(samples)), np.clip(middles + half, 0, len(samples))
    power = (energy[high] - energy[low]) / np.maximum(high - low, 1)
    decibels = 10 * np.log10(power + 1.0)
    loud = np.percentile(decibels, 95)
    if loud < 10:  # nothing but silence
        return np.zeros(len(middles))
    return np.asarray(np.clip(1 + (decibels - loud) / _QUIETEST_DECIBELS, 0.0, 1.0))


def bad_audio(path: Path, why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_AUDIO, f"Cannot read {path} as sound: {why}.", "Convert it to .wav, and say which part is speech."
    )


def _decode(container: av.container.InputContainer, end: float) -> np.ndarray:
    resampler = av.AudioResampler("s16", "mono", RATE)
    stream = container.streams.audio[0]
    blocks: list[np.ndarray] = []
    count = 0
    for frame in container.decode(stream):
        if not blocks and frame.time:  # a sound that begins after the picture
            blocks.append(np.zeros(round(max(frame.time, 0.0) * RATE), np.int16))
        blocks += [block.to_ndarray().ravel() for block in resampler.resample(frame)]
        count += frame.samples
        if count > (end + 1) * frame.sample_rate:
            break
    blocks += [block.to_ndarray().ravel() for block in resampler.resample(None)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
