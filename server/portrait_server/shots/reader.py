# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a shot, in any order: of a movie, or of a numbered sequence of pictures."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.picture_sequences import sequence_at

from portrait_server.media.deep_pictures import Depth, widened
from portrait_server.media.images import eight_bit, is_picture, read_image
from portrait_server.media.movie_frames import MORE_BITS, MovieFrames

SEQUENCE_FPS: Final = 25.0
"""Of pictures, which do not tell."""
_KEPT_BYTES: Final = 256 << 20


class ShotReader:
    """Frames as a player shows them: upright, with square pixels, sRGB. A context manager, used from one thread.

    The last frames are kept, up to 256 MiB, so that neighbours are not decoded over and over.

    Attributes:
        path: of the movie, the folder or the pattern, see `portrait_shared.shots`.
        files: all that is read.
        depth: bits a channel of the frames.
        size: (width, height) of each, pixels.
        frame_count: how many there are.
        start: the number of the first one: that of a sequence's first picture; 1 of a movie.
        fps: frames per second; of a sequence `SEQUENCE_FPS`.
        notes: what is not as in an ordinary movie, a sentence each, for a person.
    """

    def __init__(self, path: str | os.PathLike[str], depth: Depth = 8) -> None:
        """Raises: PortraitError: FILE_MISSING, also where a sequence has gaps; BAD_IMAGE, IMAGE_TOO_LARGE."""
        self.path, self.depth = Path(path), depth
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._movie: MovieFrames | None = None
        sequence = sequence_at(self.path)
        if sequence is not None:
            sequence.check_whole()
            self.files = sequence.files
            self._states = [_state(file) for file in self.files]
            self.frame_count, self.start, self.fps = len(self.files), sequence.start, SEQUENCE_FPS
            self.notes = _notes_on_pictures(sequence.tail, depth)
        elif is_picture(self.path):
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"{self.path} is a single picture, not a shot.",
                f"Give a movie, the folder of a sequence, or {self.path.parent / 'name.####.png'} for one of several.",
            )  # fmt: skip
        else:
            self.files, self._states = [self.path], [_state(self.path)]
            self._movie = MovieFrames(self.path, depth)
            self.frame_count, self.start, self.fps = self._movie.frame_count, 1, self._movie.fps
            self.notes = self._movie.notes
        try:
            height, width = self.frame(0).shape[:2]
        except BaseException:
            self.close()
            raise
        self.size = (width, height)

    def __enter__(self) -> ShotReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._movie is not None:
            self._movie.close()

    def another(self) -> ShotReader:
        """One more reader of the same frames, for another thread.

        Raises:
            PortraitError: as the first's; BAD_IMAGE where the shot has changed since that was opened.
        """
        reader = ShotReader(self.path, self.depth)
        reader.files, reader._states, reader.frame_count = self.files, self._states, self.frame_count
        try:
            reader._check_same(0)
        except BaseException:
            reader.close()
            raise
        return reader

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames (H, W, 3 or 4), one after another."""
        return (self.frame(index) for index in range(self.frame_count))

    def frame(self, index: int) -> np.ndarray:
        """One frame.

        Args:
            index: from 0.

        Returns:
            (H, W, 3) uint8 or uint16 RGB, or (H, W, 4) with straight alpha where it is not opaque; read-only.

        Raises:
            PortraitError: BAD_IMAGE, FILE_MISSING, IMAGE_TOO_LARGE where it cannot be read, or has changed since the shot
                was opened; SIZE_MISMATCH for a picture of another size than the first.
            IndexError: there is no such frame.
        """
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        if not 0 <= index < self.frame_count:
            raise IndexError(index)
        try:
            pixels = self._read(index)
        finally:
            self._check_same(index)
        pixels.flags.writeable = False
        self._kept[index] = pixels
        while len(self._kept) > 1 and len(self._kept) * pixels.nbytes > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return pixels

    def _read(self, index: int) -> np.ndarray:
        if self._movie is not None:
            pixels = self._movie.frame(index)
        else:
            pixels = read_image(self.files[index], self.depth)
            height, width = pixels.shape[:2]
            if index and self.size != (width, height):
                raise PortraitError(
                    ErrorCode.SIZE_MISMATCH,
                    f"{self.files[index]} has {width}x{height} pixels, the first picture of the shot "
                    f"{self.size[0]}x{self.size[1]}.",
                    "Give all pictures of a shot one size.",
                )
        return pixels if self.depth == 8 or pixels.dtype == np.uint16 else widened(pixels)

    def _check_same(self, index: int) -> None:
        """Whether a frame's file is as it was, for what is drawn of it is taken for drawn of the shot as it was."""
        place = 0 if self._movie is not None else index
        file, known = self.files[place], self._states[place]
        state = _state(file)
        if state == known and state is not None:
            return
        raise PortraitError(
            ErrorCode.FILE_MISSING if state is None else ErrorCode.BAD_IMAGE,
            f"{file} {'is no longer there' if state is None else 'has changed while it was read'}.",
            "Put the file back and try again; frames that are done stay."
            if state is None
            else "Wait until nothing writes to the shot any more, find its landmarks again if it is another now, and "
            "try again; frames that are done stay.",
        )


def _notes_on_pictures(tail: str, depth: Depth) -> list[str]:
    if not tail.lower().endswith(".exr"):
        return []
    notes = ["Its pictures are OpenEXR, scene-linear; frames are sRGB, in which light above 1 is white."]
    return notes if depth == 16 else [*notes, MORE_BITS]


def _state(file: Path) -> tuple[int, int] | None:
    """Size and time of change of a file; None where it is gone."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def eight_bit_rgb(frame: np.ndarray) -> np.ndarray:
    """What detectors see of a frame (H, W, 3 or 4): (H, W, 3) uint8."""
    return np.ascontiguousarray(eight_bit(frame)[..., :3])
