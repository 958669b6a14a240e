# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of photos, through the client and server that the extension uses."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from portrait_shared.client.client import Client
from portrait_shared.client.credentials import statement_of
from portrait_shared.client.launcher import ServerProcess, find_server
from portrait_shared.client.rendering import StoredFrame, WantedFrames, store_frames
from portrait_shared.digest import tuned_fingerprint
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.frames.frame_files import frame_path
from portrait_shared.frames.frame_times import FrameTimes
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import PortraitHandle, ReferenceImage
from portrait_shared.statement import Statement
from portrait_shared.track import LandmarkTrack

from portrait_server.engines.registry import ENGINES
from portrait_server.farm.driven_faces import DrivenFaces, load_references
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.stating import Said
from portrait_server.media.images import read_image
from portrait_server.provenance.thumbnails import with_thumbnails


class PhotoFrames:
    """What is drawn of photos. The server is asked for nothing before it is needed.

    Attributes:
        frames: the numbers of all that are asked for.
        size: (width, height) of each, pixels.
    """

    def __init__(self, request: FrameRequest, client: Client) -> None:
        """Reads and checks all files.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE, SIZE_MISMATCH, BAD_TRACK, BAD_POINTS, BAD_WEIGHTS,
                BAD_CONFIGURATION.
        """
        self._request, self._client = request, client
        self._driven = DrivenFaces.load(request.faces, request.tracks)
        track = self._driven.first
        self.frames = request.frames or tuple(track.frame_numbers)
        self._points, self._body, self._others = self._driven.rows_of(self.frames)
        self._references, self._given = load_references(
            request.references, request.reference_points, len(self._driven.tracks)
        )
        self._photo = request.photo_digest or self._references[0].digest
        if request.depth == 16:
            self._references[0] = ReferenceImage(read_image(request.references[0], 16), self._references[0].points)
        self._driven.check_size(request.references[0], self._references[0].size)
        self.size = _output_size(track.size, request.size)
        self._times = track_times(track) if request.layers else None
        self._personal = PersonalFile.load(request.personal) if request.personal else None

    def keep_sources(self, output: Path) -> None:
        """Raises: PortraitError: OUTPUT_NOT_WRITABLE where frames in that folder would be written over a photo."""
        keep_sources(
            (frame_path(output, number, suffix=self._request.suffix) for number in self.frames),
            self._request.references,
        )

    @cached_property
    def portrait(self) -> PortraitHandle:
        """What the server has prepared; landmarks that were not given are found.

        Raises:
            PortraitError: NO_FACE, NO_SUCH_FACE, BAD_CONFIGURATION; those of `Client.prepare`.
        """
        self._references[0], further = self._driven.found(self._client, self._references[0], self._given)
        return self._client.prepare(
            self._references, engine=self._request.engine, personal=self._personal, others=further
        )

    @property
    def release(self) -> str:
        """Of the server that draws."""
        return self._client.server.version

    @property
    def engine(self) -> tuple[str, str]:
        """Name and fingerprint of what draws."""
        name = self.portrait.engine
        personal = None if self._personal is None else self._personal.digest
        return name, tuned_fingerprint(self._client.server.engines[name], personal)

    def statement(self, said: Said) -> Statement:
        """What is said of the frames. Raises: PortraitError: as `portrait`."""
        stated = statement_of(self._client, self.portrait, self._photo, self._request.disclosure, said.consents)
        return with_thumbnails(stated, [each.image for each in self._references] if said.thumbnails else [])

    @property
    def points(self) -> list[LandmarkTrack]:
        """The landmarks of each face of the first photo, then of each further photo: what may be given next time."""
        first, *further = self.portrait.references
        others = [] if self.portrait.others is None else list(self.portrait.others)
        rows = [(row, first.size) for row in (first.points, *others)]
        rows += [(photo.points, photo.size) for photo in further]
        return [LandmarkTrack(row[np.newaxis], size) for row, size in rows if row is not None]

    @property
    def digests(self) -> Mapping[int, str]:
        """What each frame has for its hash."""
        return WantedFrames(
            self.portrait, self._points, self.frames, self.size, self._request.matte, self._body, self._others,
            self._request.layers, self._request.colorspace, self._request.disclosure,
        ).digests()  # fmt: skip

    def store(self, folder: Path, *, only: Collection[int] | None = None, again: bool = False) -> Iterator[StoredFrame]:
        """Brings a folder up to date: see `store_frames`, whose arguments and errors it has."""
        return store_frames(
            self._client, self.portrait, self._points, self.frames, folder, only=only, size=self.size,
            matte=self._request.matte, photo=self._photo, body=self._body, others=self._others,
            layers=self._request.layers, colorspace=self._request.colorspace, times=self._times, again=again,
            disclosure=self._request.disclosure,
        )  # fmt: skip


def track_times(track: LandmarkTrack) -> FrameTimes:
    """When a track's frames are shown; where it holds the array `timecode`, a text, that is its first frame's.

    Raises:
        PortraitError: BAD_CONFIGURATION for a rate or a time code that there is not.
    """
    timecode = track.extra.get("timecode")
    return FrameTimes(track.fps, "" if timecode is None else str(timecode), track.start)


def client_of(device: str, engine: str, connect: Path | None, name: str) -> Client:
    """A client with a server of its own, or of the server that runs already.

    Args:
        device: what the own server draws on.
        engine: what it draws with; where there is none of that name, it will say so.
        connect: the other's connection file.
        name: what the server's log calls the client.

    Raises:
        PortraitError: SERVER_UNAVAILABLE, VERSION_MISMATCH, NOT_ALLOWED.
    """
    if connect is None:
        command, only = [sys.executable, "-m", "portrait_server"], engine if engine in ENGINES else None
        return Client(ServerProcess(command, device=device, engine=only), name=name)
    connection = find_server(connect)
    if connection is None:
        raise PortraitError(
            ErrorCode.SERVER_UNAVAILABLE, f"No server answers at {connect}.",
            "Start one with `portrait serve`, or leave out --connect.",
        )  # fmt: skip
    return Client(connection, name=name)


def _output_size(size: tuple[int, int], asked: int | tuple[int, int] | None) -> tuple[int, int]:
    if asked is None:
        return size
    if isinstance(asked, tuple):
        return asked
    scale = asked / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
