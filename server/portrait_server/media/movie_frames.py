# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a video in any order: those that `VideoReader` shows one after another, as plates for compositors."""

from __future__ import annotations

import bisect
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from portrait_server.media import hdr
from portrait_server.media.containers import READ_ERRORS, open_container
from portrait_server.media.deep_pictures import Depth
from portrait_server.media.video import CONTAINERS, ConstantRate, VideoPicture, VideoReader, bad_video
from portrait_server.media.video_frames import has_alpha, plate_of

MORE_BITS = "It has more than 8 bits a channel; --depth 16 keeps them."
"""A note on frames that are read in 8."""
# What makes whole pictures of fields looks at their neighbours, and has none where it begins.
_FIELD_NEIGHBOURS = 4
_UNEVEN_FRAMES = 0.25  # of a frame's length: times that are rounded to a coarse clock are even

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Index:
    """What a video's packets tell of its frames, before any is decoded.

    Attributes:
        times: of the stored frames, seconds, in the order in which they are shown.
        shown: for each frame at the constant rate, which of those it is.
        keys: times of those from which decoding may begin, and where to seek for each, in ticks of the stream.
    """

    times: list[Fraction]
    shown: list[int]
    keys: list[tuple[Fraction, int]]

    def seeks_before(self, stored: int) -> list[int]:
        """Where to seek for a stored frame, the best place first."""
        last = bisect.bisect_right(self.keys, self.times[stored], key=lambda key: key[0])
        return [ticks for _, ticks in reversed(self.keys[max(0, last - 2) : last])]

    def key_between(self, first: int, last: int) -> bool:
        """Whether decoding may begin at a frame after one stored frame, up to another."""
        after = bisect.bisect_right(self.keys, self.times[first], key=lambda key: key[0])
        return after < len(self.keys) and self.keys[after][0] <= self.times[last]


class PlateReader(VideoReader):
    """A video whose frames are plates, see `plate_of`; a picture that plays has 8 bits and no transparency still."""

    def __init__(self, path: str | os.PathLike[str], depth: Depth = 8) -> None:
        """
        Args:
            depth: bits a channel of its frames.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
        """
        super().__init__(path)
        self._depth = depth

    def _picture_like(self, first: av.VideoFrame) -> VideoPicture:
        return _Plate(self._path, first, self._stream.sample_aspect_ratio, self._depth)


class _Plate(VideoPicture):
    def __init__(self, path: Path, first: av.VideoFrame, aspect: Fraction | None, depth: Depth) -> None:
        super().__init__(path, first, aspect)
        self._depth = depth

    def _pixels(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        return plate_of(frame, width, height, self._depth)


class MovieFrames(PlateReader):
    """A video whose frames are had by their numbers; quickest in order. Used from one thread.

    Attributes:
        frame_count: how many there are, exactly.
        notes: what is not as in an ordinary file, a sentence each, for a person.
    """

    def __init__(self, path: str | os.PathLike[str], depth: Depth = 8) -> None:
        """
        Args:
            depth: bits a channel of the frames.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE.
        """
        super().__init__(path, depth)
        self.notes: list[str] = []
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._at: int | None = None  # the stored frame that was decoded last
        self._picture: VideoPicture | None = None
        self._pass: tuple[PlateReader, Iterator[np.ndarray], int] | None = None
        try:
            self._index = None if self._animation is not None else self._scan()
            if self._index is None:
                self.frame_count = sum(1 for _ in VideoReader(path))
            else:
                self.frame_count = len(self._index.shown)
                self._begin()
        except BaseException:
            self.close()
            raise

    def frame(self, number: int) -> np.ndarray:
        """One frame.

        Args:
            number: from 0.

        Returns:
            (H, W, 3) uint8 or uint16, or (H, W, 4) with straight alpha where the video has transparency.

        Raises:
            PortraitError: BAD_IMAGE where it can no longer be read.
            IndexError: there is no such frame.
        """
        if not 0 <= number < self.frame_count:
            raise IndexError(number)
        if self._index is None:
            return self._in_order(number)
        assert self._picture is not None
        try:
            return self._picture.of(self._stored(self._index, self._index.shown[number]))
        except READ_ERRORS as error:
            raise bad_video(self._path, f"its frame {number + 1} cannot be decoded ({error})") from error

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.frame(number) for number in range(self.frame_count))

    def close(self) -> None:
        super().close()
        if self._pass is not None:
            self._pass[0].close()

    def _scan(self) -> _Index | None:
        """None where the file does not tell when each frame is shown."""
        base, ticks = self._stream.time_base, self._listed() or self._packets()
        if base is None or not ticks:
            return None
        ticks.sort()
        times = [pts * base for pts, _, _ in ticks]
        keys = [(time, dts) for time, (_, dts, is_key) in zip(times, ticks, strict=True) if is_key]
        if not keys or len(set(times)) < len(times):
            return None
        clock, shown = ConstantRate(self.fps), list[int]()
        for number, (pts, _, _) in enumerate(ticks):
            repeats = clock.repeats(pts * base.numerator / base.denominator, len(shown))
            if repeats >= 0:
                shown += [shown[-1] if shown else number] * repeats + [number]
        return _Index(times, shown, keys)

    def _listed(self) -> list[tuple[int, int, bool]] | None:
        """When frames are shown and decoded, and whether decoding may begin there, by the file's own list of them.

        None where that is not of all, or of frames that are decoded in another order than shown. Of ProRes and its like it
        spares reading some gigabytes.
        """
        entries = list(self._stream.index_entries)
        if len(entries) != self._stream.frames or not all(each.is_keyframe and not each.is_discard for each in entries):
            return None
        return [(each.timestamp, each.timestamp, True) for each in entries]

    def _packets(self) -> list[tuple[int, int, bool]] | None:
        """The same by reading the whole file; None where a packet does not tell."""
        ticks: list[tuple[int, int, bool]] = []
        with open_container(self._path, CONTAINERS) as container:
            try:
                for packet in container.demux(container.streams[self._stream.index]):
                    if packet.size == 0 or packet.is_discard:
                        continue
                    if packet.pts is None:
                        return None
                    ticks.append((packet.pts, packet.pts if packet.dts is None else packet.dts, packet.is_keyframe))
            except READ_ERRORS as error:
                log.warning("%s cannot be read to its end: %s", self._path, error)
        return ticks

    def _begin(self) -> None:
        """Looks at the first frame, by which all are shown."""
        assert self._index is not None
        first = self._stored(self._index, 0)
        self._picture = self._picture_like(first)
        steps = np.diff([float(time) for time in self._index.times])
        if len(steps) and np.ptp(steps) > _UNEVEN_FRAMES / self.fps:
            self.notes.append(f"Its frames come at a variable rate; they are taken at {self.fps:.3f} a second.")
        if self._interlaced:
            self.notes.append("It is interlaced; whole frames are made of its fields.")
        if (aspect := self._stream.sample_aspect_ratio) and aspect != 1:
            self.notes.append("Its pixels are not square; frames are made with square ones.")
        if first.color_trc in (hdr.PQ, hdr.HLG):
            self.notes.append("It has a high dynamic range; frames are made for an ordinary screen, in sRGB.")
        elif self._depth == 8 and max(component.bits for component in first.format.components) > 8:
            self.notes.append(MORE_BITS)
        if has_alpha(first):
            self.notes.append("It has transparency, which frames keep.")

    def _stored(self, index: _Index, wanted: int) -> av.VideoFrame:
        """A stored frame; where it is damaged the one before it, as players show."""
        at = self._at
        if at is not None and at < wanted and not index.key_between(at, wanted):
            found = self._decoded_at(index, wanted)
            if found is not None:
                return found
        for ticks in index.seeks_before(max(0, wanted - (_FIELD_NEIGHBOURS if self._interlaced else 0))):
            self._container.seek(ticks, stream=self._stream, backward=True)
            self._decoded = self._whole_frames()
            found = self._decoded_at(index, wanted)
            if found is not None:
                return found
        # What cannot be sought, or begins elsewhere than it says, is decoded from its beginning.
        self._container.close()
        with self._open():
            self._decoded = self._whole_frames()
            found = self._decoded_at(index, wanted, or_before=True)
        if found is None:
            raise ValueError("nothing before it can be decoded either")
        return found

    def _decoded_at(self, index: _Index, wanted: int, *, or_before: bool = False) -> av.VideoFrame | None:
        """Decodes on to a stored frame; None where it is passed by."""
        time, before = index.times[wanted], None
        self._at = None
        for frame in self._decoded:
            shown_at = None if frame.pts is None else frame.pts * frame.time_base
            if shown_at == time:
                self._at = wanted
                return frame
            if shown_at is not None and shown_at > time:
                break
            before = frame
        return before if or_before else None

    def _in_order(self, number: int) -> np.ndarray:
        """A frame of what cannot be sought: all before it are read too."""
        if self._pass is None or self._pass[2] > number:
            if self._pass is not None:
                self._pass[0].close()
            film = PlateReader(self._path, self._depth)
            self._pass = (film, iter(film), 0)
        film, frames, at = self._pass
        pixels = None
        for _ in range(number + 1 - at):
            pixels = next(frames, pixels)
        self._pass = (film, frames, number + 1)
        if pixels is None:
            raise bad_video(self._path, f"its frame {number + 1} can no longer be read")
        return pixels
