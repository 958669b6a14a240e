# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faces of a picture are driven, by which tracks: what `--face`, `--track` and `--reference-points` say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Self

import numpy as np
from portrait_shared.body import USUAL
from portrait_shared.client.client import Client
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces
from portrait_shared.protocol.references import ReferenceImage
from portrait_shared.track import LandmarkTrack, bad_track

from portrait_server.media.images import read_image

LARGEST = 0
_ONE_FACE = 0.25  # of a face's size: how near the landmarks of two are if they are of one


@dataclass(frozen=True)
class DrivenFaces:
    """The faces of the first photo that are driven, and how.

    Attributes:
        numbers: of each, counted from 1 at the picture's left, or `LARGEST`.
        tracks: of each; all are of a picture of one size.
    """

    numbers: tuple[int, ...]
    tracks: tuple[LandmarkTrack, ...]
    paths: tuple[Path, ...]

    @classmethod
    def load(cls, numbers: Sequence[int], paths: Sequence[Path]) -> Self:
        """Reads the tracks.

        Args:
            numbers: one for each track; none where the largest face is driven by the only one.

        Raises:
            PortraitError: BAD_CONFIGURATION where faces and tracks do not belong together; what keeps a track from being
                read; SIZE_MISMATCH.
        """
        if len(numbers) != len(paths) and (numbers or len(paths) > 1):
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"{len(numbers)} faces but {len(paths)} tracks were given.",
                "Write --face NUMBER before each --track; faces are counted from 1 at the picture's left.",
            )  # fmt: skip
        if len(set(numbers)) != len(numbers):
            raise PortraitError(
                ErrorCode.BAD_CONFIGURATION, f"A face was named twice: {', '.join(map(str, numbers))}.",
                "Give each face one --track.",
            )  # fmt: skip
        tracks = tuple(LandmarkTrack.load(path) for path in paths)
        for track, path in zip(tracks, paths, strict=True):
            if track.size != tracks[0].size:
                raise PortraitError(
                    ErrorCode.SIZE_MISMATCH,
                    f"{path} is of a picture of {track.size[0]}x{track.size[1]} pixels, {paths[0]} of one of "
                    f"{tracks[0].size[0]}x{tracks[0].size[1]}.",
                    "Faces of one picture need tracks in its pixels.",
                )
        return cls(tuple(numbers) or (LARGEST,), tracks, tuple(paths))

    @property
    def first(self) -> LandmarkTrack:
        return self.tracks[0]

    def check_size(self, photo: Path, size: tuple[int, int]) -> None:
        """Whether the tracks are of the photo, (width, height).

        Raises:
            PortraitError: SIZE_MISMATCH.
        """
        if self.first.size != size:
            raise PortraitError(
                ErrorCode.SIZE_MISMATCH,
                f"The track was made for a picture of {self.first.size[0]}x{self.first.size[1]} pixels, "
                f"but {photo} has {size[0]}x{size[1]}.",
                "Use the photo that the track was made for, or scale the track's points and size to this photo.",
            )

    def rows_of(self, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None, OtherFaces | None]:
        """Points (N, 70, 2 or 3) and body (N, 2) of the first face in frames, and the further faces.

        Raises:
            PortraitError: BAD_TRACK for a frame that a track lacks.
        """
        rows, bodies = [], []
        for track, path in zip(self.tracks, self.paths, strict=True):
            try:
                rows.append(track.rows_of(frames))
            except PortraitError as error:
                raise bad_track(f"{path}: {error.message}", error.remedy) from error
            bodies.append(track.body_of(frames))
        if len(rows) == 1:
            return rows[0], bodies[0], None
        axes = min(points.shape[2] for points in rows[1:])
        usual = np.tile(USUAL, (len(frames), 1))
        return rows[0], bodies[0], OtherFaces(
            np.stack([points[..., :axes] for points in rows[1:]], 1),
            np.stack([usual if body is None else body for body in bodies[1:]], 1),
        )  # fmt: skip

    def found(
        self, client: Client, first: ReferenceImage, given: Sequence[np.ndarray]
    ) -> tuple[ReferenceImage, np.ndarray | None]:
        """The first photo with the landmarks of the first face, where it is not the largest alone, and those (F, 70, 3) of
        the further ones.

        Args:
            given: (70, 2 or 3) landmarks of each face, or none: then the server finds them.

        Raises:
            PortraitError: NO_FACE, NO_SUCH_FACE, and those of `Client.detect`; BAD_CONFIGURATION where one face is driven
                twice.
        """
        if self.numbers == (LARGEST,):
            return first, None
        if not given:
            given = [client.detect(first.image, face=number).points for number in self.numbers]
        self._check_apart(given)
        faces = [ReferenceImage(first.image, points) for points in given]
        return faces[0], np.stack([face.points for face in faces[1:] if face.points is not None]) if faces[1:] else None

    def _check_apart(self, faces: Sequence[np.ndarray]) -> None:
        """Whether landmarks (70, 2 or 3) of several faces are of different ones."""
        for (one, first), (other, second) in combinations(zip(self.numbers, faces, strict=True), 2):
            size = np.ptp(first[:, :2], axis=0).max()
            if np.linalg.norm(first[:, :2] - second[:, :2], axis=1).mean() < _ONE_FACE * size:
                raise PortraitError(
                    ErrorCode.BAD_CONFIGURATION, f"--face {one} and --face {other} are one and the same face.",
                    "Give each face one --track, and the landmarks of its own; 0 is the largest face, whichever that is.",
                )  # fmt: skip


def load_references(
    photos: Sequence[Path], point_files: Sequence[Path], faces: int = 1
) -> tuple[list[ReferenceImage], list[np.ndarray]]:
    """Photos with the landmarks given for them; those without are detected by the server.

    Args:
        point_files: of each face of the first photo, then of each further photo; or none.
        faces: how many faces of the first photo are driven.

    Returns:
        the photos; the landmarks (70, 2 or 3) of each face of the first, where they were given.

    Raises:
        PortraitError: a photo or a file of points that cannot be used.
    """
    wanted = len(photos) + faces - 1
    if point_files and len(point_files) != wanted:
        several = (
            "face of the first photo, and then for each further" if faces > 1 else "--reference, in the same order"
        )
        raise PortraitError(
            ErrorCode.BAD_POINTS,
            f"{len(photos)} references" + (f" and {faces} faces" if faces > 1 else "")
            + f" but {len(point_files)} files of reference points were given.",
            f"Give one --reference-points for each {several}, or none at all.",
        )  # fmt: skip
    images = [read_image(photo) for photo in photos]
    given = [_points_of(path, photos[0], images[0]) for path in point_files[:faces]]
    further = [
        _points_of(path, photo, image)
        for path, photo, image in zip(point_files[faces:], photos[1:], images[1:], strict=bool(point_files))
    ]
    points: list[np.ndarray | None] = [*given[:1], *further] if point_files else [None] * len(images)
    return [ReferenceImage(image, row) for image, row in zip(images, points, strict=True)], given


def _points_of(path: Path, photo: Path, image: np.ndarray) -> np.ndarray:
    track = LandmarkTrack.load(path)
    height, width = image.shape[:2]
    if len(track) != 1 or track.size != (width, height):
        raise PortraitError(
            ErrorCode.SIZE_MISMATCH,
            f"{path} holds {len(track)} frames for a picture of {track.size[0]}x{track.size[1]} pixels; "
            f"one frame for {width}x{height} is needed, the size of {photo}.",
            f"Make one with `portrait landmarks {photo} --output POINTS.npz`.",
        )
    return track.points[0]
