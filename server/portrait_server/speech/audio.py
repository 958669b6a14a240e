# SPDX-License-Identifier: GPL-3.0-or-later
"""Any sound or video file to the mono speech that a recogniser hears, and how loud it is over time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.media.containers import (
    READ_ERRORS,
    SOUND_CONTAINERS,
    decoded,
    open_container,
    picture_start,
    sound_stream,
)

RATE: Final = 16_000
"""Samples per second that the acoustic model was trained on."""
LOUDNESS_FPS: Final = 100
_WINDOW_SECONDS = 0.03
_QUIETEST_DECIBELS = 35.0  # below the loud parts of speech, where the mouth hardly moves
_LONGEST_SECONDS = 2 * 3600
_TOLERANCE_SECONDS = 0.04  # clocks of a millisecond, and codecs that round, are no gaps
_LONGEST_GAP_SECONDS = 10  # as in a video's pictures: a longer one is a fault of the file's clock


def read_speech(
    path: Path, start: float = 0.0, end: float | None = None, *, from_first_sound: bool = False
) -> np.ndarray:
    """The sound between two times, mono.

    Time 0 is the first picture of a video, whatever time the file gives it, as in `VideoReader`; what is heard before it
    is left out, and silence stands before what is heard later. In a file without moving pictures it is the first sample.

    Args:
        start, end: seconds; to the sound's end where None.
        from_first_sound: time 0 is the first sample in a video too, as where Blender plays a file's sound alone.

    Returns:
        (N,) int16 at `RATE`.

    Raises:
        PortraitError: FILE_MISSING; BAD_AUDIO for a file without a sound that can be read.
    """
    if not os.path.isfile(path):
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no file {path}.", "Check the path.")
    start = max(start, 0.0)
    try:
        origin = None if from_first_sound else picture_start(path, SOUND_CONTAINERS)
        with open_container(path, SOUND_CONTAINERS) as container:
            if sound_stream(container) is None:
                raise bad_audio(path, "it has no sound")
            sound = _decode(container, origin, start + _LONGEST_SECONDS if end is None else end)
    except READ_ERRORS as error:
        raise bad_audio(path, str(error)) from error
    samples = sound.between(round(start * RATE), None if end is None else round(end * RATE))
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


@dataclass
class _Sound:
    """Blocks of samples at `RATE`, each with its first one's place, which may lie before the beginning."""

    blocks: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def between(self, start: int, end: int | None) -> np.ndarray:
        """The samples from one place to another, or to the last; silence where nothing was."""
        last = max((at + len(samples) for at, samples in self.blocks), default=0)
        last = last if end is None else min(last, end)
        whole = np.zeros(max(last - start, 0), np.int16)
        for at, samples in self.blocks:
            first = max(at, start)
            kept = samples[first - at : max(last - at, 0)]
            whole[first - start : first - start + len(kept)] = kept
        return whole


def _decode(container: av.container.InputContainer, origin: float | None, end: float) -> _Sound:
    """Args: origin: the file's own time that is 0; None for the first sample's. end: seconds after it."""
    stream = sound_stream(container)
    assert stream is not None
    sound = _Sound()
    resampler: av.AudioResampler | None = None
    kind: tuple[int, str, str] | None = None
    clock = shift = 0.0  # when the next frame is expected, and what is taken off the file's own times
    place = 0
    for frame in decoded(container, stream):
        if resampler is None:
            first = frame.time or 0.0
            shift = first if origin is None else origin
            clock = first - shift
        at = clock if frame.time is None else frame.time - shift
        late = at - clock
        if not -_LONGEST_GAP_SECONDS <= late <= _LONGEST_GAP_SECONDS:
            shift, at, late = shift + late, clock, 0.0  # the file's clock was set anew
        if resampler is None or abs(late) > _TOLERANCE_SECONDS or kind != _kind(frame):
            if resampler is not None:
                place = _add(sound, place, resampler.resample(None))
            resampler, kind = av.AudioResampler("s16", "mono", RATE), _kind(frame)
            place, clock = round(at * RATE), at
        place = _add(sound, place, resampler.resample(frame))
        clock += frame.samples / frame.sample_rate
        if clock > end + 1:
            break
    if resampler is not None:
        _add(sound, place, resampler.resample(None))
    return sound


def _add(sound: _Sound, place: int, frames: list[av.AudioFrame]) -> int:
    """Puts resampled frames at a place; returns where they end."""
    for frame in frames:
        samples = frame.to_ndarray().ravel()
        sound.blocks.append((place, samples))
        place += len(samples)
    return place


def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name
