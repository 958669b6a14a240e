# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking videos in VoxCeleb's layout, person/video/clip.mp4: as a source of shards, and as a corpus."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.corpora.assembly import aligned_face, assemble, recolored
from portrait_server.corpora.build import Source, cut
from portrait_server.corpora.sample import Corpus, Sample
from portrait_server.corpora.shards import Face, open_shards
from portrait_server.detectors.base import DetectedFace, Detector
from portrait_server.detectors.selection import no_face, same_person, select_face
from portrait_server.media.images import is_animated_picture
from portrait_server.media.video import VideoReader

_SUFFIXES: Final = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".mpg", ".mpeg", ".webm", ".avi"))
_FRAMES_PER_CLIP: Final = 48
_UNKNOWN_LENGTH_STEP: Final = 12  # frames, where a file does not tell how many it has


class Videos(Source):
    """All clips of a folder and the folders within: frames spread evenly over each, one person followed."""

    def find(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        files = sorted(path for path in found if path.suffix.lower() in _SUFFIXES or is_animated_picture(path))
        return [path.relative_to(self.folder).as_posix() for path in files]

    def faces(self, name: str, detector: Detector) -> Iterator[tuple[int, Face]]:
        last: DetectedFace | None = None
        found: list[tuple[int, Face]] = []
        unusable: PortraitError | None = None
        with VideoReader(self.folder / name) as video:
            chosen = _chosen(video.frame_count)
            seen = 0  # the frame in which the person was last
            for number, image in enumerate(video):
                if len(found) == _FRAMES_PER_CLIP:
                    break
                if number not in chosen:
                    continue
                faces = detector.detect(image)
                if not faces:
                    continue
                face = select_face(faces) if last is None else same_person(last, faces, number - seen - 1)
                if face is None:
                    continue
                last, seen = face, number
                try:
                    found.append((number, cut(image, face)))
                except PortraitError as error:  # a moment further from the camera: other frames may be of use
                    if error.code != ErrorCode.NO_FACE:
                        raise
                    unusable = error
        if not found and unusable is not None:
            raise unusable
        if len(found) < 2:
            raise no_face(f"two frames of {name}") if not found else _too_short(name)
        yield from found


class TalkingVideos(Corpus):
    """Samples whose references and target are frames of one video; a video is an identity, as in the paper."""

    def __init__(self, folder: Path, *, augmented: bool = True, clips: bool = False) -> None:
        """
        Args:
            augmented: change colours, degrade references, mirror.
            clips: a clip is an identity: the light of references and target is one.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE.
        """
        self._shards = open_shards(folder)
        self._augmented = augmented
        names: dict[str, int] = {}
        videos, places = [], []
        for number, shard in enumerate(self._shards):
            # A clip is in one shard, but the clips of one video may be in two.
            whose = [source if clips else str(PurePosixPath(source).parent) for source in shard.sources]
            of_source = [names.setdefault(name, len(names)) for name in whose]
            videos.append(np.array(of_source, np.int32)[shard.entries["source"]])
            places.append(np.stack([np.full(len(shard), number), np.arange(len(shard))], 1).astype(np.int32))
        video, place = np.concatenate(videos), np.concatenate(places)
        order = np.argsort(video, kind="stable")
        self._places = place[order]
        self._first = np.searchsorted(video[order], np.arange(len(names) + 1))
        self.identities = len(names)

    def sample(self, rng: np.random.Generator, references: int, side: int) -> Sample:
        identity = int(rng.integers(self.identities))
        frames = np.arange(self._first[identity], self._first[identity + 1])
        # With fewer frames than references some come twice, but never the target.
        target = int(rng.choice(frames))
        rest = frames[frames != target]
        chosen = [target, *rng.choice(rest, references, replace=len(rest) < references)]
        faces = [self._shards[shard].read(int(record)) for shard, record in self._places[chosen]]
        # Each frame was cut out by itself: how far the head moved from one to the other is not known any more.
        target_view, *views = (aligned_face(face, side, wide=number == 1) for number, face in enumerate(faces))
        if self._augmented:
            target_view, views = recolored(target_view, views, rng)
        sample = assemble(target_view, views, identity)
        return sample.mirrored() if self._augmented and rng.random() < 0.5 else sample


def _chosen(count: int) -> Container[int]:
    """Numbers of the frames that are looked at: of a video of `count`, or 0 where that is unknown."""
    if not count:
        return range(0, sys.maxsize, _UNKNOWN_LENGTH_STEP)
    return {round(number) for number in np.linspace(0, count - 1, min(count, _FRAMES_PER_CLIP))}


def _too_short(name: str) -> PortraitError:
    return PortraitError(ErrorCode.NO_FACE, f"Only one frame of {name} shows a face large enough.")
