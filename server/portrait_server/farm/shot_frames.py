# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a filmed shot with its face changed, drawn by this process itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path

from portrait_shared import __version__
from portrait_shared.client.credentials import public_consents
from portrait_shared.client.rendering import StoredFrame
from portrait_shared.disclosure import watermark_id
from portrait_shared.files.picture_sequences import sequence_at
from portrait_shared.files.whole_files import keep_sources
from portrait_shared.personal import PersonalFile
from portrait_shared.shots import ShotIdentity, identify_shot
from portrait_shared.statement import Hashed, Source, SourceKind, Statement
from portrait_shared.track import LandmarkTrack

from portrait_server.detectors.registry import create_detector, default_detector_name
from portrait_server.engines.base import Engine
from portrait_server.engines.loaded_engines import tunable
from portrait_server.engines.registry import create_engine, meant_engine
from portrait_server.farm.frame_request import FrameRequest
from portrait_server.farm.photo_frames import track_times
from portrait_server.farm.stating import Said
from portrait_server.networks.device import Device, choose_device
from portrait_server.provenance.thumbnails import with_thumbnails
from portrait_server.shots.landmarks import points_of_shot
from portrait_server.shots.matching import check_found, check_targets
from portrait_server.shots.reader import ShotReader
from portrait_server.shots.rendering import ShotRender


class ShotFrames:
    """What is drawn of a shot. Landmarks are looked for, and an engine loaded, when they are needed. To be closed.

    Attributes:
        frames: the numbers of all that are asked for.
        size: (width, height) of each, pixels.
        notes: what is not as in an ordinary shot, a sentence each.
        release: of what draws.
    """

    release = __version__

    def __init__(self, request: FrameRequest, plate: Path, device: str) -> None:
        """
        Args:
            plate: the request's.
            device: what draws: one of `portrait_shared.devices.DEVICES`.

        Raises:
            PortraitError: FILE_MISSING, BAD_IMAGE, IMAGE_TOO_LARGE, SIZE_MISMATCH, BAD_TRACK.
        """
        (track,) = request.tracks
        self._request, self._wish = request, device
        self._track = LandmarkTrack.load(track)
        self.frames = request.frames or tuple(self._track.frame_numbers)
        self._track.rows_of(self.frames)
        self._given = None if request.plate_points is None else LandmarkTrack.load(request.plate_points)
        self._shot = ShotReader(plate, request.depth)
        self.size, self.notes = self._shot.size, self._shot.notes

    def keep_sources(self, output: Path) -> None:
        """Raises: PortraitError: OUTPUT_NOT_WRITABLE for the folder that the shot's pictures lie in."""
        if (pictures := sequence_at(self._shot.path)) is not None:
            keep_sources([output], [pictures.folder])

    @property
    def plate(self) -> Path:
        """The shot."""
        return self._shot.path

    @property
    def plate_digest(self) -> str:
        """What it contains, see `identify_shot`."""
        return self._identity.digest

    @cached_property
    def _identity(self) -> ShotIdentity:
        return identify_shot(self._shot.path, None if self._given is None else ShotIdentity.of_track(self._given))

    @cached_property
    def points(self) -> LandmarkTrack:
        """The points of each frame of the shot, found where they were not given, and whether all belongs together.

        Raises:
            PortraitError: SIZE_MISMATCH, BAD_TRACK, BAD_POINTS, NO_FACE, NO_SUCH_FACE.
        """
        found = self._given
        if found is None:
            with closing(create_detector(default_detector_name(), self._device.name)) as detector:
                found = points_of_shot(self._shot.path, detector, *self._request.faces)
        check_found(self._shot, self._identity, found, str(self._request.plate_points or "The track that was detected"))
        check_targets(found, self._track, str(self._request.tracks[0]), self.frames)
        return found

    @cached_property
    def _device(self) -> Device:
        return choose_device(self._wish)

    @cached_property
    def _personal(self) -> PersonalFile | None:
        return PersonalFile.load(self._request.personal) if self._request.personal else None

    @cached_property
    def _engine(self) -> Engine:
        personal = self._personal
        engine = create_engine(meant_engine(self._request.engine, personal is not None), self._device.name)
        return engine if personal is None else tunable(engine).tuned(personal)

    @property
    def engine(self) -> tuple[str, str]:
        """Name and fingerprint of what draws."""
        return self._engine.name, self._engine.fingerprint

    def statement(self, said: Said) -> Statement:
        """What is said of the frames. Raises: PortraitError: as `points`, and what loading the engine raises."""
        disclosure, personal = self._request.disclosure, self._personal
        hashed = Hashed.FILE if sequence_at(self._shot.path) is None else Hashed.SEQUENCE
        stated = Statement(
            *self.engine, bool(self._engine.weights), (Source(SourceKind.PLATE, self._identity.digest, hashed),),
            self._engine.weights, "" if personal is None else personal.digest, public_consents(said.consents, 1),
            watermark_id(self._identity.digest) if disclosure.watermark else None,
            "" if disclosure.label is None else disclosure.label.words,
        )  # fmt: skip
        return with_thumbnails(stated, [self._shot.frame(0)] if said.thumbnails else [])

    def close(self) -> None:
        """Lets go of what reads the shot."""
        if "_render" in self.__dict__:
            self._render.close()
        self._shot.close()

    @cached_property
    def _render(self) -> ShotRender:
        found = self.points
        return ShotRender(
            self._shot, self._identity.digest, found, self._track, self._engine, self.frames, self._request.layers,
            self._request.colorspace, track_times(self._track) if self._request.layers else None, self._device.kind,
            self._request.disclosure,
        )  # fmt: skip

    @property
    def digests(self) -> Mapping[int, str]:
        """What each frame has for its hash."""
        return self._render.digests

    def store(self, folder: Path, *, only: Collection[int] | None = None, again: bool = False) -> Iterator[StoredFrame]:
        """Brings a folder up to date: see `ShotRender.store`, whose arguments and errors it has."""
        return self._render.store(folder, only=only, again=again)
