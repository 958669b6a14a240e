# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a shot, drawn side by side and written to a folder: only those that are not there yet."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.frames.frame_files import frame_path, missing_frames, prepare_folder, write_frame
from portrait_shared.frames.frame_marks import marked
from portrait_shared.shots import is_unchanged, performance_digest, shot_frame_digest
from portrait_shared.track import LandmarkTrack

from portrait_server.engines.base import Engine
from portrait_server.media.images import Depth
from portrait_server.media.png import encode_png
from portrait_server.shots.drawing import FrameDrawer
from portrait_server.shots.reader import ShotReader

_MOST_WORKERS: Final = 4


class ShotRender:
    """What is drawn of one shot.

    Attributes:
        digests: of all frames asked for, by their numbers.
    """

    def __init__(
        self, shot: ShotReader, digest: str, found: LandmarkTrack, track: LandmarkTrack, engine: Engine,
        frames: Sequence[int],
    ) -> None:  # fmt: skip
        """
        Args:
            digest: the shot's.
            found: the points of each of its frames, and what else was found there.
            track: where they shall be; its frame numbers are those of the files.
            frames: numbers of those that are asked for.
        """
        self._shot, self._digest, self._found, self._track, self._engine = shot, digest, found, track, engine
        performance = performance_digest(found)
        self.digests = {
            number: shot_frame_digest(
                engine.name, engine.fingerprint, digest, performance, self._index(number),
                track.points[self._index(number)], found.points[self._index(number)], depth=shot.depth,
            )
            for number in frames
        }  # fmt: skip

    def store(self, folder: Path) -> Iterator[tuple[int, Path]]:
        """Brings a folder up to date.

        Yields:
            Number and file of every frame: first of those that are still valid, then in order of those that are drawn.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL; what reading and drawing raise. Frames that are there stay.
        """
        prepare_folder(folder)
        missing = missing_frames(folder, self.digests)
        for number in sorted(self.digests.keys() - set(missing)):
            yield number, frame_path(folder, number)
        workers = min(_MOST_WORKERS, os.cpu_count() or 1)
        others = OtherFrames(self._shot.path, self._shot.depth)
        drawer = FrameDrawer(self._engine, self._found, others)
        pool = ThreadPoolExecutor(workers, "shot")
        waiting: deque[tuple[int, Future[Path]]] = deque()
        try:
            for number in missing:
                frame = self._shot.frame(self._index(number))
                waiting.append((number, pool.submit(self._store_one, drawer, frame, number, folder)))
                while len(waiting) > workers:
                    yield waiting[0][0], waiting.popleft()[1].result()
            while waiting:
                yield waiting[0][0], waiting.popleft()[1].result()
        finally:
            pool.shutdown(cancel_futures=True)
            others.close()

    def _store_one(self, drawer: FrameDrawer, frame: np.ndarray, number: int, folder: Path) -> Path:
        index, path = self._index(number), frame_path(folder, number)
        target = self._track.points[index]
        engine = None if is_unchanged(target, self._found.points[index]) else self._engine.name
        drawn = drawer.draw(frame, index, target)
        write_frame(path, marked(encode_png(drawn, self.digests[number], engine), self._digest))
        return path

    def _index(self, number: int) -> int:
        return number - self._track.start


class OtherFrames:
    """Any frame of a shot, for several threads: read beside those that are drawn, so that these go on in order."""

    def __init__(self, path: Path, depth: Depth) -> None:
        self._path, self._depth = path, depth
        self._reader: ShotReader | None = None
        self._lock = threading.Lock()

    def __call__(self, index: int) -> np.ndarray:
        """The frame (H, W, 3 or 4), as `ShotReader.frame` gives it and with its errors."""
        with self._lock:
            self._reader = self._reader or ShotReader(self._path, self._depth)
            return self._reader.frame(index)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
