# SPDX-License-Identifier: GPL-3.0-or-later
"""Video files to upright 8-bit RGB frames at one constant rate."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.animated_picture import AnimatedPicture
from portrait_server.images import check_file, check_size

_DEFAULT_FPS = Fraction(25)
_MAX_FPS = 240
# A longer gap between two frames is a fault of the file's clock, not a picture that stood still.
_LONGEST_STILL_SECONDS = 10
# FFmpeg also draws text files, and playlists that name other files or addresses: neither is a video here.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,asf,flv,ogg,mxf,gif,dv,wav,mp3,aac,flac"
_REMEDY = "Convert it to H.264 in an .mp4 file, for example with ffmpeg or in Blender's sequencer."

log = logging.getLogger(__name__)


class VideoReader:
    """The frames of a video as a player shows them; a context manager.

    Attributes:
        fps: frames per second, constant: a variable rate is resampled to its average.
        frame_count: how many frames to expect; an estimate, 0 where the file does not tell.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises: PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE."""
        self._path = Path(path)
        check_file(self._path)
        self._animation = AnimatedPicture.open(self._path)
        if self._animation is not None:
            self.fps, self.frame_count = self._animation.fps, self._animation.frame_count
            return
        try:
            container = av.open(
                str(self._path), options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
            )
        except (av.FFmpegError, ValueError) as error:
            raise _bad_video(self._path, f"it is neither a picture nor a video ({error})") from error
        assert isinstance(container, InputContainer)
        self._container = container
        if not container.streams.video:
            container.close()
            raise _bad_video(self._path, "there is no picture in it, only sound or text")
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate or _DEFAULT_FPS
        self._rate = Fraction(rate) if 0 < rate <= _MAX_FPS else _DEFAULT_FPS
        self.fps = float(self._rate)
        self.frame_count = self._stream.frames or self._frames_by_duration()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        count = 0
        origin: float | None = None
        for frame in self._decoded():
            time = frame.time
            if time is None:
                time = count / self.fps + (origin or 0.0)
            if origin is None or (time - origin) - count / self.fps > _LONGEST_STILL_SECONDS:
                origin = time - count / self.fps
            repeats = round((time - origin) * self.fps) - count
            if repeats < 0:
                continue  # more frames than the average rate holds
            while shown is not None and repeats > 0:
                yield shown
                count, repeats = count + 1, repeats - 1
            shown = self._upright_rgb(frame, None if shown is None else shown.shape[:2])
            yield shown
            count += 1
        if count == 0:
            raise _bad_video(self._path, "not one frame of it can be read")

    def _decoded(self) -> Iterator[av.VideoFrame]:
        try:
            yield from self._container.decode(self._stream)
        except av.FFmpegError as error:
            log.warning("%s cannot be read to its end: %s", self._path, error)

    def _upright_rgb(self, frame: av.VideoFrame, size: tuple[int, ...] | None) -> np.ndarray:
        check_size(self._path, frame.width, frame.height)
        quarter_turns = round(frame.rotation / 90)
        if size is not None:
            # A stream may change its size midway; the track has one.
            height, width = size if quarter_turns % 2 == 0 else size[::-1]
            frame = frame.reformat(width=width, height=height)
        pixels = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns % 4 else pixels

    def _frames_by_duration(self) -> int:
        if self._stream.duration and self._stream.time_base:
            return round(self._stream.duration * self._stream.time_base * self._rate)
        if self._container.duration:
            return round(Fraction(self._container.duration, av.time_base) * self._rate)
        return 0


def _bad_video(path: Path, why: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_IMAGE, f"Cannot read {path} as a video: {why}.", _REMEDY)
