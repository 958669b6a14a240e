# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a shot, drawn side by side and written to a folder: only those that are not there yet."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.disclosure import NOTHING_SHOWN, Disclosure
from portrait_shared.frames.frame_files import (
    LAYERED,
    PICTURES,
    file_digest,
    frame_path,
    prepare_folder,
    valid_frames,
    write_frame,
)
from portrait_shared.frames.frame_marks import marked, timed_exr
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.layers import COLORSPACES, in_order
from portrait_shared.shots import is_unchanged, layered_shot_digest, performance_digest, shot_frame_digest
from portrait_shared.track import LandmarkTrack

from portrait_server.disclosure.disclosing import Disclosing
from portrait_server.disclosure.label import check_label
from portrait_server.engines.base import Engine
from portrait_server.media.exr import encode_exr
from portrait_server.media.png import encode_png
from portrait_server.networks.device import usable_cores
from portrait_server.shots.drawing import FrameDrawer
from portrait_server.shots.layers import ShotLayers
from portrait_server.shots.reader import ShotReader
from portrait_server.shots.region import place_of_faces, usual_change

_MOST_WORKERS: Final = 4
_MOST_LAYERED: Final = 2  # of a whole frame's layers each takes some 300 bytes a pixel


class ShotRender:
    """What is drawn of one shot, in any number of parts. To be closed.

    Attributes:
        digests: of all frames asked for, by their numbers.
    """

    def __init__(
        self, shot: ShotReader, digest: str, found: LandmarkTrack, track: LandmarkTrack, engine: Engine,
        frames: Sequence[int], layers: Sequence[str] = (), colorspace: str = COLORSPACES[0],
        times: FrameTimes | None = None, device: str = "", disclosure: Disclosure = NOTHING_SHOWN,
    ) -> None:  # fmt: skip
        """
        Args:
            digest: the shot's.
            found: the points of each of its frames, and what else was found there.
            track: where they shall be; its frame numbers are those of the files.
            frames: numbers of those that are asked for.
            layers: of layered files, see `portrait_shared.layers.LAYERS`; none where files are pictures.
            colorspace: that the colours of those are written in.
            times: what they say of when frames are shown.
            device: what the engine draws on, see `Device.kind`.
            disclosure: what changed frames show of having been made; those as filmed show nothing.

        Raises:
            PortraitError: BAD_CONFIGURATION for a label that cannot be written.
        """
        self._shot, self._digest, self._found, self._track, self._engine = shot, digest, found, track, engine
        self._layers, self._colorspace, self._times = in_order(layers), colorspace, times
        self._device, self._disclosure = device, disclosure
        if disclosure.label is not None:
            check_label(disclosure.label)
        self._suffix = LAYERED if layers else PICTURES
        self._others = OtherFrames(shot)
        ordered = sorted(frames)
        self._next = dict(zip(ordered, [*ordered[1:], *ordered[-1:]], strict=True))
        performance = performance_digest(found)
        drawn = engine.name, engine.fingerprint
        self.digests = {
            number: shot_frame_digest(
                *drawn, digest, performance, self._index(number), track.points[self._index(number)],
                found.points[self._index(number)], depth=shot.depth,
                disclosure=disclosure,
            )
            for number in frames
        }  # fmt: skip
        if layers:
            self.digests = {
                number: layered_shot_digest(
                    own, self.digests[self._next[number]], *drawn, performance, self._layers, colorspace
                )
                for number, own in self.digests.items()
            }

    def store(self, folder: Path, *, only: Collection[int] | None = None, again: bool = False) -> Iterator[StoredFrame]:
        """Brings a folder up to date.

        Args:
            only: which frames; all that are asked for where None. What follows one is the next of all.
            again: all frames are drawn anew, also those that are still valid; each old one stays until its new one is there.

        Yields:
            Every frame: first those that are still valid, then in order those that are drawn.

        Raises:
            PortraitError: OUTPUT_NOT_WRITABLE, DISK_FULL; what reading and drawing raise. Frames that are there stay.
        """
        prepare_folder(folder)
        chosen = frozenset(self.digests if only is None else only)
        digests = {number: own for number, own in self.digests.items() if number in chosen}
        valid = {} if again else valid_frames(folder, digests, suffix=self._suffix)
        for number, sha256 in valid.items():
            yield StoredFrame(number, frame_path(folder, number, suffix=self._suffix), False, sha256)
        workers = min(_MOST_WORKERS if not self._layers else _MOST_LAYERED, usable_cores())
        drawer = self._drawer
        layers = ShotLayers(self._found, self._layers) if self._layers else None
        pool = ThreadPoolExecutor(workers, "shot")
        waiting: deque[Future[StoredFrame]] = deque()
        try:
            for number in sorted(digests.keys() - valid.keys()):
                frame = self._shot.frame(self._index(number))
                waiting.append(pool.submit(self._store_one, drawer, layers, frame, number, folder))
                while len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Lets go of what reads the frames that lend."""
        self._others.close()

    @cached_property
    def _drawer(self) -> FrameDrawer:
        return FrameDrawer(self._engine, self._found, self._others)

    @cached_property
    def _disclosing(self) -> Disclosing:
        size = self._shot.size
        faces = self._found.points
        return Disclosing(self._disclosure, size, self._digest, place_of_faces(faces, size), area=usual_change(faces))

    def _store_one(
        self, drawer: FrameDrawer, layers: ShotLayers | None, frame: np.ndarray, number: int, folder: Path
    ) -> StoredFrame:
        index, path = self._index(number), frame_path(folder, number, suffix=self._suffix)
        target, digest = self._track.points[index], self.digests[number]
        engine = None if is_unchanged(target, self._found.points[index]) else self._engine.name
        drawn = shown = drawer.draw(frame, index, target)
        if engine is not None and self._disclosure != NOTHING_SHOWN:
            shown = self._disclosing.into_changed(drawn, frame)
        if layers is None:
            data = marked(encode_png(shown, digest, engine, self._device), self._digest)
        else:
            following = self._track.points[self._index(self._next[number])]
            made = layers.of(drawn, shown, frame, index, target, following)
            data = marked(encode_exr(made, self._layers, self._colorspace, digest, engine, self._device), self._digest)
            data = data if self._times is None else timed_exr(data, self._times, number)
        write_frame(path, data)
        return StoredFrame(number, path, True, file_digest(data))

    def _index(self, number: int) -> int:
        return number - self._track.start


class OtherFrames:
    """Any frame of a shot, for several threads: read beside those that are drawn, so that these go on in order."""

    def __init__(self, shot: ShotReader) -> None:
        self._shot = shot
        self._reader: ShotReader | None = None
        self._lock = threading.Lock()

    def __call__(self, index: int) -> np.ndarray:
        """The frame (H, W, 3 or 4), as `ShotReader.frame` gives it and with its errors."""
        with self._lock:
            self._reader = self._reader or self._shot.another()
            return self._reader.frame(index)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
