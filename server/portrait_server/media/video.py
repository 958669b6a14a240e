# SPDX-License-Identifier: GPL-3.0-or-later
"""Video files to upright RGB frames at one constant rate."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.media.animated_picture import AnimatedPicture
from portrait_server.media.containers import READ_ERRORS, decoded, open_container, picture_stream, stated_timecode
from portrait_server.media.picture_errors import check_file, check_size
from portrait_server.media.video_frames import Deinterlacer, Orientation, rgb_of, square_size

CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,asf,flv,ogg,mxf,gif,dv,ivf,yuv4mpegpipe,wav,mp3,aac,flac"
)
"""FFmpeg's names of what may be read as a video."""
_DEFAULT_FPS = Fraction(25)
_PLAUSIBLE_FPS = 240  # above it a header more often states its clock's ticks than a rate, so the frames are counted
_MAX_FPS = 10_000
_COUNTED_PACKETS = 5_000
# A longer gap between two frames is a fault of the file's clock, not a picture that stood still.
LONGEST_STILL_SECONDS = 10
_REMEDY = "Convert it to H.264 in an .mp4 file, for example with ffmpeg or in Blender's sequencer."

log = logging.getLogger(__name__)


class VideoReader:
    """The frames of a video as a player shows them; a context manager.

    What it promises: frame n is what is to be seen n / fps seconds after the first picture, whatever time the file
    gives that one. Pictures are turned and mirrored as the file says, have square pixels and whole fields, and are sRGB
    as its colour matrix, range and transfer mean it. Of several streams it is the one that players show, and never a
    cover picture.

    Attributes:
        fps: frames per second, constant: a variable rate is resampled to its average.
        frame_count: how many frames to expect; an estimate, 0 where the file does not tell.
        timecode: of the first one, as the file states it; empty where it does not.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises: PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE."""
        self._path = Path(path)
        self._interlaced = False
        check_file(self._path)
        self._animation = AnimatedPicture.open(self._path)
        self.timecode = ""
        if self._animation is not None:
            self.fps, self.frame_count = self._animation.fps, self._animation.frame_count
        else:
            with self._open():
                self._rate = self._read_rate()
                self.fps = float(self._rate)
                self.timecode = stated_timecode(self._container)
                self.frame_count = self._stream.frames or self._frames_by_duration()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Opens the file, or opens it again at its beginning; closes it where what is done within fails."""
        try:
            self._container = open_container(self._path, CONTAINERS)
        except READ_ERRORS as error:
            raise bad_video(self._path, f"it is neither a picture nor a video ({error})") from error
        try:
            stream = picture_stream(self._container)
            if stream is None:
                raise bad_video(self._path, "there is no picture in it that moves, only sound, text or a cover")
            self._stream = stream
            self._stream.thread_type = "AUTO"
            yield
        except READ_ERRORS as error:
            self._container.close()
            raise bad_video(self._path, f"it is damaged ({error})") from error
        except PortraitError:
            self._container.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._animation is not None:
            self._animation.close()
        else:
            self._container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames, (H, W, 3) uint8 RGB, all of one size. A damaged video ends where it can no longer be read.

        Raises:
            PortraitError: BAD_IMAGE where not one frame can be read; IMAGE_TOO_LARGE.
        """
        if self._animation is not None:
            yield from self._animation
            return
        shown: np.ndarray | None = None
        picture: VideoPicture | None = None
        count = 0
        clock = ConstantRate(self.fps)
        for frame in self._whole_frames():
            repeats = clock.repeats(frame.time, count)
            if repeats < 0:
                continue  # more frames than the average rate holds
            while shown is not None and repeats > 0:
                yield shown
                count, repeats = count + 1, repeats - 1
            try:
                picture = picture or self._picture_like(frame)
                shown = picture.of(frame)
            except READ_ERRORS as error:
                log.warning("a frame of %s cannot be shown: %s", self._path, error)
                if shown is None:
                    continue
            yield shown
            count += 1
        if count == 0:
            raise bad_video(self._path, "not one frame of it can be read")

    def _picture_like(self, first: av.VideoFrame) -> VideoPicture:
        return VideoPicture(self._path, first, self._stream.sample_aspect_ratio)

    def _whole_frames(self) -> Iterator[av.VideoFrame]:
        deinterlacer: Deinterlacer | None = None
        for frame in decoded(self._container, self._stream):
            check_size(self._path, frame.width, frame.height)
            try:
                if deinterlacer is None and frame.interlaced_frame:
                    deinterlacer, self._interlaced = Deinterlacer(self._stream), True
                whole = [frame] if deinterlacer is None else deinterlacer.push(frame)
            except READ_ERRORS:
                deinterlacer, whole = None, [frame]
            yield from whole
        if deinterlacer is not None:
            yield from deinterlacer.push(None)

    def _read_rate(self) -> Fraction:
        rate = self._stream.average_rate or self._stream.guessed_rate
        if rate is not None and 0 < rate <= _PLAUSIBLE_FPS:
            return Fraction(rate)
        counted = self._counted_rate()
        if counted is not None and counted > _MAX_FPS:
            raise bad_video(self._path, f"its clock says {float(counted):.0f} frames a second")
        return counted or _DEFAULT_FPS

    def _counted_rate(self) -> Fraction | None:
        """Frames over the time that they take; None without a clock."""
        times: list[Fraction] = []
        with open_container(self._path, CONTAINERS) as container:
            for packet in container.demux(container.streams[self._stream.index]):
                if packet.pts is not None and packet.time_base is not None:
                    times.append(packet.pts * packet.time_base)
                if len(times) == _COUNTED_PACKETS:
                    break
        seconds = max(times) - min(times) if times else Fraction(0)
        return ((len(times) - 1) / seconds).limit_denominator(1001) if seconds > 0 else None

    def _frames_by_duration(self) -> int:
        if self._stream.duration and self._stream.time_base:
            return round(self._stream.duration * self._stream.time_base * self._rate)
        if self._container.duration:
            return round(Fraction(self._container.duration, av.time_base) * self._rate)
        return 0


class ConstantRate:
    """When the pictures of a film, each with a time of its own, are shown at so many frames a second."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._origin: float | None = None

    def repeats(self, time: float | None, count: int) -> int:
        """How often the last picture is shown again before the next one is; below 0 where that one never is.

        Args:
            time: of the next picture, seconds; None where the file does not tell.
            count: how many frames have been shown.
        """
        if time is None:
            time = count / self._fps + (self._origin or 0.0)
        if self._origin is None or (time - self._origin) - count / self._fps > LONGEST_STILL_SECONDS:
            self._origin = time - count / self._fps
        return round((time - self._origin) * self._fps) - count


class VideoPicture:
    """How the frames of one video are shown: all as its first one, though a stream may change its size midway."""

    def __init__(self, path: Path, first: av.VideoFrame, aspect: Fraction | None) -> None:
        self._size = square_size(first.width, first.height, aspect)
        check_size(path, *self._size)
        self._orientation = Orientation.of_frame(first)

    def of(self, frame: av.VideoFrame) -> np.ndarray:
        return self._orientation.apply(self._pixels(frame, *self._size))

    def _pixels(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        return rgb_of(frame, width, height)


def bad_video(path: Path, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_IMAGE, f"Cannot read {path} as a video: {why}.", _REMEDY)
