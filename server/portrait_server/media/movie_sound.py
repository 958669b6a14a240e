# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a movie that is written: any file's, resampled, from where it begins to where the pictures end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import OutputContainer
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.media.containers import READ_ERRORS, SOUND_CONTAINERS, decoded, open_container, sound_stream
from portrait_server.media.picture_errors import check_file

_RATE: Final = 48_000  # samples a second, what video works with
_BLOCK: Final = 1024  # AAC takes no other, but for the last


@dataclass(frozen=True)
class Soundtrack:
    """Sound for a movie.

    Attributes:
        path: a sound file, or a movie with sound.
        start: seconds of the sound that lie before the movie's first picture; below 0, silence stands before it.
    """

    path: Path
    start: float = 0.0

    def into(self, container: OutputContainer, encoder: str, seconds: Fraction) -> SoundWriter:
        """Adds a stream to a container, whose samples then come from a `SoundWriter`.

        Raises:
            PortraitError: FILE_MISSING; BAD_AUDIO for a file without a sound that can be read.
        """
        check_file(self.path)
        stream = container.add_stream(encoder, rate=_RATE, layout="stereo")
        return SoundWriter(self, stream, round(seconds * _RATE))


class SoundWriter:
    """Encodes a soundtrack step by step, as the pictures go on."""

    def __init__(self, sound: Soundtrack, stream: av.AudioStream, total: int) -> None:
        """Args: total: samples that the movie has room for; silence fills what the sound leaves of it."""
        self._sound, self._stream, self._total = sound, stream, total
        self._written = 0
        self._open = ExitStack()
        try:
            container = self._open.enter_context(open_container(sound.path, SOUND_CONTAINERS))
            source = sound_stream(container)
        except READ_ERRORS as error:
            raise _bad_sound(sound.path, str(error)) from error
        if source is None:
            self._open.close()
            raise _bad_sound(sound.path, "it has no sound")
        self._blocks = self._samples(container, source)
        self._rest = np.zeros((0, 2), np.float32)

    def until(self, second: Fraction) -> list[av.Packet]:
        """What lies before a time of the movie, but for a last piece that fills no block."""
        packets = []
        while self._written + _BLOCK <= min(round(second * _RATE), self._total):
            packets += self._block(_BLOCK)
        return packets

    def end(self) -> list[av.Packet]:
        """All that is left; the source is closed."""
        packets = self._block(self._total - self._written) if self._written < self._total else []
        self._open.close()
        return packets + self._stream.encode(None)

    def _block(self, count: int) -> list[av.Packet]:
        while len(self._rest) < count and (more := next(self._blocks, None)) is not None:
            self._rest = np.concatenate([self._rest, more])
        block = np.zeros((count, 2), np.float32)
        taken = self._rest[:count]
        block[: len(taken)], self._rest = taken, self._rest[count:]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._written, Fraction(1, _RATE)
        self._written += count
        return self._stream.encode(frame)

    def _samples(self, container: av.container.InputContainer, source: av.AudioStream) -> Iterator[np.ndarray]:
        """Blocks (N, 2) float32 at the rate, the first of them at the movie's beginning."""
        skipped = round(self._sound.start * _RATE)
        while skipped < 0:
            silence = min(-skipped, _RATE)
            yield np.zeros((silence, 2), np.float32)
            skipped += silence
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_RATE)
        for frame in itertools.chain(decoded(container, source), [None]):
            for block in resampler.resample(frame):
                samples = block.to_ndarray().T
                yield samples[min(skipped, len(samples)) :]
                skipped = max(0, skipped - len(samples))


def _bad_sound(path: Path, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_AUDIO, f"Cannot read {path} as sound: {why}.", "Convert it to .wav.")
